# SPDX-License-Identifier: MIT
"""How guests end and what follows: every action for every end, restart loops, core dumps, and guests that come and go with Domain 0."""
import re
import subprocess

from guests import (TINY, boot, console_log, create, define, definition, empty_disk, guests, in_guest, initrd_with, lodge, lodge_fails, lodge_json,
                    wait_console, wait_gone)
from harness import check, check_dom0_healthy, check_equal, check_sound, test

SMALL = dict(kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4, vif=None)
DUMPS = '/var/lib/lodge/dump'
LOG = '/var/log/lodge/lodged.log'
UP = 'Hello from '      # of the tiny kernel, when it obeys the store
AUTO = dict(SMALL, kernel='/auto/tiny.elf')


def end(m, domid, how):
    """Tell the tiny kernel how to end."""
    m.sh(f'xenstore-write /local/domain/{domid}/control/shutdown {how}')


def wait_up(m, domid):
    m.sh(f'until [ "$(xenstore-read /local/domain/{domid}/data/tiny 2>/dev/null)" = up ]; do usleep 50000; done', 60)


def wait_log(m, text, count=1):
    m.sh(f'until [ "$(grep -cF "{text}" {LOG})" -ge {count} ]; do usleep 100000; done', 120)


def start(m, name, **keys):
    """A tiny guest that is up; its domain id."""
    define(m, name, **{**SMALL, **keys})
    lodge(m, 'create', '-q', name)
    domid = guests(m)[name]['domid']
    wait_up(m, domid)
    return domid


def cores(m):
    return m.sh(f'ls -A {DUMPS} 2>/dev/null || true').split()


def wait_restarted(m, name, old):
    m.sh(f'until new=$(lodge domid {name} 2>/dev/null) && [ "$new" != {old} ]; do usleep 50000; done', 60)
    wait_up(m, guests(m)[name]['domid'])


def follow(m, how, action):
    """A guest ends in this way and the action follows; nothing is left afterwards."""
    what = f'on_{how} = {action}'
    domid = start(m, 'g', **{f'on_{how}': action})
    end(m, domid, how)
    if action.endswith('destroy'):
        wait_gone(m, 'g')
        check_equal(guests(m), {}, f'{what}: guests')
    elif action == 'preserve':
        m.sh('until lodge list --json g | grep -q shutdown_reason; do usleep 50000; done', 60)
        check_equal([(n, g['domid'], g['shutdown_reason']) for n, g in guests(m).items()], [('g', domid, how)], f'{what}: guests')
    else:
        wait_restarted(m, 'g', domid)
        names = ['g', 'g-1'] if action == 'rename-restart' else ['g']
        found = guests(m)
        check_equal(sorted(found), names, f'{what}: guests')
        check('shutdown_reason' not in found['g'], f'{what}: the new guest has ended: {found["g"]}')
        if 'g-1' in names:
            check_equal((found['g-1']['domid'], found['g-1']['shutdown_reason']), (domid, how), f'{what}: the old domain')
    found = cores(m)
    check_equal(len(found), action.startswith('coredump'), f'{what}: core dumps: {found}')
    for name in found:
        check(re.fullmatch(r'g-\d{8}-\d{6}\.core', name), f'name of a core dump: {name}')
    m.sh(f'rm -f {DUMPS}/*; for g in g g-1; do lodge domid $g >/dev/null 2>&1 && lodge destroy $g; done; true')
    check_equal(guests(m), {}, f'{what}: guests after destroy')


def each_action(t, how):
    m = boot(t, files={'tiny.elf': TINY})
    for action in ('destroy', 'restart', 'preserve', 'rename-restart', 'coredump-destroy', 'coredump-restart'):
        follow(m, how, action)
    check_sound(t, m)


@test(long=True)
def on_poweroff(t):
    each_action(t, 'poweroff')


@test(long=True)
def on_reboot(t):
    each_action(t, 'reboot')


@test()
def on_crash(t):
    each_action(t, 'crash')


@test(long=True)
def on_watchdog(t):
    each_action(t, 'watchdog')


