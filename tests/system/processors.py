# SPDX-License-Identifier: MIT
"""Domain 0's processors and interrupts."""
import re

from guests import lodge_json
from harness import audit, check, check_dom0_healthy, check_equal, test


def interrupts(m):
    """/proc/interrupts as a dictionary from the line's last word to its counts per processor."""
    lines = m.sh('cat /proc/interrupts').splitlines()
    cpus = len(lines[0].split())
    table = {}
    for line in lines[1:]:
        words = line.split()
        if words[0][:-1].isdigit():
            table[words[-1]] = [int(w) for w in words[1:1 + cpus]]
        else:
            table[words[0][:-1]] = [int(w) for w in words[1:1 + cpus] if w.isdigit()]
    return table


@test()
def all_online(t):
    m = t.boot_dom0(cpus=4)
    check_equal(m.sh('cat /sys/devices/system/cpu/online').strip(), '0-3', 'processors online')
    # Each really runs: a process pinned there says so.
    for cpu in range(4):
        check_equal(m.sh(f"taskset -c {cpu} awk '{{ print $39 }}' /proc/self/stat").strip(), str(cpu), 'ran on processor')


@test()
def dom0_max_vcpus(t):
    m = t.boot_dom0(cpus=4, hv_args='dom0_max_vcpus=2')
    check_equal(m.sh('nproc').strip(), '2', 'processors in Domain 0')


@test()
def interrupts_sane(t):
    """Timers tick on every processor, inter-processor interrupts arrive, devices interrupt, and none is an error."""
    m = t.boot_dom0(cpus=2)
    before = interrupts(m)
    m.sh('for i in 1 2 3 4 5 6 7 8; do taskset -c $((i % 2)) sleep 0.1 & done; wait; ping -c 3 -i 0.2 10.0.2.2; sleep 0.5')
    after = interrupts(m)
    console = [name for name in after if re.fullmatch(r'virtio\d+-virtqueues', name)]     # that of our commands
    check(console, 'no interrupt of the virtio console')
    for name in ('timer0', 'timer1', 'eth0', *console):
        check(sum(after[name]) > sum(before[name]), f'{name}: no interrupt between {before[name]} and {after[name]}')
    for cpu in range(2):
        ipis = sum(after[kind + str(cpu)][cpu] for kind in ('resched', 'callfunc', 'callfuncsingle'))
        check(ipis > 0, f'no inter-processor interrupt on processor {cpu}')
    check_equal((sum(after['ERR']), sum(after['MIS'])), (0, 0), 'ERR and MIS')
    storms = {name: counts for name, counts in after.items()
              if sum(counts) - sum(before.get(name, [0])) > 20000}
    check(not storms, f'interrupt storm: {storms}')


@test()
def hotplug(t):
    """A processor goes off line and comes back, again and again."""
    m = t.boot_dom0(cpus=2)
    m.sh('cd /sys/devices/system/cpu; for i in 1 2 3 4 5; do echo 0 >cpu1/online; [ $(cat online) = 0 ] || exit 1;'
         ' echo 1 >cpu1/online; [ $(cat online) = 0-1 ] || exit 2; taskset -c 1 true; done')
    check_dom0_healthy(m)


@test(timeout=300, ours=True, long=True)
def nmi_under_load(t):
    """NMIs at whatever instruction the processors are: in guests, on the ways in and out, in the hypervisor. Nothing goes wrong, and no count."""
    m = t.boot_dom0(cpus=2)
    m.sh('dmesg -n 1; load 15 4 >/tmp/load.log 2>&1; echo $? >/tmp/load.status' ' &')
    for _ in range(300):
        m.command('inject-nmi')
    m.sh('while [ ! -s /tmp/load.status ]; do sleep 0.2; done; cat /tmp/load.log; exit $(cat /tmp/load.status)', timeout=150)
    check('NMI, reason bits' in m.sh('hvctl log'), 'no NMI has arrived')
    check(int(m.sh("awk '/^ *NMI:/ { print $2 }' /proc/interrupts")) > 0, 'Domain 0 has not been told')
    audit(m)


@test(long=True)
def self_patching(t):
    """A kernel that patches its code under the feet of its other processors goes on. (QEMU's emulation can get stuck in that; see refresh_code().)"""
    m = t.boot_dom0(cpus=2)
    m.sh('''yes >/dev/null & for i in $(seq 150); do
        echo 1 >/proc/sys/kernel/sched_schedstats; echo 0 >/proc/sys/kernel/sched_schedstats
    done; kill $!''', 250)
    check_dom0_healthy(m)


@test(ours=True, long=True)
def topology(t):
    m = t.boot_dom0(cpus=4, extra=('-smp', '4,sockets=1,cores=2,threads=2'))
    m.sh('until lodge list >/dev/null 2>&1; do usleep 200000; done')
    machine = lodge_json(m, 'info')['machine']
    check_equal((machine['cores_per_socket'], machine['threads_per_core']), (2, 2), 'cores and threads')
