# SPDX-License-Identifier: MIT
"""The command line: what becomes of guests, and what they use: dump-core, autostart, autostop, metrics, top."""
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'lib'))
from fakemanager import Raw, Refused
from lodge_bench import GUESTS, UUID, equal, main, raise_, test


@test
def dump_core(b):
    b.manager.methods['dump_core'] = {'file': '/x/web1.core', 'kib': 1025}
    b.run('dump-core', 'web1', out='web1 is in /x/web1.core (2 MiB)\n')
    b.asked(('dump_core', {'guest': 'web1'}))
    b.run('dump-core', '-lc', 'web1', 'web1.core', out='web1 is in /x/web1.core (2 MiB)\n')
    b.asked(('dump_core', {'guest': 'web1', 'file': f'{b.folder}/web1.core', 'live': True, 'for_crash': True}))
    equal(json.loads(b.run('dump-core', '--json', 'web1', '/x/web1.core')), b.manager.methods['dump_core'])
    b.manager.methods['dump_core'] = lambda p: raise_(Refused('cannot-write', 'cannot write /x/web1.core: No space left on device', 28))
    b.run('dump-core', 'web1', status=1, err='lodge: web1: cannot write /x/web1.core: No space left on device\n')
    b.run('dump-core', status=2, err=re.compile('^lodge dump-core: '))


STATS = {'lodge': '0.3', 'time_ns': 5, 'machine': {'cpus': 2, 'memory_kib': 3144704, 'free_kib': 2045952}, 'guests': [
    GUESTS[0],
    dict(GUESTS[1], disks=[{'vdev': 'xvda', 'read_bytes': 1 << 60, 'read_ops': 1, 'written_bytes': 512, 'write_ops': 2}],
         nics=[{'nic': 0, 'interface': 'vif1.0', 'received_bytes': 10, 'received_packets': 1, 'sent_bytes': 20, 'sent_packets': 2}]),
    dict(GUESTS[2], kept_down=True, name='d"\\\n'),
]}


@test
def metrics(b):
    b.manager.methods['stats'] = STATS
    text = b.run('metrics')
    kinds, samples = {}, {}
    for line in text.splitlines():
        if line.startswith('# '):
            _, what, name, rest = line.split(' ', 3)
            assert (name in kinds) == (what == 'TYPE'), line
            kinds[name] = rest
            continue
        match = re.fullmatch(r'(\w+)(?:\{((?:\w+="(?:[^"\\]|\\["\\n])*",?)*)\})? (\d+(?:\.\d+)?)', line)
        assert match and match[1] in kinds, line
        assert kinds[match[1]] == ('counter' if match[1].endswith('_total') else 'gauge'), line
        assert (match[1], match[2]) not in samples, line
        samples[match[1], match[2]] = float(match[3])
    web1 = f'guest="web1",uuid="{UUID}"'
    for name, labels, value in (
            ('lodge_machine_memory_free_bytes', None, 2045952 << 10), ('lodge_build_info', 'version="0.3"', 1),
            ('lodge_guest_cpu_seconds_total', web1, 0.049), ('lodge_guest_memory_bytes', web1, 8 << 20), ('lodge_guest_vcpus', web1, 1),
            ('lodge_guest_start_time_seconds', web1, 1790000000), ('lodge_guest_state', f'{web1},state="blocked"', 1),
            ('lodge_guest_state', f'{web1},state="running"', 0), ('lodge_guest_kept_down', web1, 0),
            ('lodge_guest_info', f'{web1},domid="1",type="pv"', 1), ('lodge_guest_disk_read_bytes_total', f'{web1},device="xvda"', 1 << 60),
            ('lodge_guest_disk_writes_total', f'{web1},device="xvda"', 2), ('lodge_guest_network_receive_bytes_total', f'{web1},nic="0"', 10),
            ('lodge_guest_network_transmit_packets_total', f'{web1},nic="0"', 2),
            ('lodge_guest_kept_down', f'guest="d\\"\\\\\\n",uuid="{UUID}"', 1)):
        equal((name, labels, samples.get((name, labels))), (name, labels, value))
    assert not any(n == 'lodge_guest_memory_max_bytes' and 'Domain-0' in l for n, l in samples), 'a limit of Domain 0'


