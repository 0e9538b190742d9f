# SPDX-License-Identifier: MIT
"""The console: Domain 0's terminal, the hypervisor's debug keys, and its log."""
import re
import time

from harness import SWITCH_INPUT, audit, check, hypervisor_keys, screen_lines, test, wait_prompt

LINES = 3000


def prompt(t, **config):
    """A machine at Domain 0's prompt, without kernel messages to come."""
    m = t.boot_dom0(**config)
    m.sh('dmesg -n 1')
    wait_prompt(m)
    return m


@test()
def typing(t):
    m = prompt(t)
    m.type('echo lodge-$((6 * 7))\n')
    m.expect(r'^lodge-42$')
    # Ctrl-C reaches the process in the foreground.
    m.type('sleep 1000\n')
    m.expect('sleep 1000')
    m.sh('until pidof sleep >/dev/null; do usleep 10000; done')
    m.type('\x03')
    wait_prompt(m)


@test()
def long_output(t):
    """Nothing is lost or out of order."""
    m = prompt(t)
    m.type(f'seq {LINES} | sed s/^/line-/; echo end-of-$((1))-output\n')
    m.expect(r'^end-of-1-output$', timeout=120)
    found = [line for line in m.before.split('\n') if line.startswith('line-')]
    wrong = [(line, n) for n, line in enumerate(found, 1) if line != f'line-{n}']
    check(len(found) == LINES and not wrong, f'{len(found)} lines of {LINES}; wrong ones: {wrong[:5]}')


@test()
def switch_input(t):
    """Ctrl-A three times: keys go to the hypervisor; three times again: back to Domain 0."""
    m = prompt(t)
    with hypervisor_keys(m):
        m.type('h')
        m.expect(r"\b[Dd]ump .*registers|registers of all CPUs", timeout=30)
    m.type('\n')
    wait_prompt(m)
    m.type('echo back-$((1 + 1))\n')
    m.expect(r'^back-2$')


@test(ours=True)
def debug_keys(t):
    """Every key that h lists can be pressed, and neither harms the machine nor spoils a count."""
    m = prompt(t)
    m.sh('hvctl keys h')
    # The dump is printed by a soft-IRQ after the call has returned: its last line shows that it is complete.
    log = m.sh('until hvctl log | grep -q "  t  "; do sleep 0.1; done; hvctl log')
    keys = re.findall(r'^\(LODGE\)   (\S)  ', log, re.MULTILINE)
    check(len(keys) >= 6 and 'h' in keys and 'a' in keys, f'h lists only {keys}')
    for key in keys:
        if key in 'RCH':    # reboot, crash and hang
            continue
        m.sh(f"hvctl keys '{key}'")
    audit(m)
    m.type('echo alive-$((1 + 1))\n')
    m.expect(r'^alive-2$', timeout=60)


@test(ours=True)
def panic_backtrace(t):
    """A panic names the functions it came through, shows the registers and whom the processor worked for, and restarts the machine."""
    m = prompt(t)
    m.type(SWITCH_INPUT + 'C')
    m.expect(r'\*\*\* PANIC on CPU\d+: debug key C', timeout=60)
    m.wait_event('RESET', 60)
    m.expect(r'rebooting')
    for name in ('crash', 'run', 'work'):
        check(re.search(rf'\b{name}\+0x', m.before), f'no {name}() in the backtrace: {m.before}')
    for pattern in (r'rip e008:[0-9a-f]{16} crash\+0x', r'rsp [0-9a-f]{4}:ffff\S+ flags', r'\br15 [0-9a-f]{16}', r'\bcr3 [0-9a-f]{16}',
                    r'current vCPU: (idle|d0v\d)'):
        check(re.search(pattern, m.before), f'no {pattern} in the panic: {m.before}')
    m.wait_agent()


@test()
def log_ring(t):
    """Domain 0 can read the hypervisor's boot log, and it is what went to the serial line."""
    m = t.boot(hv_args='loglvl=all')
    m.wait_agent()
    with m.changed:
        serial = m.output
    log = [line.rstrip() for line in m.sh('hvctl log').splitlines() if line.strip()]
    check(len(log) > 10, f'the log has {len(log)} lines')
    missing = [line for line in log[:10] if line not in serial]
    check(not missing, f'only in the log: {missing}')
    if t.ours:
        check(any('Lodge' in line for line in log), 'the log does not say who writes it')


@test(ours=True)
def vga(t):
    """With console=vga the log is on the screen and nowhere else."""
    m = t.boot(kernel=None, initrd=None, reboot=False, hv_args='console=vga loglvl=all')
    text = []
    for _ in range(600):
        text = screen_lines(m)
        if any('Lodge cannot boot: ' in line for line in text):
            break
        time.sleep(0.1)
    check(any('Lodge cannot boot: ' in line for line in text), '\n'.join(text))
    check(all(line.isprintable() for line in text), '\n'.join(text))
    check('Lodge' not in m.output, f'on the serial line: {m.output!r:.300}')
