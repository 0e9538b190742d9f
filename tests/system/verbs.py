# SPDX-License-Identifier: MIT
"""`lodge` as a user meets it in Domain 0: each verb, its JSON, its exit status, and what it says when something is wrong."""
import json
import re

from guests import (TINY, UP, baseline, boot, check_as_before, console_log, create, define, definition, guests, in_guest, lodge, lodge_fails,
                    lodge_json, wait_console, wait_gone)
from harness import check, check_equal, check_sound, test

NO_GUEST, BAD_DEFINITION, USAGE, FAILED = 3, 4, 2, 1
SMALL = dict(kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4, vif=None)


@test(timeout=400)
def life(t):
    """create, list, info, pause, unpause, rename, reboot, sysrq, shutdown, destroy, with a Linux guest."""
    m = boot(t)
    check_equal(guests(m), {}, 'guests in the beginning')
    create(m, 'web')
    domid = lodge_json(m, 'domid', 'web')['domid']
    check_equal(lodge(m, 'domid', 'web').strip(), str(domid), 'domid')
    check_equal(lodge(m, 'domname', domid).strip(), 'web', 'domname')
    check_equal(lodge_json(m, 'domname', domid)['name'], 'web', 'domname --json')

    columns = lodge(m, 'list').splitlines()
    check(re.match(r'Name +ID +Mem +VCPUs\s+State\s+Time\(s\)$', columns[0]), f'header of list: {columns[0]!r}')
    check(columns[1].startswith('Domain-0 '), f'first row of list: {columns[1]!r}')
    check(re.match(rf'web +{domid} +96 +1\s+[r-]b?-*\s+\d+\.\d$', columns[2]), f'second row of list: {columns[2]!r}')
    full = json.loads(lodge(m, 'list', '-l', 'web'))['guests'][0]
    check_equal((full['name'], full['definition']['memory_kib']), ('web', 96 << 10), 'list -l')

    info = lodge_json(m, 'info', 'web')
    check_equal((info['domid'], info['name'], info['type'], info['managed']), (domid, 'web', 'pv', True), 'info')
    check(info['nics'][0]['mac'].startswith('00:16:3e:'), f'MAC address {info["nics"][0]["mac"]}')
    check('web' in lodge(m, 'info', 'web'), 'info without --json')
    check('free' in lodge(m, 'info').lower(), 'info of the machine')

    lodge(m, 'pause', 'web')
    paused = guests(m)['web']
    check_equal((paused['state'], paused['flags'][2]), ('paused', 'p'), 'state when paused')
    check_equal(lodge_json(m, 'vcpu-list', 'web')['guests'][0]['vcpus'][0]['state'], 'paused', 'state of its vCPU')
    m.sh('sleep 1')
    check_equal(guests(m)['web']['cpu_time_ns'], paused['cpu_time_ns'], 'processor time of a paused guest')
    lodge(m, 'unpause', 'web')
    check(lodge_json(m, 'vcpu-list', 'web')['guests'][0]['vcpus'][0]['state'] in ('running', 'runnable', 'blocked'), 'state of its vCPU')
    in_guest(m, 'web', 'true')

    lodge(m, 'rename', 'web', 'shop')
    check_equal(sorted(guests(m)), ['shop'], 'guests after rename')
    check_equal(lodge(m, 'domid', 'shop').strip(), str(domid), 'domid after rename')
    lodge(m, 'rename', 'shop', 'web')

    check(re.search(r'web +\d+ +0:0\d:\d\d', lodge(m, 'uptime')), 'uptime')
    check(lodge_json(m, 'uptime', 'web')['guests'][0]['uptime_s'] < 600, 'uptime --json')
    check('web' in lodge(m, 'vcpu-list', 'web'), 'vcpu-list')
    lodge(m, 'sysrq', 'web', 'h')
    wait_console(m, 'web', 'sysrq: HELP')

    # A reboot makes another domain of the same guest.
    mac = info['nics'][0]['mac']
    m.sh(f'cp {console_log("web")} /tmp/before')
    lodge(m, 'reboot', '-w', 'web')
    m.sh(f'until [ "$(grep -ac {UP!r} {console_log("web")})" -ge 2 ]; do usleep 200000; done', 200)
    again = lodge_json(m, 'info', 'web')
    check(again['domid'] != domid, 'a reboot gives another domain id')
    check_equal((again['uuid'], again['nics'][0]['mac']), (info['uuid'], mac), 'UUID and MAC address after a reboot')

    lodge(m, 'shutdown', '-w', 'web')
    check_equal(guests(m), {}, 'guests after shutdown -w')
    create(m, 'web', '-q', up=None)
    lodge(m, 'destroy', 'web')
    check_equal(guests(m), {}, 'guests after destroy')

    # The guest's own power-off and crash, and what the definition says of them.
    create(m, 'web', extra='console=hvc0 RUN="poweroff -f"', up=None)
    wait_gone(m, 'web')
    create(m, 'web', on_poweroff='preserve', extra='console=hvc0 RUN="poweroff -f"', up=None)
    m.sh('until lodge list --json web | grep -q \'"poweroff"\'; do usleep 200000; done', 120)
    lodge(m, 'destroy', 'web')
    create(m, 'web', on_crash='destroy', extra='console=hvc0 panic=1 RUN="echo c >/proc/sysrq-trigger"', up=None)
    wait_gone(m, 'web')
    check_sound(t, m)


