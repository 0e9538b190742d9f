# SPDX-License-Identifier: MIT
"""Disks of guests that are qcow2 images: what is in them, what they lie upon, who serves them; images that are no good."""
import os
import subprocess

from guests import TINY, UP, baseline, boot, check_as_before, console_log, create, define, empty_disk, in_guest, lodge, lodge_fails, lodge_json, oops
from harness import check, check_equal, check_sound, test

SMALL = dict(kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4, vif=None)


def servers(m):
    """The processes that serve images: {VDEV: process}."""
    return dict(line.split() for line in m.sh('''
        for p in /proc/[0-9]*; do
            tag=$(tr '\\0' '\\n' 2>/dev/null <$p/cmdline | head -n 1)
            case $tag in lodge:*) echo ${tag##*:} ${p#/proc/} ;; esac
        done''').splitlines())


def nothing_left(m):
    check_equal((servers(m), m.sh('cat /sys/block/nbd*/backend 2>/dev/null || true').strip()), ({}, ''), 'processes and devices left over')


def rebooted(m, name):
    ups = int(m.sh(f'grep -ac {UP!r} {console_log(name)} || true'))
    lodge(m, 'reboot', '-w', name)
    m.sh(f'until [ "$(grep -ac {UP!r} {console_log(name)})" -gt {ups} ]; do usleep 200000; done', 200)


def manager_restarts(m):
    m.sh('kill -9 $(pidof lodged); until lodge list >/dev/null 2>&1; do usleep 100000; done')


@test(timeout=600)
def life(t):
    """A guest writes to one, and finds it there after the manager's death and its own restart; others come and go; nothing is left."""
    m = boot(t, disks=(empty_disk(t.scratch, 'data', 16),))
    m.sh('''mkdir /srv; cd /srv; qemu-img create -q -f qcow2 a.qcow2 64M; qemu-img create -q -f qcow2 /dev/disk/data 1G
        dd if=/dev/urandom of=ro.img bs=1M count=4 2>/dev/null; qemu-img convert -O qcow2 -c ro.img ro.qcow2''')
    create(m, 'g', disk=['/srv/a.qcow2,qcow2,xvda,w', 'format=qcow2,vdev=xvdc,access=r,target=/srv/ro.qcow2', '/srv/ro.qcow2,raw,xvdd,r'])
    check_equal(sorted(servers(m)), ['xvda', 'xvdc'], 'processes')
    check_equal(lodge_json(m, 'block-list', 'g')['guests'][0]['disks'][0]['device'], '/dev/nbd0', 'device')
    sums = in_guest(m, 'g', '''
        mke2fs -F /dev/xvda >/dev/null && mount -t ext4 /dev/xvda /mnt || exit 1
        dd if=/dev/urandom of=/mnt/file bs=1M count=8 2>/dev/null; sync
        sha256sum </mnt/file; sha256sum </dev/xvdc; dd if=/dev/xvdd bs=3 count=1 2>/dev/null; echo
        dd if=/dev/zero of=/dev/xvdc bs=4k count=1 2>&1 | grep -c '1+0 records out' ''' + '|| true').split()
    check_equal(sums[2], m.sh('sha256sum </srv/ro.img').split()[0], 'what the guest reads from the read-only image')
    check_equal(sums[4:], ['QFI', '0'], 'an image that is said to be raw, and a write to the read-only one')
    domid = lodge(m, 'domid', 'g').strip()
    check_equal(m.sh(f'xenstore-read /local/domain/0/backend/vbd/{domid}/51712/feature-flush-cache').strip(), '1', 'flushes')

    check('landlock' in m.sh('mount -t securityfs none /sys/kernel/security && cat /sys/kernel/security/lsm'), 'Debian\'s kernel has no Landlock')
    # The server is nobody, and has no capability but to open files.
    status = m.sh(f'cat /proc/{servers(m)["xvda"]}/status')
    for line in ('Uid:\t65534\t65534\t65534\t65534', 'CapPrm:\t0000000000000002', 'CapBnd:\t0000000000000002', 'NoNewPrivs:\t1', 'Seccomp:\t2'):
        check(line in status, f'{line!r} is not in {status}')
    before = servers(m)
    manager_restarts(m)
    check_equal(servers(m), before, 'processes after the death of the manager')
    define(m, 'other', disk=['/srv/a.qcow2,qcow2,xvda,w'])
    text = lodge_fails(m, 'create', 'other')
    check('/srv/a.qcow2' in text and 'guest g' in text, text)
    lodge(m, 'block-attach', 'g', '/dev/disk/data,qcow2,xvdb,w')     # on a device, and without the host's cache
    hot = in_guest(m, 'g', '''until [ -b /dev/xvdb ]; do usleep 100000; done
        dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
        dd if=/tmp/data of=/dev/xvdb bs=1M seek=900 oflag=direct 2>/dev/null && sha256sum </tmp/data''').split()[0]
    # Its server dies. The guest has been told that all is written, though it has not flushed.
    m.sh(f'kill -9 {servers(m)["xvdb"]}; until grep -q "has died; there is another" /var/log/lodge/lodged.log; do usleep 100000; done')
    check_equal(in_guest(m, 'g', 'echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/xvdb bs=1M skip=900 count=4 2>/dev/null | sha256sum').split()[0], hot,
                'what the guest reads from the next server')
    lodge(m, 'block-detach', 'g', 'xvdb')
    check_equal(sorted(servers(m)), ['xvda', 'xvdc'], 'processes after block-detach')
    check_equal(m.sh('''cd /srv; qemu-img check -q -f qcow2 /dev/disk/data && qemu-img convert -f qcow2 -O raw /dev/disk/data b.img
        dd if=b.img bs=1M skip=900 count=4 2>/dev/null | sha256sum''').split()[0], hot, 'what was written to the image that came and went')

    rebooted(m, 'g')
    found = in_guest(m, 'g', 'mount -t ext4 /dev/xvda /mnt && sha256sum </mnt/file').split()[0]
    check_equal(found, sums[0], 'checksum after the restart')
    lodge(m, 'destroy', 'g')
    nothing_left(m)
    check_equal(m.sh('cd /srv; qemu-img check -q a.qcow2 && qemu-img info -f qcow2 a.qcow2 | grep -c "^virtual size: 64 MiB"').strip(), '1', 'image')
    check_sound(t, m)


