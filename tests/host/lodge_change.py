# SPDX-License-Identifier: MIT
"""The command line: guests that are changed while they run."""
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'lib'))
from fakemanager import Refused
from lodge_bench import UUID, equal, main, raise_, test

DISK = {'number': 51728, 'vdev': 'xvdb', 'target': '/a b.img', 'access': 'w', 'device': '/dev/loop0', 'backend': 0, 'state': 'connected', 'xenbus_state': 4,
        'event_channel': 13, 'ring_ref': 8, 'path': '/local/domain/0/backend/vbd/1/51728'}
NIC = {'devid': 0, 'mac': '00:16:3e:01:02:03', 'bridge': 'br0', 'interface': 'vif1.0', 'backend': 0, 'state': 'waiting', 'xenbus_state': 2,
       'path': '/local/domain/0/backend/vif/1/0'}


@test
def vcpus_and_memory(b):
    b.manager.methods.update(vcpu_set={}, vcpu_pin={}, mem_set={}, mem_max={})
    b.run('vcpu-set', 'web1', '2', out='')
    b.asked(('vcpu_set', {'guest': 'web1', 'vcpus': 2}))
    b.run('vcpu-set', '-i', '0', '1', out='')
    b.asked(('vcpu_set', {'guest': '0', 'vcpus': 1}))
    for wrong in '0', 'two', '-1', '513', '1x', '':
        b.run('vcpu-set', 'web1', '--', wrong, status=2,
              err=f'lodge vcpu-set: found "{wrong}", expected a number of vCPUs from 1 to 512; see lodge vcpu-set --help\n')
        b.asked()
    b.run('vcpu-pin', 'web1', 'all', '0-3,^2', out='')
    b.asked(('vcpu_pin', {'guest': 'web1', 'vcpu': 'all', 'hard': '0-3,^2'}))
    b.run('vcpu-pin', 'web1', '1', '-', 'all', out='')
    b.asked(('vcpu_pin', {'guest': 'web1', 'vcpu': '1', 'soft': 'all'}))
    b.run('vcpu-pin', '-f', 'web1', '1', '0', '1', out='')
    b.asked(('vcpu_pin', {'guest': 'web1', 'vcpu': '1', 'hard': '0', 'soft': '1'}))
    b.run('vcpu-pin', 'web1', 'x', '0', status=2, err=re.compile('found "x", expected the number of a vCPU, or all'))
    b.run('vcpu-pin', 'web1', '1', '0-', status=2, err=re.compile('found "0-", expected a list such as'))
    b.run('vcpu-pin', 'web1', '1', '-', status=2, err=re.compile('changes nothing'))
    b.run('vcpu-pin', 'web1', '1', status=2, err=re.compile('expected GUEST VCPU CPUS'))
    for size, kib in (('512', 524288), ('512m', 524288), ('512M', 524288), ('2g', 2097152), ('100000k', 100000), ('4194304b', 4096), ('16t', 1 << 34),
                      ('16777216', 1 << 34)):
        b.run('mem-set', 'web1', size, out='')
        b.asked(('mem_set', {'guest': 'web1', 'memory_kib': kib}))
    b.run('mem-max', 'web1', '1g', out='')
    b.asked(('mem_max', {'guest': 'web1', 'maxmem_kib': 1048576}))
    for wrong in '', '0', 'x', '1x', '1mm', '-1', '1.5g', '17t', '16777217', '99999999999999999999999', '100b', ' 5':
        b.run('mem-set', 'web1', '--', wrong, status=2, err=re.compile('lodge mem-set: found "' + re.escape(wrong) + '", expected a size'))
        b.asked()
    b.manager.methods['mem_set'] = lambda p: raise_(Refused('out-of-range', 'web1 can have at most 512 MiB', 22))
    b.run('mem-set', 'web1', '513', status=1, err='lodge: web1: web1 can have at most 512 MiB\n')


