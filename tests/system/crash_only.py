# SPDX-License-Identifier: MIT
"""Every daemon can be killed at any moment: guests go on, and so does what they do to disk and network."""
from guests import TINY, baseline, boot, create, define, differences, empty_disk, guests, in_guest, lodge, wait_gone
from harness import check, check_dom0_healthy, check_equal, check_sound, test

DAEMONS = ('stored', 'consoled', 'lodged')
WORK = '''
    dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
    (while [ ! -e /tmp/stop ]; do
        dd if=/tmp/data of=/dev/xvda bs=64k conv=notrunc oflag=direct 2>/dev/null || echo write failed
        dd if=/dev/xvda bs=64k count=64 iflag=direct 2>/dev/null | cmp - /tmp/data || echo read failed
        echo round
    done) >/tmp/log 2>&1 &'''


def restarted(m, daemon):
    """Kill it and wait until another one works."""
    m.sh(f'''old=$(pidof {daemon}) || exit 1
        kill -9 $old
        until new=$(pidof {daemon}) && [ "$new" != "$old" ] && xenstore-exists /local/domain/0 2>/dev/null && lodge list >/dev/null 2>&1; do
            usleep 100000
        done''', 60)


@test(timeout=600)
def daemons(t):
    """SIGKILL to each while a guest reads and writes; afterwards everything can still be done with it."""
    m = boot(t, disks=(empty_disk(t.scratch, 'data', 16),))
    create(m, 'busy', disk=['phy:/dev/disk/data,xvda,w'])
    in_guest(m, 'busy', WORK)
    for daemon in DAEMONS:
        for _ in range(3):
            restarted(m, daemon)
        check_equal(sorted(guests(m)), ['busy'], f'guests after {daemon} was killed')
        in_guest(m, 'busy', 'n=$(grep -c round /tmp/log); until [ $(grep -c round /tmp/log) -gt $((n + 1)) ]; do usleep 100000; done')
    check_equal(in_guest(m, 'busy', 'touch /tmp/stop; wait; grep -v round /tmp/log || true').strip(), '', 'errors in the guest')
    lodge(m, 'reboot', '-w', 'busy')
    lodge(m, 'shutdown', '-w', 'busy')
    check_equal(guests(m), {}, 'guests')
    check_sound(t, m)


@test(timeout=600)
def during_create(t):
    """The manager and the store killed at many moments of create and destroy: nothing is left behind in the end."""
    m = boot(t, files={'tiny.elf': TINY})
    m.sh('dd if=/dev/zero of=/tmp/disk.img bs=1M count=1 2>/dev/null')
    define(m, 'tiny', kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4, disk=['/tmp/disk.img,raw,xvda,rw'], vif=[''])
    m.sh('lodge create -q tiny && lodge destroy tiny')
    before = baseline(m)
    m.sh('''
        for i in $(seq 30); do
            (lodge create -q tiny; lodge destroy tiny) >/dev/null 2>&1 &
            usleep $((i * 7000))
            case $((i % 3)) in 0) kill -9 $(pidof stored) ;; *) kill -9 $(pidof lodged) ;; esac
            wait
            until lodge list >/dev/null 2>&1; do usleep 100000; done
            lodge domid tiny >/dev/null 2>&1 && { lodge destroy tiny || exit 1; }
        done
        lodge create -q tiny && lodge destroy tiny''', 400)
    after = baseline(m)
    check(not differences(before, after), f'left behind: {differences(before, after)}')
    check_sound(t, m)


@test(timeout=400)
def ends_unseen(t):
    """A guest that ends while no manager is there is cleaned up when it is back."""
    m = boot(t)
    create(m, 'brief')
    m.sh('kill -STOP $(pidof lodged)')
    m.sh('xenstore-write /local/domain/$(xenstore-list /local/domain | tail -n 1)/control/shutdown poweroff')
    m.sh('kill -9 $(pidof lodged)')
    wait_gone(m, 'brief')
    check_dom0_healthy(m)
