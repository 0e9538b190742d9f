# SPDX-License-Identifier: MIT
"""Parameters of the hypervisor that have no other test, by what they do to the machine."""
from harness import check, check_equal, test


def memory_mib(m):
    return int(m.sh('cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb')) / 1024


@test()
def maxcpus(t):
    """Processors beyond the number stay where the firmware left them."""
    m = t.boot_dom0(cpus=4, hv_args='maxcpus=2')
    check_equal(m.sh('nproc').strip(), '2', 'processors in Domain 0')
    if t.ours:
        check('2 processors online' in m.sh('hvctl log'), 'the log has another number of processors')


@test()
def mem(t):
    """What lies above is no memory, to Domain 0 neither."""
    m = t.boot_dom0(hv_args='mem=640M dom0_mem=-200M')
    check(300 <= memory_mib(m) <= 440, f'Domain 0 has {memory_mib(m):.1f} MiB')


@test(ours=True)
def com2(t):
    """The console on the second serial port, and nothing on the first."""
    second = t.scratch / 'com2'
    m = t.boot(kernel=None, initrd=None, reboot=False, hv_args='console=com2 com2=115200,8n1,0x2f8,3',
               extra=('-chardev', f'file,id=second,path={second}', '-device', 'isa-serial,chardev=second,index=1'))
    m.wait_exit(60)
    text = second.read_text()
    check('Lodge cannot boot: ' in text, f'on the second port: {text[-500:]!r}')
    check('Lodge' not in m.output, f'on the first port: {m.output!r:.300}')