@test(timeout=300)
def host(t):
    """Verbs about the machine, help, and mistakes on the command line."""
    m = boot(t)
    if t.ours:
        check('Lodge' in lodge(m, 'dmesg'), 'dmesg')
        check('Lodge' in lodge_json(m, 'dmesg')['text'], 'dmesg --json')
    check('maxmem_kib' not in lodge_json(m, 'list', 0)['guests'][0], 'Domain 0, which was started without one, has a limit of memory')
    lodge(m, 'debug-keys', 'h')
    check(lodge(m, 'dmesg').count('\n') > 5, 'dmesg after debug-keys h')
    for verb in ('create console list info pause unpause shutdown reboot destroy rename domid domname vcpu-list dmesg debug-keys '
                 'sysrq uptime').split():
        check(f'lodge {verb}' in lodge(m, verb, '--help'), f'help of {verb}')
    check('create' in lodge(m, 'help'), 'help')
    lodge_fails(m, 'frobnicate', status=USAGE)
    lodge_fails(m, 'list', '--frobnicate', status=USAGE)
    lodge_fails(m, 'destroy', status=USAGE)
    for verb in ('info', 'console', 'pause', 'unpause', 'shutdown', 'destroy', 'domid', 'uptime', 'vcpu-list'):
        text = lodge_fails(m, verb, 'nobody', status=NO_GUEST)
        check('nobody' in text and len(text.splitlines()) == 1, f'lodge {verb} nobody says {text!r}')


@test(timeout=300)
def log(t):
    """The manager's log is rotated like those of guests: three files of a megabyte; what its supervisor says goes along."""
    m = boot(t)
    m.sh("""cd /var/log/lodge
        for i in 1 2 3; do
            head -c 1048576 /dev/zero | tr '\\0' "\\\\$i" >>lodged.log
            lodge vcpu-set 0 $(nproc)
        done
        kill -9 $(pidof lodged); until lodge list >/dev/null 2>&1; do usleep 100000; done""")
    text = m.sh('cat /var/log/lodge/lodged.log')
    check('is to have' in text and 'keep: lodged ended' in text and 'is ready' in text and len(text) < 4000, f'the log: {text[:500]}')
    counts = [m.sh(f"tr -dc '\\{i}' </var/log/lodge/lodged.log.{age} | wc -c").strip() for i, age in ((3, 1), (2, 2))]
    check_equal((counts, m.sh('ls /var/log/lodge | grep -c lodged.log').strip()), (['1048576', '1048576'], '3'), 'older files')
    check_sound(t, m)


