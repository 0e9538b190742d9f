# SPDX-License-Identifier: MIT
"""Disks of guests: devices and files, read-only and shared; what is written is there after a reboot, whatever goes on around it."""
from guests import TINY, UP, boot, console_log, create, define, empty_disk, in_guest, lodge, lodge_fails, lodge_json
from harness import check, check_dom0_healthy, check_equal, check_sound, test

MIB = 512


@test(timeout=600)
def kinds(t):
    """A device, a file, a read-only disk; a disk in use is refused; a shared one is not."""
    m = boot(t, disks=(empty_disk(t.scratch, 'data', 64),), files={'tiny.elf': TINY})
    m.sh('''dd if=/dev/urandom of=/tmp/ro.img bs=1M count=4 2>/dev/null
            dd if=/dev/zero of=/tmp/rw.img bs=1M count=16 2>/dev/null''')
    disks = ['phy:/dev/disk/data,xvda,w', 'file:/tmp/rw.img,xvdb,w', '/tmp/ro.img,raw,xvdc,r']
    create(m, 'disky', memory=160, disk=disks)
    check_equal(in_guest(m, 'disky', 'cat /sys/block/xvd*/size /sys/block/xvd*/ro').split(),
                [str(64 << 11), str(16 << 11), str(4 << 11), '0', '0', '1'], 'sizes and read-only flags')
    sums = in_guest(m, 'disky', '''
        for d in xvda xvdb; do
            mke2fs -F /dev/$d >/dev/null || exit 1
            mkdir -p /mnt/$d; mount -t ext4 /dev/$d /mnt/$d || exit 1
            dd if=/dev/urandom of=/mnt/$d/file bs=1M count=8 2>/dev/null
        done
        sync
        cat /mnt/xvda/file | sha256sum; cat /mnt/xvdb/file | sha256sum; sha256sum </dev/xvdc''').split()
    check_equal(m.sh('sha256sum </tmp/ro.img').split()[0], sums[4], 'what the guest reads from the read-only disk')
    check(in_guest(m, 'disky', 'dd if=/dev/zero of=/dev/xvdc bs=4k count=1 2>&1; true').count('1+0 records out') == 0,
          'a write to a read-only disk went through')

    # In use: by name of the guest that has it; sharing is for those who say so.
    define(m, 'second', kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4, vif=None, disk=['/tmp/rw.img,raw,xvda,rw'])
    text = lodge_fails(m, 'create', 'second')
    check('/tmp/rw.img' in text and 'disky' in text, f'disk in use: {text!r}')
    lodge(m, 'create', 'second', 'disk=["/tmp/ro.img,raw,xvda,r"]')
    lodge(m, 'destroy', 'second')

    lodge(m, 'shutdown', '-w', 'disky')
    check_equal(m.sh('''
        for f in /dev/disk/data /tmp/rw.img; do mount -t ext4 -o ro $f /mnt && sha256sum </mnt/file && umount /mnt || exit 1; done''').split(),
                sums[:4], 'what Domain 0 finds on the disks')
    check_equal(m.sh('losetup -a').strip(), '', 'loop devices left over')
    create(m, 'one', disk=['/tmp/rw.img,raw,xvda,w!'], up=UP)
    create(m, 'two', disk=['/tmp/rw.img,raw,xvda,w!'], up=UP)
    m.sh('lodge destroy one two')
    check_dom0_healthy(m)


