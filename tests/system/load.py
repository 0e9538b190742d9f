# SPDX-License-Identifier: MIT
"""A minute of work that is hard on page tables, traps and scheduling; afterwards every count must be right."""
import guests
from harness import audit, check_equal, check_sound, test

BALLOON_KIB = 64 << 10


def set_balloon(m, kib, unlike):
    """Domain 0's balloon to a size; unlike: how `test` compares a size that is not there yet with it."""
    m.sh(f'''cd /sys/devices/system/xen_memory/xen_memory0; echo {kib} >target_kb
        while [ $(cat info/current_kb) {unlike} {kib} ]; do usleep 100000; done''', timeout=120)


def minute(t, cpus):
    m = t.boot_dom0(cpus=cpus)
    m.sh(f'load 60 {2 * cpus}', timeout=240)
    check_sound(t, m)
    m.sh('true')


@test(timeout=400, alone=True)
def two_processors(t):
    minute(t, 2)


@test(timeout=500, alone=True, long=True)
def four_processors(t):
    minute(t, 4)


@test(timeout=400, ours=True, long=True)
def audit_under_load(t):
    """The audit is right at any moment, not only at rest."""
    m = t.boot_dom0(cpus=2)
    m.sh('load 20 4 >/tmp/load.log 2>&1; echo $? >/tmp/load.status' ' &')
    for _ in range(5):
        audit(m)
    m.sh('while [ ! -s /tmp/load.status ]; do sleep 0.2; done; cat /tmp/load.log; exit $(cat /tmp/load.status)', timeout=200)


@test(timeout=300, long=True)
def memory_pressure(t):
    """Domain 0 fills its memory and lets go of it, in small pages and through the balloon."""
    m = t.boot_dom0(cpus=2)
    m.sh('until lodge list >/dev/null 2>&1; do usleep 200000; done')
    m.sh('''
        free=$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
        for i in 1 2; do
            dd if=/dev/zero of=/tmp/fill bs=1M count=$((free * 2 / 5)) 2>/dev/null || exit 1
            rm /tmp/fill
        done
        ''', timeout=240)
    full = int(m.sh('cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb'))
    for _ in range(2):
        free = guests.free_kib(m)
        set_balloon(m, full - BALLOON_KIB, '-gt')
        check_equal(guests.free_kib(m), free + BALLOON_KIB, 'free memory in KiB, Domain 0 having given some')
        set_balloon(m, full, '-lt')
        check_equal(guests.free_kib(m), free, 'free memory in KiB, Domain 0 having it back')
    check_sound(t, m)
