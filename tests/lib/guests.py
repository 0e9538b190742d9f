# SPDX-License-Identifier: MIT
"""Guests in system tests: files for Domain 0, `lodge` there, and commands in guests.

Guests boot image/guest/ unless a definition says otherwise; with `AGENT=1` on its command line such a guest takes commands.
"""
import gzip
import json
import re
import shlex
import shutil
import subprocess

import qemu
import steps
from harness import check, check_equal
from machine import MachineError

UP = 'a guest of Lodge'         # the greeting on the console of image/guest/
AGENT_PORT = 1023
TINY = steps.BUILD / 'guest/tiny.elf'       # a guest for 4 MiB, tests/guest/tiny
# For tests that ask for it, as image='guest' and so on.
DEBIAN = steps.CACHE / 'guest.ext4'         # a whole Debian's disk
HOST = steps.CACHE / 'host.ext4'            # a whole Debian's disk for a machine, without Lodge
PEER = steps.CACHE / 'peer.ext4'            # Debian's Xen and its tools
TEMPLATE = steps.CACHE / 'template'         # what an image of Debian consists of
PVGRUB_EARLY = 'search --set=root --file /boot/grub/grub.cfg\nconfigfile /boot/grub/grub.cfg\n'
PVGRUB_MODULES = 'configfile echo ext2 gzio linux lzopio normal part_gpt part_msdos search search_fs_file test xzio'.split()


def pvgrub(scratch):
    """Debian's GRUB as a PV kernel: it takes /boot/grub/grub.cfg from the guest's first disk that has one."""
    early, image = scratch / 'early.cfg', scratch / 'pvgrub'
    early.write_text(PVGRUB_EARLY)
    subprocess.run(['grub-mkimage', '-O', 'x86_64-xen', '-p', '/boot/grub', '-c', early, '-o', image, *PVGRUB_MODULES], check=True)
    return image


def empty_disk(scratch, name, mib):
    path = scratch / f'{name}.img'
    with open(path, 'wb') as f:
        f.truncate(mib << 20)
    return qemu.Disk(path, name)


def files_disk(scratch, files):
    """A disk with these files ({name: path}); Domain 0 has them in /files."""
    tree, image = scratch / 'files', scratch / 'files.img'
    tree.mkdir()
    for name, path in files.items():
        shutil.copyfile(path, tree / name)
    size = sum(f.stat().st_size for f in tree.iterdir()) // 1024 + 2048
    subprocess.run(['/usr/sbin/mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-d', tree, image, f'{size}k'], check=True)
    return qemu.Disk(image, 'files', readonly=True)


def boot(t, files=None, disks=(), **config):
    """Start a machine whose Domain 0 has `lodge` and the files."""
    if files:
        disks = (*disks, files_disk(t.scratch, files))
    config.setdefault('memory', '2G')
    config.setdefault('hv_args', 'dom0_mem=512M')
    m = t.boot_dom0(disks=tuple(disks), **config)
    if files:
        m.sh('mkdir /files && mount -t ext4 -o ro /dev/disk/files /files')
    m.sh('until lodge list >/dev/null 2>&1; do usleep 200000; done')       # the daemons start beside the prompt
    return m


# Domain 0 with Debian's Xen tools

# The disk of our tools has another name there, so that no daemon of ours starts; for a machine without `tools`.
PEER_DISKS = (qemu.Disk(PEER, 'peer', snapshot=True), qemu.Disk(steps.DISK, 'boot', readonly=True))


def peer_script(store, log='none'):
    """What starts them, in the chroot /mnt, with that store daemon; log: what xenconsoled keeps a log of. Domain 0 also has the disk "files"."""
    return f'store={store} log={log}\n' + (steps.ROOT / 'tests/lib/peer.sh').read_text()


# Domain 0

def lodge(m, *words, timeout=120):
    """lodge's output. A status other than 0 is an error."""
    return m.sh(shlex.join(('lodge', *map(str, words))), timeout)


