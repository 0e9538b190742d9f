# SPDX-License-Identifier: MIT
"""The store daemon on its sockets: Debian's xenstore-* clients, two programs at once, a slow one, and its death at random moments."""
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'lib'))
import steps

STORED = os.environ.get('STORED_BINARY') or str(steps.TOOLS / 'stored')
CONTROL, DIRECTORY, READ, WATCH, START, END, INTRODUCE, WRITE, MKDIR, RM, EVENT, ERROR = 0, 1, 2, 4, 6, 7, 8, 11, 12, 13, 15, 16


class Daemon:
    """The daemon with its state and socket in a directory of its own."""
    running = None

    def __init__(self, directory, *options):
        self.directory, self.options, self.process = directory, options, None
        self.socket = f'{directory}/run/socket'
        os.environ['XENSTORED_PATH'] = self.socket
        self.start()

    def start(self):
        """Returns when it answers."""
        self.process = subprocess.Popen([STORED, '--no-xen', '--state', f'{self.directory}/state', '--socket', self.socket,
                                         '--log', f'{self.directory}/log', *self.options])
        Daemon.running = self.process
        for _ in range(1000):
            try:
                Client(self).close()
                return
            except OSError:
                assert self.process.poll() is None, Path(self.directory, 'log').read_text()
                time.sleep(0.01)
        raise AssertionError('the daemon does not answer')

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class StoreError(Exception):
    """An error answer; its text is the name."""


class Client:
    """A connection; calls raise StoreError, or OSError when the daemon has gone."""

    def __init__(self, daemon, suffix=''):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(daemon.socket + suffix)
        self.events = []
        self.id = 0

    def close(self):
        self.socket.close()

    def send(self, kind, body, tx=0):
        self.id += 1
        self.socket.sendall(struct.pack('<IIII', kind, self.id, tx, len(body)) + body)

    def exactly(self, n):
        data = b''
        while len(data) < n:
            piece = self.socket.recv(n - len(data))
            if not piece:
                raise ConnectionResetError
            data += piece
        return data

    def receive(self):
        kind, request, _, length = struct.unpack('<IIII', self.exactly(16))
        return kind, request, self.exactly(length)

    def call(self, kind, *strings, tx=0, raw=None):
        self.send(kind, b''.join(s.encode() + b'\0' for s in strings) if raw is None else raw, tx)
        while True:
            kind, request, body = self.receive()
            if kind == EVENT:
                self.events.append(tuple(body.decode().split('\0')[:2]))
                continue
            assert request == self.id, f'answer to {request}, not {self.id}'
            if kind == ERROR:
                raise StoreError(body[:-1].decode())
            return body

    def read(self, path, tx=0):
        return self.call(READ, path, tx=tx)

    def write(self, path, value, tx=0):
        self.call(WRITE, raw=path.encode() + b'\0' + value, tx=tx)

    def names(self, path, tx=0):
        return self.call(DIRECTORY, path, tx=tx).decode().split('\0')[:-1]


def refused(text, function, *args, **named):
    try:
        function(*args, **named)
    except StoreError as error:
        assert str(error) == text, f'{error}, not {text}'
    else:
        raise AssertionError(f'no {text}')


def run(*args, status=0):
    result = subprocess.run(args, capture_output=True, text=True, timeout=30)
    assert result.returncode == status, f'{args}: status {result.returncode}: {result.stdout}{result.stderr}'
    return result.stdout


