# SPDX-License-Identifier: MIT
"""Machines from images: `lodge image`, `lodge new`, `lodge remove`; what is left when somebody is killed, and what is refused."""
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import qemu
from guests import TEMPLATE, UP, address, baseline, boot, check_as_before, console_log, empty_disk, guests, in_guest, lodge, lodge_fails, lodge_json, oops, wait_console
from harness import check, check_equal, check_sound, test

KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1bq2mWkqA7Xo6jT0Y3vD2pN8kRz5uLhQe4sG9cVbXy student@school'
SMALL = ('--kernel', '/boot/vmlinuz', '--ramdisk', '/boot/guest.gz', '--cmdline', 'console=hvc0 AGENT=1')


def put_room(m):
    """The disk that is called so is for images and machines."""
    m.sh('''mke2fs -F /dev/disk/room >/dev/null 2>&1 && mkdir /room && mount -t ext4 /dev/disk/room /room
        mkdir /room/images /room/machines && ln -s /room/images /room/machines /var/lib/lodge''')


def boot_with_room(t, mib=512, **config):
    m = boot(t, disks=(empty_disk(t.scratch, 'room', mib),), **config)
    put_room(m)
    return m


def all_files(m):
    """What there is of images and machines."""
    return m.sh('cd /room; find images machines -mindepth 1 2>/dev/null | sort; ls -A /etc/xen/vm').split()


def import_small(m, name='small'):
    """An image with a small disk, with something in it; machines start from the kernel and initramfs of image/guest/."""
    m.sh('yes "of the image" | head -c 1048576 >/tmp/small.img; dd if=/dev/zero of=/tmp/small.img bs=1M seek=16 count=0 2>/dev/null')
    lodge(m, 'image', 'import', '-q', *SMALL, '/tmp/small.img', name)
    m.sh('rm /tmp/small.img')


def classroom(t, students, **config):
    m = boot_with_room(t, **config)
    import_small(m)
    before, files = baseline(m), all_files(m)
    m.sh(f'''for i in $(seq {students}); do
            lodge new -q --from small --memory 80 --user student --ssh-key '{KEY}' student$i && lodge create -q student$i || exit 1
        done''', 60 + 20 * students)
    names = [f'student{i + 1}' for i in range(students)]
    for name in names:
        wait_console(m, name, UP, 60 + 20 * students)
    check_equal(sorted(guests(m)), sorted(names), 'guests')
    addresses = {address(m, name) for name in names}
    check_equal(len(addresses), students, 'addresses')
    # By name; each writes its own, and reads the image's.
    for name in names:
        m.sh(f'ping -c 1 -W 10 {name} >/dev/null')
        out = in_guest(m, name, f'''echo "of {name}" | dd of=/dev/xvda conv=notrunc 2>/dev/null; sync; echo 3 >/proc/sys/vm/drop_caches
            head -n 2 /dev/xvda | cut -c1-20; cat /sys/block/xvdp/ro; strings /dev/xvdp | grep -c local-hostname''')
        check(out.startswith(f'of {name}\n') and out.endswith('1\n1\n'), f'in {name}: {out!r}')
    shown = lodge_json(m, 'image', 'list')['images'][0]
    check_equal(shown['machines'], sorted(names), 'who lies upon the image')
    check('student1' in lodge_fails(m, 'image', 'remove', 'small', status=1), 'an image that is needed was removed')
    lodge_fails(m, 'remove', '--yes', 'student1', status=1)
    m.sh(f'for i in $(seq {students}); do lodge destroy student$i && lodge remove --yes student$i || exit 1; done', 60 + 10 * students)
    check_equal(guests(m), {}, 'guests')
    check_equal(all_files(m), files, 'files')
    check_as_before(m, before, but=('files', 'free_kib', 'devices'))
    lodge(m, 'image', 'remove', 'small')
    check_equal(m.sh('find /room/images /room/machines -mindepth 1').split(), [], 'left')
    check_sound(t, m)


@test(timeout=600)
def few(t):
    """Three machines from one image, in a loop: each with its own disk, address and name; then gone, and nothing is left."""
    classroom(t, 3)


@test(timeout=2400, long=True)
def classroom_of_30(t):
    """The same with thirty."""
    classroom(t, 30, memory='4G')


# --- Debian ---

LOGIN = ' login: '