def lodge_json(m, verb, *words, timeout=120):
    return json.loads(lodge(m, verb, '--json', *words, timeout=timeout))


def lodge_fails(m, *words, status=None, timeout=120):
    """What lodge says when it is to fail; all of it in one line per cause, and no output."""
    out = m.sh(f'{shlex.join(("lodge", *map(str, words)))} 2>&1; echo "status $?"', timeout)
    text, _, found = out.rpartition('status ')
    found = int(found)
    check(found != 0, f'lodge {words} did not fail: {text}')
    check(status is None or found == status, f'lodge {words} ended with status {found}, not {status}: {text}')
    return text.strip()


def guests(m):
    """{name: what `lodge list` knows}, without Domain 0."""
    return {g['name']: g for g in lodge_json(m, 'list')['guests'] if g['domid'] != 0}


def domids(m):
    return {name: g['domid'] for name, g in guests(m).items()}


def definition(name, **keys):
    """The text of a definition; a guest of image/guest/ with a network if nothing else is said."""
    keys = {'name': name, 'kernel': '/boot/vmlinuz', 'ramdisk': '/boot/guest.gz', 'extra': 'console=hvc0 AGENT=1', 'memory': 96,
            'vif': [''], **keys}
    return ''.join(f'{key} = {json.dumps(value)}\n' for key, value in keys.items() if value is not None)


def define(m, file, **keys):
    """Write /etc/xen/vm/FILE. The guest has the same name, unless `name` says otherwise."""
    m.sh(f'cat >/etc/xen/vm/{file} <<"END"\n{definition(keys.pop("name", file), **keys)}END')


def create(m, name, *words, up=UP, timeout=180, **keys):
    """Define and create a guest, and wait until its console shows `up` (None: do not wait)."""
    define(m, name, **keys)
    lodge(m, 'create', name, *words, timeout=timeout)
    if up:
        wait_console(m, name, up, timeout)


def console_log(name):
    return f'/var/log/lodge/console/{name}.log'


def wait_console(m, name, text, timeout=180):
    """Wait until the guest's console log has the text."""
    m.sh(f'until grep -aqF {shlex.quote(text)} {console_log(name)}; do usleep 200000; done 2>/dev/null', timeout)


def wait_gone(m, name, timeout=120):
    """Wait until there is no such guest."""
    m.sh(f'while lodge domid {name} >/dev/null 2>&1; do usleep 200000; done', timeout)


def restarted(m, daemon):
    """Kill it and wait until another one works."""
    m.sh(f'''old=$(pidof {daemon}) || exit 1
        kill -9 $old
        until new=$(pidof {daemon}) && [ "$new" != "$old" ] && xenstore-exists /local/domain/0 2>/dev/null && lodge list >/dev/null 2>&1; do
            usleep 100000
        done''', 60)


# In the guest

def address(m, name):
    """The guest's address in the default network, from its DHCP lease."""
    return lodge_json(m, 'info', name)['nics'][0]['address']


def in_guest(m, name, script, timeout=120):
    """Run a script in a guest whose command line has AGENT=1; its output. A status other than 0 is an error."""
    host = address(m, name)
    try:
        return to_agent(m, host, script, timeout)
    except MachineError:
        # Where it stands: its console, its network, its devices. All in the log.
        m.sh(f'''tail -n 30 {console_log(name)}; ip neigh; ip -s link; lodge block-list {name}; lodge network-list {name}
            xenstore-ls /local/domain/$(lodge domid {name})/device; tail -n 20 /var/log/lodge/*.log; lodge debug-keys e q; lodge dmesg | tail -n 100; ps w''')
        raise


