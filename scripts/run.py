# SPDX-License-Identifier: MIT
"""./run after the packages are there: build, boot, and hand over the terminal or run a command."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tests/lib'))
import qemu
import runargs
import steps
from machine import Machine, MachineError
from steps import say

GDB_PORT = 1234
BOOT_TIMEOUT = 180   # seconds until Domain 0 takes a command; some 10 are usual
POWEROFF_TIMEOUT = 120


def interactive(config, options):
    """The terminal becomes the machine's console."""
    if sys.stdout.isatty():
        # The kernel hands words that it does not know to init as environment.
        columns, lines = shutil.get_terminal_size()
        config.dom0_args += f' TERM={os.environ.get("TERM", "vt100")} LINES={lines} COLUMNS={columns}'
    with tempfile.TemporaryDirectory(prefix='lodge-') as scratch:
        line = qemu.command(config, scratch)
        line += ['-chardev', f'stdio,id=console,mux=on,signal=off,logfile={qemu.comma(options.log)}',
                 '-serial', 'chardev:console', '-mon', 'chardev=console']
        say(f'Booting: {config.cpus} processors, {config.memory}, {"KVM" if qemu.use_kvm(config) else "software emulation"}.'
            ' To leave: poweroff in Domain 0, or Ctrl-A X.')
        if options.gdb:
            say(f'Waiting for a debugger. In another terminal: gdb {steps.SYMBOLS} -ex "target remote :{GDB_PORT}"')
        # Ctrl-C is for Domain 0; before QEMU has the terminal it ends both.
        try:
            status = subprocess.run(line).returncode
        except KeyboardInterrupt:
            status = 130
    if status not in (0, 130):
        say(f'Booting failed: QEMU ended with status {status}; the console is in {options.log}')
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
            machine.wait_agent(None if options.gdb else options.timeout or BOOT_TIMEOUT)
            status = machine.run(options.command, output, options.timeout)
            if options.demo and status == 0:
                machine.run('poweroff', output)
                status = machine.wait_exit(POWEROFF_TIMEOUT)
            return status
        except MachineError as error:
            raise steps.StepFailed(f'Running the command failed: {error}. The end of {options.log}:\n'
                                   f'{steps.tail(options.log)}') from None


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = runargs.parse(sys.argv[1:])
    config = runargs.config(options)
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
