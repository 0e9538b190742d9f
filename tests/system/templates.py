# SPDX-License-Identifier: MIT
"""Machines from images: `lodge image`, `lodge new`, `lodge remove`; what is left when somebody is killed, and what is refused."""
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import qemu
from guests import DEBIAN, TEMPLATE, UP, address, baseline, boot, check_as_before, console_log, empty_disk, guests, in_guest, lodge, lodge_fails, lodge_json, oops, wait_console
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
    # The first of all leaves the parents of its nodes in the store.
    m.sh('lodge new -q --from small --memory 96 first; lodge create -q -p first; lodge destroy first; lodge remove --yes first')
    before, files = baseline(m), all_files(m)
    m.sh(f'''for i in $(seq {students}); do
            lodge new -q --from small --memory 96 --user student --ssh-key '{KEY}' student$i && lodge create -q student$i || exit 1
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
    shown = lodge_json(m, 'image-list')['images'][0]
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


# --- what is refused, and what is cut off ---

BUILDER = '''#!/bin/sh
# usage: small OUT SIZE_KIB [release=…] …
out=$1 size=$2
shift 2
echo "builder: $*" >&2
echo '10 making a disk'
case "$*" in
*release=wait*) sleep 7654 & sh -c 'sleep 7655; true' ;;
*release=fails*) mount -t tmpfs none $out; echo "E: it does not want to" >&2; exit 3 ;;
esac
dd if=/dev/zero of=$out/disk bs=1k seek=$size count=0 2>/dev/null
yes built | head -c 1000000 | dd of=$out/disk conv=notrunc 2>/dev/null
cp /boot/vmlinuz $out/kernel
cp /boot/guest.gz $out/ramdisk
printf 'system=Small 1\\ncmdline=console=hvc0 AGENT=1\\n' >$out/about
echo '80 done'
'''
SLEEPERS = "ps w | grep -cE '[s]leep 765[45]$' || true"


def put_builder(m):
    m.sh(f'mkdir -p /etc/lodge/builders; cat >/etc/lodge/builders/small <<"END"\n{BUILDER}END\nchmod 755 /etc/lodge/builders/small')


@test(timeout=900, long=True)
def cancelled(t):
    """An image from a builder; one that fails; one whose client goes away, whose manager is killed: nothing is left of them."""
    m = boot_with_room(t)
    put_builder(m)
    said = m.sh('lodge image build small one --size 64M 2>&1')
    check('lodge: one: making a disk\n' in said and 'the image one is there' in said, said)
    shown = lodge_json(m, 'image-list')['images'][0]
    check_equal({k: shown[k] for k in ('name', 'size_kib', 'system', 'cmdline', 'builder', 'machines')},
                {'name': 'one', 'size_kib': 65536, 'system': 'Small 1', 'cmdline': 'console=hvc0 AGENT=1', 'builder': 'small', 'machines': []}, 'image')
    lodge(m, 'new', '--from', 'one', '--memory', '96', 'web')
    lodge(m, 'create', '-q', 'web')
    wait_console(m, 'web', UP)
    check_equal(in_guest(m, 'web', 'head -n 1 /dev/xvda; cat /sys/block/xvda/size').split(), ['built', '131072'], 'its disk')
    check('web' in lodge_fails(m, 'remove', '--yes', 'web', status=1), 'a machine that runs was removed')
    lodge(m, 'destroy', 'web')
    lodge(m, 'remove', '--yes', 'web')
    files = all_files(m)
    text = lodge_fails(m, 'image', 'build', '-q', 'small', 'two', '--release', 'fails', status=1)
    check_equal(text, 'lodge: two: small: it does not want to; more is in /var/log/lodge/build.log', 'why it failed')
    check_equal(lodge_fails(m, 'image', 'build', '-q', 'small', 'one', status=1), 'lodge: one: there is an image one already', 'a name that is taken')
    check('no such program' in lodge_fails(m, 'image', 'build', 'none', 'two', status=1), 'a builder that does not exist')
    check('mmdebstrap' in lodge_fails(m, 'image', 'build', '-q', 'debian', 'two', status=1), 'Debian without its programs')
    check_equal(all_files(m), files, 'files after failures')
    for kill in ('kill $lodge', 'kill -9 $lodge', 'kill -9 $(pidof lodged)'):
        m.sh(f'''lodge image build -q small two --release wait >/dev/null 2>&1 & lodge=$!
            until [ "$({SLEEPERS})" = 2 ]; do usleep 50000; done
            {kill}; wait $lodge
            until [ "$({SLEEPERS})" = 0 ] && lodge list >/dev/null 2>&1 && [ -z "$(ls -A /room/images | grep -v '^one$')" ]; do usleep 50000; done''', 120)
        check_equal(all_files(m), files, f'files after {kill}')
    check_equal(m.sh('grep -c " none \\|/room/images" /proc/mounts || true').strip(), '0', 'mounts left over')
    lodge(m, 'image', 'remove', 'one')
    check_sound(t, m)


@test(timeout=900, long=True)
def refused(t):
    """Names, users and keys that are none; images that are none, cut off, upon somebody else's files, in use; a full disk. Each says why; nothing is left."""
    m = boot_with_room(t, mib=160)
    import_small(m)
    files = all_files(m)
    m.sh('''cd /tmp; dd if=/dev/urandom of=data bs=1M count=8 2>/dev/null
        qemu-img convert -O qcow2 data good.qcow2; head -c 3000000 good.qcow2 >cut.qcow2; head -c 40 good.qcow2 >short.qcow2
        echo QFI >tiny; : >empty; mkfifo pipe; cp good.qcow2 loud.qcow2; printf '\\377\\377\\377' | dd of=loud.qcow2 bs=1 seek=40 conv=notrunc 2>/dev/null
        qemu-img create -q -f qcow2 -F raw -b /etc/passwd -u evil.qcow2 1M; qemu-img create -q -f qcow2 -F qcow2 -b good.qcow2 upon.qcow2 2>/dev/null
        qemu-img create -q -f qcow2 -F raw -b nbd://10.0.2.2/x -u net.qcow2 1M; ln -s /etc/passwd link; : >kernel''')
    for name in ('a/b', '..', '.x', '-', 'a b', '', 'ä', 'x' * 64, 'a\nb'):
        check('expected the name of an image' in lodge_fails(m, 'image', 'import', '-q', '--', '/tmp/data', name, status=1), name)
    for file, why in (('cut.qcow2', 'is damaged'), ('short.qcow2', 'too small'), ('loud.qcow2', 'is damaged'), ('empty', 'empty'), ('pipe', 'neither'), ('none', 'No such file'),
                      ('evil.qcow2', 'backing file /etc/passwd'), ('net.qcow2', 'not the name of a file'), ('upon.qcow2', 'lies upon another file'), ('/tmp', 'neither a file')):
        text = lodge_fails(m, 'image', 'import', '-q', f'/tmp/{file}' if file[0] != '/' else file, 'x', status=1)
        check(why in text and '\n' not in text, f'{file}: {text}')
    check('is no qcow2 image' in lodge_fails(m, 'image', 'import', '-q', '-f', 'qcow2', '/tmp/data', 'x', status=1), 'raw as qcow2')
    check('expected raw or qcow2' in lodge_fails(m, 'image', 'import', '-q', '-f', 'vhd', '/tmp/data', 'x'), 'vhd')
    check('kernel' in lodge_fails(m, 'image', 'import', '-q', '-k', '/tmp/kernel', '/tmp/data', 'x', status=1), 'an empty kernel')
    lodge_fails(m, 'image', 'import', '-q', '-r', '/boot/guest.gz', '/tmp/data', 'x', status=1)
    lodge_fails(m, 'image', 'remove', '../machines', status=3)
    lodge_fails(m, 'image', 'export', '-q', 'small', '/etc/passwd', status=1)
    check_equal(all_files(m), files, 'files after images that were refused')

    for words, status, why in ((['a/b'], 1, 'expected letters'), (['..'], 1, 'expected letters'), (['7'], 1, 'domain id'), (['hello'], 1, '/etc/xen/vm/hello'),
                               (['w', '-u', 'a b'], 1, 'name of a user'), (['w', '-u', 'a\nruncmd: [x]'], 1, 'control characters'), (['w', '-k', f'{KEY}\nruncmd: [x]'], 1, 'control characters'),
                               (['w', '-k', f'command="x" {KEY}'], 1, 'neither a public key'), (['w', '-s', '4'], 1, 'at least 16 MiB'), (['w', '-i', 'none'], 3, 'no image none'),
                               (['w', '-i', '../images/small'], 3, 'no image'), (['w', '--vcpus', '600'], 2, 'to 512')):
        text = lodge_fails(m, 'new', '--from', 'small', *words, status=status)
        check(why in text and '\n' not in text, f'{words}: {text}')
    lodge_fails(m, 'remove', '--yes', 'hello', status=3)
    lodge_fails(m, 'remove', '--yes', '../images/small', status=3)
    check_equal(all_files(m), files, 'files after machines that were refused')

    # Whoever has the name, or writes to the file.
    lodge(m, 'new', '-q', '--from', 'small', '--memory', '96', 'w')
    check('w' in lodge_fails(m, 'new', '--from', 'small', 'w', status=1), 'a name that is taken')
    lodge(m, 'create', '-q', 'w')
    text = lodge_fails(m, 'image', 'import', '-q', '-f', 'qcow2', '/room/machines/w/disk.qcow2', 'x', status=1)
    check('guest w' in text, text)
    m.sh('mv /etc/xen/vm/w /tmp/w.saved')
    check('w' in lodge_fails(m, 'new', '--from', 'small', 'w', status=1), 'the name of a guest that runs')
    m.sh('mv /tmp/w.saved /etc/xen/vm/w')
    lodge(m, 'destroy', 'w')
    # A definition of another name with its disk.
    m.sh('sed s/^name.*/name=\\"other\\"/ /etc/xen/vm/w | grep -v "^uuid\\|^vif" >/tmp/other; lodge create -q /tmp/other')
    check('other' in lodge_fails(m, 'remove', '--yes', 'w', status=1), 'the disk of a guest that runs was removed')
    lodge(m, 'destroy', 'other')
    lodge(m, 'remove', '--yes', 'w')
    check_equal(all_files(m), files, 'files')

    m.sh('dd if=/dev/urandom of=/tmp/large bs=1M count=40 2>/dev/null; dd if=/dev/zero of=/room/fill bs=1M count=60 2>/dev/null; df -m /room')
    m.sh('cat /dev/zero >/room/fill2 2>/dev/null || true; dd if=/dev/null of=/room/fill2 bs=1M seek=$(($(stat -c %s /room/fill2) / 1048576 - 20)) 2>/dev/null')
    text = lodge_fails(m, 'image', 'import', '-q', '/tmp/large', 'x', status=1)
    check('No space left' in text, text)
    check_equal(all_files(m), files, 'files after a full disk')
    m.sh('cat /dev/zero >/room/fill3 2>/dev/null || true')
    text = lodge_fails(m, 'new', '--from', 'small', 'w', status=1)
    check('No space left' in text, text)
    m.sh('rm /room/fill*')
    check_equal(all_files(m), files, 'files after a full disk')
    check_sound(t, m)


