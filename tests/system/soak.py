# SPDX-License-Identifier: MIT
"""Everything at once, for long: processes, page tables, disk, network, and vCPUs and memory that come and go. Afterwards all is as it was."""
import os

import guests
from harness import audit, check, check_dom0_healthy, check_equal, test
from transfer import HOST, Sender, sha256

MIB = 1 << 20
BALLOON_KIB = 48 << 10

# Each job is repeated until there is /tmp/stop; a failure ends them all. NAME ROUNDS goes to /tmp/rounds, which failed to /tmp/failed.
JOBS = r'''
balloon=/sys/devices/system/xen_memory/xen_memory0
current() { cat $balloon/info/current_kb; }

repeat() {
    rounds=0
    until [ -e /tmp/stop ]; do
        if "$@"; then rounds=$((rounds + 1)); else echo "$*, round $rounds" >>/tmp/failed; : >/tmp/stop; fi
    done
    echo "$1 $rounds" >>/tmp/rounds
}

on_disk() {
    cat /tmp/data >/dev/disk/soak && sync && echo 1 >/proc/sys/vm/drop_caches &&
    head -c $(stat -c %s /tmp/data) /dev/disk/soak | cmp - /tmp/data
}

network() { [ "$(nc HOST PORT </dev/null | sha256sum | cut -d' ' -f1)" = SUM ]; }

hotplug() {
    for cpu in 1 2 3; do
        echo 0 >/sys/devices/system/cpu/cpu$cpu/online && usleep 100000 &&
        echo 1 >/sys/devices/system/cpu/cpu$cpu/online && taskset -c $cpu true || return 1
    done
}

ballooning() {
    echo $((FULL - DOWN)) >$balloon/target_kb
    while [ $(current) -gt $((FULL - DOWN)) ]; do usleep 100000; done
    echo FULL >$balloon/target_kb
    while [ $(current) -lt FULL ]; do usleep 100000; done
}
'''


def jobs(server, payload, full):
    text = JOBS
    for name, value in (('HOST', HOST), ('PORT', server.port), ('SUM', sha256(payload)), ('FULL', full), ('DOWN', BALLOON_KIB)):
        text = text.replace(name, str(value))
    return text


def soak(t, seconds):
    payload = os.urandom(4 * MIB)
    m = t.boot_dom0(cpus=2, hv_args='dom0_max_vcpus=4', disks=(guests.empty_disk(t.scratch, 'soak', 16),))
    m.sh('until lodge list >/dev/null 2>&1; do usleep 200000; done')
    full = int(m.sh('cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb'))
    with Sender(payload) as server:
        script = jobs(server, payload, full)
        # Once: what the first time takes for good, such as event channels of a vCPU, is no leak.
        m.sh(f'{script}\nhead -c {8 * MIB} /dev/urandom >/tmp/data; on_disk && network && hotplug && ballooning', timeout=240)
        free, log = guests.free_kib(m), m.sh('hvctl log')
        m.sh(f'''{script}
            for job in on_disk network hotplug ballooning; do repeat $job & done
            load {seconds} 6 || echo load >>/tmp/failed
            : >/tmp/stop
            wait
            cat /tmp/rounds; [ ! -e /tmp/failed ] || {{ cat /tmp/failed; exit 1; }}''', timeout=seconds + 300)
    rounds = dict(line.split() for line in m.sh('cat /tmp/rounds').splitlines())
    check(len(rounds) == 4 and '0' not in rounds.values(), f'rounds: {rounds}')
    check_equal(m.sh('cat /sys/devices/system/cpu/online').strip(), '0-3', 'vCPUs on line')
    check_equal(guests.free_kib(m), free, 'free memory in KiB')
    if t.ours:
        check_equal(m.sh('hvctl log'), log, 'the log')
        audit(m)
    check_dom0_healthy(m)


@test(timeout=500, alone=True)
def minute(t):
    soak(t, 60)


@test(timeout=1200, alone=True, long=True)
def ten_minutes(t):
    soak(t, 600)