@test
def disks(b):
    b.manager.methods['block_attach'] = DISK
    wanted = {'target': '/dev/x', 'vdev': 'xvdb', 'format': 'raw', 'readonly': True}
    for words in ('phy:/dev/x,xvdb,r',), ('phy:/dev/x', 'xvdb', 'r'), ('vdev=xvdb', 'access=ro', 'target=/dev/x'), ('/dev/x,,xvdb', 'ro'):
        b.run('block-attach', 'web1', *words, out='xvdb is attached to web1\n')
        b.asked(('block_attach', {'guest': 'web1', 'disk': wanted}))
    b.run('block-attach', 'web1', 'x.img,raw,xvdb,w')     # from here
    equal(b.manager.requests[0][1]['disk']['target'], str(b.folder / 'x.img'))
    equal(json.loads(b.run('block-attach', '--json', 'web1', '/x,raw,xvdb,w')), DISK)
    b.run('block-attach', 'web1', '/x,raw,foo,w', status=4, err=re.compile('^lodge: command line: disk "/x,raw,foo,w": found "foo" as its device, expected .*\n$'))
    b.asked()
    b.run('block-attach', 'web1', status=2, err='lodge block-attach: expected GUEST DISK...; see lodge block-attach --help\n')
    b.manager.methods['block_attach'] = lambda p: raise_(Refused('disk-in-use', 'the disk /x is open for writing by the guest db', 16))
    b.run('block-attach', 'web1', '/x,raw,xvdb,w', status=1, err='lodge: web1: the disk /x is open for writing by the guest db\n')

    b.manager.methods['block_detach'] = {}
    b.run('block-detach', 'web1', 'xvdb', out='')
    b.asked(('block_detach', {'guest': 'web1', 'vdev': 'xvdb', 'force': False}))
    b.run('block-detach', '--force', 'web1', '51728', out='')
    b.asked(('block_detach', {'guest': 'web1', 'vdev': '51728', 'force': True}))

    b.manager.methods['cd_insert'] = {**DISK, 'vdev': 'xvdc', 'target': '/x.iso'}
    for words, wanted in ((('xvdc', '/x.iso'), {'vdev': 'xvdc', 'target': '/x.iso', 'format': 'raw'}), (('51744', 'file:/x,y.iso'), {'vdev': '51744', 'target': '/x,y.iso', 'format': 'raw'}),
                          (('xvdc', 'qcow2:/x.qcow2'), {'vdev': 'xvdc', 'target': '/x.qcow2', 'format': 'qcow2'})):
        b.run('cd-insert', 'web1', *words, out='web1 has /x.iso in its drive xvdc\n')
        b.asked(('cd_insert', {'guest': 'web1', 'disk': {**wanted, 'readonly': True, 'cdrom': True}}))
    b.run('cd-insert', 'web1', 'xvdc', 'x.iso')
    equal(b.manager.requests[0][1]['disk']['target'], str(b.folder / 'x.iso'))
    for words in ('cd0', '/x.iso'), ('xvdc,access=w', '/x.iso'), ('xvdc', ''):
        b.run('cd-insert', 'web1', *words, status=2, err=re.compile('^lodge cd-insert: .*expected .*\n$'))
    b.manager.methods['cd_eject'] = {}
    b.run('cd-eject', 'web1', 'xvdc', out='')
    b.asked(('cd_eject', {'guest': 'web1', 'vdev': 'xvdc', 'force': False}))
    b.run('cd-eject', '-f', 'web1', 'xvdc', out='')
    b.asked(('cd_eject', {'guest': 'web1', 'vdev': 'xvdc', 'force': True}))

    empty = {k: v for k, v in DISK.items() if k not in ('event_channel', 'ring_ref')}
    def listed(params):
        return {'domid': b.find(params)[0]['domid'], 'name': 'web1', 'disks': [DISK, {**empty, 'target': 'a\x1b[2J'}]}
    b.manager.methods['block_list'] = listed
    head = 'Vdev   BE  handle state evt-ch ring-ref BE-path                                  Device Access Target\n'
    lines = ('51728  0   1      4     13     8        /local/domain/0/backend/vbd/1/51728      xvdb   w      /a b.img\n'
             '51728  0   1      4     -1     -1       /local/domain/0/backend/vbd/1/51728      xvdb   w      a?[2J\n')
    b.run('block-list', 'web1', out=head + lines)
    b.run('block-list', 'nope', 'web1', status=3, err='lodge: nope: there is no guest nope\n', out=head + lines)
    equal(json.loads(b.run('block-list', '--json', 'web1')), {'guests': [listed({'guest': 'web1'})]})


