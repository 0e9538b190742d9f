# SPDX-License-Identifier: MIT
"""./check after the packages are there: build everything, run the tests, count."""
import argparse
import concurrent.futures
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tests/lib'))
import harness
import kernels
import qemu
import runargs
import steps
from machine import PATIENCE, Machine, MachineError
from steps import say

UNIT = steps.ROOT / 'tests/unit'
FUZZ = steps.ROOT / 'tests/fuzz'
HOST = steps.ROOT / 'tests/host'
SYSTEM = steps.ROOT / 'tests/system'
GUEST_TIMEOUT = 300


@dataclasses.dataclass
class Test:
    """A test by its full name. command: what runs it; its output is the test's log."""
    name: str
    command: list
    timeout: int
    long: bool = False
    alone: bool = False
    image: str = ''


def self_command(name, hypervisor):
    return [sys.executable, __file__, '--hypervisor', str(hypervisor), '--one', name]


def unit_tests():
    for path in sorted(UNIT.glob('test_*.c')):
        area = path.stem.removeprefix('test_')
        yield Test(f'unit/{area}', ['make', '-s', '-C', UNIT, f'OUT={steps.BUILD / "unit"}', f'run-{area}'], 600)


def fuzz_tests():
    for path in sorted(FUZZ.glob('fuzz_*.c')):
        target = path.stem.removeprefix('fuzz_')
        yield Test(f'fuzz/{target}', ['make', '-s', '-C', FUZZ, f'OUT={steps.BUILD / "fuzz"}', f'run-{target}'], 600)


def host_tests():
    """Programs of Domain 0 that run on the host as well; each file is a script whose exit status tells."""
    for path in sorted(HOST.glob('*.py')):
        yield Test(f'host/{path.stem}', [sys.executable, path], 300)


def source_tests():
    yield Test('source/headers', ['make', '-s', 'check-headers'], 300)
    yield Test('source/params', ['make', '-s', 'check-params'], 60)
    yield Test('source/python', ['make', '-s', 'check-python'], 60)


def guest_tests(hypervisor):
    for noun in kernels.nouns():
        _, _, flags = kernels.declarations(noun)
        yield Test(f'guest/{noun}', self_command(f'guest/{noun}', hypervisor), GUEST_TIMEOUT, 'long' in flags)


def system_tests(hypervisor):
    for path in sorted(SYSTEM.glob('*.py')):
        for t in harness.load_file(path):
            if t.ours and hypervisor != steps.HYPERVISOR:
                continue
            name = f'system/{path.stem}/{t.name}'
            yield Test(name, self_command(name, hypervisor), t.timeout, t.long, t.alone, t.image)


def all_tests(hypervisor):
    return [*source_tests(), *unit_tests(), *fuzz_tests(), *host_tests(), *guest_tests(hypervisor), *system_tests(hypervisor)]


def log_path(name):
    return steps.LOG / f'{name}.log'


# One test, in a process of its own

def run_system(name, hypervisor):
    _, noun, short = name.split('/')
    found = [t for t in harness.load_file(SYSTEM / f'{noun}.py') if t.name == short][0]
    context = harness.Context(hypervisor, log_path(name))
    with context.cleanup:
        found.run(context)


def run_guest(name, hypervisor):
    """A kernel of ours in Domain 0's place. It says what passed; or it is to end in the expected way."""
    noun, console = name.split('/')[1], ''
    with Machine(kernels.config(noun, hypervisor), log_path(name)) as machine:
        for pattern in kernels.ends(noun):
            end = machine.expect(pattern, GUEST_TIMEOUT)
            console += machine.before + end[0]
    kernels.judge(console)


def run_one(name, hypervisor):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        (run_guest if name.startswith('guest/') else run_system)(name, hypervisor)
        return 0
    except (harness.TestFailed, MachineError, steps.StepFailed) as error:
        where = [f'{Path(f.filename).name}:{f.lineno}' for f in traceback.extract_tb(error.__traceback__)
                 if '/tests/system/' in f.filename]
        print(f'\nFAILED {" ".join(where[-1:])}: {error}', flush=True)
    except Exception:
        traceback.print_exc()
    return 1


# All tests

