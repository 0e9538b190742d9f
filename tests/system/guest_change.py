# SPDX-License-Identifier: MIT
"""A guest that is changed while it runs: vCPUs, memory, disks, network interfaces; and the same after a restart."""
import json
import re

from guests import (TINY, UP, baseline, boot, check_as_before, console_log, create, define, differences, empty_disk, guests, in_guest, lodge,
                    lodge_fails, lodge_json, oops, wait_console)
from harness import check, check_dom0_healthy, check_equal, check_sound, test

NO_GUEST, BAD_DEFINITION, USAGE, FAILED = 3, 4, 2, 1
SMALL = dict(kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4, vif=None)


def config(m, name):
    return lodge_json(m, 'config', name)['definition']


def rebooted(m, name):
    """Reboot it, and wait until it is up again."""
    ups = int(m.sh(f'grep -ac {UP!r} {console_log(name)} || true'))
    lodge(m, 'reboot', '-w', name)
    m.sh(f'until [ "$(grep -ac {UP!r} {console_log(name)})" -gt {ups} ]; do usleep 200000; done', 200)


def refused(m, *words, says, status=FAILED):
    text = lodge_fails(m, *words, status=status)
    check(len(text.splitlines()) == 1 and all(s in text for s in says), f'lodge {" ".join(map(str, words))} says {text!r}, expected {says}')


def mem_total(m, name):
    return int(in_guest(m, name, "awk '/MemTotal/ { print $2 }' /proc/meminfo"))


def wait_memory(m, name, kib):
    m.sh(f'''until lodge list --json {name} | grep -q '"memory_kib": {kib},'; do usleep 200000; done''', 120)


@test(timeout=600, long=True)
def vcpus(t):
    """vCPUs come and go in the guest's own eyes, and are where they are pinned."""
    m = boot(t)
    create(m, 'g', vcpus=2, maxvcpus=4)
    check_equal(in_guest(m, 'g', 'nproc').strip(), '2', 'processors in the beginning')
    lodge(m, 'vcpu-set', 'g', 1)
    in_guest(m, 'g', 'until [ $(nproc) = 1 ]; do usleep 100000; done')
    m.sh('''until lodge list --json g | grep -q '"vcpus": 1,'; do usleep 200000; done''', 60)
    # A kernel has those that come; whether it uses them at once is for its user space to say.
    lodge(m, 'vcpu-set', 'g', 4)
    in_guest(m, 'g', '''for n in 1 2 3; do
            until [ -e /sys/devices/system/cpu/cpu$n/online ]; do usleep 100000; done
            until echo 1 >/sys/devices/system/cpu/cpu$n/online; do usleep 100000; done
        done 2>/dev/null; test $(nproc) = 4''')
    check_equal(guests(m)['g']['vcpus'], 4, 'vCPUs online')
    refused(m, 'vcpu-set', 'g', 5, says=('1 to 4', 'maxvcpus'))
    refused(m, 'vcpu-set', 'g', 0, says=('found "0"',), status=USAGE)

    lodge(m, 'vcpu-pin', 'g', 'all', 0)
    lodge(m, 'vcpu-pin', 'g', 2, 1, 1)
    lodge(m, 'vcpu-pin', 'g', 3, '-', '0')
    pins = [(v['affinity_hard'], v['affinity_soft']) for v in lodge_json(m, 'vcpu-list', 'g')['guests'][0]['vcpus']]
    check_equal(pins, [('0', 'all'), ('0', 'all'), ('1', '1'), ('0', '0')], 'affinities')
    in_guest(m, 'g', 'taskset -c 2 sh -c "i=0; while [ \\$i -lt 20000 ]; do i=\\$((i + 1)); done"')
    check_equal([v['cpu'] for v in lodge_json(m, 'vcpu-list', 'g')['guests'][0]['vcpus']], [0, 0, 1, 0], 'where they run')
    refused(m, 'vcpu-pin', 'g', 0, 7, says=('none of the processors 7', '0 to 1'), status=BAD_DEFINITION)
    refused(m, 'vcpu-pin', 'g', 4, 'all', says=('0 to 3',))
    refused(m, 'vcpu-pin', 'g', 'one', 'all', says=('one',), status=USAGE)
    refused(m, 'vcpu-pin', 'g', 0, '0-', says=('0-',), status=USAGE)
    check_equal((config(m, 'g')['cpus'], config(m, 'g')['vcpus']), (['0', '0', '1', '0'], 4), 'running definition')

    # It is the guest that was changed: a restart changes nothing of that.
    lodge(m, 'vcpu-set', 'g', 3)
    rebooted(m, 'g')
    check_equal(in_guest(m, 'g', 'nproc').strip(), '3', 'processors after a restart')
    check_equal([v['affinity_hard'] for v in lodge_json(m, 'vcpu-list', 'g')['guests'][0]['vcpus']], ['0', '0', '1', '0'], 'after a restart')
    # Domain 0's own.
    lodge(m, 'vcpu-set', 0, 1)
    m.sh('until [ $(nproc) = 1 ]; do usleep 100000; done')
    lodge(m, 'vcpu-pin', 'Domain-0', 0, 1)
    check_equal(lodge_json(m, 'vcpu-list', 0)['guests'][0]['vcpus'][0]['affinity_hard'], '1', "Domain 0's affinity")
    check(not oops(m.sh(f'cat {console_log("g")}')), 'the guest complained')
    check_sound(t, m)


