# SPDX-License-Identifier: MIT
"""Debian's Xen tools on Lodge instead of ours: the interface of the tools is the one that they know."""
import re
import shlex

from guests import PEER_DISKS, TINY, files_disk, peer_script, to_agent
from harness import check, check_equal, check_sound, test
from machine import MachineError

BRIDGE, ADDRESS = '10.9.0.1', '10.9.0.2'    # Domain 0's and the guest's
LINUX = f'''
name = "linux"
kernel = "/boot/vmlinuz"
ramdisk = "/boot/guest.gz"
memory = 160
vcpus = 2
extra = 'console=hvc0 NODHCP=1 AGENT=1 RUN="ip addr add {ADDRESS}/24 dev eth0"'
disk = [ "/tmp/first.img,raw,xvda,rw" ]
vif = [ "bridge=peer0" ]
'''


def xl(m, *words):
    # What xl starts in the chroot looks for its programs by this path.
    return m.sh(shlex.join(('chroot', '/mnt', '/usr/bin/env', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'xl', *map(str, words))) + ' 2>&1')


def domains(m):
    """{name: (domid, MiB, vCPUs, state)} of `xl list`."""
    lines = [line.split() for line in xl(m, 'list').splitlines()[1:]]
    return {w[0]: (int(w[1]), int(w[2]), int(w[3]), w[4].replace('-', '')) for w in lines}


def info(m):
    return dict(re.findall(r'^(\w+) *: (.*)$', xl(m, 'info'), re.M))


def until(m, script, timeout=300):
    try:
        m.sh(f'until {script}; do usleep 200000; done', timeout)
    except MachineError:
        m.sh('ps w; chroot /mnt xl list; chroot /mnt losetup; tail -n 20 /mnt/var/log/xen/*.log; chroot /mnt xenstore-ls -f /local/domain/0/backend')
        raise


