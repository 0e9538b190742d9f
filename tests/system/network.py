# SPDX-License-Identifier: MIT
"""The e1000 network card with Domain 0's own driver, in both directions."""
import os
import socket
import threading

from harness import check, check_dom0_healthy, check_equal, test
from transfer import HOST, Server, receive_all, sha256

SIZE = 16 << 20
GUEST_PORT = 7000


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as s:
        return s.getsockname()[1]


def check_counters(m):
    counters = m.sh('cd /sys/class/net/eth0/statistics; for f in *_errors *_dropped; do echo $f $(cat $f); done')
    bad = [line for line in counters.splitlines() if not line.endswith(' 0')]
    check(not bad, f'network errors: {bad}')
    check_equal(m.sh('basename $(readlink /sys/class/net/eth0/device/driver)').strip(), 'e1000', 'driver')


@test(long=True)
def receive(t):
    payload = os.urandom(SIZE)
    m = t.boot_dom0()
    with Server(payload) as server:
        check_equal(m.sh(f'nc {HOST} {server.port} </dev/null | sha256sum', timeout=120).split()[0], sha256(payload),
                    'checksum of what Domain 0 received')
    check_counters(m)


@test(long=True)
def send(t):
    m = t.boot_dom0()
    with Server() as server:
        expected = m.sh(f'dd if=/dev/urandom of=/tmp/data bs=1M count={SIZE >> 20} 2>/dev/null; sha256sum </tmp/data;'
                        f'nc {HOST} {server.port} </tmp/data', timeout=120).split()[0]
        server.wait()
        check_equal(sha256(server.received), expected, 'checksum of what Domain 0 sent')
    check_counters(m)


@test(long=True)
def both_at_once(t):
    payload = os.urandom(SIZE)
    m = t.boot_dom0(cpus=2)
    with Server(payload) as source, Server() as sink:
        sums = m.sh(f'''
            dd if=/dev/urandom of=/tmp/out bs=1M count={SIZE >> 20} 2>/dev/null
            nc {HOST} {source.port} </dev/null >/tmp/in &
            nc {HOST} {sink.port} </tmp/out
            wait
            sha256sum </tmp/in; sha256sum </tmp/out''', timeout=150).split()
        sink.wait()
        check_equal((sums[0], sums[2]), (sha256(payload), sha256(sink.received)), 'checksums, received and sent')
    check_counters(m)
    check_dom0_healthy(m)


@test()
def accept(t):
    """A connection from outside, to a server in Domain 0."""
    port = free_port()
    m = t.boot_dom0(net=f'hostfwd=tcp:127.0.0.1:{port}-:{GUEST_PORT}')
    payload = os.urandom(1 << 20)
    # The listener is there when /proc/net/tcp shows its port.
    m.sh(f'nc -l -p {GUEST_PORT} -e cat >/dev/null 2>&1 & until grep -q :{GUEST_PORT:04X} /proc/net/tcp*; do usleep 10000; done')
    with socket.create_connection(('127.0.0.1', port), timeout=60) as s:
        threading.Thread(target=lambda: (s.sendall(payload), s.shutdown(socket.SHUT_WR)), daemon=True).start()
        check_equal(sha256(receive_all(s)), sha256(payload), 'checksum of the echo')
