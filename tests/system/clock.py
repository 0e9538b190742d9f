# SPDX-License-Identifier: MIT
"""Domain 0's clocks: they never step backwards, run at the right rate, and show the right time."""
import time

import guests
from harness import check, check_equal, test

RATE_SECONDS = 20


def clocksource(m):
    return m.sh('cat /sys/devices/system/clocksource/clocksource0/current_clocksource').strip()


def never_backwards(t, cpus):
    m = t.boot_dom0(cpus=cpus)
    check_equal(clocksource(m), 'xen', 'clock source')
    m.sh(f'load 30 {cpus} >/dev/null & clock 30', timeout=150)


@test(alone=True)
def monotonic_2(t):
    never_backwards(t, 2)


@test(alone=True, long=True)
def monotonic_4(t):
    never_backwards(t, 4)


@test(alone=True)
def rate(t):
    """Against the host's clock. What the round trip takes is the error of each reading."""
    m = t.boot_dom0()

    def reading():
        begin = time.monotonic()
        uptime = float(m.sh('cut -d" " -f1 /proc/uptime'))
        end = time.monotonic()
        return uptime, (begin + end) / 2, end - begin

    uptime1, host1, error1 = reading()
    m.sh(f'sleep {RATE_SECONDS}')
    uptime2, host2, error2 = reading()
    elapsed, expected = uptime2 - uptime1, host2 - host1
    tolerance = (error1 + error2) / 2 + expected * 0.005 + 0.02
    check(abs(elapsed - expected) <= tolerance,
          f'{expected:.3f} s on the host were {elapsed:.3f} s in Domain 0 (tolerance {tolerance:.3f})')


@test()
def wall_clock(t):
    m = t.boot_dom0()
    found, now = int(m.sh('date +%s')), time.time()
    check(abs(found - now) < 10, f'Domain 0 says {found}, the host {now:.0f}')


@test()
def set_by_domain0(t):
    """Domain 0 sets the machine's clock, and a guest that starts afterwards goes by it. In virtual time: what ticks a guest loses while it starts, on
    a host that is busy, its clock is behind from then on."""
    m = guests.boot(t, cpus=1, virtual=True)
    tomorrow = int(time.time()) + 86400
    m.sh(f'date -s @{tomorrow}')
    guests.create(m, 'web')
    begin = int(m.sh('date +%s'))
    found = int(guests.in_guest(m, 'web', 'date +%s'))
    end = int(m.sh('date +%s'))
    check(begin >= tomorrow, f'Domain 0 says {begin}, having been told {tomorrow}')
    check(begin - 1 <= found <= end + 1, f'the guest says {found}, Domain 0 {begin} to {end}')


@test()
def sleeps(t):
    """Timers fire when they are due, on an idle machine with one vCPU; in virtual time, so that it does not matter what the host does meanwhile."""
    m = t.boot_dom0(cpus=1, virtual=True)
    text = m.sh('''for i in 1 2 3 4 5; do
        a=$(cut -d" " -f1 /proc/uptime); sleep 1; b=$(cut -d" " -f1 /proc/uptime); echo $a $b; done''')
    for line in text.splitlines():
        a, b = map(float, line.split())
        check(0.98 <= b - a <= 1.1, f'sleeping 1 s took {b - a:.2f} s')