@test(timeout=600, long=True)
def memory(t):
    """Memory goes down and up for the guest, the hypervisor and Domain 0 alike; the limit holds."""
    m = boot(t, hv_args='dom0_mem=512M,max:512M')
    create(m, 'g', memory=192, maxmem=256)
    before = mem_total(m, 'g')
    lodge(m, 'mem-set', 'g', 128)
    wait_memory(m, 'g', 128 << 10)
    check(before - 65536 - 4096 <= mem_total(m, 'g') <= before - 65536 + 4096, f'MemTotal {before} -> {mem_total(m, "g")}, expected 64 MiB less')
    lodge(m, 'mem-set', 'g', f'{224 << 10}k')
    wait_memory(m, 'g', 224 << 10)
    check(before + 32768 - 4096 <= mem_total(m, 'g') <= before + 32768 + 4096, f'MemTotal {before} -> {mem_total(m, "g")}, expected 32 MiB more')
    refused(m, 'mem-set', 'g', 257, says=('at most 256 MiB', 'mem-max g'))
    for size in ('0', 'lots', '12q', '-5', '99999999999999999999', '20000t', '1.5g'):
        refused(m, 'mem-set', 'g', '--', size, says=(size,), status=USAGE)
    refused(m, 'mem-set', 'g', '100k', says=('at least 1 MiB',))
    refused(m, 'mem-max', 'g', 200, says=('224 MiB now', 'mem-set g'))
    lodge(m, 'mem-max', 'g', '4g')
    check_equal(guests(m)['g']['maxmem_kib'], 4 << 20, 'limit')
    refused(m, 'mem-set', 'g', 3 << 10, says=('needs', 'MiB more', 'are free'))
    lodge(m, 'mem-max', 'g', '224m')
    check_equal((config(m, 'g')['memory_kib'], config(m, 'g')['maxmem_kib']), (224 << 10, 224 << 10), 'running definition')
    # The guest cannot have more than that, whatever it tries.
    in_guest(m, 'g', 'echo 262144 >/sys/devices/system/xen_memory/xen_memory0/target_kb; sleep 3')
    check_equal(guests(m)['g']['memory_kib'], 224 << 10, 'memory of a guest that wants more')
    rebooted(m, 'g')
    check_equal(guests(m)['g']['memory_kib'], 224 << 10, 'memory after a restart')

    dom0 = lodge_json(m, 'list', 0)['guests'][0]
    lodge(m, 'mem-set', 0, (dom0['memory_kib'] >> 10) - 64)
    wait_memory(m, 0, dom0['memory_kib'] - 65536)
    lodge(m, 'mem-set', 'Domain-0', dom0['memory_kib'] >> 10)
    wait_memory(m, 0, dom0['memory_kib'])
    check_equal(dom0['maxmem_kib'], 512 << 10, "Domain 0's limit")
    refused(m, 'mem-set', 0, 513, says=('at most 512 MiB', 'dom0_mem='))
    refused(m, 'mem-set', 0, 16, says=('at least 128 MiB',))
    refused(m, 'mem-max', 0, 4096, says=('Domain 0',))
    check_sound(t, m)


def disks_in_store(m, name):
    domid = lodge(m, 'domid', name).strip()
    return m.sh(f'xenstore-list /local/domain/0/backend/vbd/{domid} 2>/dev/null || true').split()