@test(timeout=600, long=True)
def overlays(t):
    """Two guests whose images lie upon one base; who may write to it; backing files in other folders, where that is allowed."""
    m = boot(t, files={'tiny.elf': TINY})
    m.sh('''mkdir -p /srv/base /var/lib/lodge/images /etc/lodge; cd /srv
        dd if=/dev/zero of=base.img bs=1M count=32 2>/dev/null; mke2fs -F base.img >/dev/null 2>&1
        mount -t ext4 -o loop base.img /mnt; dd if=/dev/urandom of=/mnt/common bs=1M count=4 2>/dev/null; umount /mnt
        for i in one two; do qemu-img create -q -f qcow2 -b base.img -F raw $i.qcow2; done
        qemu-img create -q -f qcow2 -b two.qcow2 -F qcow2 top.qcow2''')
    base = m.sh('sha256sum </srv/base.img').split()[0]
    create(m, 'one', disk=['/srv/one.qcow2,qcow2,xvda,w'])
    create(m, 'two', disk=['/srv/top.qcow2,qcow2,xvda,w'])
    sums = [in_guest(m, name, f'''mount -t ext4 /dev/xvda /mnt && cat /mnt/common | sha256sum
        dd if=/dev/urandom of=/mnt/{name} bs=1M count=2 2>/dev/null; sync; sha256sum </mnt/{name}; ls /mnt''').split() for name in ('one', 'two')]
    check_equal(sums[0][0], sums[1][0], 'what both find')
    check('one' not in sums[1] and 'two' not in sums[0], f'{sums}: a guest finds what the other one has written')

    # The base is for reading only; what is the top of one is the base of another.
    for disk, says in ((['/srv/base.img,raw,xvda,w'], ('/srv/base.img', 'in use by the guest')), (['/srv/two.qcow2,qcow2,xvda,w'], ('two.qcow2', 'guest two')),
                       (['/srv/base.img,raw,xvda,r', '/srv/one.qcow2,qcow2,xvdb,w'], ('one.qcow2', 'guest one'))):
        define(m, 'third', **{**SMALL, 'disk': disk})
        text = lodge_fails(m, 'create', 'third')
        check(len(text.splitlines()) == 1 and all(s in text for s in says), f'{disk}: {text!r}')
    manager_restarts(m)
    define(m, 'third', **{**SMALL, 'disk': ['/srv/base.img,raw,xvda,w']})
    check('in use by the guest' in lodge_fails(m, 'create', 'third'), 'the base after a restart of the manager')
    m.sh('cd /srv; qemu-img create -q -f qcow2 -b base.img -F raw three.qcow2; cp base.img own.img; qemu-img create -q -f qcow2 -b own.img -F raw own.qcow2')
    define(m, 'third', **{**SMALL, 'disk': ['/srv/three.qcow2,qcow2,xvda,w', '/srv/base.img,raw,xvdb,r']})
    lodge(m, 'create', 'third')
    lodge(m, 'destroy', 'third')
    define(m, 'third', **{**SMALL, 'disk': ['/srv/own.qcow2,qcow2,xvda,w', '/srv/own.img,raw,xvdb,w']})
    check('own.img in two of its disks' in lodge_fails(m, 'create', 'third'), 'a guest that writes to its own base')

    # Another folder: only if the administrator says so.
    m.sh('cp /srv/base.img /srv/base/b.img; cp /srv/base.img /var/lib/lodge/images/b.img; mkdir /srv/g; cd /srv/g; for d in /srv/base /var/lib/lodge/images; do '
         'qemu-img create -q -f qcow2 -b $d/b.img -F raw $(basename $d).qcow2; done')
    define(m, 'third', **{**SMALL, 'disk': ['/srv/g/images.qcow2,qcow2,xvda,w']})
    lodge(m, 'create', 'third')
    lodge(m, 'destroy', 'third')
    define(m, 'third', **{**SMALL, 'disk': ['/srv/g/base.qcow2,qcow2,xvda,w']})
    check('add /srv/base to image_folders' in lodge_fails(m, 'create', 'third'), 'a folder that is not allowed')
    m.sh('echo "image_folders = /srv/none:/srv/base" >/etc/lodge/lodged.conf')
    manager_restarts(m)
    lodge(m, 'create', 'third')
    lodge(m, 'destroy', 'third')
    m.sh('lodge shutdown -w one two')
    nothing_left(m)
    check_equal(m.sh('sha256sum </srv/base.img').split()[0], base, 'the base')
    check_sound(t, m)


