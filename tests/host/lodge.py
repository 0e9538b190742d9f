# SPDX-License-Identifier: MIT
"""The command line: output, exit status, errors of the verbs that are not in lodge_life.py and lodge_change.py; definitions, consoles, the manager's moods."""
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'lib'))
import steps
from fakemanager import FakeManager, Raw, Refused
from lodge_bench import GUESTS, LODGE, UUID, VERSION, WEB1, equal, listed, main, raise_, test

# What the table of `list` shows.
TABLE = ['name', 'domid', 'memory_kib', 'vcpus', 'flags', 'cpu_time_ns']


@test
def list_has_the_classic_columns(b):
    head = 'Name                                        ID   Mem VCPUs\tState\tTime(s)'
    b.run('list', out=head + '\n'
          'Domain-0                                     0  1024     2     r-----     299.4\n'
          'web1                                         1     8     1     -b----       0.0\n'
          'db                                          12   256     4     ---sc-       0.0\n'
          '-                                           13     4     1     --p---       0.0\n')
    b.asked(('list', {'members': TABLE}))
    b.run('list', 'web1', out=head + '\nweb1                                         1     8     1     -b----       0.0\n')
    b.asked(('list', {'guest': 'web1', 'members': TABLE}))
    b.run('list', '-v', 'db', out=head + '   UUID                                 Reason\n'
          f'db                                          12   256     4     ---sc-       0.0 {UUID} crash\n')
    b.run('list', 'web1', 'nope', '12', status=3, err='lodge: nope: there is no guest nope\n', out=head + '\n'
          'web1                                         1     8     1     -b----       0.0\n'
          'db                                          12   256     4     ---sc-       0.0\n')
    b.run('list', 'nope', status=3, err='lodge: nope: there is no guest nope\n', out='')


@test
def list_as_json(b):
    equal(json.loads(b.run('list', '--json')), {'guests': GUESTS})
    equal(json.loads(b.run('list', '--json', 'db', 'web1')), {'guests': [GUESTS[2], GUESTS[1]]})

    def info(params):
        if params['guest'] == 12:
            raise Refused('no-such-guest', 'gone', 2)
        return {**b.find(params)[0], 'definition': {'name': 'x'}}
    b.manager.methods['info'] = info
    found = json.loads(b.run('list', '-l'))['guests']       # a guest that goes meanwhile is left out
    equal([g['domid'] for g in found], [0, 1, 13])
    equal(found[1]['definition'], {'name': 'x'})
    equal(json.loads(b.run('list', '--long', 'web1'))['guests'][0]['name'], 'web1')
    b.manager.methods['info'] = lambda params: raise_(Refused('store', 'the store does not answer', 110))
    b.run('list', '-l', status=1, err='lodge: the store does not answer\n')


@test
def names_do_not_steer_the_terminal(b):
    b.manager.methods['list'] = lambda params: listed(params, [{**GUESTS[1], 'name': 'a\x1b[2J b\n'}])
    text = b.run('list')
    assert 'a?[2J?b?' in text and '\x1b' not in text, text
    b.manager.methods['dmesg'] = {'text': 'one\n\x1b]0;x\x07\ttwo\n'}
    b.run('dmesg', out='one\n?]0;x?\ttwo\n')


@test
def domid_and_domname(b):
    b.run('domid', 'web1', out='1\n')
    b.run('domname', '12', out='db\n')
    b.run('domname', '99', status=3, err='lodge: 99: there is no guest 99\n', out='')
    equal(json.loads(b.run('domid', '--json', 'db')), {'domid': 12})
    equal(json.loads(b.run('domname', '--json', '1')), {'name': 'web1'})
    equal(json.loads(b.run('domname', '--json', '13')), {})
    b.run('domid', status=2, err='lodge domid: expected GUEST; see lodge domid --help\n')
    b.run('domid', 'a', 'b', status=2, err='lodge domid: found "b", expected GUEST; see lodge domid --help\n')


