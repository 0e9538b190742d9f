# SPDX-License-Identifier: MIT
"""Consoles of guests: all output is in the log, shown on attaching, and goes on being logged while nobody looks."""
from guests import UP, boot, console_log, create, define, lodge, wait_console
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
    wait_console(m, 'talker', 'Power down')


@test(timeout=400)
def nothing_lost(t):
    """Much output, with nobody attached and the console daemon killed in the middle: each line is there once, in order."""
    m = boot(t)
    create(m, 'talker', vif=None, up=None,
           extra=f'console=hvc0 RUN="i=0; while [ $i -lt {LINES} ]; do echo line-$i; i=$((i+1)); done; echo all-said"')
    wait_console(m, 'talker', 'line-1000')
    m.sh('kill -9 $(pidof consoled)')
    m.sh(f'until cat {console_log("talker")}* | grep -aq all-said; do usleep 200000; done', 300)
    m.sh(f'''cd /var/log/lodge/console
        cat $(ls -tr talker.log*) | tr -d '\\r' | grep -a '^line-' >/tmp/found
        i=0; while [ $i -lt {LINES} ]; do echo line-$i; i=$((i+1)); done | cmp - /tmp/found''', 200)
    lodge(m, 'destroy', 'talker')
