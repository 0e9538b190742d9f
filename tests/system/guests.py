# SPDX-License-Identifier: MIT
"""Guests of every kind, each booted: Debian's kernel on several vCPUs, a whole Debian, PV GRUB, a tiny kernel, ten at once."""
import qemu
from guests import (DEBIAN, TINY, UP, boot, console_log, create, define, guests, in_guest, lodge, lodge_json, oops, pvgrub, wait_console,
                    wait_gone)
from harness import audit, check, check_dom0_healthy, check_equal, test
from machine import DOM0_PROMPT


DEBIAN_PROMPT = r'root@debian:~# '


def finish(t, m):
    """The machine is as sound as before."""
    check_dom0_healthy(m)
    check_equal(guests(m), {}, 'guests at the end')
    if t.ours:
        audit(m)


def boots_with(t, vcpus):
    m = boot(t, cpus=max(2, vcpus))
    create(m, 'many', vcpus=vcpus)
    check_equal(in_guest(m, 'many', 'nproc').strip(), str(vcpus), 'processors in the guest')
    listed = lodge_json(m, 'vcpu-list', 'many')['guests'][0]['vcpus']
    check_equal([v['state'] != 'offline' for v in listed], [True] * vcpus, 'vCPUs that are online')
    # Every one of them works.
    in_guest(m, 'many', f'''
        cpu=0
        while [ $cpu -lt {vcpus} ]; do
            taskset -c $cpu sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done' &
            cpu=$((cpu + 1))
        done
        wait''')
    check(not oops(m.sh(f'cat {console_log("many")}')), 'the guest complained')
    lodge(m, 'shutdown', '-w', 'many')
    finish(t, m)


@test(timeout=400, long=True)
def one_vcpu(t):
    boots_with(t, 1)


@test(timeout=400)
def two_vcpus(t):
    boots_with(t, 2)


@test(timeout=400, long=True)
def four_vcpus(t):
    boots_with(t, 4)


@test(timeout=300)
def tiny_kernel(t):
    """A kernel of our own in 4 MiB."""
    m = boot(t, files={'tiny.elf': TINY})
    define(m, 'tiny', kernel='/files/tiny.elf', ramdisk=None, extra=None, memory=4, vif=None)
    lodge(m, 'create', 'tiny')
    wait_console(m, 'tiny', 'tiny: ')
    check_equal(guests(m)['tiny']['memory_kib'] <= 4096, True, 'memory within 4 MiB')
    lodge(m, 'shutdown', '-w', 'tiny')
    finish(t, m)


@test(timeout=900, image='guest', long=True)
def debian(t):
    """A whole Debian from its own disk: log in on its console, files, network, shutdown."""
    m = boot(t, disks=(qemu.Disk(DEBIAN, 'debian', snapshot=True),), memory='2G')
    m.sh('mount -o ro -t ext4 /dev/disk/debian /mnt; cp /mnt/boot/vmlinuz* /mnt/boot/initrd.img* /tmp; umount /mnt; rm -f /tmp/*.old')
    define(m, 'debian', kernel='/tmp/vmlinuz', ramdisk='/tmp/initrd.img', root='/dev/xvda ro', extra='console=hvc0', memory=512,
           disk=['phy:/dev/disk/debian,xvda,w'])
    log_in(m, 'debian')
    on_console(m, 'systemctl is-system-running --wait', '^running', 400)
    on_console(m, 'findmnt -n -o SOURCE,FSTYPE,OPTIONS / | cut -d, -f1', r'^/dev/xvda +ext4 +rw')
    on_console(m, 'dd if=/dev/urandom of=/root/f bs=1M count=16 2>&1 | tail -n 1; sha256sum /root/f >/root/sum; sync; '
               'echo 3 >/proc/sys/vm/drop_caches; sha256sum -c /root/sum', '^/root/f: OK', 200)
    on_console(m, 'echo $(nproc) processor', '^1 processor')
    bridge = lodge_json(m, 'version')['network']['address']
    on_console(m, f'networkctl --no-pager status eth0 | grep State:; ping -c 3 {bridge}', '^3 packets .* 0% packet loss', 60)
    leave_console(m)
    check(not oops(m.sh(f'cat {console_log("debian")}')), 'the guest complained')
    lodge(m, 'shutdown', '-w', 'debian', '--timeout', '120', timeout=150)
    finish(t, m)


@test(timeout=900, image='guest', long=True)
def pv_grub(t):
    """PV GRUB takes kernel, initramfs and command line from the guest's own disk."""
    m = boot(t, files={'pvgrub': pvgrub(t.scratch)}, disks=(qemu.Disk(DEBIAN, 'debian', snapshot=True),), memory='2G')
    define(m, 'grub', kernel='/files/pvgrub', ramdisk=None, extra=None, memory=512, disk=['phy:/dev/disk/debian,xvda,w'], vif=None)
    log_in(m, 'grub')
    on_console(m, 'cat /proc/cmdline', r'root=/dev/xvda ro')
    m.type('poweroff\n')
    wait_gone(m, 'grub')
    finish(t, m)


def log_in(m, name):
    """Create the guest with its console on Domain 0's and log in as root."""
    m.type('\n')
    m.expect(DOM0_PROMPT)
    m.type(f'lodge create {name} -c\n')
    m.expect(r'debian login: ', 400)
    m.type('root\n')
    m.expect(DEBIAN_PROMPT, 120)
    # What is typed is to come back as it is, on one line.
    m.type("bind 'set enable-bracketed-paste off'; stty columns 500\n")
    m.expect(DEBIAN_PROMPT)


def on_console(m, command, pattern, timeout=120):
    """Type a command on the guest's console and wait for what it is to print; the pattern begins with ^, as what was typed comes back."""
    m.type(command + '\n')
    m.expect(pattern, timeout)
    m.expect(DEBIAN_PROMPT, timeout)


def leave_console(m):
    m.type('\x1d')
    m.expect(DOM0_PROMPT)


@test(timeout=900, long=True)
def ten_at_once(t):
    """Ten guests reach each other by name, and Domain 0 reaches them."""
    names = [f'g{i}' for i in range(10)]
    m = boot(t, memory='2G')
    for name in names:
        create(m, name, up=None, memory=96)
    for name in names:
        wait_console(m, name, UP, 600)
    check_equal(sorted(guests(m)), names, 'guests')
    macs = {lodge_json(m, 'info', n)['nics'][0]['mac'] for n in names}
    check_equal(len(macs), 10, 'different MAC addresses')
    for name in names:
        targets = ' '.join(n for n in names if n != name)
        in_guest(m, name, f'for n in {targets}; do ping -c 1 -W 10 $n >/dev/null || exit 1; done', 200)
        m.sh(f'wget -q -O - http://{name}/ | grep -x "Hello from {name}\\."')
    lodge(m, 'shutdown', '-w', '-a', timeout=300)
    finish(t, m)