def debian_clients(directory):
    daemon = Daemon(directory)
    run('xenstore-write', '/a/b', 'hello world', '/a/c', '2')
    assert run('xenstore-read', '/a/b') == 'hello world\n'
    assert run('xenstore-list', '/a') == 'b\nc\n'
    run('xenstore-chmod', '/a/b', 'n1', 'r2', 'b3')
    assert '(n1,r2,b3)' in run('xenstore-ls', '-p', '/a')
    run('xenstore-exists', '/a/x', status=1)
    run('xenstore-rm', '/a/b')
    run('xenstore-read', '/a/b', status=1)
    watch = subprocess.Popen(['xenstore-watch', '/a'], stdout=subprocess.PIPE, text=True)
    assert watch.stdout.readline() == '/a\n'
    run('xenstore-write', '/a/new', '')
    assert watch.stdout.readline() == '/a/new\n'
    watch.kill()
    watch.communicate()
    for i in range(0, 2000, 100):
        run('xenstore-write', *(word for n in range(i, i + 100) for word in (f'/many/children-with-long-names-{n}', 'v')))
    assert len(run('xenstore-list', '/many').split()) == 2000
    second = subprocess.run([STORED, '--no-xen', '--state', f'{directory}/state', '--socket', f'{directory}/other'], capture_output=True, check=False)
    assert second.returncode == 1 and b'another store daemon' in second.stderr, second
    daemon.kill()
    daemon.start()
    assert len(run('xenstore-list', '/many').split()) == 2000
    daemon.kill()


def log_is_rotated(directory):
    """It does not grow for ever; `logfile` begins another one."""
    log = Path(directory, 'log')
    log.write_bytes(b'x' * (1 << 20))
    daemon = Daemon(directory)
    c = Client(daemon)
    c.call(CONTROL, 'print', 'one')
    assert log.read_text().endswith(' one\n') and log.stat().st_size < 1000, log.read_bytes()[-200:]
    assert Path(f'{log}.1').stat().st_size >= 1 << 20
    c.call(CONTROL, 'logfile', f'{directory}/other')
    Path(directory, 'other').write_bytes(b'x' * (1 << 20))
    c.call(CONTROL, 'print', 'two')
    assert Path(directory, 'other').read_text().endswith(' two\n') and 'two' not in log.read_text()
    daemon.kill()


def read_only(directory):
    daemon = Daemon(directory)
    Client(daemon).write('/a', b'1')
    c = Client(daemon, '_ro')
    assert c.read('/a') == b'1'
    refused('EACCES', c.write, '/a', b'2')
    refused('EACCES', c.call, RM, '/a')
    daemon.kill()


def bad_clients(directory):
    """A length that is too long ends that connection; half a request, and silence, disturb nobody."""
    daemon = Daemon(directory)
    good = Client(daemon)
    for length in (4097, 0xffffffff):
        c = Client(daemon)
        c.socket.sendall(struct.pack('<IIII', READ, 1, 0, length) + b'x' * 100)
        try:
            assert c.socket.recv(1) == b'', 'an answer'
        except ConnectionResetError:
            pass
    # Without a hypervisor there are no rings.
    refused('EINVAL', good.call, INTRODUCE, '5', '100', '3')
    half = Client(daemon)
    half.socket.sendall(struct.pack('<II', READ, 1))
    good.write('/a', b'1')
    half.close()
    # One that sends and never reads: the daemon stops reading from it.
    flood = Client(daemon)
    flood.socket.setblocking(False)
    request = struct.pack('<IIII', READ, 1, 0, 3) + b'/a\0'
    sent, until = 0, time.monotonic() + 20
    while time.monotonic() < until:
        try:
            sent += flood.socket.send(request * 1000)
        except BlockingIOError:
            time.sleep(0.05)
            try:
                sent += flood.socket.send(request * 1000)
            except BlockingIOError:
                break
    assert time.monotonic() < until, f'it took {sent} bytes'
    assert good.read('/a') == b'1'
    rss = int(Path(f'/proc/{daemon.process.pid}/statm').read_text().split()[1]) * 4
    assert rss < 20000, f'{rss} KiB'
    daemon.kill()


class Model:
    """What the store must hold: the state after the last request whose answer came, or after the one whose answer did not."""

    def __init__(self):
        self.nodes = {'/': b''}
        self.maybe = None

    @staticmethod
    def apply(nodes, kind, path, value):
        if kind == RM:
            return {p: v for p, v in nodes.items() if p != path and not p.startswith(path + '/')}
        if kind == MKDIR and path in nodes:
            return nodes
        nodes = dict(nodes)
        parts = path.split('/')
        for i in range(2, len(parts)):
            nodes.setdefault('/'.join(parts[:i]), b'')
        nodes[path] = value
        return nodes