@test
def vcpu_list(b):
    b.manager.methods['vcpu_list'] = {'guests': [
        {'domid': 0, 'name': 'Domain-0', 'vcpus': [
            {'vcpu': 0, 'cpu': 0, 'state': 'running', 'flags': 'r--', 'cpu_time_ns': 155100000000, 'affinity_hard': 'all', 'affinity_soft': 'all'},
            {'vcpu': 1, 'state': 'offline', 'flags': '--p', 'cpu_time_ns': 0, 'affinity_hard': '0-1', 'affinity_soft': 'all'}]}]}
    b.run('vcpu-list', out='Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)\n'
          'Domain-0                             0     0    0   r--     155.1  all / all\n'
          'Domain-0                             0     1    -   --p       0.0  0-1 / all\n')
    b.asked(('vcpu_list', {}))
    equal(json.loads(b.run('vcpu-list', '--json', '0')), b.manager.methods['vcpu_list'])
    b.asked(('vcpu_list', {'guest': '0'}))


@test
def uptime(b):
    b.manager.methods['uptime'] = {'guests': [{'domid': 0, 'name': 'Domain-0', 'uptime_s': 182}, {'domid': 1, 'name': 'web1', 'uptime_s': 93784},
                                              {'domid': 2, 'name': 'old', 'uptime_s': 864000}, {'domid': 3, 'name': 'new'}]}
    b.run('uptime', out='Name                                ID Uptime\n'
          'Domain-0                             0 0:03:02\n'
          'web1                                 1 1 day,  2:03:04\n'
          'old                                  2 10 days,  0:00:00\n'
          'new                                  3 -\n')
    text = b.run('uptime', '-s', 'web1')
    assert re.fullmatch(r' \d\d:\d\d:\d\d up 0:03, Domain-0 \(0\)\n.* up 1 day,  2:03, web1 \(1\)\n.*\n.* up -, new \(3\)\n', text), text
    equal(json.loads(b.run('uptime', '--json')), b.manager.methods['uptime'])


@test
def info_of_the_machine(b):
    fields = dict(re.split(r' *: ', line, maxsplit=1) for line in b.run('info').splitlines())
    for key, value in {'nr_cpus': '2', 'max_cpu_id': '1', 'cpu_mhz': '2596.122', 'total_memory': '3071', 'free_memory': '1998', 'xen_major': '4',
                       'xen_minor': '17', 'nr_nodes': '1', 'cores_per_socket': '2', 'threads_per_core': '1', 'virt_caps': 'pv gnttab-v1', 'xen_extra': '.7', 'xen_version': '4.17.7', 'xen_scheduler': 'credit', 'xen_pagesize': '4096',
                       'xen_commandline': 'dom0_mem=1G', 'host': os.uname().nodename, 'default_bridge': 'lodge0'}.items():
        equal((key, fields.get(key)), (key, value))
    assert 'network_problem' not in fields
    assert b.run('info', '-n').count('\nnode:') == 1
    equal(json.loads(b.run('info', '--json')), VERSION)
    b.manager.methods['version'] = {**VERSION, 'network': {'state': 'down', 'problem': 'dnsmasq is missing'}}
    assert 'network_problem        : dnsmasq is missing\n' in b.run('info')


@test
def info_of_a_guest(b):
    b.manager.methods['info'] = {**GUESTS[1], 'definition': {'file': '/etc/xen/vm/web1', 'kernel': '/boot/vmlinuz'}, 'uptime_s': 5,
                                 'disks': [{'vdev': 'xvda', 'target': '/x.img', 'device': '/dev/loop0', 'readonly': False, 'state': 'connected'}],
                                 'nics': [{'mac': '00:16:3e:01:02:03', 'bridge': 'lodge0', 'interface': 'vif1.0', 'address': '10.99.0.2', 'state': 'connected'}],
                                 'console_log': '/var/log/lodge/console/web1.log'}
    text = b.run('info', 'web1')
    for line in ('name                   : web1', 'memory                 : 8', 'definition             : /etc/xen/vm/web1',
                 'disk                   : xvda w connected /x.img',
                 'vif                    : vif1.0 00:16:3e:01:02:03 connected lodge0 10.99.0.2'):
        assert line + '\n' in text, f'{line!r} is not in {text}'
    equal(json.loads(b.run('info', '--json', 'web1')), b.manager.methods['info'])
    assert '\nmaxmem                 : 8\n' in text, text
    b.manager.methods['info'] = GUESTS[0]       # has no limit
    assert 'maxmem' not in b.run('info', '0')


