# SPDX-License-Identifier: MIT
"""./run after the packages are there: build, boot, and hand over the terminal or run a command."""
import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tests/lib'))
import qemu
import steps
from machine import Machine, MachineError
from steps import say

GDB_PORT = 1234
QUIET_HV = 'loglvl=warning guest_loglvl=warning'
QUIET_DOM0 = 'quiet loglevel=3'


def existing_file(text):
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file '{text}'")
    return Path(text).absolute()


def file_or_none(text):
    return None if text == 'none' else existing_file(text)


def size(text):
    try:
        qemu.size_mib(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def count(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return int(text)


def parse(argv):
    command = None
    if '--' in argv:
        split = argv.index('--')
        argv, command = argv[:split], argv[split + 1:]
    defaults = qemu.Config()
    p = argparse.ArgumentParser(prog='./run', usage='./run [OPTION]... [-- COMMAND...]; ./run --help lists the options',
                                add_help=False, allow_abbrev=False)
    p.add_argument('--cpus', type=count, default=defaults.cpus)
    p.add_argument('--memory', type=size, default=defaults.memory)
    p.add_argument('--machine', choices=('pc', 'q35'), default=defaults.machine)
    p.add_argument('--boot', choices=('direct', 'grub', 'grub1'), default=defaults.boot)
    p.add_argument('--hv-args', default='')
    p.add_argument('--dom0-args', default='')
    p.add_argument('--disk', type=existing_file)
    p.add_argument('--hypervisor', type=file_or_none, default=defaults.hypervisor)
    p.add_argument('--kernel', type=existing_file, default=defaults.kernel)
    p.add_argument('--initrd', type=file_or_none, default=defaults.initrd)
    p.add_argument('--accel', choices=('tcg', 'kvm'), default='auto')
    p.add_argument('--cpu', default='')
    p.add_argument('--gdb', action='store_true')
    p.add_argument('--timeout', type=count)
    p.add_argument('--log', default=steps.LOG / 'console.log')
    p.add_argument('--quiet', action='store_true')
    p.add_argument('--script', type=existing_file)
    options = p.parse_args(argv)
    if command == []:
        p.error("no command after '--'")
    if command and options.script:
        p.error('--script and a command exclude each other')
    if options.hypervisor is None and options.boot != 'direct':
        p.error('--boot needs a hypervisor')
    if options.script:
        options.command = options.script.read_bytes()
    else:
        options.command = shlex.join(command).encode() if command else None
    return options


def interactive(config, options):
    """The terminal becomes the machine's console."""
    with tempfile.TemporaryDirectory(prefix='lodge-') as scratch:
        line = qemu.command(config, scratch)
        line += ['-chardev', f'stdio,id=console,mux=on,signal=off,logfile={qemu.comma(options.log)}',
                 '-serial', 'chardev:console', '-mon', 'chardev=console']
        say(f'Booting: {config.cpus} processors, {config.memory}, {line[2].split(",")[0].upper()}.'
            ' To leave: poweroff in Domain 0, or Ctrl-A X.')
        if options.gdb:
            say(f'Waiting for a debugger. In another terminal: gdb {steps.SYMBOLS} -ex "target remote :{GDB_PORT}"')
        # Ctrl-C is for Domain 0; before QEMU has the terminal it ends both.
        try:
            status = subprocess.run(line).returncode
        except KeyboardInterrupt:
            status = 130
    if status not in (0, 130):
        say(f'Booting: QEMU failed with status {status}; the console is in {options.log}')
    return status


def run_command(config, options):
    """The command's output is the only thing on standard output."""
    def output(data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    if not options.quiet:
        say(f'Booting; the console goes to {options.log}')
    with Machine(config, options.log) as machine:
        if options.gdb:
            say(f'Waiting for a debugger: gdb {steps.SYMBOLS} -ex "target remote :{GDB_PORT}"')
        try:
            machine.wait_agent(None if options.gdb else 180)
            return machine.run(options.command, output, options.timeout)
        except MachineError as error:
            raise steps.StepFailed(f'Running the command: {error}. The end of {options.log}:\n'
                                   f'{steps.tail(options.log)}') from None


def main():
    options = parse(sys.argv[1:])
    config = qemu.Config(**{name: getattr(options, name) for name in
                            ('cpus', 'memory', 'machine', 'boot', 'cpu', 'accel', 'hv_args', 'dom0_args', 'disk',
                             'hypervisor', 'kernel', 'initrd')})
    if options.quiet:
        config.hv_args = f'{QUIET_HV} {config.hv_args}'.strip()
        config.dom0_args = f'{QUIET_DOM0} {config.dom0_args}'.strip()
    if options.gdb:
        config.extra = ('-S', '-gdb', f'tcp::{GDB_PORT}')
    config.reboot = options.command is None
    try:
        steps.prepare(hypervisor=config.hypervisor == steps.HYPERVISOR, quiet=options.quiet)
        os.makedirs(steps.LOG, exist_ok=True)
        open(options.log, 'wb').close()
        return (run_command if options.command is not None else interactive)(config, options)
    except steps.StepFailed as error:
        say(str(error).rstrip())
        return 125
    except KeyboardInterrupt:
        return 130


sys.exit(main())
