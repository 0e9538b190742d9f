# SPDX-License-Identifier: MIT
"""What is counted of guests: `lodge metrics` and `lodge top`, against what the guest did."""
import json
import re

from guests import boot, create, empty_disk, in_guest, lodge, restarted
from harness import check, check_dom0_healthy, check_equal, test

MIB = 1 << 20


def metrics(m):
    """{(name, guest): value}, of all devices together."""
    found = {}
    for name, labels, value in re.findall(r'^(\w+)\{([^}]*)\} (\S+)$', lodge(m, 'metrics'), re.M):
        guest = re.search(r'guest="([^"]*)"', labels)
        if guest and 'state=' not in labels:
            found[name, guest[1]] = found.get((name, guest[1]), 0) + float(value)
    return found


@test()
def figures(t):
    """A guest writes, reads, receives and computes a known amount: that is what is counted, and top shows it."""
    m = boot(t, disks=(empty_disk(t.scratch, 'data', 16),))
    create(m, 'web', disk=['phy:/dev/disk/data,xvda,w'])
    before = metrics(m)
    check_equal(before['lodge_guest_memory_bytes', 'web'], 96 * MIB, 'memory')
    check(before['lodge_guest_cpu_seconds_total', 'Domain-0'] > 1, f'processor time of Domain 0: {before}')
    in_guest(m, 'web', '''
        dd if=/dev/zero of=/dev/xvda bs=64k count=64 oflag=direct 2>/dev/null
        dd if=/dev/xvda of=/dev/null bs=64k count=32 iflag=direct 2>/dev/null
        dd if=/dev/zero of=/run/www/large bs=1M count=2 2>/dev/null''', 60)
    m.sh('wget -q -O /dev/null http://web/large')
    after = metrics(m)
    grown = {name: after[name, 'web'] - before[name, 'web'] for name, guest in after if guest == 'web'}
    for name, least, most in (('disk_written_bytes', 4 * MIB, 4.5 * MIB), ('disk_read_bytes', 2 * MIB, 2.5 * MIB), ('disk_writes', 64, 200),
                              ('disk_reads', 32, 200), ('network_transmit_bytes', 2 * MIB, 2.5 * MIB), ('network_receive_bytes', 1000, MIB),
                              ('network_transmit_packets', 30, 3000), ('cpu_seconds', 0.01, 1000)):
        value = grown[f'lodge_guest_{name}_total']
        check(least <= value <= most, f'{name}: {value}, expected {least} to {most}')

    # Rates: a loop of a guest takes a processor, one that is idle does not.
    create(m, 'idle', vif=None, extra='console=hvc0')
    in_guest(m, 'web', '(while :; do :; done) >/dev/null 2>&1 &')
    top = json.loads(lodge(m, 'top', '--json', '-d', '2', '-i', '1'))
    rows = {g['name']: g for g in top['guests']}
    check_equal(sorted(rows), ['Domain-0', 'idle', 'web'], 'guests in top')
    check(top['interval_s'] >= 2, f'interval: {top["interval_s"]}')
    check(rows['web']['cpu_percent'] > 25 > rows['idle']['cpu_percent'], f'processor time in top: {rows}')
    text = lodge(m, 'top', '-b', '-d', '1', '-i', '2', '-s', 'cpu')
    tables = text.strip().split('\n\n')
    check_equal(len(tables), 2, f'tables: {text}')
    names = [line.split()[0] for line in tables[1].splitlines()[2:]]
    check_equal((sorted(names), names[-1]), (['Domain-0', 'idle', 'web'], 'idle'), 'rows by processor time')

    # On a terminal: keys sort at once, q ends it and leaves the terminal as it was.
    m.type('\n')
    m.expect('dom0:')
    m.type('lodge top -d 60\n')
    m.expect('by cpu')
    m.type('a')
    m.expect('by name')
    m.type('q')
    m.type('echo still $((6 * 7))\n')
    m.expect('still 42')
    m.sh('lodge destroy web idle')
    check_equal([n for n in metrics(m) if n[1] in ('web', 'idle')], [], 'figures of guests that are gone')
    check_dom0_healthy(m)


@test(long=True)
def over_http(t):
    """The manager serves what `lodge metrics` prints, where its settings say and nowhere else, also when clients misbehave."""
    m = boot(t)
    url = 'http://127.0.0.1:9101/metrics'
    check('tcp' not in m.sh('netstat -tlnp | grep lodged || true'), 'the manager listens without being told')
    m.sh('mkdir -p /etc/lodge; echo "metrics = 9101" >/etc/lodge/lodged.conf')
    restarted(m, 'lodged')
    m.sh(f'until wget -q -O /dev/null {url}; do usleep 100000; done', 60)
    check_equal(m.sh("netstat -tln | awk '/:9101 / { print $4 }'").strip(), '127.0.0.1:9101', 'where the manager listens')
    create(m, 'web', up=None)
    m.sh(f'until wget -q -O /tmp/page {url} && grep -q "guest=.web." /tmp/page; do usleep 200000; done', 60)
    page = m.sh('cat /tmp/page')
    plain = lodge(m, 'metrics')
    names = [set(re.findall(r'^\w+(?:\{[^}]*\})? ', text, re.M)) for text in (page, plain)]
    check(names[0] == names[1], f'served and printed differ: {names[0] ^ names[1]}')
    check_equal(m.sh('wget -q -O - http://127.0.0.1:9101/ 2>&1 || echo "status $?"').strip(), 'wget: server returned error: HTTP/1.1 404 Not Found\nstatus 1', '/')
    # More who say nothing than there are places: the others are served when their time is over.
    m.sh(f"""mkfifo /tmp/never
        for i in $(seq 20); do
            nc 127.0.0.1 9101 </dev/zero >/dev/null 2>&1 &
            nc 127.0.0.1 9101 <>/tmp/never >/dev/null 2>&1 &
        done
        until wget -q -O /dev/null {url}; do usleep 100000; done""", 120)
    lodge(m, 'destroy', 'web')
    m.sh('echo "metrics = off" >/etc/lodge/lodged.conf')
    restarted(m, 'lodged')
    check_equal(m.sh("netstat -tln | awk '/:9101 / { print $4 }'").strip(), '', 'where the manager listens without the setting')
    check_dom0_healthy(m)