def boot_with_template(t, **config):
    """Domain 0 with room for large images, the parts of one of Debian, and a client of SSH with a key."""
    shutil.copyfile('/usr/bin/ssh', t.scratch / 'ssh')
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'tester "at": home', '-f', t.scratch / 'key'], check=True)
    files = {'kernel': TEMPLATE / 'kernel', 'ramdisk': TEMPLATE / 'ramdisk', 'ssh': t.scratch / 'ssh', 'key': t.scratch / 'key', 'key.pub': t.scratch / 'key.pub'}
    for library in re.findall(r'(/\S+) \(0x', subprocess.run(['ldd', '/usr/bin/ssh'], capture_output=True, text=True, check=True).stdout):
        files[Path(library).name] = Path(library)
    m = boot(t, files=files, disks=(empty_disk(t.scratch, 'room', 6144), qemu.Disk(TEMPLATE / 'disk', 'template', readonly=True)), **config)
    put_room(m)
    m.sh('''mkdir -p /root/.ssh; install -m 700 /files/ssh /bin/ssh; install -m 600 /files/key /root/.ssh/id_ed25519''')
    return m


def ssh(m, user, name, command, timeout=120):
    """The output of a command in the machine, as that user. It may not have its keys yet."""
    return m.sh(f'''try() {{ LD_LIBRARY_PATH=/files ssh -n -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR {user}@{name} {shlex.quote(command)}; }}
        for i in $(seq 60); do try 2>/tmp/ssh.why && exit 0; sleep 2; done; cat /tmp/ssh.why; exit 1''', timeout + 240)


@test(timeout=1800, long=True, template=True)
def debian(t):
    """Debian's image imported; a machine from it has its name, its user with a key, a larger disk, keys of its own; removed, nothing is left."""
    m = boot_with_template(t)
    lodge(m, 'image', 'import', '-q', '--kernel', '/files/kernel', '--ramdisk', '/files/ramdisk', '--cmdline', 'root=/dev/xvda ro console=hvc0',
          '/dev/disk/template', 'debian', timeout=600)
    files = all_files(m)
    for name in ('one', 'two'):
        lodge(m, 'new', '--from', 'debian', '--size', '3G', '--user', 'ada', '--ssh-key', '/files/key.pub', name)
    keys = set()
    for name in ('one', 'two'):
        lodge(m, 'create', '-q', name)
        wait_console(m, name, f'{name}{LOGIN}', 400)
        found = ssh(m, 'ada', name, 'hostname; id -un; sudo id -un; df -m / | tail -n 1; cat /etc/machine-id; cat /etc/ssh/ssh_host_ed25519_key.pub')
        lines = found.splitlines()
        check_equal(lines[:3], [name, 'ada', 'root'], 'the machine, the user, who he may become')
        check(int(lines[3].split()[1]) > 2700, f'the file system is not as large as the disk: {lines[3]}')
        keys |= set(lines[4:])
        check('!' in ssh(m, 'ada', name, 'sudo grep ^ada: /etc/shadow').split(':')[1], 'ada has a password')
        check_equal(ssh(m, 'ada', name, 'systemctl is-system-running --wait; systemctl --failed --no-legend || true').split(), ['running'], 'systemd')
        check(not oops(m.sh(f'cat {console_log(name)}')), 'the guest complained')
    check_equal(len(keys), 4, 'keys and machine ids of two machines')
    # Started again, it is what it was.
    ssh(m, 'ada', 'one', 'echo kept | sudo tee /root/file')
    lodge(m, 'shutdown', '-w', 'one', '--timeout', '200', timeout=300)
    lodge(m, 'create', '-q', 'one')
    check_equal(ssh(m, 'ada', 'one', 'sudo cat /root/file; cat /etc/machine-id').split()[0], 'kept', 'a file after another start')
    for name in ('one', 'two'):
        lodge(m, 'destroy', name)
        lodge(m, 'remove', '--yes', name)
    check_equal(all_files(m), files, 'files')
    check_sound(t, m)


@test(timeout=1800, long=True, template=True)
def grub(t):
    """The same disk without a kernel beside it: PV GRUB finds the one in the disk. Exported, it is what it was."""
    m = boot_with_template(t)
    lodge(m, 'image', 'import', '-q', '/dev/disk/template', 'debian', timeout=600)
    lodge(m, 'new', '--from', 'debian', '--user', 'ada', '--ssh-key', '/files/key.pub', 'one')
    lodge(m, 'create', '-q', 'one')
    wait_console(m, 'one', f'one{LOGIN}', 600)
    check_equal(ssh(m, 'ada', 'one', 'hostname').split(), ['one'], 'host name')
    lodge(m, 'destroy', 'one')
    lodge(m, 'remove', '--yes', 'one')
    lodge(m, 'image', 'export', '-q', '--format', 'raw', 'debian', '/room/out.img', timeout=600)
    m.sh('cmp /room/out.img /dev/disk/template', 600)
    check_sound(t, m)
