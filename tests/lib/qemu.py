# SPDX-License-Identifier: MIT
"""The virtual machine as a QEMU command line."""
import dataclasses
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import steps

QEMU = 'qemu-system-x86_64'
TRIAL_TIMEOUT = 30      # seconds; it takes one

# The menu entries: Multiboot 1, which GRUB 2 keeps, and Multiboot 2.
GRUB_ENTRIES = {
    'multiboot1': 'multiboot /boot/{hv} {hv_args}\n{modules1}',
    'multiboot2': 'multiboot2 /boot/{hv} {hv_args}\n{modules2}',
}
# GRUB's platform and the menu entry, by the name that --boot has for them.
GRUB_BOOTS = {
    'grub1': ('i386-pc', 'multiboot1'),
    'grub': ('i386-pc', 'multiboot2'),
    'uefi1': ('x86_64-efi', 'multiboot1'),
    'uefi': ('x86_64-efi', 'multiboot2'),
}
BOOTS = ('direct', *GRUB_BOOTS)

# Debian's UEFI firmware, and the template of the flash memory that it keeps its variables in.
OVMF_CODE = Path('/usr/share/OVMF/OVMF_CODE_4M.fd')
OVMF_VARS = Path('/usr/share/OVMF/OVMF_VARS_4M.fd')


@dataclasses.dataclass
class Disk:
    """A virtio-blk disk that is /dev/disk/NAME in Domain 0."""
    path: object
    name: str
    readonly: bool = False
    snapshot: bool = False      # what is written is lost with the machine


@dataclasses.dataclass
class Config:
    """A machine, and what boots on it. Sizes are text as QEMU takes it, such as 1G."""
    hypervisor: object = steps.HYPERVISOR   # path, or None for the kernel alone
    kernel: object = steps.KERNEL           # path, or None for no module at all
    initrd: object = steps.IMAGE            # path or None
    cpus: int = 2
    memory: str = '1G'
    machine: str = 'pc'                     # pc or q35
    boot: str = 'direct'                    # one of BOOTS
    grub: str = ''                          # GRUB's commands, in place of a menu of hypervisor, kernel and initrd
    cpu: str = ''                           # QEMU's -cpu; empty: the best that works
    accel: str = 'auto'                     # auto, tcg or kvm
    hv_args: str = ''                       # added to the defaults; the last of several wins
    dom0_args: str = ''
    disk: object = None                     # path of a virtio-blk disk, raw or qcow2
    disks: tuple = ()                       # of Disk: more of them
    tools: bool = True                      # with the disk of tools and guests, which Domain 0 mounts at /usr
    net: str = ''                           # options of QEMU's user network, such as hostfwd=...
    reboot: bool = True                     # False: QEMU ends where the machine would restart
    virtual: bool = False                   # virtual time: 2 ns for each instruction; one processor, never KVM
    extra: tuple = ()                       # more QEMU arguments


def size_mib(text):
    """1G -> 1024. ValueError if it is no size."""
    match = re.fullmatch(r'(\d+)([MmGg]?)', text)
    if not match:
        raise ValueError(f"'{text}' is not a size such as 512M or 2G")
    return int(match[1]) * (1024 if match[2] in ('G', 'g') else 1)


