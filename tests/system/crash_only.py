# SPDX-License-Identifier: MIT
"""Every daemon can be killed at any moment: guests go on, and so does what they do to disk and network."""
from guests import TINY, baseline, boot, check_as_before, console_log, create, define, empty_disk, guests, in_guest, lodge, oops, restarted, wait_gone
from harness import check, check_dom0_healthy, check_equal, check_sound, test

DAEMONS = ('stored', 'consoled', 'lodged')
WORK = '''
    dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
    (while [ ! -e /tmp/stop ]; do
        dd if=/tmp/data of=/dev/xvda bs=64k conv=notrunc oflag=direct 2>/dev/null || echo write failed
        dd if=/dev/xvda bs=64k count=64 iflag=direct 2>/dev/null | cmp - /tmp/data || echo read failed
        echo round
    done) >/tmp/log 2>&1 &'''


@test(timeout=600, long=True)
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
    check_as_before(m, before, but=('files',))
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


# Beside it all, until there is /tmp/stop: a guest that comes and goes, and devices and vCPUs of one that stays. What a command says when its daemon is killed
# under it does not matter; what it leaves behind does.
COMMANDS = '''
    until [ -e /tmp/stop ]; do lodge create -q tiny; lodge pause tiny; lodge unpause tiny; lodge destroy tiny; done >/dev/null 2>&1 &
    until [ -e /tmp/stop ]; do
        lodge block-attach busy /tmp/hot.img,raw,xvdb,w; lodge network-attach busy; lodge list; lodge info busy
        lodge block-detach busy xvdb; lodge network-detach busy 1
    done >/dev/null 2>&1 &
    until [ -e /tmp/stop ]; do echo | timeout 5 lodge console busy; lodge vcpu-set busy 1; lodge vcpu-set busy 2; done >/dev/null 2>&1 &'''


def kill_at_random(t, seconds):
    m = boot(t, files={'tiny.elf': TINY}, disks=(empty_disk(t.scratch, 'data', 16),), cpus=2, memory='3G', hv_args='dom0_mem=1G')
    m.sh('for i in disk hot; do dd if=/dev/zero of=/tmp/$i.img bs=1M count=4 2>/dev/null; done')
    define(m, 'tiny', kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4, disk=['/tmp/disk.img,raw,xvda,rw'], vif=[''])
    # Its kernel keeps a MiB of each interface that came and went.
    create(m, 'busy', disk=['phy:/dev/disk/data,xvda,w'], memory=1024, vcpus=2)
    m.sh('lodge create -q tiny && lodge destroy tiny')
    m.sh('lodge block-attach busy /tmp/hot.img,raw,xvdb,w && lodge network-attach busy && lodge block-detach busy xvdb && lodge network-detach busy 1')
    before = baseline(m)
    in_guest(m, 'busy', WORK)
    m.sh(COMMANDS + f'''
        end=$(($(cut -d. -f1 /proc/uptime) + {seconds})); n=0
        while [ $(cut -d. -f1 /proc/uptime) -lt $end ]; do
            set -- $(od -An -N3 -tu1 /dev/urandom)
            usleep $(($1 * 10000))
            case $(($2 % 3)) in 0) kill -9 $(pidof stored) ;; 1) kill -9 $(pidof lodged) ;; *) kill -9 $(pidof consoled) ;; esac 2>/dev/null && n=$((n + 1))
        done
        touch /tmp/stop
        wait
        echo "$n killed"''', seconds + 300)
    m.sh('until lodge list >/dev/null 2>&1; do usleep 100000; done')
    m.sh('''
        ! lodge domid tiny >/dev/null 2>&1 || lodge destroy tiny
        ! lodge block-list busy | grep -q xvdb || lodge block-detach busy xvdb
        # As many as there are whose detaching was cut off.
        for i in $(lodge network-list busy | awk '$1 ~ /^[1-9]/ { print $1 }'); do lodge network-detach busy $i; done
        lodge vcpu-set busy 2''', 300)
    in_guest(m, 'busy', 'n=$(grep -c round /tmp/log); until [ $(grep -c round /tmp/log) -gt $((n + 1)) ]; do usleep 100000; done')
    check_equal(in_guest(m, 'busy', 'touch /tmp/stop; wait; grep -v round /tmp/log || true').strip(), '', 'errors in the guest')
    m.sh('lodge create -q tiny && lodge destroy tiny')
    m.sh('lodge block-attach busy /tmp/hot.img,raw,xvdb,w && lodge network-attach busy && lodge block-detach busy xvdb && lodge network-detach busy 1')
    check_as_before(m, before, but=('files', 'free_kib'))
    check(not oops(m.sh(f'cat {console_log("busy")}')), 'the guest complained')
    check_equal(sorted(guests(m)), ['busy'], 'guests')
    lodge(m, 'shutdown', '-w', 'busy')
    check_sound(t, m)


@test(timeout=400)
def half_a_minute(t):
    """All daemons killed at random, while guests come and go and change, and one writes, reads back and compares."""
    kill_at_random(t, 30)


@test(timeout=1800, long=True)
def ten_minutes(t):
    """The same for ten minutes."""
    kill_at_random(t, 600)
