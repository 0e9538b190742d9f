# SPDX-License-Identifier: MIT
"""A minute of work that is hard on page tables, traps and scheduling; afterwards every count must be right."""
from harness import audit, check_dom0_healthy, test


def minute(t, cpus):
    m = t.boot_dom0(cpus=cpus)
    m.sh(f'load 60 {2 * cpus}', timeout=240)
    check_dom0_healthy(m)
    if t.ours:
        audit(m)
        m.sh('true')


@test(timeout=400, alone=True)
def two_processors(t):
    minute(t, 2)


@test(timeout=500, alone=True, long=True)
def four_processors(t):
    minute(t, 4)


@test(timeout=400, ours=True)
def audit_under_load(t):
    """The audit is right at any moment, not only at rest."""
    m = t.boot_dom0(cpus=2)
    m.sh('load 20 4 >/tmp/load.log 2>&1; echo $? >/tmp/load.status' ' &')
    for _ in range(5):
        audit(m)
    m.sh('while [ ! -s /tmp/load.status ]; do sleep 0.2; done; cat /tmp/load.log; exit $(cat /tmp/load.status)', timeout=200)


@test(timeout=300)
def memory_pressure(t):
    """Domain 0 fills its memory and lets go of it, in small pages and through the balloon."""
    m = t.boot_dom0(cpus=2)
    m.sh('''
        free=$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
        for i in 1 2; do
            dd if=/dev/zero of=/tmp/fill bs=1M count=$((free * 2 / 5)) 2>/dev/null || exit 1
            rm /tmp/fill
        done
        balloon=/sys/devices/system/xen_memory/xen_memory0
        full=$(cat $balloon/target_kb)
        for round in 1 2; do
            echo $((full - 65536)) >$balloon/target_kb
            until [ $(cat $balloon/info/current_kb) -le $((full - 65536)) ]; do sleep 0.1; done
            echo $full >$balloon/target_kb
            until [ $(cat $balloon/info/current_kb) -ge $((full - 1024)) ]; do sleep 0.1; done
        done''', timeout=240)
    check_dom0_healthy(m)
    if t.ours:
        audit(m)