def make_bad_images(scratch):
    """On the host, where it takes a moment; names in them are those in Domain 0's /srv."""
    (scratch / 'images').mkdir()
    subprocess.run(['bash', '-ec', r"""
        q() { qemu-img create -q -f qcow2 "$@" >/dev/null; }
        upon() { q $1 2M; qemu-img rebase -u -f qcow2 -b "$2" -F $3 $1; }       # whatever is there
        at() { printf "$3" | dd of=$1 bs=1 seek=$2 conv=notrunc 2>/dev/null; }
        truncate -s 2M raw.img; q base.qcow2 2M; q -b base.qcow2 -F qcow2 top.qcow2
        cp base.qcow2 table.qcow2; at table.qcow2 40 '\377\377\377\377'
        cp base.qcow2 marked.qcow2; at marked.qcow2 79 '\002'
        cp base.qcow2 features.qcow2; at features.qcow2 72 '\200'
        upon missing.qcow2 gone.qcow2 qcow2
        q -o data_file=data.img data.qcow2 2M
        upon shadow.qcow2 /etc/shadow raw
        upon link.qcow2 base.link raw
        upon up.qcow2 ../base.qcow2 qcow2
        upon json.qcow2 'json:{"driver":"raw","file":{"driver":"file","filename":"/etc/shadow"}}' raw
        upon nbd.qcow2 nbd://10.0.2.2/x raw
        upon vmdk.qcow2 raw.img vmdk
        upon guess.qcow2 raw.img raw; sed -i 's/\xe2\x79[*]\xca/\x00\x00\x00\x07/' guess.qcow2
        upon loop1.qcow2 loop2.qcow2 qcow2; upon loop2.qcow2 loop1.qcow2 qcow2; upon self.qcow2 self.qcow2 qcow2"""],
        cwd=scratch / 'images', env={**os.environ, 'LC_ALL': 'C'}, check=True)