@test(timeout=1200, long=True)
def killed(t):
    """SIGKILL to the manager at many moments of importing, making and removing: each is there as a whole afterwards, or not at all."""
    m = boot_with_room(t)
    put_builder(m)
    import_small(m, 'base')
    m.sh('yes data | head -c 20000000 >/tmp/data')
    whole = {'about.json', 'disk.qcow2'}
    verbs = {'import': 'lodge image import -q /tmp/data x', 'build': 'lodge image build -q small x -s 64M', 'new': 'lodge new -q --from base w',
             'remove': 'lodge remove --yes w', 'image-remove': 'lodge image remove x'}
    seen, takes = {verb: set() for verb in verbs}, {}
    for i in range(-1, 10):
        for verb, command in verbs.items():
            if verb == 'remove':
                m.sh('[ -e /etc/xen/vm/w ] || lodge new -q --from base w')
            elif verb == 'image-remove':
                m.sh('[ -e /room/images/x ] || lodge image import -q /tmp/data x')
            else:
                m.sh('[ ! -e /room/images/x ] || lodge image remove x; [ ! -e /etc/xen/vm/w ] || lodge remove --yes w')
            if i < 0:       # the whole of it, so that the moments lie within
                begin = time.monotonic()
                m.sh(command, 120)
                takes[verb] = time.monotonic() - begin
                continue
            delay = int(takes[verb] * i / 8 * 1e6)
            m.sh(f'{command} >/dev/null 2>&1 & usleep {delay}; kill -9 $(pidof lodged); wait; until lodge list >/dev/null 2>&1; do usleep 50000; done', 120)
            found = set(m.sh('ls -A /room/images /room/machines /etc/xen/vm | grep "^\\.lodge" || true').split())
            check_equal(found, set(), f'left over by {verb} killed after {delay} us')
            images = m.sh('cd /room/images; ls -A').split()
            check(set(images) <= {'base', 'x'}, images)
            if 'x' in images:
                check(whole <= set(m.sh('ls -A /room/images/x').split()), f'{verb}: half an image')
                check(m.sh('qemu-img check -q /room/images/x/disk.qcow2 >/dev/null 2>&1; echo $?').strip() in ('0', '3'), f'{verb}: a damaged image')
            machine, defined = m.sh('ls -A /room/machines/w 2>/dev/null || true').split(), m.sh('ls /etc/xen/vm').split()
            check_equal(sorted(machine), ['disk.qcow2', 'seed.img'] if 'w' in defined else [], f'{verb}: the machine, defined: {"w" in defined}')
            seen[verb].add(('x' in images, 'w' in defined))
    print(f'# {seen}')
    m.sh('[ ! -e /room/images/x ] || lodge image remove x; [ ! -e /etc/xen/vm/w ] || lodge remove --yes w; lodge image remove base')
    check_equal(m.sh('find /room/images /room/machines -mindepth 1').split(), [], 'left')
    check_sound(t, m)


