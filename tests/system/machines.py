# SPDX-License-Identifier: MIT
"""Shapes of machines: processors, memory, timers. Domain 0 works on each, and powers off."""
import functools
import re

from harness import check, check_equal, check_sound, test


def works(t, cpus=1, dom0_mib=None, log=None, **config):
    """dom0_mib: what Domain 0 is to have, about; log: what the hypervisor is to say."""
    m = t.boot_dom0(cpus=cpus, **config)
    check_equal(m.sh('nproc').strip(), str(cpus), 'processors in Domain 0')
    if log:
        check(re.search(log, m.sh('hvctl log')), f'the log has no {log!r}')
    if dom0_mib:
        found = int(re.search(r'MemTotal: *(\d+)', m.sh('cat /proc/meminfo'))[1]) >> 10
        check(dom0_mib * 0.6 < found <= dom0_mib, f'Domain 0 has {found} MiB of {dom0_mib}')
    check_sound(t, m)
    m.sh('poweroff')
    check_equal(m.wait_event('SHUTDOWN', 60)['reason'], 'guest-shutdown', 'reason of the shutdown')


for name, config in {
        '3-processors': dict(cpus=3),
        '8-processors': dict(cpus=8, machine='q35'),
        '16-processors': dict(cpus=16, memory='2G'),
        '512-mib': dict(memory='512M', hv_args='dom0_mem=384M', dom0_mib=384),
        '20-gib': dict(memory='20G', machine='q35', hv_args='dom0_mem=1G', dom0_mib=1024, log=r'20\d\d\d MiB of RAM'),
        'no-hpet': dict(cpus=2, extra=('-no-hpet',), log=r'time: ACPI PM timer')}.items():
    test(name, long=True, ours=True, timeout=600)(functools.partial(works, **config))