@test(timeout=300, long=True)
def bad_images(t):
    """Each kind of image that is no good: one message, and nothing left; with --dry-run too."""
    make_bad_images(t.scratch)
    m = boot(t, files={'tiny.elf': TINY, **{f.name: f for f in (t.scratch / 'images').iterdir()}})
    m.sh(r"""echo 'root:$y$secret:0:0' >/etc/shadow; cp -R /files /srv; cd /srv
        mkdir in; cp missing.qcow2 in; mv up.qcow2 in; ln -s /etc/shadow base.link""")
    define(m, 'bad', **{**SMALL, 'disk': ['/srv/top.qcow2,qcow2,xvda,w']})
    m.sh('lodge create bad && lodge destroy bad')
    before = baseline(m)
    for disk, says in {
        'none.qcow2,qcow2,xvda,w': ('/srv/none.qcow2 does not exist',),
        'raw.img,qcow2,xvda,w': ('/srv/raw.img is no qcow2 image', 'its format is raw'),
        'base.qcow2,qcow2,xvda,w!': ('cannot be shared',),
        'base.qcow2,vhd,xvda,w': ('vhd', 'qemu-img convert'),
        'table.qcow2,qcow2,xvda,w': ('/srv/table.qcow2 cannot be opened: ', 'L1 table'),
        'marked.qcow2,qcow2,xvda,w': ('/srv/marked.qcow2 is marked as damaged', 'qemu-img check -r all'),
        'features.qcow2,qcow2,xvda,w': ('newer version',),
        'in/missing.qcow2,qcow2,xvda,w': ('/srv/in/gone.qcow2', 'does not exist'),
        'data.qcow2,qcow2,xvda,w': ('keeps its data in another file',),
        'shadow.qcow2,qcow2,xvda,r': ('/etc/shadow, which is in another folder', 'image_folders'),
        'link.qcow2,qcow2,xvda,r': ('/srv/base.link, which is in another folder',),
        'in/up.qcow2,qcow2,xvda,w': ('another folder', 'add /srv to image_folders'),
        'json.qcow2,qcow2,xvda,r': ('not the name of a file',),
        'nbd.qcow2,qcow2,xvda,r': ('nbd://10.0.2.2/x', 'not the name of a file'),
        'vmdk.qcow2,qcow2,xvda,r': ('format vmdk',),
        'guess.qcow2,qcow2,xvda,r': ('does not say what format its backing file raw.img has', 'qemu-img rebase'),
        'loop1.qcow2,qcow2,xvda,w': ('/srv/loop1.qcow2 is its own backing file',),
        'self.qcow2,qcow2,xvda,w': ('/srv/self.qcow2 is its own backing file',),
    }.items():
        define(m, 'bad', **{**SMALL, 'disk': [f'/srv/{disk}']})
        for words in ['create', 'bad'], ['create', '--dry-run', 'bad']:
            text = lodge_fails(m, *words)
            check(len(text.splitlines()) == 1 and all(s in text for s in says), f'{words} with {disk}: {text!r}, expected {says}')
    define(m, 'bad', **{**SMALL, 'disk': ['/srv/top.qcow2,qcow2,xvda,w']})
    m.sh('cd /srv; sha256sum base.qcow2 top.qcow2 >/tmp/sums; lodge create --dry-run bad && sha256sum -c /tmp/sums')
    # One that is found out when another is there already.
    define(m, 'bad', **{**SMALL, 'disk': ['/srv/top.qcow2,qcow2,xvda,w', '/srv/table.qcow2,qcow2,xvdb,w']})
    check('L1 table' in lodge_fails(m, 'create', 'bad'), 'the second of two')
    nothing_left(m)

    # Somebody else has it: QEMU's own programs lock it.
    m.sh('cd /srv; qemu-nbd -t -f qcow2 -k /tmp/sock base.qcow2 >/dev/null 2>&1 & until [ -S /tmp/sock ]; do usleep 50000; done')
    define(m, 'bad', **{**SMALL, 'disk': ['/srv/base.qcow2,qcow2,xvda,w']})
    text = lodge_fails(m, 'create', '--dry-run', 'bad')
    check('/srv/base.qcow2 is open in Domain 0 by qemu-nbd' in text, text)
    define(m, 'bad', **{**SMALL, 'disk': ['/srv/top.qcow2,qcow2,xvda,w']})
    text = lodge_fails(m, 'create', 'bad')
    check('/srv/base.qcow2 is open in Domain 0 by qemu-nbd' in text, text)
    m.sh('kill $(pidof qemu-nbd); while pidof qemu-nbd; do usleep 50000; done')
    # No program, no module.
    m.sh('mount --bind /dev/null /usr/bin/qemu-nbd')
    text = lodge_fails(m, 'create', '--dry-run', 'bad')
    check('install the package qemu-utils' in text and len(text.splitlines()) == 1, text)
    m.sh('umount /usr/bin/qemu-nbd; rmmod nbd')
    text = lodge_fails(m, 'create', 'bad')
    check('modprobe nbd' in text and len(text.splitlines()) == 1, text)
    m.sh('modprobe nbd max_part=0 nbds_max=0')
    lodge(m, 'create', 'bad')
    lodge(m, 'destroy', 'bad')
    nothing_left(m)
    check_as_before(m, before, but=('free_kib',))
    check_sound(t, m)


