# SPDX-License-Identifier: MIT
"""How Domain 0 ends, and what becomes of the machine then."""
import queue

from harness import CRASHED, check, check_equal, test, wait_prompt

REBOOTS = 10


@test()
def poweroff(t):
    m = t.boot_dom0()
    m.sh('poweroff')
    check_equal(m.wait_event('SHUTDOWN', 60)['reason'], 'guest-shutdown', 'reason of the shutdown')
    check_equal(m.wait_exit(10), 0, "QEMU's status")


@test(timeout=600, long=True)
def ten_reboots(t):
    m = t.boot_dom0()
    for number in range(REBOOTS):
        m.sh('reboot')
        check_equal(m.wait_event('RESET', 60)['reason'], 'guest-reset', f'reason of reset {number + 1}')
        m.wait_agent()
    m.sh('poweroff')
    m.wait_exit(60)


@test(long=True)
def forced_reboot(t):
    """Without init: straight from the kernel."""
    m = t.boot_dom0()
    wait_prompt(m)
    m.type('reboot -f\n')
    m.wait_event('RESET', 60)
    m.wait_agent()


@test(long=True)
def grub_reboot(t):
    """Through firmware and boot loader again, which QEMU's loader leaves out."""
    m = t.boot_dom0(boot='grub')
    m.sh('reboot')
    m.wait_event('RESET', 60)
    m.wait_agent()


@test()
def panic(t):
    """The machine starts again, and says why."""
    m = t.boot_dom0()
    wait_prompt(m)
    m.type('echo c >/proc/sysrq-trigger\n')
    m.expect(CRASHED, timeout=60)
    m.wait_event('RESET', 60)
    m.wait_agent()


@test(long=True)
def panic_noreboot(t):
    """With noreboot it stays, and the message stays on the screen."""
    m = t.boot_dom0(hv_args='noreboot')
    wait_prompt(m)
    m.type('echo c >/proc/sysrq-trigger\n')
    m.expect(CRASHED, timeout=60)
    try:
        event = m.events.get(timeout=10)    # twice what a restart would take
    except queue.Empty:
        event = None
    check(event is None, f'the machine did not stay: {event}')
    check(m.process.poll() is None, 'QEMU has ended')


@test()
def halt(t):
    """halt stops the machine; it neither restarts nor runs on."""
    m = t.boot_dom0()
    wait_prompt(m)
    m.type('halt\n')
    m.expect(r'System halted|halted', timeout=60)
    try:
        event = m.wait_event('RESET', 8)
    except Exception:
        event = None
    check(event is None, 'the machine restarted')
