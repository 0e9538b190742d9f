# SPDX-License-Identifier: MIT
"""Several administrators at once, who know nothing of each other: every command is carried out or refused with a reason, and nothing is left behind."""
import re

from guests import TINY, boot, console_log, define, domids, guests, lodge, lodge_json, oops, settle
from harness import TestFailed, check, check_equal, check_sound, test
from machine import MachineError

SHELLS = 8
NAMES = 'ada bob cyd dan eve fay gus hal'.split()

# One administrator: does to a guest of any name what comes to his mind, so often at least, and until the file /tmp/stop is there. His log
# has a line for each command: its status, the command, and what it said.
ADMINISTRATOR = r'''
me=$1
RANDOM=$2
times=$3
pick() {
    shift $((RANDOM % $#))
    picked=$1
}
try() {
    said=$(timeout 200 lodge "$@" 2>&1 >/dev/null)
    echo "$? $* | $(echo $said)" >>/tmp/said.$me
}
while [ $times -gt 0 ] || [ ! -e /tmp/stop ]; do
    times=$((times - 1))
    pick @NAMES@; guest=$picked
    pick @NAMES@; other=$picked
    pick 1 2 3 4; number=$picked
    case $((RANDOM % 26)) in
    0|1|2) try create tiny "name='$guest'" ;;
    3) try create tiny "name='$guest'" "disk=['/tmp/hot$number.img,raw,xvda,rw']" "vif=['']" ;;
    4) try create linux "name='$guest'" ;;
    5) try create linux "name='$guest'" "disk=['/tmp/hot$number.img,raw,xvda,rw']" ;;
    6|7) try destroy $guest ;;
    8) try pause $guest ;;
    9|10) try unpause $guest ;;
    11) try rename $guest $other ;;
    12) try vcpu-set $guest $number ;;
    13) try mem-set $guest $((number * 20 + 80)) ;;
    14) try mem-max $guest $((number * 40)) ;;
    15) try block-attach $guest /tmp/hot$number.img,raw,xvdb,rw ;;
    16) try block-detach -f $guest xvdb ;;
    17) try network-attach $guest ;;
    18) try network-detach -f $guest $((number - 1)) ;;
    19) try config $guest ;;
    20) try list; try list -l ;;
    21) try info $guest ;;
    22) try reboot $guest ;;
    23) try shutdown $guest ;;
    24) try vcpu-pin $guest all $((number % 2)); try network-rate $guest $((number - 1)) ${number}Mb/s ;;
    25) try block-list $guest; try network-list $guest; try metrics ;;
    esac
done
'''.replace('@NAMES@', ' '.join(NAMES))

# What may be refused, and why.
REASONS = '|'.join((
    r'there is no guest `\w+`', r'there is no domain', r'a guest called \w+ (is|has|keeps)', r'the guest \w+ has ended', r'the guest \w+ has changed',
    r'the guest \w+ does not run', r'the guest \w+ has no domain', r'the guest \w+ is paused and', r'the guest \w+ is not paused', r'the UUID \S+ belongs to',
    r'the disk /tmp/hot\d.img (is|is open) ', r'/tmp/hot\d.img already', r'has a disk xvdb already', r'has no (disk|network interface)',
    r'can have (at most|1 to)', r'needs .* (more|missing)', r'to have \d+ MiB now', r'does not take the request', r'not enough memory'))


def say_all(m):
    return m.sh('cat /tmp/said.*; rm /tmp/said.*').splitlines()


def check_said(lines):
    """Each command had a result, and each refusal a reason; the count of what was done, by verb."""
    done = {}
    for line in lines:
        command, _, said = line.partition(' | ')
        status, verb = command.split()[:2]
        check(status in '0134', f'status {status} of {line!r}')
        check(status == '0' or (said and re.search(REASONS, said)), f'refused without a good reason: {line!r}')
        if status == '0':
            done[verb] = done.get(verb, 0) + 1
    return done


def consistent(m):
    """What a guest's definition has, the nodes have, and nothing else."""
    loops = 0
    for name, g in guests(m).items():
        wanted = lodge_json(m, 'config', name)['definition']
        check_equal(wanted['name'], name, 'name in the definition')
        check_equal(m.sh(f'xenstore-read /local/domain/{g["domid"]}/name').strip(), name, 'name in the store')
        loops += len(wanted.get('disks', []))
        for kind, what in (('vbd', 'disks'), ('vif', 'nics')):
            nodes = m.sh(f'xenstore-list /local/domain/0/backend/{kind}/{g["domid"]} 2>/dev/null || true').split()
            check_equal(len(nodes), len(wanted.get(what, [])), f'{what} of {name} in the store')
    check_equal(len(m.sh('losetup -a').splitlines()), loops, 'loop devices')


def together(m, times, seconds, seed):
    """All of them, each so often, and for so long, at least; how often each verb was carried out."""
    starts = ' '.join(f'sh /tmp/administrator {n} {seed + n} {times} &' for n in range(SHELLS))
    m.sh(f'rm -f /tmp/stop; {starts} sleep {seconds}; touch /tmp/stop; wait', seconds + 400)
    m.sh('cat /var/log/lodge/lodged.log; dmesg | tail -n 100')     # for our own log, should anything be wrong
    done = check_said(say_all(m))
    # What has been asked to shut down may still be about to.
    while True:
        before = domids(m)
        try:
            consistent(m)
            break
        except (MachineError, TestFailed):
            if domids(m) == before:
                raise
    for name in guests(m):
        lodge(m, 'destroy', name)
    return done


def at_once(t, times, seconds):
    m = boot(t, files={'tiny.elf': TINY})
    m.sh('for n in 1 2 3 4; do dd if=/dev/zero of=/tmp/hot$n.img bs=1M count=1 2>/dev/null; done')
    m.sh(f'cat >/tmp/administrator <<"END"\n{ADMINISTRATOR}\nEND')
    define(m, 'tiny', kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4, maxmem=8, vif=None)
    define(m, 'linux', memory=96, maxmem=128, maxvcpus=2, vcpus=1)

    def a_round(n):
        done = together(m, times, seconds, 1000 * n)
        check(len(done) >= 12, f'what was carried out: {done}')
    settle(m, a_round)
    for name in NAMES:
        check(not oops(m.sh(f'cat {console_log(name)} 2>/dev/null || true')), f'{name} complained')
    check_sound(t, m)


@test(timeout=600, long=True)
def a_minute(t):
    """Rounds of some 250 commands, until one leaves all as it was."""
    at_once(t, 30, 0)


@test(timeout=2000, long=True)
def five_minutes(t):
    """The same, in rounds of 150 seconds."""
    at_once(t, 30, 150)