@test
def simple_verbs(b):
    b.run('pause', 'web1', out='')
    b.asked(('pause', {'guest': 'web1'}))
    b.run('unpause', 'web1', 'db', out='')
    b.asked(('unpause', {'guest': 'web1'}), ('unpause', {'guest': 'db'}))
    b.run('destroy', '-f', '12', out='')
    b.asked(('destroy', {'guest': '12'}))
    b.run('rename', 'web1', 'web2', out='')
    b.asked(('rename', {'guest': 'web1', 'name': 'web2'}))
    b.run('sysrq', 'web1', 'h', out='')
    b.asked(('sysrq', {'guest': 'web1', 'key': 'h'}))
    b.run('sysrq', 'web1', 'help', status=2, err='lodge sysrq: found "help", expected one key, such as h; see lodge sysrq --help\n')
    b.run('debug-keys', 'hq', out='')
    b.asked(('debug_keys', {'keys': 'hq'}))
    b.run('pause', status=2, err='lodge pause: expected GUEST...; see lodge pause --help\n')


@test
def failures_of_one_do_not_stop_the_others(b):
    def destroy(params):
        b.find(params)
        if params['guest'] == '0':
            raise Refused('is-dom0', 'Domain 0 cannot be destroyed', 1)
        return {}
    b.manager.methods['destroy'] = destroy
    b.run('destroy', 'nope', '0', 'web1', status=3, err='lodge: nope: there is no guest nope\nlodge: 0: Domain 0 cannot be destroyed\n')
    b.asked(('destroy', {'guest': 'nope'}), ('destroy', {'guest': '0'}), ('destroy', {'guest': 'web1'}))
    b.run('destroy', '0', 'nope', status=1, err='lodge: 0: Domain 0 cannot be destroyed\nlodge: nope: there is no guest nope\n')


@test
def dmesg(b):
    b.manager.methods['dmesg'] = {'text': '(LODGE) one\n(LODGE) two\n'}
    b.run('dmesg', out='(LODGE) one\n(LODGE) two\n')
    b.asked(('dmesg', {'clear': False}))
    b.run('dmesg', '-c')
    b.asked(('dmesg', {'clear': True}))
    equal(json.loads(b.run('dmesg', '--json')), {'text': '(LODGE) one\n(LODGE) two\n'})


@test
def shutdown_and_reboot(b):
    b.run('shutdown', 'web1', out='')
    b.asked(('shutdown', {'guest': 'web1'}))
    b.run('shutdown', '-wF', '--timeout', '5', 'web1', out='')
    b.asked(('shutdown', {'guest': 'web1', 'wait': True, 'timeout_s': 5}))
    b.run('reboot', '-w', 'web1', out='')
    b.asked(('reboot', {'guest': 'web1', 'wait': True, 'timeout_s': 60}))
    b.run('shutdown', '-n', 'web1', out='')
    b.asked(('shutdown', {'guest': 'web1', 'no_restart': True}))
    b.run('shutdown', '-a', out='')     # those of ours, by id
    equal(sorted(p['guest'] for _, p in b.manager.requests[1:]), ['1', '12'])
    b.run('shutdown', '--all', '--wait', out='')
    equal({p['wait'] for _, p in b.manager.requests[1:]}, {True})
    b.run('shutdown', status=2, err='lodge shutdown: expected either the names of guests, or --all; see lodge shutdown --help\n')
    b.run('shutdown', '-a', 'web1', status=2, err='lodge shutdown: expected either the names of guests, or --all; see lodge shutdown --help\n')
    b.run('shutdown', '--timeout=5', 'web1', status=2, err='lodge shutdown: --timeout goes with --wait; see lodge shutdown --help\n')
    b.run('shutdown', '-w', '--timeout=x', 'web1', status=2, err='lodge shutdown: found "x", expected a number from 0 to 86400; see lodge shutdown --help\n')
    b.manager.methods['shutdown'] = lambda p: raise_(Refused('timeout', 'it has not ended after 5 s; it has been asked and may still', 110))
    b.run('shutdown', '-w', 'web1', status=1, err='lodge: web1: it has not ended after 5 s; it has been asked and may still\n')
    b.manager.methods['shutdown'] = {'reason': 'crash'}
    b.run('shutdown', '-w', 'web1', status=1, err='lodge: web1: it was asked to shut down, and crashed\n')


