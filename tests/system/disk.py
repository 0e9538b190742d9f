# SPDX-License-Identifier: MIT
"""Data on a virtio-blk disk: written, the machine restarted, read back."""
import hashlib

from harness import check_dom0_healthy, check_equal, test

MIB = 1 << 20
DISK_SIZE = 192 * MIB
RAW_OFFSET = 128 * MIB      # behind the file system
RAW_SIZE = 32 * MIB


@test(timeout=300)
def survives_reboot(t):
    disk = t.scratch / 'disk.img'
    with open(disk, 'wb') as f:
        f.truncate(DISK_SIZE)
    m = t.boot_dom0(disk=disk)
    sums = m.sh(f'''
        set -e
        dd if=/dev/urandom of=/tmp/data bs=1M count={RAW_SIZE // MIB} 2>/dev/null
        dd if=/tmp/data of=/dev/vda bs=1M seek={RAW_OFFSET // MIB} 2>/dev/null
        mke2fs -F /dev/vda {RAW_OFFSET // 1024} >/dev/null
        mount -t ext4 /dev/vda /mnt
        for i in 1 2 3 4 5 6 7 8; do
            mkdir -p /mnt/$i/a/b
            dd if=/tmp/data of=/mnt/$i/a/b/file bs=1M count=4 skip=$i 2>/dev/null
        done
        sync
        sha256sum /tmp/data | cut -d" " -f1
        cd /mnt; find . -type f | sort | xargs sha256sum''', timeout=120)
    m.sh('reboot')
    check_equal(m.wait_event('RESET', 60)['reason'], 'guest-reset', 'reason of the reset')
    m.wait_agent()
    again = m.sh(f'''
        mount -t ext4 /dev/vda /mnt || exit 1
        dd if=/dev/vda bs=1M skip={RAW_OFFSET // MIB} count={RAW_SIZE // MIB} 2>/dev/null | sha256sum | cut -d" " -f1
        cd /mnt; find . -type f | sort | xargs sha256sum''', timeout=120)
    check_equal(again, sums, 'checksums after the restart')
    check_dom0_healthy(m)
    m.sh('poweroff')
    m.wait_exit(60)
    with open(disk, 'rb') as f:
        f.seek(RAW_OFFSET)
        check_equal(hashlib.sha256(f.read(RAW_SIZE)).hexdigest(), sums.split()[0], 'checksum of the disk file')


@test(timeout=300, long=True)
def parallel_writers(t):
    """Several processes write and read back at once, past the page cache."""
    disk = t.scratch / 'disk.img'
    with open(disk, 'wb') as f:
        f.truncate(DISK_SIZE)
    m = t.boot_dom0(disk=disk, cpus=2)
    m.sh('''
        worker() {
            dd if=/dev/urandom of=/tmp/data$1 bs=1M count=8 2>/dev/null
            for round in 1 2 3; do
                dd if=/tmp/data$1 of=/dev/vda bs=64k seek=$(($1 * 128)) oflag=direct conv=notrunc 2>/dev/null || exit 1
                dd if=/dev/vda bs=64k skip=$(($1 * 128)) count=128 iflag=direct 2>/dev/null | cmp - /tmp/data$1 || exit 1
            done
        }
        jobs=
        for i in 0 1 2 3 4 5; do worker $i & jobs="$jobs $!"; done
        for j in $jobs; do wait $j || exit 1; done''', timeout=200)
    check_dom0_healthy(m)
