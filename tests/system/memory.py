# SPDX-License-Identifier: MIT
"""Memory for new guests: what is not free, Domain 0 gives up, down to its minimum; and gets back when nothing comes of it."""
import json
import re

from guests import (TINY, UP, baseline, boot, check_as_before, define, free_kib, guests, lodge, lodge_fails, lodge_json, wait_console)
from harness import check, check_equal, check_sound, test

SMALL = dict(kernel='/files/tiny.elf', ramdisk=None, extra=None, vif=None)
TARGET, BACK = '/local/domain/0/memory/target', '/lodge/dom0-target'
DOM0, LEAST = 512, 256          # MiB: Domain 0's in the beginning, and its minimum unless something else is said
SLACK = 4096                    # KiB: what Domain 0's kernel counts otherwise than the hypervisor


def tight(t, hv_args=f'dom0_mem={DOM0}M'):
    """A machine with some 200 MiB that Domain 0 does not have."""
    return boot(t, files={'tiny.elf': TINY}, memory='768M', hv_args=hv_args)


def free_mib(m):
    return free_kib(m) >> 10


def dom0_kib(m):
    return lodge_json(m, 'list', 0)['guests'][0]['memory_kib']


def node(m, path):
    return m.sh(f'xenstore-read {path} 2>/dev/null || echo none').strip()


def takes_back(m):
    """Domain 0 is given all that it had."""
    lodge(m, 'mem-set', 0, DOM0)
    m.sh(f'''until lodge list --json 0 | grep -q '"memory_kib": {DOM0 << 10},'; do usleep 100000; done''', 120)


def restart_manager(m, settings):
    m.sh(f'''mkdir -p /etc/lodge && echo '{settings}' >/etc/lodge/lodged.conf
        kill -9 $(pidof lodged); until lodge list >/dev/null 2>&1; do usleep 100000; done''')


@test(timeout=400)
def domain_0_gives(t):
    """A guest that is larger than what is free runs, also the next one, by autostart; what Domain 0 gave it has not got, until somebody says so."""
    m = tight(t)
    free, had = free_mib(m), dom0_kib(m)
    check(free < DOM0 - LEAST, f'{free} MiB are free: too much for this test')
    size = free + 40
    define(m, 'large', memory=size, vif=None)
    text = lodge(m, 'create', '-n', 'large')
    found = re.search(rf'needs {size + 1} MiB: (\d+) MiB are free, and Domain 0 would give up (\d+) MiB and have (\d+) MiB left', text)
    check(found, f'create -n says {text!r}')
    check_equal((node(m, TARGET), dom0_kib(m)), ('none', had), 'Domain 0 after a dry run')
    created = json.loads(m.sh('lodge create --json large 2>/tmp/said', 180))
    check(re.fullmatch(r'lodge: large: Domain 0 gave up 4\d MiB of memory for it and has \d+ MiB left', m.sh('cat /tmp/said').strip()), 'what create says')
    wait_console(m, 'large', UP)
    gave, left = created['dom0_gave_kib'], created['dom0_memory_kib']
    check(39 << 10 <= gave <= 44 << 10 and gave >> 10 <= int(found[2]) <= (gave >> 10) + 1, f'Domain 0 gave {gave} KiB, and would have given {found[2]} MiB')
    check(had - gave - SLACK <= dom0_kib(m) <= left + SLACK, f'Domain 0 had {had} KiB, gave {gave} and has {dom0_kib(m)}')
    check_equal(guests(m)['large']['memory_kib'], size << 10, 'memory of the guest')
    check_equal(node(m, BACK), 'none', 'what Domain 0 would get back')

    define(m, 'second', **SMALL, memory=24)
    text = m.sh('mkdir -p /etc/xen/auto && ln -s ../vm/second /etc/xen/auto && lodge autostart 2>&1')
    check(re.match(r'lodge: second: Domain 0 gave up 2\d MiB of memory for it and has \d+ MiB left\nsecond runs as domain \d+$', text), f'autostart says {text!r}')
    check(left - dom0_kib(m) >= (20 << 10) - SLACK, f'Domain 0 had {left} KiB, and has {dom0_kib(m)}')
    # A restart finds what its own end has left.
    lodge(m, 'reboot', '-w', 'large')
    check_equal(sorted(guests(m)), ['large', 'second'], 'guests')

    now = dom0_kib(m)
    lodge(m, 'destroy', 'large')
    lodge(m, 'destroy', 'second')
    check_equal(dom0_kib(m), now, "Domain 0's memory when the guests have ended")
    lodge(m, 'create', '-q', 'second')
    check_equal(dom0_kib(m), now, "Domain 0's memory after a create that needed none of it")
    lodge(m, 'destroy', 'second')
    takes_back(m)
    check_sound(t, m)