# Alone: xl gives a hotplug script 40 seconds.
@test(timeout=900, long=True, alone=True, image='peer')
def life(t):
    """xl and its daemons make guests, change them while they run and end them; all memory comes back."""
    m = t.boot_dom0(disks=(files_disk(t.scratch, {'tiny.elf': TINY}), *PEER_DISKS), tools=False, cpus=2, memory='2G', hv_args='dom0_mem=768M')
    m.sh(peer_script('oxenstored', log='guest'))
    m.sh(f'''brctl addbr peer0; ip addr add {BRIDGE}/24 dev peer0; ip link set peer0 up
        for disk in first second; do dd if=/dev/zero of=/mnt/tmp/$disk.img bs=1M seek=16 count=0 2>/dev/null; done
        cat >/mnt/tmp/linux <<"END"{LINUX}END
        printf 'name = "tiny"\\nkernel = "/files/tiny.elf"\\nmemory = 4\\n' >/mnt/tmp/tiny''')
    found = info(m)
    check_equal((found['xen_version'], found['xen_scheduler'], found['nr_cpus']), ('4.17.0-Lodge-0.1', 'credit2', '2'), 'xl info')

    xl(m, 'create', '-p', '/tmp/tiny')
    check_equal(domains(m)['tiny'][1:], (4, 1, 'p'), 'a guest made paused')
    xl(m, 'unpause', 'tiny')
    log = '/mnt/var/log/xen/console/guest-tiny.log'
    until(m, f'[ -s {log} ]')
    xl(m, 'destroy', 'tiny')
    check_equal(list(domains(m)), ['Domain-0'], 'domains')
    free = int(info(m)['free_memory'])

    xl(m, 'create', '/tmp/linux')

    def guest(script):
        return to_agent(m, ADDRESS, script).strip()

    until(m, f'ping -c 1 -W 1 {ADDRESS} >/dev/null')
    check_equal(domains(m)['linux'][1:3], (160, 2), 'memory and vCPUs')
    wrote = guest('dd if=/dev/urandom of=/root/data bs=1M count=8 2>/dev/null; dd if=/root/data of=/dev/xvda bs=1M oflag=direct conv=notrunc 2>/dev/null; md5sum </root/data')
    check_equal(m.sh('dd if=/mnt/tmp/first.img bs=1M count=8 2>/dev/null | md5sum').strip(), wrote, 'what the guest has written')

    xl(m, 'vcpu-set', 'linux', 1)
    until(m, '[ "$(chroot /mnt xl vcpu-list linux | grep -c -- "--p")" = 1 ]')
    check_equal(guest('nproc'), '1', 'vCPUs online')
    xl(m, 'vcpu-set', 'linux', 2)
    check_equal(guest('until [ -e /sys/devices/system/cpu/cpu1/online ] && echo 1 >/sys/devices/system/cpu/cpu1/online; do usleep 100000; done; nproc'), '2', 'vCPUs online')
    xl(m, 'vcpu-pin', 'linux', 1, 0)
    check(re.search(r'^linux +\d+ +1 +\S+ +\S+ +\S+ +0 / ', xl(m, 'vcpu-list', 'linux'), re.M), xl(m, 'vcpu-list', 'linux'))
    xl(m, 'sched-credit2', '-d', 'linux', '-w', 512)
    check(re.search(r'^linux +\d+ +512 ', xl(m, 'sched-credit2', '-d', 'linux'), re.M), xl(m, 'sched-credit2'))
    had = int(guest("awk '/MemTotal/ { print $2 }' /proc/meminfo"))
    xl(m, 'mem-set', 'linux', 120)
    guest(f"until [ $(awk '/MemTotal/ {{ print $2 }}' /proc/meminfo) -lt {had - 35000} ]; do usleep 100000; done")

    xl(m, 'block-attach', 'linux', '/tmp/second.img,raw,xvdb,rw')
    guest('until [ -b /dev/xvdb ]; do usleep 100000; done; dd if=/root/data of=/dev/xvdb bs=1M count=1 oflag=direct conv=notrunc 2>/dev/null')
    xl(m, 'block-detach', 'linux', 'xvdb')
    guest('until [ ! -b /dev/xvdb ]; do usleep 100000; done')
    m.sh('cmp -n 1048576 /mnt/tmp/first.img /mnt/tmp/second.img')
    xl(m, 'network-attach', 'linux', 'bridge=peer0')
    guest('until [ -e /sys/class/net/eth1 ]; do usleep 100000; done')
    xl(m, 'network-detach', 'linux', 1)
    guest('until [ ! -e /sys/class/net/eth1 ]; do usleep 100000; done')

    xl(m, 'pause', 'linux')
    check('p' in domains(m)['linux'][3], 'it is not paused')
    xl(m, 'dump-core', 'linux', '/tmp/core')
    check_equal(m.sh('head -c 4 /mnt/tmp/core | tail -c 3; rm /mnt/tmp/core'), 'ELF', 'a core')
    xl(m, 'unpause', 'linux')
    xl(m, 'rename', 'linux', 'other')
    check_equal(xl(m, 'domname', domains(m)['other'][0]).strip(), 'other', 'its new name')
    xl(m, 'debug-keys', 'h')
    check('audit' in xl(m, 'dmesg'), 'the hypervisor says nothing of its debug keys')

    domid = domains(m)['other'][0]
    xl(m, 'reboot', 'other')
    until(m, f'[ "$(chroot /mnt xl domid other 2>/dev/null || echo {domid})" -gt {domid} ]')
    until(m, f'ping -c 1 -W 1 {ADDRESS} >/dev/null')
    check_equal(guest('dd if=/dev/xvda bs=1M count=8 2>/dev/null | md5sum'), wrote, 'the disk after a reboot')
    xl(m, 'shutdown', '-w', 'other')
    until(m, '[ "$(chroot /mnt xl list | wc -l)" = 2 ]')
    until(m, f'[ "$(chroot /mnt xl info | sed -n "s/^free_memory *: //p")" -ge {free - 1} ]')
    check_sound(t, m)