@test()
def brake(t):
    """A guest that dies at once is started again a few times and then kept down, which is said wherever somebody looks."""
    m = boot(t, files={'tiny.elf': TINY})
    define(m, 'loop', **{**SMALL, 'extra': 'crash', 'on_crash': 'restart'})
    lodge(m, 'create', '-q', 'loop')
    wait_log(m, 'loop: it has ended 5 times in a row')
    check_equal(m.sh(f'grep -c "loop: started again" {LOG}').strip(), '4', 'restarts')
    for _ in range(2):
        found = guests(m)['loop']
        check_equal((found['state'], found.get('kept_down')), ('crashed', True), 'the guest')
        check('crash, kept down' in lodge(m, 'list', '-v', 'loop'), 'list -v')
        check('kept down' in lodge_fails(m, 'create', 'loop'), 'what create says')
        m.sh('old=$(pidof lodged); kill -9 $old; until new=$(pidof lodged) && [ "$new" != "$old" ]; do usleep 100000; done')
    check_equal(m.sh(f'grep -c "loop: started again" {LOG}').strip(), '4', 'restarts when the manager is back')
    # To a person, list says it by itself.
    m.type('\n')
    m.type('lodge list\n')
    m.expect('lodge: loop: it ended again and again')
    lodge(m, 'destroy', 'loop')
    check_equal(guests(m), {}, 'guests')

    define(m, 'row', **{**SMALL, 'extra': 'poweroff', 'on_poweroff': 'rename-restart'})
    lodge(m, 'create', '-q', 'row')
    wait_log(m, 'row: it has ended 5 times in a row')
    check_equal(sorted(guests(m)), ['row', 'row-1', 'row-2', 'row-3', 'row-4'], 'guests that were put aside')
    m.sh('lodge destroy row row-1 row-2 row-3 row-4')
    check_dom0_healthy(m)


@test(long=True)
def for_good(t):
    """shutdown --no-restart, and autostop, which destroys what does not obey."""
    m = boot(t, files={'tiny.elf': TINY})
    start(m, 'again', on_poweroff='restart')
    lodge(m, 'shutdown', '-n', '-w', 'again')
    check_equal(guests(m), {}, 'guests')

    start(m, 'again', on_poweroff='restart')
    start(m, 'aside', on_poweroff='rename-restart')
    start(m, 'paused', on_poweroff='preserve')
    lodge(m, 'pause', 'paused')
    domid = start(m, 'dead', on_crash='preserve')
    end(m, domid, 'crash')
    m.sh('until lodge list --json dead | grep -q shutdown_reason; do usleep 50000; done', 60)
    text = lodge(m, 'autostop')
    for name in ('again', 'aside', 'paused'):
        check(f'{name} has shut down' in text, f'{name}: {text!r}')
    check_equal(guests(m), {}, 'guests after autostop')

    define(m, 'deaf', **{**SMALL, 'extra': 'spin'})
    lodge(m, 'create', '-q', 'deaf')
    start(m, 'other')
    text = lodge_fails(m, 'autostop', '--timeout', '20', status=1)
    check('other has shut down' in text and 'deaf: it has been destroyed: the guest deaf does not take the request' in text, text)
    check_equal(guests(m), {}, 'guests after autostop')
    check_dom0_healthy(m)


# Core dumps

def out_disk(t):
    """A disk that the host can look into."""
    disk = empty_disk(t.scratch, 'out', 512)
    subprocess.run(['/usr/sbin/mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-E', 'root_owner=0:0', disk.path], check=True)
    return disk


def mount_out(m):
    m.sh('mkdir -p /out && mount -t ext4 /dev/disk/out /out')


def fetch(t, m, disk, *names):
    """Files of the disk, on the host. Domain 0 has it no more afterwards."""
    m.sh('umount /out; sync')
    paths = []
    for name in names:
        path = t.scratch / name
        p = subprocess.run(['/usr/sbin/debugfs', '-R', f'dump /{name} {path}', disk.path], capture_output=True, check=True, text=True)
        check(path.exists(), f'{name}: {p.stderr}')
        paths.append(path)
    return paths


def gdb(core, *commands, symbols=None):
    args = sum((['-ex', c] for c in commands), [])
    p = subprocess.run(['gdb', '-nx', '-batch', *args, *([symbols] if symbols else []), '-core', core], capture_output=True, text=True,
                       stdin=subprocess.DEVNULL, check=False)
    return p.stdout + p.stderr