def kvm_trial():
    """Whether the hypervisor with a test kernel on it runs to its end. A /dev/kvm that can be opened does not prove it, nor does a boot sector
    that runs: there are KVMs with no hardware below them, which lack instructions."""
    with tempfile.TemporaryDirectory(prefix='lodge-trial-') as scratch:
        line = command(Config(accel='kvm', kernel=steps.build_trial_kernel(), initrd=None, tools=False, memory='512M', reboot=False), scratch)
        with subprocess.Popen([*line, '-serial', 'stdio'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            timer = threading.Timer(TRIAL_TIMEOUT, process.kill)
            timer.start()
            end = next((text for text in process.stdout if re.search(rb'GUEST-DONE|KVM internal error', text)), b'')
            timer.cancel()
            process.kill()
    return b' failed=0' in end


def kvm_works():
    """The trial's result; LODGE_KVM=yes or no in the environment is it, if there."""
    if 'LODGE_KVM' not in os.environ:
        # For the processes that we start as well.
        os.environ['LODGE_KVM'] = 'yes' if os.access('/dev/kvm', os.R_OK | os.W_OK) and kvm_trial() else 'no'
    return os.environ['LODGE_KVM'] == 'yes'


def use_kvm(config):
    return not config.virtual and (config.accel == 'kvm' or (config.accel == 'auto' and kvm_works()))


def hypervisor_args(config):
    return f'console=com1 com1=115200,8n1 dom0_mem={size_mib(config.memory) // 2}M {config.hv_args}'.strip()


def dom0_args(config):
    console = 'hvc0' if config.hypervisor else 'ttyS0'
    return f'console={console} {config.dom0_args}'.strip()


def comma(path):
    """QEMU ends a value at a comma, unless doubled."""
    return str(path).replace(',', ',,')


def disk_format(path):
    with open(path, 'rb') as f:
        return 'qcow2' if f.read(4) == b'QFI\xfb' else 'raw'


def disk_args(disk):
    drive = f'file={comma(disk.path)},if=none,id={disk.name},format={disk_format(disk.path)}'
    drive += ',readonly=on' if disk.readonly else ''
    drive += ',snapshot=on' if disk.snapshot else ''
    return ['-drive', drive, '-device', f'virtio-blk-pci,drive={disk.name},serial={disk.name}']


def direct_boot(config):
    """QEMU's own loader: Multiboot 1 for a hypervisor, Linux's protocol for a kernel alone."""
    if not config.hypervisor:
        initrd = ['-initrd', str(config.initrd)] if config.initrd else []
        return ['-kernel', str(config.kernel), '-append', dom0_args(config)] + initrd
    modules = []
    if config.kernel:
        modules.append(f'{comma(config.kernel)} {comma(dom0_args(config))}')
    if config.initrd:
        modules.append(comma(config.initrd))
    command = ['-kernel', str(config.hypervisor), '-append', hypervisor_args(config)]
    return command + (['-initrd', ','.join(modules)] if modules else [])


def grub_boot(config, scratch):
    """A CD with GRUB, in the directory scratch."""
    tree = Path(scratch) / 'cd'
    boot = tree / 'boot'
    (boot / 'grub').mkdir(parents=True)
    files = {} if config.grub else {'hv': config.hypervisor, 'vmlinuz': config.kernel, 'initrd': config.initrd}
    for name, path in files.items():
        if path:
            shutil.copyfile(path, boot / name)
    modules = [f'/boot/vmlinuz {dom0_args(config)}'] if config.kernel else []
    modules += ['/boot/initrd'] if config.initrd else []
    entries = ''
    for name, text in GRUB_ENTRIES.items():
        text = text.format(hv='hv', hv_args=hypervisor_args(config),
                           modules1='\n'.join('module ' + m for m in modules),
                           modules2='\n'.join('module2 ' + m for m in modules))
        entries += f'menuentry {name} {{\n{text}\n}}\n'
    platform, default = GRUB_BOOTS[config.boot]
    (boot / 'grub/grub.cfg').write_text(
        f'serial --unit=0 --speed=115200\nterminal_output serial\nset timeout=0\nset default={default}\n'
        f'insmod all_video\n{config.grub or entries}')
    image = Path(scratch) / 'grub.iso'
    result = subprocess.run(['grub-mkrescue', '-d', f'/usr/lib/grub/{platform}', '-o', image, tree],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        raise steps.StepFailed(f'Making the GRUB image failed.\n{result.stdout}')
    return ['-cdrom', str(image), '-boot', 'd'] + (uefi_flash(scratch) if uefi(config) else [])


def uefi(config):
    return config.boot in ('uefi', 'uefi1')


def uefi_flash(scratch):
    """The firmware, and flash memory of its own for this machine."""
    variables = Path(scratch) / 'uefi-variables'
    shutil.copyfile(OVMF_VARS, variables)
    return ['-drive', f'if=pflash,unit=0,format=raw,readonly=on,file={OVMF_CODE}',
            '-drive', f'if=pflash,unit=1,format=raw,file={comma(variables)}']


def command(config, scratch):
    """The QEMU command line, without console and monitor. scratch: a directory for a GRUB image."""
    if use_kvm(config):
        accel, cpu = 'kvm', 'host'
    else:
        # QEMU 7.2 loads the IRET frame of a kernel in ring 3 with supervisor rights and faults under SMAP.
        accel, cpu = 'tcg,thread=single' if config.virtual else 'tcg,thread=multi', 'max,-smap'
    # setpriv: QEMU does not outlive us, however we end.
    line = ['setpriv', '--pdeathsig', 'TERM', QEMU, '-accel', accel, '-cpu', config.cpu or cpu, '-machine', config.machine,
            '-smp', str(config.cpus), '-m', str(size_mib(config.memory)), '-nodefaults', '-display', 'none',
            '-vga', 'std', '-netdev', 'user,id=net0' + (',' + config.net if config.net else ''),
            '-device', 'e1000,netdev=net0,romfile=']
    if config.virtual:
        line += ['-icount', 'shift=1,sleep=off']
    if not config.reboot:
        line.append('-no-reboot')
    # In this order they are vda, vdb …: the user's first, ours last.
    users = (Disk(config.disk, 'disk'),) if config.disk else ()
    for disk in users + config.disks + ((Disk(steps.DISK, 'lodge', readonly=True),) if config.tools else ()):
        line += disk_args(disk)
    line += direct_boot(config) if config.boot == 'direct' else grub_boot(config, scratch)
    return line + list(config.extra)