@test(timeout=300, long=True)
def at_the_minimum(t):
    """What Domain 0 does not give is not taken: an error says what is needed, free, and its minimum, and nothing has changed."""
    least = 300
    m = tight(t, f'dom0_mem={DOM0}M,min:{least}M')
    define(m, 'second', **SMALL, memory=4)
    m.sh('lodge create -q second && lodge destroy second')
    before, had = baseline(m), dom0_kib(m)

    def refused(size, *says):
        define(m, 'huge', **SMALL, memory=size)
        for words in ('create', 'huge'), ('create', '-n', 'huge'):
            text = lodge_fails(m, *words, status=1)
            check(len(text.splitlines()) == 1 and all(re.search(s, text) for s in (rf'huge needs {size + 1} MiB', r'\d+ MiB are free', *says)),
                  f'{words} says {text!r}, expected {says}')
    refused(DOM0 + 300, rf'can give \d+ MiB of its {DOM0} MiB', f'minimum is {least} MiB', r'\d+ MiB are missing')
    restart_manager(m, 'dom0_min_memory = 480')
    refused(free_mib(m) + 40, r'can give 3\d MiB', 'minimum is 480 MiB: dom0_min_memory', r'\b[6-9] MiB are missing|1\d MiB are missing')
    restart_manager(m, 'dom0_min_memory = off')
    refused(free_mib(m) + 1, 'dom0_min_memory = off', r'\b[1-3] MiB are missing')
    restart_manager(m, '# nothing')
    # What its programs need counts as well: here files in memory.
    m.sh(f'mkdir /ram && mount -t tmpfs -o size=90% none /ram && dd if=/dev/zero of=/ram/file bs=1M count={DOM0 - least} 2>/dev/null')
    refused(DOM0 - 100, 'it uses the others', f'minimum is {least} MiB')
    m.sh('umount /ram')
    check_equal((node(m, TARGET), node(m, BACK), dom0_kib(m)), ('none', 'none', had), 'Domain 0')
    check_as_before(m, before)
    check_sound(t, m)


def both(m):
    """Create a and b at the same time: what each says, and its status."""
    return dict(re.findall(r'^(\w): (.*)$', m.sh('''
        for g in a b; do (lodge create $g >/tmp/$g 2>&1; echo "$g: $? $(tr '\\n' ' ' </tmp/$g)" >/tmp/$g.all) & done
        wait; cat /tmp/a.all /tmp/b.all''', 200), re.M))