@test(timeout=300)
def definitions(t):
    """Where definitions are found, overrides, mistakes with file and line, and --dry-run."""
    m = boot(t, files={'tiny.elf': TINY})
    define(m, 'a', **SMALL)
    m.sh(f'cat >/etc/xen/b.cfg <<"END"\n{definition("b", **SMALL)}END\ncat >/tmp/c <<"END"\n{definition("c", **SMALL)}colour = "red"\nEND')
    lodge(m, 'create', 'a')
    lodge(m, 'create', 'b')
    text = m.sh('lodge create /tmp/c memory=6 2>&1')
    check(re.search(r'/tmp/c:\d+: warning: .*colour', text), f'warning of an unknown key: {text!r}')
    check_equal(sorted(guests(m)), ['a', 'b', 'c'], 'guests')
    check_equal(lodge_json(m, 'info', 'c')['definition']['memory_kib'], 6 << 10, 'memory by override')
    m.sh('lodge destroy a b c')

    before = baseline(m)
    for line, says in (('memory = "lots"', 'memory'), ('vcpus = 0', 'vcpus'), ('memory = [ 1', 'expected'), ('vif = "x', '')):
        m.sh(f"printf '%s\\n' 'name = \"bad\"' 'kernel = \"/files/tiny.elf\"' {quote(line)} >/tmp/bad")
        text = lodge_fails(m, 'create', '/tmp/bad', status=BAD_DEFINITION)
        check(re.search('/tmp/bad:[34]: ', text) and says in text and len(text.splitlines()) == 1, f'{line!r}: {text!r}')
    text = lodge_fails(m, 'create', 'nowhere', status=BAD_DEFINITION)
    check('/etc/xen/vm/nowhere' in text, text)

    # Everything that is wrong, at once; and `create` undoes what it did.
    lodge(m, 'create', 'a')
    define(m, 'wrong', **{**SMALL, 'name': 'a', 'kernel': '/files/none', 'memory': 1 << 20, 'vif': ['bridge=nobridge'],
                          'disk': ['/none.img,raw,xvda,rw', '/usr/boot/guest.gz,raw,xvdb,rw', '/x.qcow2,qcow2,xvdc,rw']})
    text = lodge_fails(m, 'create', '-n', 'wrong')
    for part in ('/files/none', '/none.img', 'guest.gz cannot be opened for writing (Read-only', '/x.qcow2', 'nobridge', 'memory'):
        check(part in text, f'{part} in what --dry-run says: {text!r}')
    text = lodge_fails(m, 'create', 'wrong')
    check(len(text.splitlines()) == 1, f'one error for one cause: {text!r}')
    check_equal(sorted(guests(m)), ['a'], 'guests after a create that failed')
    lodge(m, 'create', '-n', 'a', 'name="z"')
    lodge(m, 'destroy', 'a')
    check_as_before(m, before, what='a create that failed leaves')


def quote(text):
    return "'" + text.replace("'", "'\\''") + "'"


@test(timeout=600, long=True)
def hundred_times(t):
    """Create and destroy 100 times: everything is as before."""
    m = boot(t, files={'tiny.elf': TINY})
    m.sh('dd if=/dev/zero of=/tmp/disk.img bs=1M count=1 2>/dev/null')
    define(m, 'tiny', **{**SMALL, 'disk': ['/tmp/disk.img,raw,xvda,rw'], 'vif': ['']})
    m.sh('lodge create tiny && lodge destroy tiny', 120)      # what is set up once is there now
    before = baseline(m)
    m.sh('for i in $(seq 100); do lodge create -q tiny && lodge destroy tiny || exit 1; done', 500)
    check_as_before(m, before, what='after 100 guests')
    check_sound(t, m)


@test(timeout=300, long=True)
def looked_at_all_the_time(t):
    """Guests come and go while somebody asks for lists without end: every answer is one, and the manager stays as it was."""
    m = boot(t, files={'tiny.elf': TINY})
    define(m, 'tiny', **SMALL)
    pid = m.sh('pidof lodged')
    m.sh('''
        (while [ ! -e /tmp/stop ]; do
            for verb in vcpu-list list uptime 'list -l'; do lodge $verb >/dev/null || echo "$verb failed"; done
        done) >/tmp/looks 2>&1 &
        for i in $(seq 20); do lodge create -q tiny && lodge destroy tiny || exit 1; done
        touch /tmp/stop; wait''', 200)
    check_equal(m.sh('cat /tmp/looks'), '', 'what the lists said')
    check_equal(m.sh('pidof lodged'), pid, 'the manager')