@test(timeout=600)
def disk(t):
    """A disk comes, is written, goes, and has in it what was written; what is wrong is said; what the guest holds on to is said too."""
    m = boot(t, disks=(empty_disk(t.scratch, 'data', 16),), files={'tiny.elf': TINY})
    m.sh('dd if=/dev/zero of=/tmp/hot.img bs=1M count=16 2>/dev/null; dd if=/dev/urandom of=/tmp/ro.img bs=1M count=2 2>/dev/null')
    create(m, 'g')
    before = baseline(m)
    check_equal(lodge(m, 'block-attach', 'g', '/tmp/hot.img,raw,xvdb,w').strip(), 'xvdb is attached to g', 'block-attach')
    check_equal(json.loads(lodge(m, 'block-attach', '--json', 'g', 'phy:/dev/disk/data', 'xvdc', 'w'))['vdev'], 'xvdc', 'block-attach --json')
    m.sh('cd /tmp && lodge block-attach g ro.img,,51776,r')
    sums = in_guest(m, 'g', '''
        until [ -b /dev/xvdb ] && [ -b /dev/xvdc ] && [ -b /dev/xvde ]; do usleep 100000; done
        mke2fs -F /dev/xvdb >/dev/null 2>&1 && mount -t ext4 /dev/xvdb /mnt || exit 1
        dd if=/dev/urandom of=/mnt/file bs=1M count=8 2>/dev/null; sha256sum </mnt/file; umount /mnt
        dd if=/dev/urandom of=/dev/xvdc bs=1M count=16 2>/dev/null; sha256sum </dev/xvdc; sha256sum </dev/xvde''').split()[::2]
    found = lodge_json(m, 'block-list', 'g')['guests'][0]['disks']
    check_equal([(d['number'], d['state'], d['access'], d['target']) for d in found],
                [(51728, 'connected', 'w', '/tmp/hot.img'), (51744, 'connected', 'w', '/dev/disk/data'), (51776, 'connected', 'r', '/tmp/ro.img')], 'disks')
    lines = lodge(m, 'block-list', 'g').splitlines()
    check(re.match(r'Vdev +BE +handle state evt-ch ring-ref BE-path', lines[0]) and re.match(r'51728 +0 +\d+ +4 +\d+ +\d+ +/local', lines[1]),
          f'block-list: {lines}')
    check_equal([d['vdev'] for d in config(m, 'g')['disks']], ['xvdb', 'xvdc', '51776'], 'disks of the running definition')

    # What is wrong.
    define(m, 'other', **{**SMALL, 'disk': ['/tmp/hot.img,raw,xvda,rw']})
    text = lodge_fails(m, 'create', 'other')
    check('/tmp/hot.img' in text and 'guest g' in text, text)
    refused(m, 'block-attach', 'g', '/tmp/none.img,raw,xvdd,w', says=('/tmp/none.img', 'does not exist'))
    refused(m, 'block-attach', 'g', '/tmp/ro.img,raw,xvdb,r', says=('xvdb already', 'block-list g'))
    refused(m, 'block-attach', 'g', '/tmp/hot.img,raw,xvdd,w', says=('/tmp/hot.img already', 'xvdb'))
    refused(m, 'block-attach', 'g', '/tmp/ro.img,raw,xvdzzzzzzz,r', says=('xvdzzzzzzz',), status=BAD_DEFINITION)
    refused(m, 'block-attach', 'g', '/tmp/ro.img', says=('no device name',), status=BAD_DEFINITION)
    refused(m, 'block-attach', 'g', '/tmp/ro.img,script=block-none,vdev=xvdd', says=('block-none',))
    refused(m, 'block-attach', 'nobody', '/tmp/ro.img,raw,xvdd,r', says=('nobody',), status=NO_GUEST)
    refused(m, 'block-attach', 0, '/tmp/ro.img,raw,xvdd,r', says=('Domain 0',))
    refused(m, 'block-detach', 'g', 'xvdz', says=('g has no disk', 'block-list g'))
    refused(m, 'block-detach', 'g', 'disk9', says=('disk9',))

    # A guest that cannot let go, and one that does. A file that has been let go of is free.
    lodge(m, 'pause', 'g')
    refused(m, 'block-detach', 'g', 'xvdb', says=('paused', '--force'))
    lodge(m, 'unpause', 'g')
    lodge(m, 'block-detach', 'g', 'xvdb')
    lodge(m, 'block-detach', 'g', 51744)
    check_equal(m.sh('''mount -t ext4 -o ro /tmp/hot.img /mnt && sha256sum </mnt/file && umount /mnt
        sha256sum </dev/disk/data; sha256sum </tmp/ro.img''').split()[::2], sums, 'what Domain 0 finds on the disks')
    in_guest(m, 'g', 'while [ -b /dev/xvdb ] || [ -b /dev/xvdc ]; do usleep 100000; done')
    lodge(m, 'create', 'other')
    lodge(m, 'destroy', 'other')
    # One that hangs on for good is taken away by force: a frontend that is not answered for because its guest stands still.
    lodge(m, 'pause', 'g')
    lodge(m, 'block-detach', '--force', 'g', 'xvde')
    lodge(m, 'unpause', 'g')
    in_guest(m, 'g', 'while [ -b /dev/xvde ]; do usleep 100000; done')
    check_equal(config(m, 'g').get('disks', []), [], 'disks of the running definition in the end')
    after = baseline(m)
    left = [n for n in set(after['store']) - set(before['store']) if not re.search(r'/(backend|device)(/vbd)?(/\d+)?$', n)]
    rest = differences(before, after, but=('store', 'free_kib'))
    check(not left and not rest, f'left: {left}, {rest}')

    # What was attached is the guest's over a restart.
    lodge(m, 'block-attach', 'g', '/tmp/hot.img,raw,xvdb,w')
    rebooted(m, 'g')
    check_equal(in_guest(m, 'g', 'mount -t ext4 /dev/xvdb /mnt && sha256sum </mnt/file').split()[0], sums[0], 'what the guest reads after a restart')
    m.sh('lodge config g >/tmp/again; grep -F target=/tmp/hot.img /tmp/again')
    # Linux lets go of what is mounted; what it had written is there.
    lodge(m, 'block-detach', 'g', 'xvdb')
    in_guest(m, 'g', 'while [ -b /dev/xvdb ]; do usleep 100000; done')
    lodge(m, 'destroy', 'g')
    m.sh(f'rm {console_log("g")}; lodge create /tmp/again')
    wait_console(m, 'g', UP)
    check_equal(in_guest(m, 'g', 'mount -t ext4 -o ro /dev/xvdb /mnt && sha256sum </mnt/file').split()[0], sums[0], 'what is on the disk')
    lodge(m, 'destroy', 'g')
    check_equal(m.sh('losetup -a').strip(), '', 'loop devices left over')

    # A guest whose definition is gone just when it is asked for, as when it ends at that moment.
    define(m, 'other', **SMALL)
    lodge(m, 'create', 'other')
    m.sh(f'xenstore-rm /lodge/guest/{guests(m)["other"]["uuid"]}/definition')
    refused(m, 'config', 'other', says=('other has ended',), status=NO_GUEST)
    lodge(m, 'destroy', 'other')
    check_sound(t, m)