def to_agent(m, host, script, timeout=120):
    """The same, by the guest's address. It may not have that yet: when the guest waits too long for it, it goes on without."""
    size = len(script.encode()) + 1
    out = m.sh(f'''for i in $(seq 20); do
            if nc {host} {AGENT_PORT} >/tmp/said.$$ 2>/tmp/why.$$ <<"END"\n{size}\n{script}\nEND
            then break; fi
            [ ! -s /tmp/said.$$ ] || break
            usleep 200000
        done
        cat /tmp/said.$$
        [ -s /tmp/said.$$ ] || cat /tmp/why.$$
        rm /tmp/said.$$ /tmp/why.$$''', timeout)
    text, _, status = out.rpartition('status ')
    check(status.strip() == '0', f'in the guest at {host}: {script.strip()!r} ended with status {status.strip()}: {text.strip()[-300:]}')
    return text


# Measures of Domain 0 and the hypervisor that must come back to where they were

def free_kib(m):
    """The machine's memory that no domain has."""
    return lodge_json(m, 'info')['machine']['free_kib']


def baseline(m):
    """Free memory of the machine, the store's nodes, the daemons' processes and their open files."""
    m.sh('sync; echo 3 >/proc/sys/vm/drop_caches')
    free = free_kib(m)
    # The kernel's backends leave the empty parents of their error nodes.
    store = m.sh('xenstore-ls -f | sed "s/ = .*//" | grep -vE "^/local/domain/0/(data|error(/backend(/v(bd|if))?)?$)"').splitlines()
    daemons = m.sh('for d in stored consoled lodged; do echo "$d $(pidof $d | wc -w)"; done').splitlines()
    files = m.sh('for d in stored consoled lodged; do pid=$(pidof $d); echo "$d $(ls /proc/${pid%% *}/fd | wc -l)"; done').splitlines()
    links = m.sh('ls /sys/class/net | sort; ls /sys/block | sort').split()
    return {'free_kib': free, 'store': store, 'daemons': daemons, 'files': files, 'devices': links}


def fill_pool(m):
    """The manager keeps the connections to the store that it needed at once: have it need more than it keeps. A guest that takes no
    sysrq is waited for. The machine has the file tiny.elf."""
    create(m, 'plain', up='Hello from', kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4, vif=None)
    m.sh('for i in $(seq 10); do lodge sysrq plain h >/dev/null 2>&1 & done; wait; lodge destroy plain', 200)


def differences(before, after, but=()):
    """What is no longer as it was; `but` for some of it. Daemons that were started in between have other files: the manager keeps as many
    connections to the store as it has once needed at a time."""
    found = []
    for key in before.keys() - set(but):
        old, new = before[key], after[key]
        if old == new:
            continue
        if isinstance(old, list):
            new, old = sorted(set(new) - set(old)), sorted(set(old) - set(new))
        found.append(f'{key}: {old} -> {new}'[:400])
    return '; '.join(found)


def check_as_before(m, before, but=(), what='left behind'):
    """All is as it was at the baseline, `but` for some of it."""
    left = differences(before, baseline(m), but)
    check(not left, f'{what}: {left}')


def settle(m, do, rounds=4):
    """do(n), n = 0, 1 …, until one round leaves all as it was. Tables of Domain 0 grow when more is in use at once than ever before, and stay;
    what gets lost is lost each time. The machine has the file tiny.elf."""
    pids, before = m.sh('pidof stored lodged consoled'), None
    fill_pool(m)
    for n in range(rounds):
        do(n)
        after = baseline(m)
        lost = differences(before, after) if before else True
        before = after
        if not lost:
            break
    check(not lost, f'left behind: {lost}')
    check_equal(m.sh('pidof stored lodged consoled'), pids, 'daemons')


def oops(text):
    return re.findall(r'.*(?:Oops|BUG:|Call Trace|Kernel panic|I/O error).*', text)


def initrd_with(scratch, tree):
    """Domain 0's image, and what is in the directory `tree`: the kernel unpacks one archive after the other."""
    archive = subprocess.run('find . | cpio --quiet -o -H newc -R 0:0', shell=True, cwd=tree, stdout=subprocess.PIPE, check=True).stdout
    path = scratch / 'dom0.gz'
    # Packed, because one that is not would have to begin at a multiple of four bytes.
    path.write_bytes(steps.IMAGE.read_bytes() + gzip.compress(archive))
    return path
