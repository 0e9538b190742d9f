# SPDX-License-Identifier: MIT
"""The test kernels, tests/guest/NOUN.c, which run in Domain 0's place: what each needs, and what it says at its end."""
import dataclasses
import re
import shlex

import runargs
import steps
from harness import TestFailed, check

GUEST = steps.ROOT / 'tests/guest'
DONE = r'GUEST-DONE passed=(\d+) failed=(\d+)'


def nouns():
    return sorted(path.stem for path in GUEST.glob('*.c'))


def declarations(noun):
    """What tests/guest/NOUN.args says: `args: OPTIONS OF ./run`, `expect: TEXT ON THE CONSOLE`, `long: WHY`, `processors: WHY` (vCPUs are not
    enough: it needs as many processors as its args say)."""
    args, expected, flags = [], [], set()
    path = GUEST / f'{noun}.args'
    for line in path.read_text().splitlines() if path.exists() else []:
        key, _, value = line.partition(':')
        if key == 'args':
            args += shlex.split(value)
        elif key == 'expect':
            expected.append(value.strip())
        elif key in ('long', 'processors'):
            flags.add(key)
        elif line.strip() and not line.startswith('#'):
            raise TestFailed(f'{path}: {line!r} is no declaration')
    return args, expected, flags


def config(noun, hypervisor):
    """The machine that it boots on."""
    args, _, _ = declarations(noun)
    found = runargs.config(runargs.parse(['--memory', '512M', *args]))
    return dataclasses.replace(found, hypervisor=hypervisor, kernel=steps.BUILD / f'guest/{noun}.elf', initrd=None, tools=False,
                               reboot=False, hv_args=f'dom0_mem=64M {found.hv_args}')


def ends(noun):
    """Patterns: when they have appeared on the console, in this order, it is over."""
    return [re.escape(text) for text in declarations(noun)[1]] or [DONE]


def judge(console):
    """Fail if the console, where one of ends() was DONE, says that a test failed, or that there was none."""
    match = re.search(DONE, console)
    if match:
        failed = re.findall(r'TEST \S+: FAIL.*', console[:match.start()])
        check(match[2] == '0' and not failed, '\n'.join(failed) or f'{match[2]} failed')
        check(int(match[1]) > 0, 'the kernel ran no tests')