class Runner:
    """Runs tests, some at a time, and prints a line for each."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = {}       # name -> process; under the lock
        self.passed = 0
        self.failed = []
        self.stopped = False

    def run(self, test):
        if self.stopped:
            return
        path = log_path(test.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        timeout = test.timeout * PATIENCE
        begin = time.monotonic()
        with open(path, 'ab') as log:
            process = subprocess.Popen([str(c) for c in test.command], cwd=steps.ROOT, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, start_new_session=True)
            with self.lock:
                self.running[test.name] = process
            try:
                verdict = '' if process.wait(timeout) == 0 else 'failed'
            except subprocess.TimeoutExpired:
                verdict = f'no end after {timeout:.0f} s'
                self.end(process)
        with self.lock:
            del self.running[test.name]
            if self.stopped:
                return
            seconds = f'{time.monotonic() - begin:6.1f} s'
            if verdict:
                self.failed.append(test.name)
                print(f'FAIL {test.name:40} {seconds}  {verdict}; {path}\n{steps.tail(path, 25)}', end='', flush=True)
            else:
                self.passed += 1
                print(f'ok   {test.name:40} {seconds}', flush=True)

    @staticmethod
    def end(process):
        """The test has a session of its own; QEMU follows its parent."""
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self):
        with self.lock:
            self.stopped = True
            for process in self.running.values():
                os.killpg(process.pid, signal.SIGTERM)


def names_test(name, full):
    """A full name, or the beginning of one; its first words may be missing: disk is system/disk."""
    return full.startswith(name) or f'/{name}' in full


def select(tests, names, long):
    """The tests that the names mean; without names, all but the long ones."""
    if not names:
        return [t for t in tests if long or not t.long]
    for name in names:
        if not any(names_test(name, t.name) for t in tests):
            say(f"error: there is no test '{name}'; ./check --list names them")
            sys.exit(2)
    chosen = [t for t in tests if any(t.name == name for name in names)]
    prefixed = [t for t in tests if any(names_test(name, t.name) for name in names) and t not in chosen]
    return chosen + [t for t in prefixed if long or not t.long]


def build(tests, hypervisor):
    kinds = {t.name.split('/')[0] for t in tests}
    if 'system' in kinds:
        steps.prepare(hypervisor=False)
    with steps.build_lock():
        if kinds & {'system', 'guest', 'host'} and hypervisor == steps.HYPERVISOR:
            steps.build_hypervisor()
        for image in sorted({t.image for t in tests} - {''}):
            steps.fetch_image(image)
        if kinds & {'system', 'guest'}:
            steps.make('guests', 'Building the guest tests')
        if 'host' in kinds:
            steps.make('tools', 'Building the tools')
        for kind, folder in (('unit', UNIT), ('fuzz', FUZZ)):
            if kind in kinds:
                steps.run_step(f'Building the {kind} tests', kind,
                               ['make', f'-j{os.cpu_count()}', '-s', '-C', folder, f'OUT={steps.BUILD / kind}', 'build'])


def main():
    p = argparse.ArgumentParser(prog='./check', usage='./check [OPTION]... [NAME...]; ./check --help lists the options',
                                add_help=False, allow_abbrev=False)
    p.add_argument('names', nargs='*')
    p.add_argument('--list', action='store_true')
    p.add_argument('--long', action='store_true')
    p.add_argument('--jobs', type=runargs.count, default=min(4, os.cpu_count()))
    p.add_argument('--hypervisor', type=Path, default=steps.HYPERVISOR)
    p.add_argument('--one', help=argparse.SUPPRESS)
    options = p.parse_args()
    hypervisor = options.hypervisor.absolute()
    if options.one:
        return run_one(options.one, hypervisor)

    tests = select(all_tests(hypervisor), options.names, options.long or options.list)
    if options.list:
        for t in tests:
            print(t.name + ('  (long)' if t.long else ''))
        return 0

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin = time.monotonic()
    runner = Runner()
    try:
        build(tests, hypervisor)
        qemu.kvm_works()
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            try:
                list(pool.map(runner.run, [t for t in tests if not t.alone]))
            except KeyboardInterrupt:
                runner.stop()
                raise
        for t in tests:
            if t.alone:
                runner.run(t)
    except KeyboardInterrupt:
        runner.stop()
        say('\ninterrupted')
        return 130
    except steps.StepFailed as error:
        say(str(error).rstrip())
        runner.failed.append('build')
    if runner.failed:
        print('Failed: ' + ' '.join(runner.failed))
    print(f'{time.monotonic() - begin:.0f} s in all; logs are in {steps.LOG}')
    print(f'{runner.passed} passed, {len(runner.failed)} failed')
    return 1 if runner.failed else 0


sys.exit(main())
