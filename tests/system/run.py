# SPDX-License-Identifier: MIT
"""./run itself, as a user meets it: on a terminal, with a command, with mistakes."""
import os
import pty
import re
import select
import signal
import subprocess
import time

import steps
from harness import check, check_equal, test
from machine import DOM0_PROMPT, PATIENCE


def arguments(t, *more):
    ours = [] if t.ours else ['--hypervisor', str(t.hypervisor)]
    return [steps.ROOT / 'run', '--log', t.scratch / 'console.log', *ours, *more]


def run(t, *more, timeout=170 * PATIENCE):
    return subprocess.run(arguments(t, *more), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=timeout)


class Terminal:
    """./run on a terminal of its own."""

    def __init__(self, t, *more):
        self.text = ''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(steps.ROOT / 'run', [str(a) for a in arguments(t, *more)])
        t.cleanup.callback(self.close)

    def expect(self, pattern, timeout=150):
        deadline = time.monotonic() + timeout * PATIENCE
        while not (match := re.search(pattern, self.text)):
            left = deadline - time.monotonic()
            check(left > 0 and select.select([self.fd], [], [], left)[0], f'no {pattern!r} on the terminal: {self.text[-500:]!r}')
            try:
                data = os.read(self.fd, 65536)
            except OSError:     # how Linux says that the other side is closed
                data = b''
            check(data, f'./run ended without {pattern!r}: {self.text[-500:]!r}')
            self.text += data.decode('utf-8', 'replace')
        self.text = self.text[match.end():]

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, timeout=60):
        """The exit status."""
        deadline = time.monotonic() + timeout * PATIENCE
        while time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
        check(False, f'./run has not ended after {timeout} s')

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@test()
def command(t):
    """Only the command's output on standard output, and its exit status."""
    result = run(t, '--', 'sh', '-c', 'echo "to  stdout"; exit 7')
    check_equal((result.returncode, result.stdout), (7, 'to  stdout\n'), 'status and output')
    check('Booting' in result.stderr, 'no sign of progress')


@test()
def quoting(t):
    """Words arrive as they were."""
    words = ['a b', "it's", '$HOME', '*', '', 'ü', '\\n']
    result = run(t, '--quiet', '--', 'printf', '<%s>', *words)
    check_equal((result.returncode, result.stdout, result.stderr), (0, ''.join(f'<{w}>' for w in words), ''), 'output')


@test()
def script(t):
    """A large script; much binary output comes through unchanged."""
    path = t.scratch / 'script'
    path.write_text('# ' + 'x' * 200000 + '\nseq 100000 | sha256sum; head -c 3000000 /dev/zero; seq 100000; exit 3\n')
    result = subprocess.run(arguments(t, '--script', path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=170 * PATIENCE)
    check_equal(result.returncode, 3, 'status')
    numbers = ''.join(f'{n}\n' for n in range(1, 100001)).encode()
    first, _, rest = result.stdout.partition(b'\n')
    check_equal(len(rest), 3000000 + len(numbers), 'size of the output')
    check(rest == bytes(3000000) + numbers, 'the output was changed')


@test()
def terminal_poweroff(t):
    terminal = Terminal(t)
    terminal.expect('Booting')
    terminal.expect('You are in Domain 0')
    terminal.expect('lodge create hello -c')
    terminal.expect(DOM0_PROMPT)
    terminal.type('echo $((6 * 7))-there\n')
    terminal.expect('42-there')
    terminal.type('sleep 1000\n')
    terminal.expect('sleep 1000')
    time.sleep(1)       # the shell starts it after the echo; nothing on the terminal says when
    terminal.type('\x03')
    terminal.expect(DOM0_PROMPT)
    terminal.type('poweroff\n')
    check_equal(terminal.wait(), 0, 'status')


@test()
def terminal_ctrl_a_x(t):
    terminal = Terminal(t)
    terminal.expect(DOM0_PROMPT)
    terminal.type('\x01x')
    check_equal(terminal.wait(20), 0, 'status')


@test()
def domain_0_dies(t):
    """A command that takes the machine down is an error that names the log."""
    result = run(t, '--', 'sh', '-c', 'echo c >/proc/sysrq-trigger')
    check_equal(result.returncode, 125, 'status')
    check('Running the command failed: ' in result.stderr and 'console.log' in result.stderr, f'message: {result.stderr!r}')


@test(long=True)
def timeout(t):
    result = run(t, '--timeout', '30', '--', 'sleep', '1000')
    check_equal(result.returncode, 125, 'status')
    # Domain 0 may not even be up by then, on a busy machine.
    check('in 30 s' in result.stderr, f'message: {result.stderr!r}')


@test()
def mistakes(t):
    """Status 2 and a message that names what is wrong."""
    for words, expected in ((['--frobnicate'], '--frobnicate'), (['--cpus', 'many'], 'many'), (['--cpus', '0'], "'0'"),
                            (['--memory', 'big'], 'big'), (['--machine', 'vax'], 'vax'), (['--disk', '/nowhere'], '/nowhere'),
                            (['--hypervisor', '/nowhere'], '/nowhere'), (['--'], 'command'), (['stray'], 'stray')):
        result = subprocess.run([steps.ROOT / 'run', *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        check_equal(result.returncode, 2, f'status of ./run {" ".join(words)}')
        check(expected in result.stderr.splitlines()[-1], f'./run {" ".join(words)} says {result.stderr!r}')


@test()
def help(t):
    for name in ('run', 'check'):
        result = subprocess.run([steps.ROOT / name, '--help'], capture_output=True, text=True)
        check_equal(result.returncode, 0, 'status')
        check(result.stdout.startswith('usage: '), result.stdout[:80])


@test()
def bare_kernel(t):
    """--hypervisor none: the same image without a hypervisor, to tell whose fault something is."""
    result = subprocess.run([steps.ROOT / 'run', '--log', t.scratch / 'console.log', '--hypervisor', 'none', '--quiet', '--',
                             'cat', '/proc/cmdline'], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=170 * PATIENCE)
    check_equal(result.returncode, 0, 'status')
    check('console=ttyS0' in result.stdout, result.stdout)


@test(ours=True)
def gdb(t):
    """--gdb: the debugger stops in the hypervisor, by a symbol."""
    machine = t.boot(extra=('-S', '-gdb', f'unix:{t.scratch}/gdb,server=on,wait=off'))
    result = subprocess.run(['gdb', '-batch', '-nx', steps.SYMBOLS, '-ex', f'target remote {t.scratch}/gdb',
                             '-ex', 'hbreak dom0_build', '-ex', 'continue', '-ex', 'backtrace', '-ex', 'kill'],
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120 * PATIENCE)
    check('Breakpoint 1, dom0_build (' in result.stdout and 'dom0_build.c:' in result.stdout, result.stdout + result.stderr)
    machine.kill()