@test
def many_are_waited_for_at_the_same_time(b):
    everybody = threading.Barrier(2, timeout=30)

    def shutdown(params):
        everybody.wait()        # fails unless both are asked at the same time
        if params['guest'] == '12':
            raise Refused('wrong-state', 'it has crashed already', 22)
        return {'reason': 'poweroff'}
    b.manager.methods['shutdown'] = shutdown
    b.run('shutdown', '-aw', status=1, err='lodge: db: it has crashed already\n')


@test
def create(b):
    path = b.write('etc/vm/web1', WEB1)
    b.manager.methods['create'] = {'domid': 3, 'uuid': UUID, 'name': 'web1'}
    b.run('create', 'web1', out='web1 runs as domain 3\n')
    method, params = b.manager.requests[0]
    equal(method, 'create')
    equal(params, {'paused': False, 'definition': {
        'name': 'web1', 'type': 'pv', 'file': path, 'kernel': '/boot/vmlinuz', 'memory_kib': 131072, 'vcpus': 1,
        'disks': [{'target': str(b.folder / 'etc/vm/disk.img'), 'vdev': 'xvda', 'format': 'raw', 'line': 4}], 'nics': [{'line': 5}],
        'on_poweroff': 'destroy', 'on_reboot': 'restart', 'on_crash': 'destroy', 'on_watchdog': 'destroy'}})
    b.run('create', '-pq', 'web1', out='')
    equal(b.manager.requests[0][1]['paused'], True)
    b.run('create', 'web1', '-p', out='web1 is ready as domain 3; lodge unpause web1 lets it run\n')
    equal(json.loads(b.run('create', '--json', 'web1')), b.manager.methods['create'])

    def definition():
        return b.manager.requests[0][1]['definition']
    b.run('create', '-q', './etc/vm/web1', 'memory=256', "vif=['bridge=br0']", 'kernel=k', 'extra="a b"')
    equal((definition()['memory_kib'], definition()['nics'], definition()['kernel'], definition()['cmdline']),
          (262144, [{'bridge': 'br0'}], str(b.folder / 'k'), 'a b'))
    b.run('create', '-q', '-f', path, 'name=web2')
    equal(definition()['name'], 'web2')
    b.run('create', '-q', '/dev/stdin', stdin=WEB1.encode())
    b.write('etc/web3.cfg', WEB1)
    b.run('create', '-q', 'web3')
    b.write('here.cfg', WEB1)
    b.run('create', '-q', 'here.cfg')


@test
def create_says_what_it_does(b):
    path = b.write('web1', WEB1 + 'vnc = 1\nmemroy = 3\n')
    b.manager.methods['create'] = {'domid': 3, 'uuid': UUID, 'name': 'web1'}
    b.manager.progress = ['unpacking /boot/vmlinuz']
    warnings = f'lodge: {path}:6: warning: vnc is not used\nlodge: {path}:7: warning: there is no key memroy; did you mean memory?\n'
    b.run('create', path, err=warnings)
    b.run('-v', 'create', path, err=warnings + 'lodge: web1: unpacking /boot/vmlinuz\n')
    b.run('create', '-de', path, err=warnings + 'lodge: web1: unpacking /boot/vmlinuz\n')
    b.run('create', '-q', path)
    # Domain 0 had to give something for it.
    gave = b.manager.methods['create'] = {'domid': 3, 'uuid': UUID, 'name': 'web1', 'dom0_gave_kib': 131073, 'dom0_memory_kib': 917503}
    line = 'lodge: web1: Domain 0 gave up 129 MiB of memory for it and has 895 MiB left\n'
    b.run('create', path, err=warnings + line, out='web1 runs as domain 3\n')
    b.run('create', '-q', path, err='', out='')
    equal(json.loads(b.run('create', '--json', path, err=warnings + line)), gave)
    del gave['dom0_gave_kib'], gave['dom0_memory_kib']
    b.run('create', path, 'foo=1', err=warnings + 'lodge: command line: warning: there is no key foo; it is not used\n')


