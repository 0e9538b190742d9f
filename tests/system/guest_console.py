# SPDX-License-Identifier: MIT
"""Consoles of guests: all output is in the log, shown on attaching, and goes on being logged while nobody looks."""
from guests import TINY, UP, boot, console_log, create, guests, lodge, wait_console
from harness import check, check_equal, test
from machine import DOM0_PROMPT

LINES = 20000


@test(timeout=400)
def attach(t):
    """At a terminal: what was before, typing, Ctrl-], and again."""
    m = boot(t)
    create(m, 'talker')
    log = m.sh(f'cat {console_log("talker")}')
    check('Linux version 6.' in log[:400], f'the log begins with {log[:400]!r}')
    m.type('\n')
    m.expect(DOM0_PROMPT)
    m.type('lodge console talker\n')
    m.expect(UP)                                # from before
    m.type('\necho $((6 * 7))-there\n')
    m.expect('42-there')
    m.type('\x1d')
    m.expect(DOM0_PROMPT)
    m.type('lodge console talker\n')
    m.expect('42-there')
    m.type('exec poweroff -f\n')
    m.expect(DOM0_PROMPT, 120)                  # the guest has ended, and with it the session
    wait_console(m, 'talker', 'reboot: System halted')


@test(timeout=400)
def nothing_lost(t):
    """Much output, with nobody attached and the console daemon killed in the middle: each line is there once, in order."""
    m = boot(t)
    create(m, 'talker', vif=None, up=None,
           extra=f'console=hvc0 loglevel=1 RUN="i=0; while [ $i -lt {LINES} ]; do echo line-$i; i=$((i+1)); done; echo all-said"')
    wait_console(m, 'talker', 'line-1000')
    m.sh('kill -9 $(pidof consoled)')
    m.sh(f'until cat {console_log("talker")}* | grep -aq ^all-said; do usleep 200000; done', 300)
    m.sh(f'''cd /var/log/lodge/console
        cat $(ls -tr talker.log*) | tr -d '\\r' | grep -a '^line-' >/tmp/found
        i=0; while [ $i -lt {LINES} ]; do echo line-$i; i=$((i+1)); done >/tmp/said
        diff /tmp/said /tmp/found''', 200)
    lodge(m, 'destroy', 'talker')


@test(timeout=400, long=True)
def hostile(t):
    """One guest writes without end, one puts nonsense into its ring's indices: a third one's console goes on, and so does the daemon."""
    m = boot(t, files={'tiny.elf': TINY})
    create(m, 'talker', vif=None)
    daemon = m.sh('pidof consoled')
    for name, command in ('flooder', 'flood'), ('breaker', 'corrupt'):
        create(m, name, kernel='/files/tiny.elf', ramdisk=None, extra=command, memory=4, vif=None, up=None)
    wait_console(m, 'flooder', 'no play')
    m.sh('until grep -q "guest breaker .* has corrupted its console ring" /var/log/lodge/consoled.log; do usleep 200000; done')
    for i in range(5):
        m.sh(f"echo 'echo $(({i} * 7))-there' | lodge console --exit-on-eof talker")
        wait_console(m, 'talker', f'{i * 7}-there')
    kept = int(m.sh(f'sleep 5; cat {console_log("flooder")}* | wc -c'))
    check(100000 < kept <= 3 << 20, f'{kept} bytes of the flood are kept')
    check_equal(m.sh('pidof consoled'), daemon, 'the daemon')
    lodge(m, 'destroy', 'flooder', 'breaker')
    check_equal(sorted(guests(m)), ['talker'], 'guests')
    lodge(m, 'destroy', 'talker')