@test
def top(b):
    def later(seconds, **more):
        return dict(STATS, time_ns=5 + seconds * 10**9, guests=[{**g, **more} if g.get('name') == 'web1' else g for g in STATS['guests']])

    one = {**STATS['guests'][1]['disks'][0], 'read_bytes': (1 << 60) + 8192, 'written_bytes': 0}
    two = {'vdev': 'xvdb', 'read_bytes': 2048, 'read_ops': 4, 'written_bytes': 4608, 'write_ops': 1}
    answers = [STATS, later(4, cpu_time_ns=49000000 + 3 * 10**9, disks=[one, two]), later(8, domid=9, cpu_time_ns=10**12)]
    calls = []

    def stats(_):
        calls.append(1)
        return answers[len(calls) - 1]

    b.manager.methods['stats'] = stats
    text = b.run('top', '--json', '-d', '0', '-i', '2')
    first, second = (json.loads(part) for part in re.split(r'(?<=\n\})\n(?=\{)', text.strip()))
    row = {g['name']: g for g in first['guests']}['web1']
    equal(first['interval_s'], 4)
    equal([row[k] for k in ('cpu_percent', 'read_bytes_per_s', 'written_bytes_per_s', 'received_bytes_per_s')], [75, 2560, 1024, 0])
    # Another domain of that guest: nothing is known of what it did.
    row = {g['name']: g for g in second['guests']}['web1']
    equal([row[k] for k in ('domid', 'cpu_percent', 'cpu_time_s')], [9, 0, 1000])
    calls.clear()
    lines = b.run('top', '-b', '-d1', '-i1', '-s', 'cpu').splitlines()
    assert re.match(r'\d\d:\d\d:\d\d  3 domains  2 processors, 75.0 of 200 % used  1998 of 3071 MiB free  by cpu$', lines[0]), lines
    assert re.match(r'web1 +1 blocked +3\.0 +75\.0 +8 +1 +0B +0B +2\.5K +1\.0K$', lines[2]), lines
    b.run('top', '-s', 'colour', status=2, err='lodge top: found "colour", expected name, cpu, memory, network or disk; see lodge top --help\n')
    b.manager.methods['stats'] = lambda p: raise_(Refused('hypervisor', 'no', 5))
    b.run('top', '-i1', status=1, err='lodge: no\n')


@test
def autostart(b):
    created = []

    def create(params):
        name = params['definition']['name']
        created.append(name)
        if name == 'runs':
            raise Refused('name-taken', 'a guest called runs is running (domain 1)', 17)
        if name == 'db':
            raise Refused('name-taken', 'a guest called db is kept down', 17)
        if name == 'twice' and created.count(name) == 1:
            raise Raw(b'')      # the manager is killed
        if name == 'large':
            raise Refused('no-memory', 'not enough', 12)
        return {'domid': 7, 'uuid': UUID, 'name': name, **({'dom0_gave_kib': 1024, 'dom0_memory_kib': 524288} if name == 'last' else {})}

    b.manager.methods['create'] = create
    b.run('autostart', out='')       # there is no such folder
    for name in 'first', 'twice', 'runs', 'db', 'large', 'last', 'not':
        b.write(f'etc/vm/{name}', f"name = '{name}'\nkernel = 'k-{name}'\nmemory = 4\n")
    auto = b.folder / 'etc/auto'
    auto.mkdir()
    for link, name in {'10-first': 'first', '2-twice': 'twice', '3': 'none', '4': 'runs', '5': 'db', '6': 'large', '7': 'last', '8~': 'not',
                       '.9': 'not', 'x.dpkg-old': 'not'}.items():
        (auto / link).symlink_to(f'../vm/{name}')
    b.write('etc/auto/65-wrong', 'name = \n')
    text = f'{auto}/3 leads to no definition: No such file or directory'
    b.run('autostart', status=4, out='first runs as domain 7\ntwice runs as domain 7\nruns runs already\nlast runs as domain 7\n',
          err=re.compile(rf'^lodge: 3: {text}\nlodge: db: a guest called db is kept down\nlodge: large: not enough\n'
                         rf'lodge: {auto}/65-wrong:1: .*\nlodge: last: Domain 0 gave up 1 MiB of memory for it and has 512 MiB left\n$'))
    equal(created, ['first', 'twice', 'twice', 'runs', 'db', 'large', 'last'])
    # Paths start where the definition is, not where the link is.
    equal(b.manager.requests[0][1]['definition']['kernel'], str(b.folder / 'etc/vm/k-first'))


@test
def autostop(b):
    left = {'web1', 'db'}
    b.manager.methods['list'] = lambda p: {'guests': [g for g in b.find(p) if g.get('name') in left or not g['managed']]}

    def gone(params):
        left.discard(b.find(params)[0]['name'])
        return {'reason': 'poweroff'}

    b.manager.methods.update(shutdown=gone, destroy=gone)
    b.run('autostop', out='web1 has shut down\n')        # db has ended already
    equal(left, set())
    equal([r for r in b.manager.requests if r[0] == 'shutdown'],
          [('shutdown', {'guest': '1', 'no_restart': True, 'wait': True, 'timeout_s': 120})])
    left.update({'web1', 'db'})
    b.manager.methods['shutdown'] = lambda p: raise_(Refused('timeout', 'it has not ended', 110))
    b.run('autostop', '--timeout=3', status=1, out='', err='lodge: web1: it has been destroyed: it has not ended\n')
    equal(left, set())
    b.run('autostop', out='')
    b.run('autostop', 'web1', status=2, err=re.compile('^lodge autostop: '))


if __name__ == '__main__':
    sys.exit(main())