@test(timeout=900, long=True)
def server_killed(t):
    """SIGKILL to the process that serves an image, under a guest that writes to it: with and without a manager. Nothing is lost."""
    m = boot(t)
    m.sh('mkdir /srv; cd /srv; qemu-img create -q -f qcow2 a.qcow2 128M')
    create(m, 'g', disk=['/srv/a.qcow2,qcow2,xvda,w'])
    # A stream that can be made again, written around the cache; from the parts 25 and 50 on when it is told to.
    writer = '''part() { yes "part $1 of the disk" | head -c 1048576; }
        i=0; while [ $i -lt 75 ]; do
            case $i in 25|50) until [ -e /tmp/go$i ]; do usleep 50000; done ;; esac
            part $i | dd of=/dev/xvda bs=1M seek=$i iflag=fullblock oflag=direct conv=notrunc 2>/dev/null || exit 1
            i=$((i + 1)); echo $i >/tmp/at.new; mv /tmp/at.new /tmp/at
        done'''
    in_guest(m, 'g', f"cat >/tmp/writer <<'X'\n{writer}\nX\necho 0 >/tmp/at\n(sh /tmp/writer || echo 1000 >/tmp/at) >/dev/null 2>&1 &")
    at = 'until [ "$(cat /tmp/at)" -ge %d ]; do usleep 100000; done'
    in_guest(m, 'g', at % 5)
    old = servers(m)['xvda']
    m.sh(f'kill -9 {old}')
    in_guest(m, 'g', at % 25, 200)
    m.sh('until [ "$(grep -c "has died; there is another" /var/log/lodge/lodged.log)" = 1 ]; do usleep 100000; done')
    # One that hangs is given up after a time, and replaced.
    old = servers(m)['xvda']
    m.sh(f'kill -STOP {old}')
    in_guest(m, 'g', f'touch /tmp/go25; {at % 50}', 200)
    check(servers(m)['xvda'] != old, 'the same process as before')
    # Without a manager it waits for the next one.
    m.sh(f'kill -9 {servers(m)["xvda"]} $(pidof lodged); until lodge list >/dev/null 2>&1; do usleep 100000; done')
    in_guest(m, 'g', f'touch /tmp/go50; {at % 75}; test $(cat /tmp/at) = 75', 400)
    found = in_guest(m, 'g', 'echo 3 >/proc/sys/vm/drop_caches; head -c 78643200 /dev/xvda | sha256sum', 200).split()[0]
    check_equal(found, in_guest(m, 'g', 'i=0; while [ $i -lt 75 ]; do yes "part $i of the disk" | head -c 1048576; i=$((i + 1)); done | sha256sum', 200).split()[0],
                'what the guest reads')
    check(not oops(m.sh(f'cat {console_log("g")}')), 'the guest complained')
    lodge(m, 'shutdown', '-w', 'g')
    nothing_left(m)
    # 3: space that nobody has, as of a process that was killed between taking it and using it.
    check(m.sh('qemu-img check -q /srv/a.qcow2 >/dev/null 2>&1; echo $?').strip() in ('0', '3'), 'qemu-img check')
    check_sound(t, m)