@test
def create_fails(b):
    path = b.write('web1', WEB1)
    b.manager.methods['create'] = lambda p: raise_(Refused('name-taken', 'a guest called web1 is running (domain 3)', 17))
    b.run('create', path, status=1, err='lodge: web1: a guest called web1 is running (domain 3)\n', out='')
    b.manager.methods['create'] = lambda p: raise_(Refused('disk-in-use', 'disk.img is open for writing', 16, file=path, line=4))
    b.run('create', path, status=1, err=f'lodge: {path}:4: disk.img is open for writing\n')
    b.manager.methods['create'] = lambda p: raise_(Refused('not-supported', 'type hvm is not supported yet', 95))
    b.run('create', path, status=4, err='lodge: web1: type hvm is not supported yet\n')


@test
def mistakes_in_definitions(b):
    path = b.write('bad', "name = 'bad'\nkernel = '/k'\nmemory = 'lots'\n")
    b.run('create', path, status=4, err=f'lodge: {path}:3: memory: found "lots", expected a whole number of MiB from 1 to 16777216\n', out='')
    b.run('create', path, 'memory=8', 'vcpus=0', status=4, err='lodge: command line: vcpus: found 0, expected a whole number from 1 to 512\n')
    b.asked()
    b.run('create', 'nowhere', status=4, err=f'lodge: there is no definition nowhere: neither a file of this name, nor {b.folder}/etc/vm/nowhere, '
          f'nor {b.folder}/etc/nowhere.cfg\n')
    b.run('create', './nowhere', status=4, err='lodge: there is no definition ./nowhere: No such file or directory\n')
    b.run('create', status=2, err='lodge create: expected the name or the file of a definition; see lodge create --help\n')
    b.run('create', 'name=x', status=2, err='lodge create: expected the name or the file of a definition; see lodge create --help\n')
    b.run('create', path, path, status=2, err=f'lodge create: found "{path}", expected KEY=VALUE; see lodge create --help\n')


@test
def dry_run(b):
    path = b.write('web1', WEB1)
    b.manager.methods['check'] = {'problems': [], 'warnings': ['the default network is down'], 'needed_kib': 131073, 'available_kib': 2045952}
    warning = 'lodge: web1: warning: the default network is down\n'
    b.run('create', '-n', path, out='web1 can be created; it needs 129 MiB of 1998 MiB that are free\n', err=warning)
    definition = b.manager.requests[0][1]['definition']
    assert re.fullmatch(r'[0-9a-f]{8}-[0-9a-f]{4}-5.*', definition['uuid']) and definition['nics'][0]['mac'].startswith('00:16:3e:')
    equal([m for m, _ in b.manager.requests], ['check'])
    for words in ('-N', 'create', '-q', path), ('create', '--dryrun', '-q', path):
        b.run(*words, out='')
        equal([m for m, _ in b.manager.requests], ['check'])
    found = json.loads(b.run('create', '--dry-run', '--json', path, err=warning))
    equal((found['needed_kib'], found['definition']), (131073, definition))
    b.manager.methods['check'].update(available_kib=102400, dom0_gives_kib=28673, dom0_memory_kib=495615)
    b.run('create', '-n', path, err=warning,
          out='web1 can be created; it needs 129 MiB: 100 MiB are free, and Domain 0 would give up 29 MiB and have 483 MiB left\n')
    b.run('-N', 'list', status=2, err='lodge: -N (nothing is changed) is only for create; see lodge --help\n')

    b.manager.methods['check'] = {'problems': [
        {'code': 'no-disk', 'message': 'there is no disk.img', 'errno': 2, 'file': path, 'line': 4},
        {'code': 'no-memory', 'message': 'needs 128 MiB, 64 MiB are free', 'errno': 12}], 'warnings': [], 'needed_kib': 131072, 'available_kib': 65536}
    problems = f'lodge: {path}:4: there is no disk.img\nlodge: web1: needs 128 MiB, 64 MiB are free\n'
    b.run('create', '-n', path, status=1, out='', err=problems)
    equal(len(json.loads(b.run('create', '-n', '--json', path, status=1, err=problems))['problems']), 2)


