# SPDX-License-Identifier: MIT
"""Parameters of the hypervisor that change what Domain 0, its user or its tools see."""
import re

from guests import lodge_json
from harness import check, check_equal, screen_lines, test


def memory_mib(m):
    return int(m.sh('cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb')) / 1024


@test()
def maxcpus(t):
    """Processors beyond the number stay where the firmware left them."""
    m = t.boot_dom0(cpus=4, hv_args='maxcpus=2')
    check_equal(m.sh('nproc').strip(), '2', 'processors in Domain 0')
    if t.ours:
        check('2 processors online' in m.sh('hvctl log'), 'the log has another number of processors')


@test(long=True)
def mem(t):
    """What lies above is no memory, to Domain 0 neither."""
    m = t.boot_dom0(hv_args='mem=640M dom0_mem=-200M')
    check(300 <= memory_mib(m) <= 440, f'Domain 0 has {memory_mib(m):.1f} MiB')


@test(ours=True, long=True)
def com2(t):
    """The console on the second serial port, and nothing on the first."""
    second = t.scratch / 'com2'
    m = t.boot(kernel=None, initrd=None, reboot=False, hv_args='console=com2 com2=115200,8n1,0x2f8,3',
               extra=('-chardev', f'file,id=second,path={second}', '-device', 'isa-serial,chardev=second,index=1'))
    m.wait_exit(60)
    text = second.read_text()
    check('Lodge cannot boot: ' in text, f'on the second port: {text[-500:]!r}')
    check('Lodge' not in m.output, f'on the first port: {m.output!r:.300}')


def log(m):
    return m.sh('hvctl log')


def check_log(m, text):
    found = log(m)
    check(re.search(text, found), f'no {text!r} in the log: {found}')


def flags(m):
    return m.sh("sed -n 's/^flags.*: //p' /proc/cpuinfo | head -n 1").split()


@test(ours=True)
def processors(t):
    """dom0_vcpus_pin, cpuid and sched; what is wrong in them is named and does no harm."""
    m = t.boot_dom0(hv_args='dom0_vcpus_pin sched=credit2 cpuid=no-nonsense cpuid=no-sse2 cpuid=no-AVX2,no-rdrand,no-sse4-1')
    check_log(m, r'sched: "credit2" ignored, expected sched=fair')
    check_log(m, r'cpuid: "no-nonsense" ignored, expected cpuid=no-FEATURE')
    check_log(m, r'cpuid: "no-sse2" ignored')
    found = flags(m)
    shown = {'avx2', 'rdrand', 'sse4_1', 'sse4_2'} & set(found)
    check(not shown, f'{shown} are not hidden')
    check({'sse2', 'ssse3', 'popcnt'} <= set(found), f'too much is hidden: {found}')
    m.sh('until lodge list >/dev/null 2>&1; do usleep 200000; done')
    m.sh('load 3 4', timeout=60)
    for vcpu in lodge_json(m, 'vcpu-list')['guests'][0]['vcpus']:
        check_equal((vcpu['cpu'], vcpu['affinity_hard']), (vcpu['vcpu'], str(vcpu['vcpu'])), f'place of vCPU {vcpu["vcpu"]}')


@test(ours=True)
def clocksource_acpi(t):
    m = t.boot_dom0(hv_args='clocksource=acpi')
    check_log(m, r'time: ACPI PM timer at 3579 kHz')
    m.sh('clock 5')


@test(ours=True, long=True)
def clocksource_pit(t):
    m = t.boot_dom0(hv_args='clocksource=pit')
    check_log(m, r'time: PIT at 1193 kHz; .* taken to be invariant')
    m.sh('clock 5')


@test(ours=True, long=True)
def clocksource_missing(t):
    """A timer that the machine does not have."""
    m = t.boot_dom0(hv_args='clocksource=tsc clocksource=hpet', extra=('-machine', 'hpet=off'))
    check_log(m, r'clocksource: "tsc" ignored, expected clocksource=hpet\|acpi\|pit')
    check_log(m, r'clocksource=hpet: this machine has none that works, another is used')
    check_log(m, r'time: ACPI PM timer')


@test(ours=True, alone=True)
def tsc_unstable(t):
    """Each processor follows the platform timer by itself, and the time does not step back."""
    m = t.boot_dom0(hv_args='tsc=unstable')
    m.sh('load 10 4 >/dev/null & clock 10', timeout=100)
    m.sh('hvctl keys t')
    check_log(m, r'compared every second, clamped')


@test(ours=True, alone=True, long=True)
def tsc_skewed(t):
    m = t.boot_dom0(hv_args='tsc=unstable tsc=skewed')
    m.sh('load 10 4 >/dev/null & clock 10', timeout=100)
    m.sh('hvctl keys t')
    check_log(m, r'time: system .* clamped')


@test(long=True)
def console_to_ring(t):
    """What Domain 0 writes to the console is in the hypervisor's log, when the user wants it there."""
    m = t.boot_dom0(hv_args='console_to_ring')
    m.sh('echo from-domain-$((0 + 0)) >/dev/hvc0')
    m.sh('until hvctl log | grep -q from-domain-0; do usleep 100000; done', timeout=30)


def on_screen(m, text):
    """What a debug key prints, which is in the log before this returns; is it on the screen?"""
    m.sh('hvctl keys h; until hvctl log | grep -q "list the keys"; do usleep 100000; done')
    return any(text in line for line in screen_lines(m))


@test(ours=True, long=True)
def vga_keep(t):
    m = t.boot_dom0(hv_args='console=com1,vga vga=keep')
    check(on_screen(m, 'run queues'), f'not on the screen:\n{screen_lines(m)}')


@test(ours=True)
def defaults(t):
    """Without vga=keep the screen is Domain 0's once it runs; without console_to_ring its output is not in the log."""
    m = t.boot_dom0(hv_args='console=com1,vga')
    m.sh('echo from-domain-$((0 + 0)) >/dev/hvc0')
    m.expect('from-domain-0')
    check('from-domain-0' not in log(m), 'Domain 0 is in the log')
    check_log(m, 'VGA console handed to Domain 0')
    check(not on_screen(m, '(LODGE)   r  run queues'), f'on the screen:\n{screen_lines(m)}')
