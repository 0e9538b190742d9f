# SPDX-License-Identifier: MIT
"""Debian's Bochs as the machine: an Intel processor with x2APIC, an invariant TSC and a TSC deadline timer, none of which QEMU's emulation has."""
import re
import subprocess
import time

import qemu
import steps
from harness import check, test
from machine import PATIENCE

SETTINGS = '''cpu: model={model}, count=1, ips=100000000, reset_on_triple_fault=0
memory: guest=512, host=512
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={cd}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={console}
display_library: rfb, options="timeout=0"
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
speaker: enabled=0
panic: action=fatal
log: {log}
'''


def console(t, model, kernel, end, timeout):
    """Boot the kernel in Domain 0's place; what is on the serial line when the pattern `end` is there."""
    qemu.grub_boot(qemu.Config(hypervisor=t.hypervisor, kernel=kernel, initrd=None, boot='grub1', hv_args='dom0_mem=64M noreboot'), t.scratch)
    rc, serial = t.scratch / 'bochsrc', t.scratch / 'serial'
    serial.touch()
    rc.write_text(SETTINGS.format(model=model, cd=t.scratch / 'grub.iso', console=serial, log=t.scratch / 'log'))
    deadline = time.monotonic() + timeout * PATIENCE
    # Debian's has a debugger, which waits for a command: c continues.
    with subprocess.Popen(['bochs', '-q', '-f', rc], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as bochs:
        try:
            bochs.stdin.write(b'c\n')
            bochs.stdin.flush()
            text = ''
            while not re.search(end, text) and bochs.poll() is None and time.monotonic() < deadline:
                time.sleep(0.2)
                text = serial.read_text('utf-8', 'replace')
        finally:
            bochs.kill()
    with open(t.log, 'a') as log:
        log.write(text)
    return text


@test(ours=True, long=True)
def intel_time(t):
    """Time by the deadline timer, interrupts by x2APIC: guest/time."""
    text = console(t, 'corei7_haswell_4770', steps.BUILD / 'guest/time.elf', r'GUEST-DONE .*\n', 200)
    for expected in ('APIC: x2APIC mode', 'APIC timer: TSC deadline', ', invariant;'):
        check(expected in text, f'no {expected!r} in the log')
    check(re.search(r'GUEST-DONE passed=[1-9]\d* failed=0', text), f'the end of the console: {text[-300:]!r}')


@test(ours=True, long=True)
def amd_boot(t):
    """An AMD processor: guest/boot."""
    text = console(t, 'ryzen', steps.BUILD / 'guest/boot.elf', r'GUEST-DONE .*\n', 200)
    check(re.search(r'GUEST-DONE passed=[1-9]\d* failed=0', text), f'the end of the console: {text[-300:]!r}')