@test(timeout=400, long=True)
def holds_on(t):
    """A guest that does not let go, and one that writes nonsense where it says what it does."""
    m = boot(t, files={'tiny.elf': TINY})
    m.sh('dd if=/dev/zero of=/tmp/hot.img bs=1M count=1 2>/dev/null')
    define(m, 'tiny', **SMALL)
    lodge(m, 'create', 'tiny')
    lodge(m, 'block-attach', 'tiny', '/tmp/hot.img,raw,xvdb,w')
    lodge(m, 'network-attach', 'tiny')
    domid = lodge(m, 'domid', 'tiny').strip()
    check_equal(lodge_json(m, 'block-list', 'tiny')['guests'][0]['disks'][0]['state'], 'waiting', 'state of a disk that the guest does not take')
    frontend = f'/local/domain/{domid}/device/vbd/51728'
    # Closing, for ever; the connection it tells of is none.
    m.sh(f"xenstore-write {frontend}/state 5 {frontend}/event-channel 'x[2J' {frontend}/ring-ref none")
    refused(m, 'block-detach', 'tiny', 'xvdb', says=('20 seconds', 'unmount', '--force'))
    check_equal((len(config(m, 'tiny')['disks']), disks_in_store(m, 'tiny')), (1, ['51728']), 'disk of a guest that does not let go')
    check('-1     -1' in lodge(m, 'block-list', 'tiny'), 'block-list')
    lodge(m, 'block-detach', '-f', 'tiny', 'xvdb')
    check_equal((config(m, 'tiny').get('disks'), disks_in_store(m, 'tiny'), m.sh('losetup -a')), (None, [], ''), 'disk that was taken away')
    # The manager is killed while it waits for the guest: the disk stays, and can still be taken away.
    lodge(m, 'block-attach', 'tiny', '/tmp/hot.img,raw,xvdb,w')
    m.sh(f"""xenstore-write {frontend}/state 5
        lodge block-detach tiny xvdb >/dev/null 2>&1 &
        until xenstore-ls /lodge/guest | grep 'change = "ask vbd 51728'; do usleep 50000; done
        kill -9 $(pidof lodged); wait
        until lodge list >/dev/null 2>&1; do usleep 100000; done""")
    consistent(m, 'tiny')
    check_equal(len(config(m, 'tiny')['disks']), 1, 'disks')
    check_equal(m.sh(f'xenstore-read /local/domain/0/backend/vbd/{domid}/51728/online').strip(), '1', 'online')
    for state in 'nonsense', '', '-1', '99999999999999999999', '0':
        m.sh(f"xenstore-write -- {frontend}/state '{state}'")
        lodge(m, 'block-list', 'tiny')
    m.sh(f'xenstore-rm {frontend}')
    lodge(m, 'block-detach', 'tiny', 'xvdb')
    lodge(m, 'network-detach', 'tiny', 0)
    lodge(m, 'destroy', 'tiny')
    check_equal(m.sh('losetup -a; ls /sys/bus/xen-backend/devices').strip(), '', 'devices left over')
    check_dom0_healthy(m)


