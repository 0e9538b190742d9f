# SPDX-License-Identifier: MIT
"""A running virtual machine: its console, its monitor, and commands in Domain 0."""
import json
import os
import queue
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import qemu

DOM0_PROMPT = r'dom0:\S*# '
DEAD = r'^.*(?:cannot boot: |PANIC|Panic on CPU|Domain 0 (?:crashed|powered off)|Dom0 crashed).*$'


# Times here and in the tests are meant for a machine that does nothing else; this multiplies them.
PATIENCE = float(os.environ.get('LODGE_PATIENCE', '1'))


class MachineError(Exception):
    """The machine did not do what was asked of it."""


class Machine:
    """Owns a QEMU process. Use it as a context manager: on the way out the process is ended, always.

    The console's output goes to the log and to a buffer that expect() searches; expect() consumes what it matched.
    """

    def __init__(self, config, log):
        self.scratch = tempfile.mkdtemp(prefix='lodge-')
        self.log = open(log, 'ab', buffering=0)
        self.changed = threading.Condition()
        self.output = ''            # of the console, not yet consumed; under self.changed
        self.before = ''            # of the console, what the last expect() skipped
        self.ended = False          # the console was closed; under self.changed
        self.events = queue.Queue()     # of the monitor
        self.replies = queue.Queue()
        try:
            command = qemu.command(config, self.scratch)
            self.console, console_args = self._channel('console')
            self.monitor, monitor_args = self._channel('monitor')
            self.agent, agent_args = self._channel('agent')
            theirs = [s for s, _ in (console_args, monitor_args, agent_args)]
            command += sum((args for _, args in (console_args, monitor_args, agent_args)), [])
            command += ['-serial', 'chardev:console', '-mon', 'chardev=monitor,mode=control', '-device', 'virtio-serial-pci',
                        '-device', 'virtserialport,chardev=agent,name=lodge.agent']
            self.log.write(('+ ' + ' '.join(f"'{c}'" if ' ' in c else c for c in command) + '\n').encode())
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                            pass_fds=[s.fileno() for s in theirs], start_new_session=True)
            for s in theirs:
                s.close()
        except BaseException:
            shutil.rmtree(self.scratch)
            raise
        self.agent_ready = False
        threading.Thread(target=self._read_console, daemon=True).start()
        threading.Thread(target=self._read_monitor, daemon=True).start()
        self.command('qmp_capabilities')

    @staticmethod
    def _channel(name):
        ours, theirs = socket.socketpair()
        return ours, (theirs, ['-chardev', f'socket,id={name},fd={theirs.fileno()}'])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """End QEMU, letting it write back its disks."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.log.close()

    def _read_console(self):
        while True:
            try:
                data = self.console.recv(65536)
            except OSError:
                data = b''
            with self.changed:
                if data:
                    if not self.log.closed:
                        self.log.write(data)
                    self.output += data.decode('utf-8', 'replace').replace('\r', '')
                else:
                    self.ended = True
                self.changed.notify_all()
            if not data:
                return

    def _read_monitor(self):
        try:
            for line in self.monitor.makefile():
                message = json.loads(line)
                if 'event' in message:
                    self.events.put(message)
                elif 'return' in message or 'error' in message:
                    self.replies.put(message)
        except OSError:
            pass
        self.events.put(None)
        self.replies.put(None)

    # Monitor

    def command(self, name, **arguments):
        """A QMP command; returns its result."""
        message = {'execute': name, 'arguments': arguments}
        try:
            self.monitor.sendall(json.dumps(message).encode() + b'\n')
            reply = self.replies.get(timeout=60 * PATIENCE)
        except OSError:
            reply = None
        except queue.Empty:
            raise MachineError(f'QEMU does not answer {name}') from None
        if reply is None:
            raise MachineError('QEMU has ended')
        if 'error' in reply:
            raise MachineError(f'{name}: {reply["error"]["desc"]}')
        return reply['return']

    def wait_event(self, name, timeout):
        """Wait for a monitor event such as RESET; returns its data."""
        timeout *= PATIENCE
        deadline = time.monotonic() + timeout
        while True:
            try:
                event = self.events.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise MachineError(f'no {name} event in {timeout:g} s') from None
            if event is None:
                self.events.put(None)
                raise MachineError(f'QEMU ended without a {name} event')
            if event['event'] == name:
                return event.get('data', {})

    def wait_exit(self, timeout):
        """Wait until QEMU has ended by itself; returns its status."""
        timeout *= PATIENCE
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise MachineError(f'the machine still runs after {timeout:g} s') from None

    # Console

    def expect(self, pattern, timeout=60, unless=None):
        """Wait for the regular expression on the console and consume up to its end; returns the match.

        It may not span lines. What came before it is in self.before. unless: a pattern that must not come first."""
        timeout *= PATIENCE
        deadline = time.monotonic() + timeout
        wanted = re.compile(pattern, re.MULTILINE)
        unwanted = re.compile(unless, re.MULTILINE) if unless else None
        start = 0       # no match begins before this
        with self.changed:
            while True:
                match = wanted.search(self.output, start)
                bad = unwanted and unwanted.search(self.output, start)
                if bad and (not match or bad.start() < match.start()):
                    raise MachineError(f'on the console: {bad[0]!r}')
                if match:
                    self.before = self.output[:match.start()]
                    self.output = self.output[match.end():]
                    return match
                if self.ended:
                    raise MachineError(f'the machine ended without {pattern!r} on its console')
                left = deadline - time.monotonic()
                if left <= 0:
                    raise MachineError(f'no {pattern!r} on the console in {timeout:g} s')
                start = self.output.rfind('\n') + 1
                self.changed.wait(left)

    def type(self, text):
        """Type on the console."""
        self.console.sendall(text.encode())

    # Commands in Domain 0

    def wait_agent(self, timeout=240):
        """Wait until Domain 0 takes commands; once per boot. None: for ever."""
        if timeout:
            timeout *= PATIENCE
        deadline = time.monotonic() + timeout if timeout else None
        line = b''
        self.agent.settimeout(0.5)
        while not line.endswith(b'ready\n'):
            try:
                data = self.agent.recv(1)
            except TimeoutError:
                self._check_alive()
                if deadline and time.monotonic() > deadline:
                    raise MachineError(f'Domain 0 was not ready in {timeout:g} s') from None
                continue
            if not data:
                self._check_alive()
                raise MachineError('the machine ended before Domain 0 was ready')
            line += data
        self.agent_ready = True

    def _check_alive(self):
        """What the hypervisor said last may make waiting useless."""
        with self.changed:
            match = re.search(DEAD, self.output, re.MULTILINE)
        if match:
            raise MachineError(f'the console says: {match[0].strip()}')

    def run(self, script, output, timeout=None):
        """Run a shell script in Domain 0, passing its output on to output(bytes); returns the exit status."""
        if not self.agent_ready:
            self.wait_agent()
        nonce = secrets.token_hex(8)
        script = script.encode() if isinstance(script, str) else script
        script += b'\n'
        marker = b'\0' + nonce.encode() + b' '
        self.agent.settimeout(timeout and timeout * PATIENCE)
        held = b''
        try:
            self.agent.sendall(f'{nonce} {len(script)}\n'.encode() + script)
            while True:
                data = self.agent.recv(65536)
                if not data:
                    raise MachineError('the machine ended before the command did')
                held += data
                text, found, rest = held.partition(marker)
                if found and rest.endswith(b'\n'):
                    output(text)
                    return int(rest)
                # Keep back what may be the marker's beginning.
                keep = len(held) - len(text) if found else next(
                    (n for n in range(min(len(held), len(marker)), 0, -1) if marker.startswith(held[-n:])), 0)
                output(held[:len(held) - keep])
                held = held[len(held) - keep:]
        except TimeoutError:
            raise MachineError(f'the command did not end in {timeout:g} s') from None

    def sh(self, script, timeout=60):
        """Run a shell script in Domain 0; returns its output. A status other than 0 is an error."""
        out = []
        status = self.run(script, out.append, timeout)
        text = b''.join(out).decode('utf-8', 'replace')
        if not self.log.closed:
            self.log.write(f'\n[dom0] {script}\n{text}[dom0] status {status}\n'.encode())
        if status:
            raise MachineError(f'{script.strip()!r} ended with status {status}: {text.strip()[-300:]}')
        return text
