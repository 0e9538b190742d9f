# SPDX-License-Identifier: MIT
"""Lodge on a server: a whole Debian with systemd as Domain 0, installed by `make install` and started from the menu that update-grub makes."""
import subprocess

import qemu
import steps
from guests import HOST, UP, console_log, create, definition, domids, guests, in_guest, lodge, lodge_fails, lodge_json, oops, restarted, wait_console
from harness import check, check_dom0_healthy, check_equal, test

# What a machine's GRUB does: it takes the menu of the disk; before there is one, the kernel alone.
LOADER = '''
search --set=root --file /vmlinuz
if [ -e /boot/grub/grub.cfg ]; then configfile /boot/grub/grub.cfg; fi
linux /vmlinuz root=/dev/vda ro console=ttyS0
initrd /initrd.img
boot
'''
# The same with Lodge, before there is a menu. On a busy machine, the emulator takes longer for one commit of a large journal than the kernel bears.
LODGE_LOADER = '''
search --set=root --file /vmlinuz
insmod regexp
for lodge in /boot/lodge-*.gz; do multiboot2 $lodge console=com1 com1=115200,8n1; done
module2 /vmlinuz root=/dev/vda ro console=hvc0 rcupdate.rcu_cpu_stall_timeout=300 watchdog_thresh=60
module2 --nounzip /initrd.img
boot
'''
SETTINGS = '''
GRUB_DEFAULT=lodge
GRUB_TIMEOUT=1
GRUB_TERMINAL=serial
GRUB_CMDLINE_LINUX_DEFAULT=
GRUB_CMDLINE_LODGE_LINUX=console=hvc0
'''
UNITS = 'proc-xen.mount lodge-stored lodge-consoled lodged lodge-guests lodge-autostart'
# What takes the tests' commands; not part of an installation. The shutdown does not stop it, so that it answers the command that begins it.
AGENT = '''
[Unit]
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup.service systemd-udev-trigger.service
[Service]
ExecStartPre=/sbin/modprobe virtio_console
ExecStart=/usr/local/sbin/agent
'''