# --- Debian ---

LOGIN = ' login: '


def boot_with_template(t, **config):
    """Domain 0 with room for large images, the parts of one of Debian, and a client of SSH with a key."""
    shutil.copyfile('/usr/bin/ssh', t.scratch / 'ssh')
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'tester "at": home', '-f', t.scratch / 'key'], check=True)
    files = {'ssh': t.scratch / 'ssh', 'key': t.scratch / 'key', 'key.pub': t.scratch / 'key.pub'}
    for library in re.findall(r'(/\S+) \(0x', subprocess.run(['ldd', '/usr/bin/ssh'], capture_output=True, text=True, check=True).stdout):
        files[Path(library).name] = Path(library)
    m = boot(t, files=files, disks=(empty_disk(t.scratch, 'room', 6144), qemu.Disk(TEMPLATE / 'disk', 'template', readonly=True)), **config)
    put_room(m)
    m.sh('''mount -t ext4 -o ro /dev/disk/template /mnt; cp /mnt/boot/vmlinuz-* /room/kernel; cp /mnt/boot/initrd.img-* /room/ramdisk; umount /mnt
        mkdir -p /root/.ssh; cp /files/ssh /bin/ssh; cp /files/key /root/.ssh/id_ed25519; chmod 700 /bin/ssh; chmod 600 /root/.ssh/id_ed25519''')
    return m


