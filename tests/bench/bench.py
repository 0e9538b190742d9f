# SPDX-License-Identifier: MIT
"""What the benches' programs share: the images, the machines, and a script's results."""
import gzip
import lzma
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'lib'))
import guests
import qemu
import steps
from machine import MachineError

SIDES = ('lodge', 'xen')
BOOT_TIMEOUT, BENCH_TIMEOUT = 900, 1800
DEBUGFS = shutil.which('debugfs', path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')


def install_packages():
    """What is missing for tests and benches."""
    subprocess.run([str(steps.ROOT / 'check'), '--list'], stdout=subprocess.DEVNULL, check=True)


def empty_log(name):
    """build/log/bench/NAME.log"""
    log = steps.LOG / f'bench/{name}.log'
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b'')
    return log


def unpack_kernel(packed, out):
    """The ELF in a bzImage: Linux's boot protocol, "payload_offset" and "payload_length"."""
    image = packed.read_bytes()
    setup = (image[0x1f1] or 4) + 1
    offset, length = struct.unpack_from('<II', image, 0x248)
    begin = setup * 512 + offset
    out.write_bytes(lzma.decompress(image[begin:begin + length - 4]))      # behind it, its size


def peer_hypervisor(disk):
    xen = steps.BUILD / 'peer-xen'
    packed = subprocess.run([DEBUGFS, '-R', 'cat /boot/xen-4.17-amd64.gz', disk], capture_output=True, check=True).stdout
    xen.write_bytes(gzip.decompress(packed))
    return xen


def prepare(sides):
    """The images; {side: Config}, and the directory for files that go with the machine."""
    steps.prepare()
    with steps.build_lock():
        steps.make('guests', 'Building the guest tests')
        peer_disk = steps.fetch_debian('peer') if 'xen' in sides else None
    scratch = steps.BUILD / 'bench-files'
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    unpack_kernel(steps.KERNEL, scratch / 'vmlinux')
    files = guests.files_disk(scratch, {'tiny.elf': guests.TINY, 'lib.sh': HERE / 'lib.sh', 'vmlinux': scratch / 'vmlinux'})
    common = dict(virtual=True, cpus=1, memory='3G', hv_args='dom0_mem=1024M', dom0_args='quiet')
    configs = {}
    if 'lodge' in sides:
        configs['lodge'] = qemu.Config(**common, disks=(files,))
    if 'xen' in sides:
        configs['xen'] = qemu.Config(**common, disks=(files, *guests.PEER_DISKS), tools=False, hypervisor=peer_hypervisor(peer_disk))
    if 'none' in sides:
        configs['none'] = qemu.Config(**common, disks=(files,), hypervisor=None)
    return configs, scratch


def run_script(side, machine, text, store):
    """{key: (value, unit)} that a bench, as text, finds in Domain 0."""
    script = (HERE / f'{side}.sh').read_text().replace('@BENCH@', text)
    if side == 'xen':
        script = guests.peer_script(store) + script
    found, output = {}, []

    def note(data):
        output.append(data)
        machine.log.write(data)

    status = machine.run(script, note, BENCH_TIMEOUT)
    text = b''.join(output).decode('utf-8', 'replace')
    if status:
        raise MachineError(f'the bench ended with status {status}: {text.strip()[-300:]}')
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ['result']:
            found[words[1]] = (float(words[2]), words[3])
    return found
