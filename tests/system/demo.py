# SPDX-License-Identifier: MIT
"""./run --demo, as a user starts it: the main job from beginning to end."""
import subprocess

import steps
from harness import check, check_equal, test
from machine import PATIENCE


def run(t, *more, timeout=400):
    ours = [] if t.ours else ['--hypervisor', str(t.hypervisor)]
    return subprocess.run([steps.ROOT / 'run', '--log', t.scratch / 'console.log', *ours, *more], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout * PATIENCE)


@test(timeout=420)
def demo(t):
    result = run(t, '--demo')
    print(result.stdout, result.stderr, sep='\n', flush=True)
    check_equal(result.returncode, 0, 'status')
    for text in ('Linux version 6.', 'a guest of Lodge', ' 0% packet loss', 'Hello from hello.', 'Domain-0', 'powers off'):
        check(text in result.stdout, f'{text!r} is not in what the demo shows')


@test(timeout=420)
def failing_step(t):
    """A step that fails is named, and the status is not 0."""
    result = run(t, '--', 'sh', '-c', 'echo memory = 99999999 >>/etc/xen/vm/hello; demo')
    check_equal(result.returncode, 1, 'status')
    check('this step failed' in result.stdout and 'memory' in result.stdout, f'what it says: {result.stdout[-500:]}')
