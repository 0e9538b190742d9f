# SPDX-License-Identifier: MIT
"""Guests that do what harm they can to the store, the stock kernel's backends and their grants, and die in between: nobody else notices."""
from guests import TINY, boot, create, empty_disk, guests, in_guest, lodge, settle, wait_console, wait_gone
from harness import check_equal, check_sound, test

# tests/guest/tiny says what each does. Those of the first row end as crashes, the others go on until they are destroyed.
DYING = 'store-header store-body vbd-half vbd-initialised vbd-connected vbd-busy vbd-closing vif-busy'.split()
STORE = 'store-indices store-flood store-deaf store-long'.split()
RINGS = 'vbd-nowhere vbd-restless vbd-garbage vbd-indices vbd-grants vif-garbage'.split()
HOSTILE = {'kernel': '/files/tiny.elf', 'ramdisk': None, 'memory': 4, 'on_crash': 'destroy',
           'disk': ['/tmp/prey.img,raw,xvda,w!'], 'vif': ['']}
WORK = '''
    dd if=/dev/urandom of=/tmp/data bs=1M count=2 2>/dev/null
    (while [ ! -e /tmp/stop ]; do
        dd if=/tmp/data of=/dev/xvda bs=64k conv=notrunc oflag=direct 2>/dev/null || echo write failed
        dd if=/dev/xvda bs=64k count=32 iflag=direct 2>/dev/null | cmp - /tmp/data || echo read failed
        echo round
    done) >/tmp/log 2>&1 &'''


def others_live(m, during):
    """The guest beside them reads and writes its disk, is reached by name, and the store, the manager and the consoles answer."""
    in_guest(m, 'good', 'n=$(grep -c round /tmp/log); until [ $(grep -c round /tmp/log) -gt $((n + 1)) ]; do usleep 50000; done')
    check_equal(in_guest(m, 'good', 'grep -v round /tmp/log || true').strip(), '', f'errors of the disk of the good guest during {during}')
    m.sh('wget -q -O - http://good/ | grep -qx "Hello from good\\."')
    m.sh('xenstore-write /tool/test 1 && xenstore-rm /tool/test')


def together(m, tricks):
    """Each in a guest of its own, at the same time, until all have shown what they can."""
    for trick in tricks:
        create(m, trick, up=None, extra=trick, **HOSTILE)
    for trick in tricks:
        wait_console(m, trick, f'tiny: {trick}')
    others_live(m, ' '.join(tricks))
    lodge(m, 'destroy', *tricks)
    check_equal(sorted(guests(m)), ['good'], 'guests')


@test(timeout=900, long=True)
def backends_and_store(t):
    """Corrupt rings, floods, grants revoked in use, deaths within each handshake: all is as before."""
    m = boot(t, files={'tiny.elf': TINY}, disks=(empty_disk(t.scratch, 'data', 16),))
    create(m, 'good', disk=['phy:/dev/disk/data,xvda,w'])
    m.sh('dd if=/dev/zero of=/tmp/prey.img bs=1M count=1 2>/dev/null; sha256sum /tmp/prey.img >/tmp/prey.sum')
    in_guest(m, 'good', WORK)

    def everything(_):
        for trick in DYING:
            create(m, trick, up=None, extra=trick, **HOSTILE)
        for trick in DYING:
            wait_gone(m, trick)
        others_live(m, 'deaths')
        together(m, STORE)
        together(m, RINGS)
    settle(m, everything)
    check_equal(m.sh('sha256sum -c /tmp/prey.sum').strip(), '/tmp/prey.img: OK', 'the disk')
    in_guest(m, 'good', 'touch /tmp/stop; wait')
    lodge(m, 'shutdown', '-w', 'good')
    # The stock blkback counts wrongly when a guest's second connection fails half-way; it warns, and does not mind.
    check_sound(t, m, known='xen_blkif_disconnect')