@test
def network_interfaces(b):
    b.manager.methods['network_attach'] = NIC
    for words in ('bridge=br0,mac=0:16:3e:1:2:3',), ('bridge=br0', 'mac=0:16:3e:1:2:3'):
        b.run('network-attach', 'web1', *words, out='network interface 0 (00:16:3e:01:02:03) is attached to web1\n')
        b.asked(('network_attach', {'guest': 'web1', 'nic': {'bridge': 'br0', 'mac': '00:16:3e:01:02:03'}}))
    b.run('network-attach', 'web1')
    b.asked(('network_attach', {'guest': 'web1', 'nic': {}}))
    b.run('network-attach', 'web1', 'vlan=3', err='lodge: command line: warning: vif "vlan=3": vlan is not used\n')
    b.run('network-attach', 'web1', 'brige=br0', status=4, err='lodge: command line: vif "brige=br0": there is no key brige; did you mean bridge?\n')
    equal(json.loads(b.run('network-attach', '--json', 'web1')), NIC)
    b.manager.methods['network_detach'] = {}
    b.run('network-detach', 'web1', '1', out='')
    b.asked(('network_detach', {'guest': 'web1', 'nic': '1', 'force': False}))
    b.manager.methods['network_rate'] = {}
    b.run('network-rate', 'web1', '0', '1MB/s@20ms', out='')
    b.asked(('network_rate', {'guest': 'web1', 'nic': '0', 'rate_bytes': 20000, 'rate_interval_us': 20000}))
    b.run('network-rate', 'web1', '00:16:3e:01:02:03', 'none', out='')
    b.asked(('network_rate', {'guest': 'web1', 'nic': '00:16:3e:01:02:03'}))
    for wrong in '', 'fast', '5', '1MB/s,bridge=x', '1MB/s@20ms' + ' ' * 60:
        b.run('network-rate', 'web1', '0', wrong, status=2, err=re.compile('expected a rate such as'))
    b.manager.methods['network_list'] = {'domid': 1, 'name': 'web1', 'nics': [NIC]}
    b.run('network-list', 'web1', out='Idx BE  Mac Addr.         handle state evt-ch tx-/rx-ring-ref BE-path                            Interface       Bridge\n'
          '0   0   00:16:3e:01:02:03 0      2     -1     -1/-1           /local/domain/0/backend/vif/1/0    vif1.0          br0\n')
    equal(json.loads(b.run('network-list', '--json', 'web1')), {'guests': [b.manager.methods['network_list']]})


@test
def config(b):
    definition = {'name': 'web1', 'uuid': UUID, 'type': 'pv', 'kernel': '/k', 'memory_kib': 131072, 'maxmem_kib': 262144, 'vcpus': 1, 'maxvcpus': 2,
                  'cpus': ['0', 'all'], 'disks': [{'target': '/x.img', 'vdev': 'xvda', 'format': 'raw'}],
                  'nics': [{'mac': '00:16:3e:01:02:03'}, {'mac': '00:16:3e:01:02:04', 'devid': 3}],
                  'on_poweroff': 'destroy', 'on_reboot': 'restart', 'on_crash': 'destroy', 'on_watchdog': 'destroy'}
    b.manager.methods['definition'] = {'definition': definition}
    text = b.run('config', 'web1')
    b.asked(('definition', {'guest': 'web1'}))
    for line in 'name = "web1"', 'memory = 128', 'disk = [ "format=raw,vdev=xvda,access=rw,target=/x.img" ]', '\t"mac=00:16:3e:01:02:04,devid=3",':
        assert line in text.splitlines(), f'{line!r} is not in {text}'
    equal(json.loads(b.run('config', '--json', 'web1')), {'definition': definition})
    # The same guest can be made of it.
    path = b.write('again', text)
    b.manager.methods['create'] = {'domid': 3, 'uuid': UUID, 'name': 'web1'}
    b.run('create', '-q', path, out='')
    made = b.manager.requests[0][1]['definition']
    for item in made['disks'] + made['nics']:
        del item['line']
    equal({k: v for k, v in made.items() if k != 'file'}, definition)
    b.manager.methods['definition'] = lambda p: raise_(Refused('not-managed', 'domain 0 was not made by Lodge', 1))
    b.run('config', '0', status=1, err='lodge: 0: domain 0 was not made by Lodge\n')


if __name__ == '__main__':
    sys.exit(main())