def console_daemon(path, said):
    """Shows what it was asked, says hello, and closes."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def serve():
        for _ in range(2):
            client, _ = server.accept()
            with client, client.makefile('rwb') as f:
                said.append(f.readline())
                f.write(b'hello from the guest\r\n')
    threading.Thread(target=serve, daemon=True).start()
    return server


@test
def console(b):
    said = []
    server = console_daemon(str(b.folder / 'consoled'), said)
    env = {'CONSOLED_SOCKET': str(b.folder / 'consoled')}
    anything = re.compile('')
    # The protocol is the console's own and tested there: what matters is which domain it was asked for.
    subprocess.run([LODGE, 'console', 'db'], capture_output=True, timeout=60, input=b'',
                   env={**env, 'LODGED_SOCKET': b.manager.path}, check=False)
    assert b'12' in said[0], said
    path = b.write('web1', WEB1)
    b.manager.methods['create'] = {'domid': 77, 'uuid': UUID, 'name': 'web1'}
    subprocess.run([LODGE, 'create', '-c', path], capture_output=True, timeout=60, input=b'',
                   env={**env, 'LODGED_SOCKET': b.manager.path}, check=False)
    assert b'77' in said[1], said
    server.close()
    b.run('console', 'nope', status=3, err='lodge: nope: there is no guest nope\n')
    b.manager.methods['list'] = lambda params: listed(params, [])
    b.run('console', 'soon', status=3, err='lodge: soon: there is no such guest\n')
    b.run('domid', 'soon', status=3, err='lodge: soon: there is no such guest\n')
    b.manager.methods['list'] = b.list
    b.run('console', '0', status=1, err="lodge: 0: Domain 0's console is the machine's\n")
    b.run('console', '-t', 'serial', 'db', status=2, err=re.compile('expected pv'))
    b.run('console', '-n', '1', 'db', status=2, err=re.compile('a guest has one'))
    b.run('create', '-c', '--json', path, status=2, err=re.compile('do not go together'))
    b.run('console', '-t', 'pv', '-n0', 'db', status=1, err=anything, env={'CONSOLED_SOCKET': str(b.folder / 'nobody')})


@test
def verbs_and_options(b):
    b.run('li', out=b.run('list'))                  # the beginning of one name only
    b.run('--version', out=f'lodge {(steps.ROOT / "VERSION").read_text().strip()}\n')
    b.run('version', out=f'lodge      {(steps.ROOT / "VERSION").read_text().strip()}\nlodged     0.3\nhypervisor 4.17.7\n')
    equal(json.loads(b.run('version', '--json'))['lodge'], '0.3')
    b.run(status=2, err='lodge: expected a verb, such as lodge list; see lodge --help\n', out='')
    b.run('lst', status=2, err='lodge: there is no verb lst; did you mean list?; see lodge --help\n')
    b.run('frobnicate', status=2, err='lodge: there is no verb frobnicate; see lodge --help\n')
    b.run('re', status=2, err=re.compile('there is no verb re; did you mean re'))
    b.run('list', '--frob', status=2, err='lodge list: there is no option --frob; see lodge list --help\n')
    b.run('list', '-x', status=2, err='lodge list: there is no option -x; see lodge list --help\n')
    b.run('list', '--long=1', status=2, err='lodge list: --long takes no argument; see lodge list --help\n')
    b.run('shutdown', '--timeout', status=2, err='lodge shutdown: --timeout needs an argument, SECONDS; see lodge shutdown --help\n')
    b.run('create', '-f', status=2, err='lodge create: -f needs an argument, FILE; see lodge create --help\n')
    b.run('-x', 'list', status=2, err='lodge: there is no option -x before the verb; see lodge --help\n')
    b.run('pause', '--json', 'web1', status=2, err=re.compile('no option --json'))
    b.run('list', '--', '--json', status=3, err='lodge: --json: there is no guest --json\n')
    b.run('-vf', '-t', 'list')
    p = subprocess.run([LODGE, 'list', b'\xff'], capture_output=True, check=False)
    equal((p.returncode, p.stderr), (2, b'lodge list: operand 1 is not in UTF-8; see lodge list --help\n'))


@test
def help_of_every_verb(b):
    b.manager.methods.clear()
    text = b.run('help')
    equal(b.run('--help'), text)
    verbs = json.loads(b.run('help', '--json'))['verbs']
    equal([v['name'] for v in verbs], sorted(v['name'] for v in verbs))
    for verb in verbs:
        assert re.search(rf'^  {verb["name"]} +\S', text, re.M)
        for words in (verb['name'], '--help'), ('help', verb['name']), (verb['name'], '-h'):
            helped = b.run(*words)
            assert helped.startswith(f'usage: lodge {verb["name"]} [OPTION]...')
        for option in verb['options']:
            assert f'-{option.get("letter", "-" + option.get("name", ""))}' in helped, (verb, option)
    b.asked()
    b.run('help', 'lst', status=2, err='lodge: there is no verb lst; did you mean list?; see lodge --help\n')


@test
def completion_and_manual_know_every_option(b):
    completion = (steps.ROOT / 'tools/lodge/completion.bash').read_text()
    manual = (steps.ROOT / 'docs/man/lodge.md').read_text()
    for verb in json.loads(b.run('help', '--json'))['verbs']:
        section = re.search(rf'^### lodge {verb["name"]}\b.*?(?=^##)', manual, re.M | re.S)
        assert section, f'docs/man/lodge.md has no section of {verb["name"]}'
        for option in verb['options']:
            name = f'--{option["name"]}'
            if option['name'] in ('help', 'json'):
                continue
            assert name in section[0], f'docs/man/lodge.md: {verb["name"]} {name} is missing'
            if 'letter' in option:
                assert f'`-{option["letter"]}`' in section[0], f'docs/man/lodge.md: {verb["name"]} -{option["letter"]} is missing'
    # What bash offers for "lodge VERB --" is what the verb has.
    script = f'''
        source {steps.ROOT}/tools/lodge/completion.bash
        offer() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _lodge; printf '%s\\n' "${{COMPREPLY[@]}}"; }}
        for verb in $(offer lodge ""); do [ $verb = image ] || echo "$verb: $(offer lodge $verb -- | tr '\\n' ' ')"; done
        for verb in $(offer lodge image ""); do echo "image $verb: $(offer lodge image $verb -- | tr '\\n' ' ')"; done
        echo "images: $(offer lodge image remove d | tr '\\n' ' ')"
        echo "from: $(offer lodge new x --from d | tr '\\n' ' ')"
        echo "machines: $(offer lodge remove w | tr '\\n' ' ')"
        echo "guests: $(offer lodge pause w | tr '\\n' ' ')"
        echo "definitions: $(offer lodge create w | tr '\\n' ' ')"
    '''
    b.write('etc/vm/web1', WEB1)
    b.write('etc/web2.cfg', WEB1)
    b.manager.methods['image_list'] = {'images': [{'name': 'debian', 'machines': ['web1', 'db', 'web9']}]}
    p = subprocess.run(['bash', '-c', script], capture_output=True, text=True, cwd=b.folder, check=True,
                       env={'PATH': f'{Path(LODGE).parent}:{os.environ["PATH"]}', 'LODGED_SOCKET': b.manager.path,
                            'LODGE_DEFINITIONS': str(b.folder / 'etc')})
    equal(p.stderr, '')
    offered = {line.split(':')[0]: line.split(':')[1].split() for line in p.stdout.splitlines()}
    equal(offered.pop('images'), ['debian'])
    equal(offered.pop('from'), ['debian'])
    equal(offered.pop('machines'), ['web1', 'web9'])
    equal(offered.pop('guests'), ['web1'])
    equal(offered.pop('definitions'), ['web1', 'web2'])
    verbs = {v['name']: sorted(f'--{o["name"]}' for o in v['options']) for v in json.loads(b.run('help', '--json'))['verbs']}
    equal({verb: sorted(options) for verb, options in offered.items()}, verbs)
    assert completion.startswith('# SPDX')


@test
def no_manager(b):
    nobody = str(b.folder / 'nobody')
    message = f'lodge: the manager does not run (nobody answers at {nobody}); start lodged, or see its log /var/log/lodge/lodged.log\n'
    b.run('list', status=5, err=message, env={'LODGED_SOCKET': nobody})
    b.run('pause', 'a', 'b', status=5, err=message * 2, env={'LODGED_SOCKET': nobody})
    # A socket that nobody listens at any more: its manager was killed, and is waited for a little.
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(b.folder / 'dead'))
    begin = time.monotonic()
    b.run('list', status=5, err=re.compile('the manager does not run'), env={'LODGED_SOCKET': str(b.folder / 'dead')})
    assert 1.5 < time.monotonic() - begin < 20
    dead.close()
    b.run('list', status=5, err=re.compile('too long'), env={'LODGED_SOCKET': 'x' * 200})


@test
def manager_is_started_again(b):
    path = b.folder / 'again'
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))

    def start():
        time.sleep(0.3)
        path.unlink()
        with again:
            ended.wait(30)
    again = FakeManager(path)
    again.methods['list'] = {'guests': []}
    ended = threading.Event()
    thread = threading.Thread(target=start)
    thread.start()
    p = subprocess.run([LODGE, 'list'], capture_output=True, env={'LODGED_SOCKET': str(path)}, timeout=60, check=False)
    ended.set()
    thread.join()
    dead.close()
    assert p.returncode == 0 and p.stdout.startswith(b'Name'), p


@test
def manager_answers_nonsense(b):
    for data, words in ((b'', 'ended before it answered'), (b'{"id": 1', 'ended before it answered'), (b'hello\n', 'cannot be understood'),
                        (b'[]\n', 'it is no object'), (b'{}\n', 'neither result nor error'), (b'{"id": 1, "error": {}}\n', 'without code'),
                        (b'{"id": 7, "result": {}}\n', "another request's")):
        b.manager.methods['list'] = lambda p, data=data: raise_(Raw(data))
        b.run('list', status=5, err=re.compile(words), out='')
    for result in (1, {}, {'guests': 1}, {'guests': [1]}, {'guests': [{}]}, {'guests': [{'domid': 'x', 'name': 7, 'flags': None}]}):
        b.manager.methods['list'] = result
        b.run('list')
        for words in ('domid', 'web1'), ('domname', 'web1'), ('console', 'web1'), ('shutdown', '-a'), ('list', '-v'):
            p = subprocess.run([LODGE, *words], capture_output=True, env={'LODGED_SOCKET': b.manager.path}, timeout=60, check=False)
            assert 0 <= p.returncode <= 5, (words, result, p)


@test
def output_that_cannot_be_written(b):
    with open('/dev/full', 'w') as full:
        p = subprocess.run([LODGE, 'list'], stdout=full, stderr=subprocess.PIPE, env={'LODGED_SOCKET': b.manager.path}, timeout=60, check=False)
    equal((p.returncode, p.stderr), (1, b'lodge: cannot write: No space left on device\n'))


if __name__ == '__main__':
    sys.exit(main())