@test(timeout=600, long=True)
def persistent_grants(t):
    """Off, unless the manager's settings say otherwise; the data is right both ways."""
    m = boot(t)
    m.sh('dd if=/dev/urandom of=/tmp/disk.img bs=1M count=8 2>/dev/null; mkdir -p /etc/lodge')
    for name, settings, wanted in (('mapped', '', '0'), ('persistent', 'persistent_grants = yes', '1')):
        m.sh(f'echo "{settings}" >/etc/lodge/lodged.conf; kill -9 $(pidof lodged)')
        create(m, name, disk=['/tmp/disk.img,raw,xvda,rw'])
        backend = f'/local/domain/0/backend/vbd/{lodge(m, "domid", name).strip()}/51712'
        check_equal(m.sh(f'xenstore-read {backend}/feature-persistent').strip(), wanted, f'feature-persistent with {settings!r}')
        check_equal(in_guest(m, name, 'sha256sum </dev/xvda').split()[0], m.sh('sha256sum </tmp/disk.img').split()[0], 'what the guest reads')
        written = in_guest(m, name, 'dd if=/dev/urandom of=/dev/xvda bs=1M count=8 oflag=direct 2>/dev/null; sha256sum </dev/xvda').split()[0]
        lodge(m, 'destroy', name)
        check_equal(m.sh('sha256sum </tmp/disk.img').split()[0], written, 'what the guest has written')
    check_dom0_healthy(m)


@test(timeout=900, long=True)
def survives_all(t):
    """512 MiB written with checksums while guests come and go, read back after the guest's reboot."""
    m = boot(t, disks=(empty_disk(t.scratch, 'data', MIB + 16),), files={'tiny.elf': TINY}, memory='1G')
    create(m, 'writer', disk=['phy:/dev/disk/data,xvda,w'])
    define(m, 'tiny', kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4, vif=[''])
    m.sh('''(while [ ! -e /tmp/stop ]; do lodge create -q tiny && lodge destroy tiny || echo failed; done) >/tmp/churn 2>&1 &''')
    # A stream that can be made again: AES in counter mode would be better, but busybox has none.
    write = f'''
        part() {{ yes "part $1 of a guest's disk" | head -c 8388608; }}
        i=0
        while [ $i -lt {MIB // 8} ]; do
            part $i | dd of=/dev/xvda bs=1M seek=$((i * 8)) iflag=fullblock conv=notrunc 2>/dev/null || exit 1
            part $i | sha256sum >>/tmp/sums
            i=$((i + 1))
        done
        sync
        sha256sum </tmp/sums'''
    expected = in_guest(m, 'writer', write, 600)
    lodge(m, 'reboot', '-w', 'writer')
    m.sh(f'until [ "$(grep -ac {UP!r} {console_log("writer")})" -ge 2 ]; do usleep 200000; done', 200)
    found = in_guest(m, 'writer', f'''
        i=0
        while [ $i -lt {MIB // 8} ]; do
            dd if=/dev/xvda bs=1M skip=$((i * 8)) count=8 2>/dev/null | sha256sum >>/tmp/sums
            i=$((i + 1))
        done
        sha256sum </tmp/sums''', 600)
    check_equal(found, expected, 'checksums after the reboot')
    m.sh('touch /tmp/stop; while lodge domid tiny >/dev/null 2>&1; do usleep 200000; done; sleep 1')
    check_equal(m.sh('cat /tmp/churn').strip(), '', 'guests that came and went')
    lodge(m, 'shutdown', '-w', 'writer')
    check_sound(t, m)


@test(timeout=900, long=True)
def many(t):
    """A guest with 120 disks has them all."""
    m = boot(t, memory='3G', hv_args='dom0_mem=1G')
    m.sh('mkdir /tmp/many; for i in $(seq 120); do dd if=/dev/zero of=/tmp/many/$i.img bs=64k count=1 2>/dev/null; done')
    names = [f'xvd{a}{b}' for a in 'abcd' for b in 'abcdefghijklmnopqrstuvwxyz'] + [f'xvd{c}' for c in 'abcdefghijklmnop']
    create(m, 'hoard', memory=512, disk=[f'/tmp/many/{i + 1}.img,raw,{name},w' for i, name in enumerate(names[:120])], timeout=400)
    check_equal(in_guest(m, 'hoard', 'ls /sys/block | grep -c ^xvd').strip(), '120', 'disks')
    check_equal(len(lodge_json(m, 'block-list', 'hoard')['guests'][0]['disks']), 120, 'disks in the list')
    lodge(m, 'destroy', 'hoard')
    check_equal(m.sh('losetup -a').strip(), '', 'loop devices')
    check_sound(t, m)
