# SPDX-License-Identifier: MIT
"""Boots that cannot work: each ends in one clear message, at once, and never in a panic of ours."""
import functools
import struct

import steps
from harness import CRASHED, check, test

REFUSAL = r'Lodge cannot boot: (.*)\n'
OUR_PANIC = r'PANIC|Backtrace|BUG at'
EM_386, EM_X86_64 = 3, 62
XEN_ELFNOTE_SUPPORTED_FEATURES = 17


def refused(t, words, **config):
    """The message must have one of the words, so that it is about the right thing."""
    m = t.boot(reboot=False, **config)
    text = m.expect(REFUSAL, timeout=60, unless=OUR_PANIC)[1]
    check(any(word in text.lower() for word in words), f'the message is not about {" or ".join(words)}: {text!r}')
    check('Linux version' not in m.output, 'the kernel was started all the same')


def elf(machine, bits):
    """A minimal ELF executable: a header, one loadable segment of 16 bytes, no notes."""
    if bits == 32:
        head = struct.pack('<4sBBB9xHHIIIIIHHHHHH', b'\x7fELF', 1, 1, 1, 2, machine, 1, 0x100000, 52, 0, 0, 52, 32, 1, 0, 0, 0)
        segment = struct.pack('<IIIIIIII', 1, 84, 0x100000, 0x100000, 16, 16, 5, 1)
    else:
        head = struct.pack('<4sBBB9xHHIQQQIHHHHHH', b'\x7fELF', 2, 1, 1, 2, machine, 1, 0x1000000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        segment = struct.pack('<IIQQQQQQ', 1, 5, 120, 0x1000000, 0x1000000, 16, 16, 1)
    return head + segment + b'\xf4' * 16


def corrupt(data):
    """Some bytes in the middle of the compressed kernel."""
    middle = len(data) // 2
    return data[:middle] + bytes(b ^ 0x5a for b in data[middle:middle + 64]) + data[middle + 64:]


def not_for_dom0(_):
    """A test kernel whose notes do not say that it can be Domain 0, as Linux without CONFIG_XEN_DOM0 (Debian's cloud kernel)."""
    data = (steps.BUILD / 'guest/misc.elf').read_bytes()
    features = data.index(struct.pack('<III4s', 4, 4, XEN_ELFNOTE_SUPPORTED_FEATURES, b'Xen')) + 16
    return data[:features] + bytes(4) + data[features + 4:]


def bad_kernel(t, make, words):
    kernel = t.scratch / 'kernel'
    kernel.write_bytes(make(steps.KERNEL.read_bytes()))
    refused(t, words, kernel=kernel)


for name, make, words in (
        ('corrupt-kernel', corrupt, ('corrupt', 'damaged', 'unpack', 'decompress', 'data')),
        ('truncated-kernel', lambda data: data[:len(data) // 3], ('truncated', 'corrupt', 'beyond', 'short', 'end', 'payload')),
        ('header-only-kernel', lambda data: data[:0x240], ('truncated', 'beyond', 'short', 'end', 'payload', 'setup')),
        ('32-bit-kernel', lambda _: elf(EM_386, 32), ('32-bit', '64-bit')),
        ('not-for-dom0-kernel', not_for_dom0, ('without support for being domain 0',)),
        ('non-xen-kernel', lambda _: elf(EM_X86_64, 64), ('xen', 'note')),
        ('text-kernel', lambda _: b'This is no kernel.\n' * 100, ('kernel', 'format', 'neither', 'elf'))):
    test(name, ours=True)(functools.partial(bad_kernel, make=make, words=words))


@test(ours=True)
def no_kernel(t):
    refused(t, ('module', 'kernel'), kernel=None, initrd=None)


@test(ours=True)
def no_kernel_grub(t):
    refused(t, ('module', 'kernel'), kernel=None, initrd=None, boot='grub')


@test(ours=True, long=True)
def no_kernel_uefi(t):
    refused(t, ('module', 'kernel'), kernel=None, initrd=None, boot='uefi')


@test(ours=True, long=True)
def too_much_dom0_mem_uefi(t):
    refused(t, ('dom0_mem', 'memory'), hv_args='dom0_mem=8G', boot='uefi', machine='q35')


@test(ours=True)
def too_much_dom0_mem(t):
    refused(t, ('dom0_mem', 'memory'), hv_args='dom0_mem=8G')


@test(ours=True)
def too_little_dom0_mem(t):
    refused(t, ('dom0_mem', 'memory'), hv_args='dom0_mem=8M')


@test(ours=True)
def tiny_machine(t):
    refused(t, ('memory',), memory='24M')


@test(ours=True)
def empty_initrd(t):
    initrd = t.scratch / 'initrd'
    initrd.write_bytes(b'')
    refused(t, ('initrd', 'module', 'ram disk'), initrd=initrd, boot='grub')


@test(ours=True)
def truncated_initrd(t):
    """Only the kernel knows the format. It panics, and the hypervisor says that, whose fault it was, and restarts."""
    initrd = t.scratch / 'initrd'
    initrd.write_bytes(steps.IMAGE.read_bytes()[:1 << 20])
    m = t.boot(initrd=initrd, reboot=False)
    m.expect(f'{REFUSAL}|{CRASHED}', timeout=90, unless=OUR_PANIC)
    m.wait_exit(30)


for name, cpu, words in (('no-64-bit', 'qemu32', ('64-bit', 'long mode')),
                         ('no-nx', 'qemu64,-nx', ('nx', 'no-execute', 'execute-disable')),
                         ('no-sse2', 'qemu64,-sse2', ('sse2',))):
    test(name, ours=True)(functools.partial(refused, words=words, cpu=cpu))


@test(ours=True)
def unknown_parameter(t):
    """Named and ignored, unlike the above."""
    m = t.boot(hv_args='frobnicate=1 loglvl=sometimes')
    m.expect('frobnicate', timeout=60, unless=OUR_PANIC)
    m.wait_agent()
    log = m.sh('hvctl log')
    check(any('loglvl' in line and 'sometimes' in line for line in log.splitlines() if 'Command line' not in line),
          'nothing says what loglvl expects')


@test()
def no_init(t):
    """A Domain 0 without user space panics; the machine restarts instead of hanging."""
    m = t.boot(initrd=None, reboot=False)
    m.expect(CRASHED, timeout=90)
    m.wait_exit(30)