@test(timeout=600, long=True)
def given_up(t):
    """A process that dies again and again is not replaced for ever: the guest gets errors, and can end."""
    m = boot(t)
    m.sh('mkdir /srv; cd /srv; qemu-img create -q -f qcow2 a.qcow2 128M')
    create(m, 'g2', disk=['/srv/a.qcow2,qcow2,xvda,w'])
    m.sh('''while [ -e /sys/block/nbd0/backend ] && ! grep -q 'is given up' /var/log/lodge/lodged.log; do
            kill -9 $(pidof qemu-nbd) 2>/dev/null; usleep 100000; done''', 300)
    out = in_guest(m, 'g2', 'dd if=/dev/xvda of=/dev/null bs=4k count=1 iflag=direct 2>&1; true')
    check('error' in out, f'reading from a device that is given up: {out}')
    lodge(m, 'destroy', 'g2')
    nothing_left(m)
    check_sound(t, m)


@test(timeout=900, long=True)
def manager_killed(t):
    """SIGKILL to the manager at many moments of a guest's making and end, and of an image's coming and going."""
    m = boot(t, files={'tiny.elf': TINY})
    m.sh('mkdir /srv; cd /srv; qemu-img create -q -f qcow2 a.qcow2 16M; qemu-img create -q -f qcow2 b.qcow2 16M')
    define(m, 'g', **{**SMALL, 'disk': ['/srv/a.qcow2,qcow2,xvda,w']})
    m.sh('lodge create g; lodge block-attach g /srv/b.qcow2,qcow2,xvdb,w; lodge destroy g')
    before = baseline(m)
    for i in range(8):
        m.sh(f'''
            (lodge create -q g; lodge block-attach g /srv/b.qcow2,qcow2,xvdb,w; lodge block-detach -f g xvdb; lodge destroy g) >/dev/null 2>&1 &
            usleep {i * 250000}
            kill -9 $(pidof lodged)
            wait
            until lodge list >/dev/null 2>&1; do usleep 100000; done''', 120)
        wanted = []
        if m.sh('lodge domid g 2>/dev/null || true').strip():
            wanted = [d['vdev'] for d in lodge_json(m, 'config', 'g')['definition'].get('disks', [])]
        check_equal(sorted(servers(m)), sorted(wanted), f'processes, killed after {i * 250} ms')
        check_equal(len(m.sh('cat /sys/block/nbd*/backend 2>/dev/null || true').split()), len(wanted), 'devices')
        m.sh('lodge destroy g 2>/dev/null || true')
        nothing_left(m)
    check_as_before(m, before, but=('files', 'free_kib'))
    check_sound(t, m)