@test(timeout=600, long=True)
def network(t):
    """A network interface comes, carries pings and data, and goes; by number and by address; the other stays as it was."""
    m = boot(t)
    m.sh('ip link add br7 type bridge; ip addr add 10.77.0.1/24 dev br7; ip link set br7 up')
    create(m, 'g')
    first = config(m, 'g')['nics'][0]['mac']
    one = lodge_json(m, 'network-attach', 'g', 'bridge=br7', 'mac=00:16:3e:00:77:02')
    check_equal((one['devid'], one['mac'], one['bridge']), (1, '00:16:3e:00:77:02', 'br7'), 'network-attach')
    in_guest(m, 'g', '''until [ -e /sys/class/net/eth1 ]; do usleep 100000; done
        grep -x 00:16:3e:00:77:02 /sys/class/net/eth1/address && ip addr add 10.77.0.2/24 dev eth1 && ip link set eth1 up
        until ping -c 1 -W 1 10.77.0.1; do :; done''')
    m.sh('ping -c 1 -W 10 10.77.0.2')
    sums = m.sh('dd if=/dev/urandom of=/tmp/data bs=1M count=2 2>/dev/null; sha256sum </tmp/data').split()[0]
    in_guest(m, 'g', '{ sleep 1000 | nc -l -p 7000 >/tmp/in; } >/dev/null 2>&1 & until grep -q :1B58 /proc/net/tcp*; do usleep 10000; done')
    m.sh('nc 10.77.0.2 7000 </tmp/data')
    check_equal(in_guest(m, 'g', 'until [ $(stat -c %s /tmp/in) -ge 2097152 ]; do usleep 10000; done; sha256sum </tmp/in').split()[0], sums, 'data')
    # In the internal network, with nothing said. The guest's name is its first interface's there.
    check('network interface 2' in lodge(m, 'network-attach', 'g'), 'network-attach')
    in_guest(m, 'g', 'until [ -e /sys/class/net/eth2 ]; do usleep 100000; done')
    found = lodge_json(m, 'network-list', 'g')['guests'][0]['nics']
    check_equal([(n['devid'], n['bridge'], n['state']) for n in found], [(0, 'lodge0', 'connected'), (1, 'br7', 'connected'), (2, 'lodge0', 'connected')],
                'interfaces')
    lines = lodge(m, 'network-list', 'g').splitlines()
    check(lines[0].startswith('Idx BE  Mac Addr.') and re.match(r'1 +0 +00:16:3e:00:77:02 +1 +4 +\d+ +\d+/\d+ +/local', lines[2]), f'network-list: {lines}')

    refused(m, 'network-attach', 'g', 'bridge=br8', says=('no bridge br8',))
    refused(m, 'network-attach', 'g', 'mac=00:16:3e:00:77:02', says=('00:16:3e:00:77:02',), status=BAD_DEFINITION)
    refused(m, 'network-attach', 'g', 'devid=1', says=('interface 1 already',))
    refused(m, 'network-attach', 'g', 'colour=red', says=('colour',), status=BAD_DEFINITION)
    refused(m, 'network-detach', 'g', 7, says=('no network interface 7',))
    refused(m, 'network-detach', 'g', '00:16:3e:00:77:09', says=('00:16:3e:00:77:09',))
    refused(m, 'network-detach', 'g', 'eth1', says=('eth1', 'MAC'))

    lodge(m, 'network-detach', 'g', '00:16:3E:00:77:02')
    in_guest(m, 'g', 'while [ -e /sys/class/net/eth1 ]; do usleep 100000; done')
    check_equal([(n.get('devid', 0), n['mac']) for n in config(m, 'g')['nics']][0], (0, first), 'the first interface')
    check_equal([n.get('devid', 0) for n in config(m, 'g')['nics']], [0, 2], 'numbers of those that are left')
    # The number that is free is given again, and numbers stay over a restart.
    check('network interface 1' in lodge(m, 'network-attach', 'g', 'bridge=br7,mac=00:16:3e:00:77:03'), 'network-attach')
    lodge(m, 'network-detach', 'g', 1)
    rebooted(m, 'g')
    check_equal([n['devid'] for n in lodge_json(m, 'network-list', 'g')['guests'][0]['nics']], [0, 2], 'numbers after a restart')
    addresses = {n['interface']: n['address'] for n in lodge_json(m, 'info', 'g')['nics']}
    check(addresses[f'vif{lodge(m, "domid", "g").strip()}.0'] in m.sh('nslookup g'), 'the name of the guest')
    lodge(m, 'network-detach', 'g', 0)
    check(addresses[f'vif{lodge(m, "domid", "g").strip()}.2'] in m.sh('nslookup g'), 'the name of the guest without its first interface')
    lodge(m, 'network-detach', 'g', 2)
    check_equal(config(m, 'g').get('nics'), None, 'interfaces in the end')
    lodge(m, 'destroy', 'g')
    check_equal(m.sh('ls /sys/class/net | grep vif || true').strip(), '', 'interfaces left over')
    check_sound(t, m)


