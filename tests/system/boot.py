# SPDX-License-Identifier: MIT
"""Every way to boot, on both machines and on 1, 2 and 4 processors, as far as a Domain 0 that works and powers off."""
import functools
import subprocess

import steps
from harness import check, check_dom0_healthy, check_equal, test


def boots(t, machine, boot, cpus, **config):
    m = t.boot_dom0(machine=machine, boot=boot, cpus=cpus, dom0_args='lodge-test=passed', **config)
    check('lodge-test=passed' in m.sh('cat /proc/cmdline'), "Domain 0's parameters did not arrive")
    check_equal(m.sh('cat /sys/hypervisor/type').strip(), 'xen', 'hypervisor type')
    check_equal(m.sh('nproc').strip(), str(cpus), 'processors in Domain 0')
    if boot == 'uefi':
        check_equal(m.sh('cat /sys/firmware/efi/fw_platform_size').strip(), '64', 'platform size of UEFI')
        check('BootOrder-' in m.sh('ls /sys/firmware/efi/efivars'), "UEFI's variables are not to be seen")
    check_dom0_healthy(m)
    m.sh('poweroff')
    check_equal(m.wait_event('SHUTDOWN', 60)['reason'], 'guest-shutdown', 'reason of the shutdown')


for machine in ('pc', 'q35'):
    for boot in ('direct', 'grub1', 'grub', 'uefi'):
        for cpus in (1, 2, 4):
            usual = cpus == 2 or (machine, boot) == ('pc', 'direct')
            usual = usual and (machine, boot) not in (('pc', 'uefi'), ('pc', 'grub'), ('q35', 'grub1'))
            test(f'{machine}-{boot}-{cpus}', long=not usual, timeout=240)(
                functools.partial(boots, machine=machine, boot=boot, cpus=cpus))


@test(ours=True)
def small_machine(t):
    """Unpacking the kernel takes no more memory than it must: this is enough for it, for modules and for a Domain 0 that begins to run."""
    m = t.boot(memory='192M', hv_args='dom0_mem=100M', reboot=False)
    m.expect('Linux version', timeout=60, unless='Lodge cannot boot|PANIC')


@test()
def gzip_image(t):
    """GRUB unpacks a gzip'ed hypervisor by itself. A plain number is KiB."""
    import gzip
    packed = t.scratch / 'hypervisor.gz'
    packed.write_bytes(gzip.compress(open(t.hypervisor, 'rb').read()))
    m = t.boot_dom0(boot='grub1', hypervisor=packed, hv_args='dom0_mem=458752')
    check_equal(m.sh('cat /sys/hypervisor/type').strip(), 'xen', 'hypervisor type')
    mib = int(m.sh('cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb')) / 1024
    check(444 <= mib <= 452, f'Domain 0 has {mib:.1f} MiB')


@test(long=True, timeout=900)
def debian_13(t):
    """The kernel of the next release, 6.12, as Domain 0."""
    kernel = steps.fetch_kernel(release='trixie')
    initrd = t.scratch / 'dom0.gz'
    subprocess.run([steps.ROOT / 'image/build', kernel, initrd], check=True)
    boots(t, 'q35', 'grub', 2, kernel=kernel / 'vmlinuz', initrd=initrd)
