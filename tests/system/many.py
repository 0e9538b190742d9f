# SPDX-License-Identifier: MIT
"""Many guests at once: a thousand of 4 MiB, and a hundred with Debian's kernel; all there is per guest works for the last as for the first."""
import re
import shlex

from guests import AGENT_PORT, TINY, UP, baseline, boot, console_log, definition, differences, fill_pool, guests, in_guest, lodge, lodge_fails, lodge_json, oops, restarted
from harness import check, check_equal, check_sound, test

THOUSAND = 1000
NETWORK = 1021      # addresses of the default network, a /22, but for Domain 0's
HUNDRED = 100


def define_all(m, count, **keys):
    """Definitions g1, g2 … each with a disk of its own and an interface in the default network."""
    text = definition('gNNN', disk=['/tmp/disk/NNN.img,raw,xvda,rw'], vif=[''], **keys).replace('NNN', '$i')
    m.sh(f'''mkdir /tmp/disk
        for i in $(seq {count}); do
            echo {shlex.quote(text).replace("$i", "'$i'")} >/etc/xen/vm/g$i
            echo /tmp/disk/$i.img
        done >/tmp/disks
        xargs truncate -s 1M </tmp/disks''', 200)


def create_all(m, first, last, timeout):
    m.sh(f'for i in $(seq {first} {last}); do lodge create -q g$i || exit 1; done', timeout)


def wait_all(m, count, text, timeout):
    """Until the consoles of so many have shown the text."""
    m.sh(f'until [ $(grep -alF "{text}" {console_log("g*")} | wc -l) -ge {count} ]; do usleep 500000; done', timeout)


def told(m, count):
    """All that tells of guests tells of all of them."""
    names = {f'g{i}' for i in range(1, count + 1)}
    check_equal(set(guests(m)), names, 'guests')
    check_equal(len(lodge(m, 'list').splitlines()), count + 2, 'lines of list')
    for verb in 'vcpu-list', 'uptime':
        check_equal({g['name'] for g in lodge_json(m, verb)['guests'] if g['domid']}, names, f'guests in {verb}')
    check_equal(int(m.sh('lodge metrics | grep -c "^lodge_guest_disk_reads_total"')), count, 'disks in metrics')
    check_equal(int(m.sh('lodge metrics | grep -c "^lodge_guest_network_receive_bytes_total"')), count, 'interfaces in metrics')
    check_equal(int(m.sh('lodge list -l | grep -c "\\"definition\\""', 300)), count, 'definitions in list -l')
    check_equal(len(lodge(m, 'top', '--batch', '--iterations', 1).splitlines()) > count, True, 'lines of top')


def as_before(t, m, before):
    """Nothing is left of the guests. The kernel keeps what it has made: loop devices without a file, larger tables."""
    check_equal(guests(m), {}, 'guests')
    check_equal(m.sh('losetup -a').strip(), '', 'loop devices with a file')
    kept = [{**found, 'devices': [d for d in found['devices'] if not re.match(r'loop\d', d)]} for found in (before, baseline(m))]
    lost = differences(*kept, but=('free_kib', 'files'))
    check(not lost, f'left behind: {lost}')
    check_sound(t, m)


def on_console(m, name):
    """What is typed there is answered."""
    m.sh(f'''mkfifo /tmp/keys
        lodge console -b 0 {name} <>/tmp/keys >/tmp/typed 2>&1 &
        echo help >/tmp/keys
        until grep -aq "poweroff reboot" /tmp/typed; do usleep 100000; done
        kill %1; wait; rm /tmp/keys /tmp/typed''')


@test(timeout=2400, long=True)
def thousand(t):
    """A thousand guests of 4 MiB, each with console, disk and network; then as many as the network has addresses for."""
    m = boot(t, files={'tiny.elf': TINY}, cpus=1, memory='7G', hv_args='dom0_mem=1536M', dom0_args='quiet')
    define_all(m, NETWORK + 1, kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4)
    fill_pool(m)
    m.sh('lodge create -q g1 && lodge destroy g1')
    before = baseline(m)
    create_all(m, 1, THOUSAND, 1000)
    wait_all(m, THOUSAND, 'Hello from', 200)
    told(m, THOUSAND)
    for name in 'g1', 'g500', f'g{THOUSAND}':
        on_console(m, name)
    for daemon in 'stored', 'consoled', 'lodged':
        restarted(m, daemon)
    told(m, THOUSAND)
    on_console(m, f'g{THOUSAND}')

    # The limit, and that it is the network's alone.
    create_all(m, THOUSAND + 1, NETWORK, 100)
    text = lodge_fails(m, 'create', f'g{NETWORK + 1}')
    check(f'all {NETWORK} addresses of the default network are in use' in text, text)
    lodge(m, 'create', '-q', f'g{NETWORK + 1}', 'vif=[]')
    lodge(m, 'destroy', f'g{NETWORK + 1}')
    lodge(m, 'destroy', *(f'g{i}' for i in range(1, 101)), timeout=200)
    lodge(m, 'shutdown', '-a', '-w', '--timeout', 600, timeout=700)
    as_before(t, m, before)


@test(timeout=5400, long=True, alone=True)
def hundred(t):
    """A hundred guests with Debian's kernel on a machine with 20 GiB, each with console, disk and network, reachable, started and stopped in one loop."""
    m = boot(t, files={'tiny.elf': TINY}, memory='20G', machine='q35', hv_args='dom0_mem=2G', dom0_args='quiet')
    # While all of them boot, in emulation, each has a fiftieth of a processor for minutes: more than its kernel believes in.
    define_all(m, HUNDRED, memory=96, extra='console=hvc0 AGENT=1 nosoftlockup rcupdate.rcu_cpu_stall_suppress=1')
    fill_pool(m)
    m.sh('lodge create -q g1 && lodge destroy g1', 120)
    before = baseline(m)
    create_all(m, 1, HUNDRED, 3000)
    wait_all(m, HUNDRED, UP, 3000)
    told(m, HUNDRED)
    m.sh(f'for i in $(seq {HUNDRED}); do wget -q -O - http://g$i/ | grep -qx "Hello from g$i\\." || {{ echo "g$i is not reached"; exit 1; }}; done', 600)
    check(HUNDRED == len({g['address'] for name in guests(m) for g in lodge_json(m, 'info', name)['nics']}), 'two guests have the same address')
    # What each writes is on its own disk, and on no other.
    script = 'echo I am $(hostname) | dd of=/dev/xvda bs=512 conv=sync oflag=direct 2>/dev/null; sync'
    m.sh(f'for i in $(seq {HUNDRED}); do printf "{len(script) + 1}\\n%s\\n" {shlex.quote(script)} | nc g$i {AGENT_PORT} | grep -q "status 0" || exit 1; done', 1200)
    m.sh(f'for i in $(seq {HUNDRED}); do test "$(head -n 1 /tmp/disk/$i.img)" = "I am g$i" || {{ head -n 1 /tmp/disk/$i.img; exit 1; }}; done')
    for name in 'g1', f'g{HUNDRED}':
        in_guest(m, name, f'ping -c 1 -W 20 g{HUNDRED // 2} >/dev/null')
    check(not oops(m.sh(f'cat {console_log("g*")}')), 'a guest complained')
    lodge(m, 'shutdown', '-a', '-w', '--timeout', 1200, timeout=1500)
    as_before(t, m, before)