@test(timeout=400, long=True)
def rate(t):
    """A rate holds from the moment it is set, and no longer than that."""
    m = boot(t)
    size, rate, burst = 512 << 10, 125000, 128 << 10        # the kernel lets 128 KiB go at once
    create(m, 'g')
    in_guest(m, 'g', f'dd if=/dev/zero of=/run/www/data bs=1k count={size >> 10}')
    fetch = 'cut -d" " -f1 /proc/uptime; wget -q -O /tmp/data http://g/data; cut -d" " -f1 /proc/uptime'
    m.sh(fetch, 200)
    lodge(m, 'network-rate', 'g', 0, '1Mb/s')
    check_equal((config(m, 'g')['nics'][0]['rate_bytes'], lodge_json(m, 'network-list', 'g')['guests'][0]['nics'][0]['rate']), (6250, '6250,50000'), 'rate')
    before, after = m.sh(fetch, 200).split()
    check_equal(m.sh('stat -c %s /tmp/data').strip(), str(size), 'bytes')
    took, least = float(after) - float(before), (size - burst) / rate
    check(took >= 0.95 * least, f'{size} bytes at {rate} a second took {took} s')
    lodge(m, 'network-rate', 'g', config(m, 'g')['nics'][0]['mac'], 'none')
    check(not {'rate_bytes', 'rate'} & {*config(m, 'g')['nics'][0], *lodge_json(m, 'network-list', 'g')['guests'][0]['nics'][0]}, 'rate in the end')
    m.sh(fetch, 200)
    refused(m, 'network-rate', 'g', 1, '1Mb/s', says=('no network interface 1',))
    lodge(m, 'destroy', 'g')


def consistent(m, name):
    """What the definition has, the nodes have, and nothing else."""
    wanted = config(m, name)
    check_equal(disks_in_store(m, name), ['51728' for _ in wanted.get('disks', [])], 'disks in the store')
    check_equal(len(m.sh('losetup -a').splitlines()), len(wanted.get('disks', [])), 'loop devices')
    domid = lodge(m, 'domid', name).strip()
    nics = m.sh(f'xenstore-list /local/domain/0/backend/vif/{domid} 2>/dev/null || true').split()
    check_equal(sorted(nics), [str(n.get('devid', 0)) for n in wanted.get('nics', [])], 'interfaces in the store')