@test(timeout=600, long=True)
def two_at_once(t):
    """Two creates at the same time share what Domain 0 gives; when there is only enough for one, that runs and the other has left nothing."""
    m = tight(t)
    free = free_mib(m)
    for g in 'ab':
        define(m, g, **SMALL, memory=free // 2 + 50)
    for _ in range(3):
        said = both(m)
        check(all(s.startswith('0 ') for s in said.values()) and any('Domain 0 gave up' in s for s in said.values()), f'two creates: {said}')
        check_equal(sorted(guests(m)), ['a', 'b'], 'guests')
        check(DOM0 - 100 - 8 <= dom0_kib(m) >> 10 <= DOM0 - 100 + 8, f'Domain 0 has {dom0_kib(m)} KiB')
        check_equal(node(m, BACK), 'none', 'what Domain 0 would get back')
        m.sh('lodge destroy a && lodge destroy b')
        takes_back(m)
    before = baseline(m)        # connections for two are there now
    for g in 'ab':
        define(m, g, **SMALL, memory=free + 30)
    for _ in range(3):
        said = both(m)
        runs, fails = sorted(said, key=lambda g: said[g][0])
        check(said[runs].startswith('0 ') and 'Domain 0 gave up' in said[runs], f'two creates: {said}')
        check(re.match(rf'1 lodge: {fails}: {fails} needs {free + 31} MiB of memory: \d+ MiB are free, and Domain 0 can give \d+ MiB of its \d+ MiB.*missing',
                       said[fails]), f'two creates: {said}')
        check_equal((list(guests(m)), node(m, BACK)), ([runs], 'none'), 'guests')
        lodge(m, 'destroy', runs)
        takes_back(m)
    check_as_before(m, before, but=('free_kib',))
    free = free_kib(m)
    check(abs(before['free_kib'] - free) < 1024, f'free memory: {before["free_kib"]} -> {free} KiB')
    check_sound(t, m)


@test(timeout=600, long=True)
def manager_killed(t):
    """SIGKILL to the manager while Domain 0 gives: the guest is there as a whole, or Domain 0 has everything again."""
    m = tight(t)
    define(m, 'g', **SMALL, memory=free_mib(m) + 150)
    lodge(m, 'create', 'g')
    lodge(m, 'destroy', 'g')
    takes_back(m)
    before = baseline(m)
    undone = 0
    for i in range(10):
        m.sh(f'''lodge create g >/dev/null 2>&1 &
            until xenstore-exists {BACK}; do usleep 1000; done
            usleep {i * 30000}
            kill -9 $(pidof lodged); wait
            until lodge list >/dev/null 2>&1; do usleep 100000; done''', 120)
        check_equal(node(m, BACK), 'none', 'what Domain 0 would get back')
        if guests(m):
            lodge(m, 'destroy', 'g')
            takes_back(m)
            continue
        undone += 1
        check_equal(node(m, TARGET), str(DOM0 << 10), "Domain 0's target")
        m.sh(f'''until lodge list --json 0 | grep -q '"memory_kib": {DOM0 << 10},'; do usleep 100000; done''', 120)
    check(undone, 'each time the guest was there already')
    check_as_before(m, before, but=('files', 'free_kib'))
    lodge(m, 'create', 'g')
    check_sound(t, m)


@test(timeout=400, long=True)
def it_stops_short(t):
    """Domain 0 does not go down as far as it is told to, here because somebody there insists: create gives up, says so, and all is as before."""
    m = tight(t)
    define(m, 'g', **SMALL, memory=free_mib(m) + 200)
    stays = 460000
    lodge(m, 'mem-set', 0, DOM0)
    text = m.sh(f'''until [ -e /tmp/stop ]; do echo {stays} >/sys/devices/system/xen_memory/xen_memory0/target_kb; usleep 10000; done &
        until lodge list --json 0 | grep -q '"memory_kib": {stays},'; do usleep 100000; done
        lodge create g 2>&1 && exit 1
        touch /tmp/stop; wait''', 300).strip()
    check(re.fullmatch(r'lodge: g: g needs \d+ MiB of memory: \d+ MiB are free, and Domain 0, which was to go down to 31\d MiB, has stopped at 450 MiB '
                       r'for 20 seconds: its kernel cannot give more \(end a guest, or programs there\)', text), text)
    check_equal((guests(m), node(m, BACK), node(m, TARGET)), ({}, 'none', str(DOM0 << 10)), 'after that')
    takes_back(m)       # whoever insisted may have come last
    lodge(m, 'create', 'g')
    check_sound(t, m)
