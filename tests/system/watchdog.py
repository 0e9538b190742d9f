# SPDX-License-Identifier: MIT
"""The hypervisor's own watchdog: a processor that hangs says where; none is suspected that does not."""
import re

from harness import SWITCH_INPUT, audit, check, test

PRINTING_KEYS = 'dqrmtegi'


@test(ours=True)
def hang(t):
    m = t.boot_dom0(hv_args='watchdog watchdog_timeout=3')
    check('watchdog: on, timeout 3 s' in m.sh('hvctl log'), 'the log does not say that the watchdog is on')
    m.type(SWITCH_INPUT + 'H')
    found = m.expect(r'\*\*\* PANIC on CPU(\d): watchdog: CPU(\d) has not run its timers for 3 seconds', timeout=120)
    check(found[1] == found[2], found[0])
    m.wait_event('RESET', 60)
    m.expect(r'rebooting')
    check(re.search(r'rip \S+ hang\+0x', m.before), f'the panic does not say where: {m.before}')
    check(re.search(r'\bwork\+0x', m.before), f'no backtrace: {m.before}')


@test(ours=True, alone=True, long=True)
def no_false_alarm(t):
    """Load, and debug keys that print much on a slow line, are no hang."""
    m = t.boot_dom0(hv_args='watchdog watchdog_timeout=5 sync_console')
    m.sh('load 15 4', timeout=120)
    m.sh(f'for i in 1 2 3; do hvctl keys {PRINTING_KEYS}; done')
    audit(m)
    m.sh('true')


@test(ours=True, long=True)
def one_processor(t):
    """There is nobody to see it but the watchdog's own NMI."""
    m = t.boot_dom0(cpus=1, hv_args='watchdog watchdog_timeout=3')
    m.type(SWITCH_INPUT + 'H')
    m.expect(r'\*\*\* PANIC on CPU0: watchdog: CPU0 has not run its timers for 3 seconds', timeout=120)
    m.wait_event('RESET', 60)


@test(ours=True, long=True)
def no_source(t):
    """A machine whose PIT is missing has no watchdog, and says so."""
    m = t.boot_dom0(hv_args='watchdog', extra=('-machine', 'pit=off'))
    check("watchdog: off, as this machine's PIT raises no NMI" in m.sh('hvctl log'), 'the log does not say that there is no watchdog')