def kill_in_between(t, daemon, times, step):
    """Kill it at many moments of attaching and detaching: each device is there as a whole, or not at all, and the guest goes on."""
    m = boot(t)
    m.sh('dd if=/dev/zero of=/tmp/hot.img bs=1M count=4 2>/dev/null')
    create(m, 'g', memory=192)        # its kernel has a MiB less after each interface that came and went
    m.sh('lodge block-attach g /tmp/hot.img,raw,xvdb,w && lodge network-attach g && lodge block-detach g xvdb && lodge network-detach g 1')
    before = baseline(m)
    for i in range(times):
        m.sh(f'''
            (lodge block-attach g /tmp/hot.img,raw,xvdb,w; lodge network-attach g
             lodge block-detach g xvdb; lodge network-detach g 1) >/dev/null 2>&1 &
            usleep {i * step}
            kill -9 $(pidof {daemon})
            wait
            until lodge list >/dev/null 2>&1; do usleep 100000; done''', 120)
        check(not oops(m.sh(f'tail -n 50 {console_log("g")}')), 'the guest complained')
        consistent(m, 'g')
        for verb, device, there in (('block-detach', 'xvdb', config(m, 'g').get('disks')), ('network-detach', 1, config(m, 'g')['nics'][1:])):
            if there:
                lodge(m, verb, 'g', device)
    m.sh('lodge block-attach g /tmp/hot.img,raw,xvdb,w && lodge network-attach g')
    in_guest(m, 'g', 'until [ -b /dev/xvdb ] && [ -e /sys/class/net/eth1 ]; do usleep 100000; done')
    m.sh('kill -9 $(pidof lodged)')
    m.sh('until lodge list >/dev/null 2>&1; do usleep 100000; done')
    consistent(m, 'g')
    in_guest(m, 'g', 'dd if=/dev/zero of=/dev/xvdb bs=1M count=4 oflag=direct 2>/dev/null')
    m.sh('lodge block-detach g xvdb && lodge network-detach g 1')
    in_guest(m, 'g', 'while [ -b /dev/xvdb ] || [ -e /sys/class/net/eth1 ]; do usleep 100000; done')
    check_as_before(m, before, but=('files', 'free_kib'))
    check(not oops(m.sh(f'cat {console_log("g")}')), 'the guest complained')
    lodge(m, 'shutdown', '-w', 'g')
    check_sound(t, m)


@test(timeout=900, long=True)
def manager_killed(t):
    """SIGKILL to the manager while devices come and go."""
    kill_in_between(t, 'lodged', 16, 20000)


@test(timeout=900, long=True)
def store_killed(t):
    """SIGKILL to the store while devices come and go."""
    kill_in_between(t, 'stored', 8, 40000)


