# SPDX-License-Identifier: MIT
"""System tests: how they are declared, and what they get.

A test is a function in tests/system/NOUN.py with the decorator @test; it appears as system/NOUN/NAME. It gets a
Context, whose boot() starts machines. It passes if it returns.
"""
import contextlib
import dataclasses
import importlib.util
import pathlib
import tempfile

import qemu
import steps
from machine import DOM0_PROMPT, Machine

# What the hypervisor says when Domain 0 has panicked, or triple-faulted; ours first.
CRASHED = r'(Domain 0|Hardware Dom0) crashed'
SWITCH_INPUT = '\x01' * 3
OOPS = r'Oops|BUG:|Call Trace|Kernel panic|general protection fault|unable to handle|PANIC'


class TestFailed(Exception):
    """What was checked is not so."""


@dataclasses.dataclass
class SystemTest:
    """A declared test. name: without its file's noun."""
    name: str
    run: object
    timeout: int = 300      # seconds, on two processors with software emulation
    long: bool = False      # runs only with --long or when named
    alone: bool = False     # measures time or needs all processors: not beside another test
    ours: bool = False      # about our hypervisor; skipped with --hypervisor
    image: str = ''         # of Debian's images that it needs: guest, host, peer, template (steps.fetch_image)


declared = []


def test(name=None, **attributes):
    """Declare the function as a test. name: if other than the function's."""
    def register(function):
        declared.append(SystemTest(name or function.__name__.replace('_', '-'), function, **attributes))
        return function
    return register


def load_file(path):
    """The tests that a file declares."""
    declared.clear()
    spec = importlib.util.spec_from_file_location(f'system_{path.stem}', path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return list(declared)


def check(condition, text):
    """The text says what was found instead."""
    if not condition:
        raise TestFailed(text)


def check_equal(found, expected, what):
    check(found == expected, f'{what}: found {repr(found):.500}, expected {repr(expected):.500}')


class Context:
    """What a running test has."""

    def __init__(self, hypervisor, log):
        self.hypervisor = hypervisor
        self.ours = hypervisor == steps.HYPERVISOR
        self.log = log
        self.cleanup = contextlib.ExitStack()
        self.scratch = pathlib.Path(self.cleanup.enter_context(tempfile.TemporaryDirectory(prefix='lodge-test-')))

    def boot(self, **config):
        """Start a machine; it ends with the test at the latest. The arguments are fields of qemu.Config."""
        config.setdefault('hypervisor', self.hypervisor)
        return self.cleanup.enter_context(Machine(qemu.Config(**config), self.log))

    def boot_dom0(self, **config):
        """Start a machine and wait until Domain 0 takes commands."""
        machine = self.boot(**config)
        machine.wait_agent()
        return machine


def wait_prompt(machine):
    """Domain 0's shell is ready for what is typed."""
    machine.expect(DOM0_PROMPT)


def check_dom0_healthy(machine, known=None):
    """No oops in Domain 0's log. Warnings with the text `known` are the kernel's own business."""
    bad = machine.sh(f"dmesg | grep -E '{OOPS}|WARNING:' || true").splitlines()
    for warning in [line for line in bad if known and known in line]:
        at = bad.index(warning)
        del bad[at:at + (2 if 'Call Trace:' in ''.join(bad[at + 1:at + 2]) else 1)]
    check(not bad, "Domain 0's log has: " + '\n'.join(bad))


def audit(machine):
    """The hypervisor's audit of all page types and counts must be clean."""
    with hypervisor_keys(machine):
        machine.type('a')
        found = machine.expect(r'audit: (clean|\d+ differences|no memory)', timeout=120)[1]
    check_equal(found, 'clean', 'audit')


def check_sound(t, machine, known=None):
    """Both of these; the audit if the hypervisor is ours."""
    check_dom0_healthy(machine, known)
    if t.ours:
        audit(machine)


@contextlib.contextmanager
def hypervisor_keys(machine):
    """The console's input goes to the hypervisor."""
    switched = r'[Ii]nput (?:goes )?to '    # ours and Xen's message
    machine.type(SWITCH_INPUT)
    machine.expect(switched + '(?:Lodge|Xen)', timeout=30)
    yield
    machine.type(SWITCH_INPUT)
    machine.expect(switched + '(?:Domain 0|DOM0)', timeout=30)


def screen_lines(machine):
    """The lines of the VGA text screen, from the machine's memory."""
    dump = machine.command('human-monitor-command', **{'command-line': 'xp /2000hx 0xb8000'})
    cells = [chr(int(cell, 16) & 0xff) for line in dump.splitlines() for cell in line.partition(':')[2].split()]
    return [''.join(cells[at:at + 80]).rstrip() for at in range(0, 2000, 80)]