def store_contents(c, path='/'):
    found = {path: c.read(path)}
    for name in c.names(path):
        found.update(store_contents(c, path.rstrip('/') + '/' + name))
    return found


def random_change(rng):
    path = '/m/' + '/'.join(rng.choice('abc') for _ in range(rng.randint(1, 3)))
    kind = rng.choice((WRITE, WRITE, MKDIR, RM))
    return kind, path, bytes(rng.randrange(256) for _ in range(rng.randint(0, 2000))) if kind == WRITE else b''


def do(c, change, tx=0):
    kind, path, value = change
    if kind == WRITE:
        c.write(path, value, tx)
    else:
        try:
            c.call(kind, path, tx=tx)
        except StoreError as error:
            assert kind == RM and str(error) == 'ENOENT', error


def killed(directory):
    """Random changes and transactions; SIGKILL comes whenever it likes. Then the store must be as before or as after the change that got no answer."""
    rng = random.Random(1)
    daemon = Daemon(directory)
    model, deaths, changes = Model(), 0, 0
    model.nodes = store_contents(Client(daemon))
    for _ in range(40):
        killer = subprocess.Popen(['sh', '-c', f'sleep {rng.random() * 0.25:.3f}; kill -9 {daemon.process.pid}'])
        try:
            c = Client(daemon)
            while True:
                batch = [random_change(rng) for _ in range(rng.choice((1, 1, 5)))]
                after = model.nodes
                for change in batch:
                    after = Model.apply(after, *change)
                model.maybe = after
                tx = int(c.call(START, '')[:-1]) if len(batch) > 1 else 0
                for change in batch:
                    do(c, change, tx)
                if tx:
                    c.call(END, 'T', tx=tx)
                model.nodes, model.maybe = after, None
                changes += 1
        except OSError:
            deaths += 1
        killer.wait()
        daemon.process.wait()
        daemon.start()
        found = store_contents(Client(daemon))
        if found != model.nodes:
            assert found == model.maybe, 'neither before nor after the last change'
        model.nodes, model.maybe = found, None
    daemon.kill()
    print(f'  {deaths} deaths, {changes} changes', file=sys.stderr)
    assert deaths == 40 and changes > 100


def transactions_of_two(directory):
    """Two clients on different parts do not meet; on the same part one must try again. What was open when a client went is gone."""
    daemon = Daemon(directory)
    a, b = Client(daemon), Client(daemon)
    a.write('/x', b'')
    for paths, outcome in ((('/x/1', '/x/2'), 'OK'), (('/x/1', '/x/1'), 'EAGAIN')):
        ta, tb = (int(c.call(START, '')[:-1]) for c in (a, b))
        a.write(paths[0], b'a', ta)
        b.write(paths[1], b'b', tb)
        a.call(END, 'T', tx=ta)
        if outcome == 'OK':
            b.call(END, 'T', tx=tb)
        else:
            refused(outcome, b.call, END, 'T', tx=tb)
    a.call(WATCH, '/x', 'token')
    b.write('/x/3', b'')
    a.read('/x')
    assert a.events == [('/x', 'token'), ('/x/3', 'token')], a.events
    tx = int(a.call(START, '')[:-1])
    a.write('/x/never', b'', tx)
    a.close()
    refused('ENOENT', b.read, '/x/never')
    daemon.kill()


def main():
    failed = False
    for test in (debian_clients, log_is_rotated, read_only, bad_clients, transactions_of_two, killed):
        with tempfile.TemporaryDirectory() as directory:
            started = time.monotonic()
            try:
                test(directory)
                print(f'ok {test.__name__} ({time.monotonic() - started:.1f} s)', flush=True)
            except (AssertionError, OSError, StoreError, subprocess.SubprocessError) as error:
                failed = True
                print(f'FAIL {test.__name__}: {type(error).__name__}: {error}', flush=True)
                print(Path(directory, 'log').read_text() if Path(directory, 'log').exists() else '')
            finally:
                Daemon.running.kill()
                Daemon.running.wait()
    return failed


sys.exit(main())
