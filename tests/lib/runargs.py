# SPDX-License-Identifier: MIT
"""The options of ./run, which a guest test's .args file uses too."""
import argparse
import shlex
from pathlib import Path

import qemu
import steps

# Options that are fields of qemu.Config.
CONFIG_OPTIONS = ('cpus', 'memory', 'machine', 'boot', 'cpu', 'accel', 'hv_args', 'dom0_args', 'disk', 'hypervisor',
                  'kernel', 'initrd')
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
    """The arguments of ./run. Does not return if they are wrong: a message, and status 2."""
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
    p.add_argument('--boot', choices=qemu.BOOTS, default=defaults.boot)
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
    p.add_argument('--demo', action='store_true')
    options = p.parse_args(argv)
    if command == []:
        p.error("no command after '--'")
    if command and options.script:
        p.error('--script and a command exclude each other')
    if options.demo and (command or options.script):
        p.error('--demo runs a script of its own')
    if options.demo and not (options.hypervisor and options.initrd == steps.IMAGE):
        p.error('--demo needs a hypervisor and the Domain 0 image')
    if options.hypervisor is None and options.boot != 'direct':
        p.error('--boot needs a hypervisor')
    if options.demo:
        options.command = b'demo'
    elif options.script:
        options.command = options.script.read_bytes()
    else:
        options.command = shlex.join(command).encode() if command else None
    return options


def config(options):
    """The machine that the options describe."""
    result = qemu.Config(**{name: getattr(options, name) for name in CONFIG_OPTIONS})
    if options.quiet:
        result.hv_args = f'{QUIET_HV} {result.hv_args}'.strip()
        result.dom0_args = f'{QUIET_DOM0} {result.dom0_args}'.strip()
    return result