def put(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def installed(t):
    """The Debian server's disk with Lodge in it; larger than its file system."""
    tree, archive, disk = t.scratch / 'tree', t.scratch / 'install.tar', t.scratch / 'host.qcow2'
    subprocess.run(['make', '-s', 'install', f'DESTDIR={tree}'], cwd=steps.ROOT, check=True)
    put(tree / 'usr/local/sbin/agent', (steps.ROOT / 'image/dom0/agent').read_text(), 0o755)
    put(tree / 'usr/local/bin/usleep', '#!/bin/sh\nexec busybox usleep "$@"\n', 0o755)
    put(tree / 'etc/systemd/system/agent.service', AGENT)
    wants = tree / 'etc/systemd/system/multi-user.target.wants'
    (wants / 'agent.service').symlink_to('../agent.service')
    put(tree / 'etc/default/grub.d/test.cfg', SETTINGS)
    put(tree / 'etc/xen/vm/first', definition('first'))
    (tree / 'etc/xen/auto/first').symlink_to('../vm/first')
    subprocess.run(['tar', '-C', tree, '--owner=0', '--group=0', '-cf', archive, '.'], check=True)
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', HOST, disk, '14G'], check=True)
    # The try-out image has all that it takes.
    m = t.boot_dom0(hypervisor=None, disks=(qemu.Disk(disk, 'host'), qemu.Disk(archive, 'archive', readonly=True)))
    m.sh('''mount -t ext4 /dev/disk/host /mnt
        tar -xf /dev/disk/archive -C /mnt
        cp /boot/guest.gz /mnt/boot
        ln -s ../vmlinuz /mnt/boot/vmlinuz
        umount /mnt''', 120)
    m.kill()
    return qemu.Disk(disk, 'host')


def wait_up(m):
    """systemd has started everything, and nothing has failed."""
    m.wait_agent(900)
    # Asked again and again: with --wait there is no answer for as long as something is in the way, nor what.
    m.sh('''for i in $(seq 1200); do
            case $(systemctl is-system-running) in starting|initializing) usleep 500000 ;; *) exit 0 ;; esac
        done
        systemctl list-jobs --no-pager; exit 1''', 1200)
    failed = m.sh('systemctl --failed --plain --no-legend --no-pager; for u in $(systemctl --failed --plain --no-legend | cut -d" " -f1); do '
                  'journalctl -b --no-pager -n 20 -u $u; done')
    check_equal((m.sh('systemctl is-system-running || true').strip(), failed), ('running', ''), 'the system')


@test(timeout=1800, long=True, image='host')
def debian(t):
    disk = installed(t)
    m = t.boot(boot='grub', grub=LOADER, disks=(disk,), memory='2G', tools=False)

    # Without Lodge: nothing of it runs, and nothing fails.
    wait_up(m)
    check_equal(m.sh('systemctl list-units --plain --no-legend "lodge*" proc-xen.mount'), '', 'units of Lodge on the kernel alone')
    said = m.sh('update-grub 2>&1', 120)
    check('Found Lodge: /boot/lodge-' in said, said)
    m.sh('systemctl --no-block reboot')
    m.wait_event('RESET', 120)

    # With it, as Domain 0: guests, and daemons that are killed more often than systemd bears by itself.
    m.agent_ready = False
    wait_up(m)
    m.sh('grep -x control_d /proc/xen/capabilities')
    check_equal(m.sh(f'systemctl is-active {UNITS}').split(), ['active'] * len(UNITS.split()), 'units of Lodge')
    check_equal(sorted(guests(m)), ['first'], 'guests')
    check_equal(lodge_json(m, 'version')['network']['state'], 'up', 'state of the default network')
    wait_console(m, 'first', UP)
    m.sh('ping -c 3 -W 10 first && qemu-img create -q -f qcow2 /root/second.qcow2 64M', 60)
    create(m, 'second', disk=['format=qcow2, vdev=xvda, access=w, target=/root/second.qcow2'])
    in_guest(m, 'second', 'ping -c 1 -W 10 first && dd if=/dev/urandom bs=1M count=4 of=/root/data 2>/dev/null && dd if=/root/data of=/dev/xvda conv=fsync 2>/dev/null')
    m.sh('systemctl is-active NetworkManager')
    check_equal(m.sh('nmcli -t -f DEVICE,STATE device | grep "^vif\\|^lodge" | sort').split(), ['lodge0:unmanaged', 'vif1.0:unmanaged', 'vif2.0:unmanaged'],
                'what NetworkManager makes of them')
    before = domids(m)
    helpers = m.sh('pgrep -x dnsmasq; pgrep -f lodge:')
    m.sh('for i in $(seq 8); do kill -9 $(pidof consoled); until pidof consoled >/dev/null; do usleep 50000; done; done')
    for daemon in ('stored', 'consoled', 'lodged') * 2:
        restarted(m, daemon)
    check_equal(domids(m), before, 'guests after all daemons were killed')
    check_equal(m.sh('pgrep -x dnsmasq; pgrep -f lodge:'), helpers, 'processes of dnsmasq and the image after all daemons were killed')
    m.sh('''ping -c 1 -W 10 first && ping -c 1 -W 10 second || exit 1
        lodge console first </dev/null >/tmp/said 2>&1 &
        until grep -q "a guest of Lodge" /tmp/said; do usleep 100000; done
        kill $!''')
    in_guest(m, 'second', 'ping -c 1 -W 10 first && cmp -n 4194304 /root/data /dev/xvda')
    # Debian's DHCP client writes anew whom to ask for names.
    m.sh('ifdown ens3 && ifup ens3 && until ping -c 1 -W 10 second; do usleep 100000; done', 120)
    create(m, 'third', up=None)
    check_dom0_healthy(m)
    m.sh('systemctl --no-block poweroff')
    ended = {m.expect(r'(\w+) has shut down', 300, unless='has been destroyed')[1] for _ in range(3)}
    check_equal(ended, {'first', 'second', 'third'}, 'guests that have shut down')
    check_equal(m.wait_event('SHUTDOWN', 300)['reason'], 'guest-shutdown', 'reason of the shutdown')
    m.wait_exit(60)

    # On UEFI, from the same menu.
    m = t.boot(boot='uefi', grub=LOADER, disks=(disk,), memory='2G', tools=False)
    wait_up(m)
    check_equal(sorted(guests(m)), ['first'], 'guests on UEFI')


@test(timeout=5400, long=True, image='host')
def image(t):
    """`lodge image build debian` on that server, from where its apt has packages; a machine from it comes up and has the package asked for."""
    m = t.boot(boot='grub', grub=LODGE_LOADER, disks=(installed(t),), memory='2G', tools=False)
    wait_up(m)
    m.sh('resize2fs /dev/vda', 300)
    # It has no lists of packages yet.
    text = lodge_fails(m, 'image', 'build', '-q', 'debian', 'deb12', status=1)
    check('apt-get update' in text, text)
    m.sh('apt-get -q update', 300)
    text = lodge_fails(m, 'image', 'build', '-q', 'debian', 'deb12', '--release', 'bookwurm', status=1, timeout=300)
    check('could not make a Debian bookwurm: The repository' in text, text)
    check_equal(lodge_json(m, 'image-list')['images'], [], 'images')
    said = m.sh('lodge image build debian deb12 --package hello 2>&1', 4500)
    check('installing packages' in said, said)
    print(f'# {lodge(m, "image", "list")}')
    check_equal(m.sh('ls -A /var/lib/lodge/images').split(), ['deb12'], 'files of images')
    lodge(m, 'new', '--from', 'deb12', '--memory', '512', 'web')
    lodge(m, 'create', '-q', 'web')
    wait_console(m, 'web', 'web login: ', 600)
    check(not oops(m.sh(f'cat {console_log("web")}')), 'the guest complained')
    lodge(m, 'shutdown', '-w', 'web', '--timeout', '200', timeout=300)
    m.sh('qemu-img convert -O raw /var/lib/lodge/machines/web/disk.qcow2 /root/disk && mount -o loop,ro /root/disk /mnt && chroot /mnt hello && umount /mnt', 300)
    lodge(m, 'remove', '--yes', 'web')
    lodge(m, 'image', 'remove', 'deb12')
    check_dom0_healthy(m)