def ssh(m, user, name, command, timeout=120):
    """The output of a command in the machine, as that user. It may not have its keys yet."""
    return m.sh(f'''try() {{ LD_LIBRARY_PATH=/files ssh -n -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR {user}@{name} {shlex.quote(command)}; }}
        for i in $(seq 60); do try 2>/tmp/ssh.why && exit 0; sleep 2; done; cat /tmp/ssh.why; exit 1''', timeout + 240)


@test(timeout=1800, long=True, image='template')
def debian(t):
    """Debian's image imported; a machine from it has its name, its user with a key, a larger disk, keys of its own; removed, nothing is left."""
    m = boot_with_template(t)
    lodge(m, 'image', 'import', '-q', '--kernel', '/room/kernel', '--ramdisk', '/room/ramdisk', '--cmdline', 'root=/dev/xvda ro console=hvc0',
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


@test(timeout=1800, long=True, image='guest')
def grub(t):
    """A disk with a Debian that knows no cloud-init, without a kernel beside it: PV GRUB finds the one in the disk. Exported, it is what it was."""
    m = boot(t, disks=(empty_disk(t.scratch, 'room', 6144), qemu.Disk(DEBIAN, 'debian', readonly=True)))
    put_room(m)
    lodge(m, 'image', 'import', '-q', '/dev/disk/debian', 'debian', timeout=600)
    lodge(m, 'new', '--from', 'debian', 'one')
    lodge(m, 'create', '-q', 'one')
    wait_console(m, 'one', f'debian{LOGIN}', 600)
    check(not oops(m.sh(f'cat {console_log("one")}')), 'the guest complained')
    lodge(m, 'destroy', 'one')
    lodge(m, 'remove', '--yes', 'one')
    lodge(m, 'image', 'export', '-q', '--format', 'raw', 'debian', '/room/out.img', timeout=600)
    m.sh('cmp /room/out.img /dev/disk/debian', 600)
    check_sound(t, m)