@test(timeout=900, long=True)
def cd(t):
    """A CD drive that is empty at first: media come, change and go, whatever dies; the drive stays."""
    m = boot(t)
    m.sh('''mkdir /srv; cd /srv; for i in one two; do dd if=/dev/urandom of=$i.iso bs=2k count=500 2>/dev/null; done
        dd if=/dev/zero of=fs.iso bs=1M count=4 2>/dev/null; mke2fs -F fs.iso >/dev/null 2>&1; qemu-img convert -O qcow2 two.iso two.qcow2''')
    one, two = (m.sh(f'sha256sum </srv/{name}.iso').split()[0] for name in ('one', 'two'))
    create(m, 'g', disk=[',,xvdc:cdrom,r', 'file:/srv/one.iso,xvdd:cdrom,r', '/srv/fs.iso,raw,xvde,rw'])
    check_equal(disks_in_store(m, 'g'), ['51760', '51776'], 'an empty drive is no device')
    check_equal(in_guest(m, 'g', 'test ! -b /dev/xvdc && cat /sys/block/xvdd/ro && sha256sum </dev/xvdd').split()[:2], ['1', one], 'what the guest has')
    check_equal(lodge(m, 'cd-insert', 'g', 'xvdc', '/srv/one.iso').strip(), 'g has /srv/one.iso in its drive xvdc', 'cd-insert')
    read = 'until [ -b /dev/xvdc ]; do usleep 100000; done; sha256sum </dev/xvdc'
    check_equal(in_guest(m, 'g', read).split()[0], one, 'the first medium')
    # Another one in its place, of another size and format.
    m.sh('cd /srv && lodge cd-insert g xvdc qcow2:two.qcow2')
    check_equal(in_guest(m, 'g', read).split()[0], two, 'the second medium')
    check_equal([(d['vdev'], d['target'], d['format']) for d in config(m, 'g')['disks'][:1]], [('xvdc', '/srv/two.qcow2', 'qcow2')], 'running definition')

    # What is wrong changes nothing.
    refused(m, 'cd-insert', 'g', 'xvdc', '/srv/none.iso', says=('/srv/none.iso', 'does not exist'))
    refused(m, 'cd-insert', 'g', 'xvdc', '/srv/fs.iso', says=('/srv/fs.iso already', 'xvde'))
    m.sh("cd /srv; qemu-img create -q -f qcow2 bad.qcow2 1M; printf '\\377\\377' | dd of=bad.qcow2 bs=1 seek=40 conv=notrunc 2>/dev/null")
    refused(m, 'cd-insert', 'g', 'xvdc', 'qcow2:/srv/bad.qcow2', says=('/srv/bad.qcow2', 'L1 table'))
    refused(m, 'cd-insert', 'g', 'xvde', '/srv/one.iso', says=('xvde', 'no CD drive', 'block-attach'))
    refused(m, 'cd-eject', 'g', 'xvde', says=('xvde', 'no CD drive'))
    refused(m, 'cd-eject', 'g', 'xvdz', says=('no disk',))
    refused(m, 'cd-eject', 'g', 'cd0', says=('cd0',))
    refused(m, 'cd-insert', 'g', 'cd0', '/srv/one.iso', says=('cd0',), status=USAGE)
    refused(m, 'cd-insert', 'g', 'xvdc', '', says=('name of a file',), status=USAGE)
    lodge(m, 'pause', 'g')
    refused(m, 'cd-eject', 'g', 'xvdc', says=('paused', '--force'))
    lodge(m, 'unpause', 'g')
    check_equal(in_guest(m, 'g', read).split()[0], two, 'the second medium')

    # It stays over a restart of the guest, and so does an empty drive.
    rebooted(m, 'g')
    check_equal(in_guest(m, 'g', read).split()[0], two, 'the second medium, after a restart')
    lodge(m, 'cd-eject', 'g', 'xvdc')
    lodge(m, 'cd-eject', 'g', 'xvdc')
    in_guest(m, 'g', 'while [ -b /dev/xvdc ]; do usleep 100000; done')
    check_equal(m.sh('qemu-img info /srv/two.qcow2 >/dev/null; cat /sys/block/nbd*/backend 2>/dev/null || true').strip(), '', 'devices')
    rebooted(m, 'g')
    check_equal(disks_in_store(m, 'g'), ['51760', '51776'], 'an empty drive after a restart')
    m.sh('lodge config g >/tmp/again; lodge create --dry-run /tmp/again name=h uuid=5a7fa3a4-8a91-4d09-9a53-6e4b0fd08a11 disk=[\\",,xvdc:cdrom,r\\"] vif=[]')
    check_equal(config(m, 'g')['disks'][0], {'vdev': 'xvdc', 'format': 'empty', 'readonly': True, 'cdrom': True}, 'an empty drive in the definition')
    # The manager is killed in between: the drive is there, full or empty.
    for i in range(4):
        m.sh(f"""(lodge cd-insert g xvdc /srv/one.iso; lodge cd-insert g xvdc /srv/two.iso; lodge cd-eject g xvdc) >/dev/null 2>&1 &
            usleep {i * 300000}; kill -9 $(pidof lodged); wait; until lodge list >/dev/null 2>&1; do usleep 100000; done""")
        drive = config(m, 'g')['disks'][0]
        check_equal((drive['vdev'], '51744' in disks_in_store(m, 'g')), ('xvdc', 'target' in drive), 'the drive')
    lodge(m, 'cd-insert', 'g', 'xvdc', '/srv/two.iso')
    check_equal(in_guest(m, 'g', read).split()[0], two, 'what was inserted in the end')
    # A drive can come and go as a whole.
    lodge(m, 'block-attach', 'g', ',,xvdf,cdrom')
    lodge(m, 'cd-insert', 'g', 'xvdf', '/srv/one.iso')
    lodge(m, 'block-detach', 'g', 'xvdf')
    lodge(m, 'block-attach', 'g', ',,xvdf,cdrom')
    lodge(m, 'block-detach', 'g', 'xvdf')
    check_equal([d['vdev'] for d in config(m, 'g')['disks']], ['xvdc', 'xvdd', 'xvde'], 'disks in the end')
    check(not oops(m.sh(f'cat {console_log("g")}')), 'the guest complained')
    lodge(m, 'destroy', 'g')
    check_equal(m.sh('losetup -a; cat /sys/block/nbd*/backend 2>/dev/null || true').strip(), '', 'devices left over')
    check_sound(t, m)