def sections(core):
    p = subprocess.run(['readelf', '-W', '-S', core], capture_output=True, text=True, check=True)
    check(not p.stderr, f'readelf: {p.stderr}')
    return {m[1]: (int(m[2], 16), int(m[3], 16)) for m in re.finditer(r'\] (\.\S+) +\S+ +\S+ +(\S+) (\S+)', p.stdout)}


@test()
def dump_core(t):
    """The host's gdb has a guest's stack with symbols, variables and registers; and what is not possible is said."""
    disk = out_disk(t)
    m = boot(t, files={'tiny.elf': TINY}, disks=(disk,))
    mount_out(m)
    domid = start(m, 'g')
    answer = lodge_json(m, 'dump-core', 'g', '/out/g.core')
    check_equal(answer['file'], '/out/g.core', 'file')
    check('g is in /out/live.core' in m.sh('cd /out && lodge dump-core --live g live.core'), 'dump-core')
    lodge(m, 'dump-core', '-c', 'g', '/out/crash.core')
    check_equal((guests(m)['g']['domid'], guests(m)['g']['state'] in ('blocked', 'running')), (domid, True), 'the guest afterwards')
    check_equal(m.sh('xenstore-ls /lodge/paused 2>/dev/null || true'), '', 'notes of pauses')

    check('exists already' in lodge_fails(m, 'dump-core', 'g', '/out/g.core', status=1), 'a file that exists')
    check('No such file' in lodge_fails(m, 'dump-core', 'g', '/none/g.core', status=1), 'a folder that does not exist')
    check('Read-only' in lodge_fails(m, 'dump-core', 'g', '/files/g.core', status=1), 'a disk that cannot be written')
    check('Domain 0' in lodge_fails(m, 'dump-core', '0', '/out/0.core', status=1), 'Domain 0')
    lodge_fails(m, 'dump-core', 'nobody', '/out/n.core', status=3)
    m.sh('mkdir /small && mount -t tmpfs -o size=32k tmpfs /small')
    check('No space left' in lodge_fails(m, 'dump-core', 'g', '/small/g.core', status=1), 'a full disk')
    check_equal(m.sh('ls -A /small'), '', 'what is on the full disk')
    lodge(m, 'pause', 'g')
    lodge(m, 'dump-core', 'g', '/out/paused.core')
    check_equal(guests(m)['g']['state'], 'paused', 'a guest that was paused before')
    lodge(m, 'unpause', 'g')
    lodge(m, 'shutdown', '-w', 'g')

    cores = fetch(t, m, disk, 'g.core', 'live.core', 'crash.core')
    symbols = TINY.with_suffix('.debug')
    for core in cores[:2]:
        text = gdb(core, 'print nr_ports', 'print/x $cs', 'info symbol $rip', 'x/32a $rsp', 'print ports', symbols=symbols)
        for part in (r'\$1 = 2\b', r'\$2 = 0xe033', r'hypercall_page', '<poll_events[+]', '<tiny_main[+]', r'\$3 = \{\d+, \d+\}'):
            check(re.search(part, text), f'{part} in what gdb says of {core.name}: {text}')
    check('LWP' not in gdb(cores[2]), 'gdb of a file for crash')
    with open(cores[1], 'r+b') as f:       # the other way, as the manual has it
        f.seek(56)
        f.write(b'\0\0')
    check('LWP' not in gdb(cores[1]), 'gdb of a file that was changed for crash')
    found = sections(cores[2])
    check(set(found) >= {'.note.Xen', '.xen_prstatus', '.xen_shared_info', '.xen_p2m', '.xen_pages'}, f'sections: {found}')
    check_equal((found['.xen_p2m'][1] // 16, found['.xen_pages'][1] // 4096), (1024, 1024), 'pages of a guest of 4 MiB')
    check_dom0_healthy(m)


@test(timeout=600, long=True)
def dump_linux(t):
    """Debian's kernel: what it says of itself is in its dump, at its addresses; a crash dumps it and starts it again, once."""
    disk = out_disk(t)
    m = boot(t, disks=(disk,))
    mount_out(m)
    m.sh(f'mkdir -p /var/lib/lodge && ln -s /out {DUMPS}')
    create(m, 'web', vcpus=2, on_crash='coredump-restart')
    words = in_guest(m, 'web', '''
        for symbol in linux_banner saved_command_line jiffies; do
            echo $(awk -v s=$symbol '$3 == s { print $1 }' /proc/kallsyms)
        done
        cat /proc/version /proc/cmdline''').splitlines()
    banner, command_line, jiffies = (int(w, 16) for w in words[:3])
    lodge(m, 'dump-core', 'web', '/out/asked.core', timeout=240)
    in_guest(m, 'web', 'true')

    # The manager is killed in the middle of a dump that was asked for, and of the one after a crash.
    domid = guests(m)['web']['domid']
    m.sh(f'''lodge dump-core web /out/cut.core >/dev/null 2>&1 &
        until xenstore-exists /lodge/paused/{domid} 2>/dev/null; do :; done
        kill -9 $(pidof lodged); wait; until lodge list >/dev/null 2>&1; do usleep 100000; done''', 120)
    check_equal(guests(m)['web']['state'] != 'paused', True, 'a guest whose dump was cut short runs on')
    in_guest(m, 'web', 'true')
    check_equal(m.sh('ls -A /out').split(), ['asked.core', 'lost+found'], 'files')
    in_guest(m, 'web', '(sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &')
    for count in (1, 2):
        wait_log(m, 'means coredump-restart', count)
        m.sh('usleep 300000; kill -9 $(pidof lodged)')
    wait_log(m, 'web: its core is in')
    wait_log(m, 'web: started again as')
    m.sh(f'until [ "$(grep -acF "a guest of Lodge" {console_log("web")})" -ge 2 ]; do usleep 200000; done', 200)
    in_guest(m, 'web', 'true')
    names = [n for n in m.sh('ls -A /out').split() if n.startswith('web-')]
    check_equal(len(names), 1, f'cores of the crash: {names}')
    lodge(m, 'shutdown', '-w', 'web')

    asked, crashed = fetch(t, m, disk, 'asked.core', names[0])
    for core in (asked, crashed):
        text = gdb(core, f'x/s {banner:#x}', f'x/s *(char **){command_line:#x}', f'x/1gd {jiffies:#x}', 'info threads', 'thread 2',
                   'x/8gx $rsp')
        check(words[3] in text, f'{words[3]!r} in what gdb says of {core.name}: {text}')
        check(words[4] in text, f'{words[4]!r} in what gdb says of {core.name}: {text}')
        check('Cannot access' not in text and re.search(r'\* 1 .*\n +2 ', text), f'gdb of {core.name}: {text}')
        check_equal(sections(core)['.xen_pages'][1], 96 << 20, f'memory in {core.name}')
    check_dom0_healthy(m)


@test(long=True)
def dump_fails(t):
    """No room for a core dump: that is said, no half file is left, and what follows the dump is done all the same."""
    m = boot(t, files={'tiny.elf': TINY})
    m.sh(f'mkdir -p {DUMPS} && mount -t tmpfs -o size=32k tmpfs {DUMPS}')
    domid = start(m, 'g', on_crash='coredump-restart')
    end(m, domid, 'crash')
    wait_restarted(m, 'g', domid)
    check_equal(cores(m), [], 'files')
    text = m.sh(f'grep "g: there is no core of it" {LOG}')
    check(re.search(rf'cannot write {DUMPS}/g-.*\.core: No space left on device', text), text)
    lodge(m, 'destroy', 'g')
    check_dom0_healthy(m)


# Domain 0's start and end

def dom0_with(t, files):
    """Domain 0's image with more in it: {path: text, bytes, or ('link', target)}."""
    tree = t.scratch / 'more'
    for path, content in files.items():
        at = tree / path
        at.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, tuple):
            at.symlink_to(content[1])
        else:
            at.write_bytes(content.encode() if isinstance(content, str) else content)
    return initrd_with(t.scratch, tree)


def auto_files(**more):
    return {'auto/tiny.elf': TINY.read_bytes(), 'etc/xen/vm/b': definition('b', **AUTO, on_poweroff='restart'),
            'etc/xen/vm/a': definition('a', **{**AUTO, 'kernel': '../../../auto/tiny.elf'}), 'etc/xen/auto/10-b': ('link', '../vm/b'),
            'etc/xen/auto/20-broken': ('link', '../vm/none'), 'etc/xen/auto/30-a': ('link', '../vm/a'),
            'etc/xen/auto/40-self': definition('self', **AUTO), 'etc/xen/auto/05-old~': definition('old', **AUTO), **more}


def wait_autostart(m):
    m.sh('while [ -e /run/autostart.pid ] || [ ! -e /var/log/lodge/autostart.log ]; do usleep 100000; done', 120)


@test(timeout=600)
def with_domain0(t):
    """Links in /etc/xen/auto start with Domain 0, in order, and their guests shut down cleanly before it powers off."""
    disk = out_disk(t)
    linux = definition('store', on_poweroff='restart', vif=None, extra='console=hvc0')
    m = boot(t, initrd=dom0_with(t, auto_files(**{'etc/xen/auto/50-store': linux})), disks=(disk,))
    wait_autostart(m)
    found = guests(m)
    check_equal(sorted(found, key=lambda n: found[n]['domid']), ['b', 'a', 'self', 'store'], 'guests in the order of their start')
    text = m.sh('cat /var/log/lodge/autostart.log')
    check_equal(len(re.findall('/etc/xen/auto/20-broken leads to no definition', text)), 1, f'the broken link in {text!r}')
    check('05-old' not in text and 'b runs as domain' in text, text)
    check('b runs already' in m.sh('lodge autostart 2>/dev/null || true'), 'a second autostart')
    check_equal(sorted(guests(m)), ['a', 'b', 'self', 'store'], 'guests after a second autostart')
    wait_console(m, 'store', 'a guest of Lodge')
    mount_out(m)
    m.sh('lodge console store </dev/null >/out/store.txt 2>&1 &')
    for name in 'a', 'b', 'self':
        wait_console(m, name, UP)

    m.sh('poweroff')
    m.expect(r'store has shut down', 200)
    check_equal(m.wait_event('SHUTDOWN', 120)['reason'], 'guest-shutdown', 'reason of the shutdown')
    m.wait_exit(60)
    said = subprocess.run(['/usr/sbin/debugfs', '-R', 'cat /store.txt', disk.path], capture_output=True, text=True, check=True).stdout
    check('Requesting system poweroff' in said and 'guest store ended' in said, f"the end of the guest's console: {said[-500:]!r}")


@test(timeout=400, long=True)
def autostart_goes_on(t):
    """The manager is killed several times while guests are started and while they are shut down; Domain 0 reboots in the end."""
    m = boot(t, initrd=dom0_with(t, auto_files()))
    wait_autostart(m)
    lodge(m, 'autostop')
    check_equal(guests(m), {}, 'guests after autostop')
    m.sh('rm /etc/xen/auto/*; for i in 1 2 3 4 5 6 7 8; do sed "s/\\"b\\"/\\"n$i\\"/" /etc/xen/vm/b >/etc/xen/auto/$i; done')
    names = [f'n{i}' for i in range(1, 9)]
    # While there are fewer or more domains, then SIGKILL, and so on.
    killing = '''
        (for n in %s; do
            while [ $(xenstore-list /local/domain | wc -l) -%s $n ]; do usleep 20000; done
            kill -9 $(pidof lodged)
        done) >/dev/null 2>&1 &
        %s >/tmp/out 2>&1; status=$?
        wait
        until lodge list >/dev/null 2>&1; do usleep 100000; done
        cat /tmp/out; exit $status'''
    m.sh(killing % ('3 5 7', 'lt', 'lodge autostart'), 200)
    check_equal(sorted(guests(m)), names, 'guests')
    for name in names:
        wait_console(m, name, UP)
    m.sh(killing % ('7 5 3', 'gt', 'lodge autostop'), 200)
    check_equal(guests(m), {}, 'guests after autostop')
    m.sh('lodge autostart')
    m.sh('reboot')
    m.expect('n8 has shut down', 120)
    m.wait_event('RESET', 60)
    m.wait_agent()
    m.sh('until lodge list >/dev/null 2>&1; do usleep 200000; done')
    wait_autostart(m)
    check_equal(sorted(guests(m)), ['a', 'b', 'self'], 'guests after the reboot')
    check_dom0_healthy(m)
