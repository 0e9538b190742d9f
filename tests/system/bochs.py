# SPDX-License-Identifier: MIT
"""Debian's Bochs as the machine: an Intel processor with x2APIC, an invariant TSC and a TSC deadline timer, none of which QEMU's emulation has; an
AMD one; and interrupts between any two instructions, where QEMU's come only between translated blocks."""
import contextlib
import dataclasses
import functools
import os
import re
import select
import subprocess
import time
import tty

import kernels
import qemu
from harness import CRASHED, OOPS, SWITCH_INPUT, TestFailed, check, test
from machine import DOM0_PROMPT, PATIENCE

INTEL, AMD = 'corei7_haswell_4770', 'ryzen'
SETTINGS = '''cpu: model={model}, count=1, ips=100000000, reset_on_triple_fault=0
memory: guest=512, host=512
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={cd}, status=inserted
boot: cdrom
com1: enabled=1, mode=term, dev={console}
display_library: rfb, options="timeout=0"
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
speaker: enabled=0
panic: action=fatal
log: {log}
'''


class Bochs:
    """The machine while it runs; what it prints goes to the test's log, too."""

    def __init__(self, t, process, console):
        self.log, self.process, self.console = t.log, process, console
        self.output = ''

    def expect(self, pattern, timeout):
        """Read up to the end of what the pattern matches, which may not span lines; returns all that was read."""
        deadline = time.monotonic() + timeout * PATIENCE
        while not (match := re.search(pattern, self.output)):
            check(self.process.poll() is None, f'Bochs ended without {pattern!r} on the console')
            check(time.monotonic() < deadline, f'no {pattern!r} on the console in {timeout * PATIENCE:g} s')
            if select.select([self.console], [], [], 1)[0]:
                text = os.read(self.console, 65536).decode('utf-8', 'replace')
                self.output += text
                with open(self.log, 'a') as log:
                    log.write(text)
            crash = re.search(r'PANIC.*\n', self.output)
            check(not crash, crash and crash[0])
        read, self.output = self.output[:match.end()], self.output[match.end():]
        return read

    def type(self, text):
        os.write(self.console, text.encode())


def complaints(log):
    """The last errors in Bochs' log, lines "TIMEe[PART] TEXT": why an instruction faulted, for one."""
    return '\n'.join(re.findall(r'^\d+e\[.*', log.read_text(errors='replace'), re.M)[-40:])


@contextlib.contextmanager
def boot(t, model, config):
    """A Bochs with the processor `model`, by GRUB and Multiboot 1; of the configuration, what boots."""
    scratch = t.scratch / f'{model}-{config.kernel.stem}'
    scratch.mkdir()
    hv_args = f'{config.hv_args} noreboot dom0_max_vcpus={config.cpus}'
    qemu.grub_boot(dataclasses.replace(config, hypervisor=t.hypervisor, boot='grub1', hv_args=hv_args), scratch)
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    rc = scratch / 'bochsrc'
    rc.write_text(SETTINGS.format(model=model, cd=scratch / 'grub.iso', console=os.ttyname(theirs), log=scratch / 'log'))
    # Debian's has a debugger, which waits for a command: c continues.
    with subprocess.Popen(['bochs', '-q', '-f', rc], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.stdin.write(b'c\n')
            process.stdin.flush()
            yield Bochs(t, process, ours)
        except TestFailed:
            print(complaints(scratch / 'log'))
            raise
        finally:
            process.kill()
            os.close(ours)
            os.close(theirs)


def run_kernel(t, model, noun):
    """What the test kernel printed, which is all well."""
    console = ''
    with boot(t, model, kernels.config(noun, t.hypervisor)) as machine:
        for pattern in kernels.ends(noun):
            console += machine.expect(pattern, 300)
    kernels.judge(console)
    return console


def run_all_kernels(t, model):
    """All those that need neither UEFI nor a second processor. Several vCPUs share the one."""
    failed = []
    for noun in kernels.nouns():
        _, _, flags = kernels.declarations(noun)
        if 'processors' not in flags and kernels.config(noun, t.hypervisor).boot == 'direct':
            try:
                run_kernel(t, model, noun)
            except TestFailed as error:
                failed.append(f'{noun}: {error}')
    check(not failed, '\n'.join(failed))


def domain0(t, model):
    """Debian's kernel as Domain 0, to its prompt; it runs programs there, and its page tables are counted."""
    # Bochs' XSAVEC writes upper halves of the vector registers over what must be zero: docs/running.md.
    with boot(t, model, qemu.Config(hv_args='dom0_mem=256M cpuid=no-xsavec', cpus=2)) as machine:
        started = machine.expect(DOM0_PROMPT, 900)
        check(not re.search(f'{OOPS}|{CRASHED}', started), 'a crash on the console')
        machine.type('n=$(for i in $(seq 20); do ls -lR /etc | gzip | md5sum; done | sort -u | wc -l); echo "different results: $n"\n')
        machine.expect('different results: 1\r', 300)
        machine.type(SWITCH_INPUT + 'a')
        machine.expect('audit: clean', 120)


@test(ours=True, long=True)
def intel_time(t):
    """Time by the deadline timer, interrupts by x2APIC: guest/time."""
    text = run_kernel(t, INTEL, 'time')
    for expected in ('APIC: x2APIC mode', 'APIC timer: TSC deadline', ', invariant;'):
        check(expected in text, f'no {expected!r} in the log')


for name, model in {'intel': INTEL, 'amd': AMD}.items():
    test(f'{name}-kernels', ours=True, long=True, timeout=1500)(functools.partial(run_all_kernels, model=model))
    test(f'{name}-domain0', ours=True, long=True, timeout=1500)(functools.partial(domain0, model=model))
