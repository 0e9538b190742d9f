# SPDX-License-Identifier: MIT
"""Devices that Domain 0 drives by its own drivers. What disks keep is compared by checksum after a restart, and on the host."""
import dataclasses
import hashlib
import os
import struct

import qemu
from harness import check, check_dom0_healthy, check_equal, test
from transfer import Server, sha256

MIB = 1 << 20
DATA = 16 * MIB         # written to each disk
OFFSET = 24 * MIB       # where
NET_DATA = 8 * MIB
NO_PXE = 'romfile='
KEY_A, KEY_POWER = 30, 116
EVENT = struct.Struct('<qqHHi')     # struct input_event: time, type, code, value
EV_KEY = 1


@dataclasses.dataclass
class Disk:
    """sysfs: a part of the path of its directory in /sys; size: in MiB, which tells disks apart; args: of QEMU, without its -drive."""
    name: str
    sysfs: str
    size: int
    args: tuple


def attach(t, disk):
    path = t.scratch / disk.name
    with open(path, 'wb') as f:
        f.truncate(disk.size * MIB)
    return ('-drive', f'file={qemu.comma(path)},if=none,id={disk.name},format=raw', *disk.args)


def find_disk(m, disk):
    """Its name in /dev. USB devices appear when they like."""
    name = m.sh(f'''
        while :; do
            for d in /sys/block/*; do
                [ "$(cat $d/size)" = {disk.size * MIB // 512} ] && basename $d && exit 0
            done
            usleep 100000
        done''', timeout=60).strip()
    path = m.sh(f'readlink -f /sys/block/{name}').strip()
    check(disk.sysfs in path, f'{disk.name} is not where it was attached: {path}')
    return f'/dev/{name}'


def disk_sum(m, device):
    return m.sh(f'dd if={device} bs=1M skip={OFFSET // MIB} count={DATA // MIB} iflag=direct 2>/dev/null | sha256sum', timeout=120).split()[0]


def disks_survive(t, machine, disks):
    """Each disk gets data of its own, past the page cache; all at once."""
    m = t.boot_dom0(machine=machine, extra=sum((attach(t, d) for d in disks), ()))
    devices = [find_disk(m, d) for d in disks]
    for device in devices:
        m.sh(f'dd if=/dev/urandom of=/tmp/{device[5:]} bs=1M count={DATA // MIB} 2>/dev/null')
    m.sh(f'''
        jobs=
        for d in {' '.join(d[5:] for d in devices)}; do
            dd if=/tmp/$d of=/dev/$d bs=1M seek={OFFSET // MIB} oflag=direct conv=notrunc,fsync 2>/dev/null & jobs="$jobs $!"
        done
        for j in $jobs; do wait $j || exit 1; done''', timeout=120)
    sums = [m.sh(f'sha256sum </tmp/{device[5:]}').split()[0] for device in devices]
    check_equal(len(set(sums)), len(disks), 'different contents')
    interrupts = m.sh('cat /proc/interrupts')
    m.sh('reboot')
    m.wait_event('RESET', 60)
    m.wait_agent()
    for disk, expected in zip(disks, sums):
        check_equal(disk_sum(m, find_disk(m, disk)), expected, f'checksum of {disk.name} after the restart')
    check_dom0_healthy(m)
    m.sh('poweroff')
    m.wait_exit(60)
    for disk, expected in zip(disks, sums):
        with open(t.scratch / disk.name, 'rb') as f:
            f.seek(OFFSET)
            check_equal(hashlib.sha256(f.read(DATA)).hexdigest(), expected, f'checksum of the file of {disk.name}')
    return interrupts


@test(timeout=400, long=True)
def ahci_nvme_usb_disks(t):
    interrupts = disks_survive(t, 'q35', (
        Disk('ahci', '/ata', 65, ('-device', 'ide-hd,drive=ahci,bus=ide.2')),
        Disk('nvme', '/nvme/', 66, ('-device', 'nvme,drive=nvme,serial=lodge,max_ioqpairs=2')),
        Disk('usb', '/usb', 67, ('-device', 'qemu-xhci,id=xhci', '-device', 'usb-storage,bus=xhci.0,drive=usb'))))
    # MSI-X: a queue of its own for each processor, and both have been used.
    for queue in ('nvme0q1', 'nvme0q2'):
        lines = [line.split() for line in interrupts.splitlines() if line.rstrip().endswith(queue)]
        check_equal(len(lines), 1, f'interrupts of {queue}')
        check('msi-x' in ' '.join(lines[0]), f'{queue} has no MSI-X: {lines[0]}')
    check(sum(int(n) for line in interrupts.splitlines() if 'nvme0q' in line for n in line.split()[1:3]) > 0, 'no interrupt of the NVMe disk')


@test(long=True, timeout=400)
def ide_disks(t):
    disks_survive(t, 'pc', (
        Disk('master', '/ata', 65, ('-device', 'ide-hd,drive=master,bus=ide.0,unit=0')),
        Disk('slave', '/ata', 66, ('-device', 'ide-hd,drive=slave,bus=ide.0,unit=1')),
        Disk('secondary', '/ata', 67, ('-device', 'ide-hd,drive=secondary,bus=ide.1,unit=0'))))


def transfer(m, driver, subnet):
    """Data in both directions through the card with this driver, on a network of its own."""
    card = m.sh(f'''
        for card in /sys/class/net/*; do
            if [ "$(basename "$(readlink $card/device/driver)")" = {driver} ]; then basename $card; fi
        done''').strip()
    check(card and '\n' not in card, f'cards with the driver {driver}: {card!r}')
    m.sh(f'''ip addr flush dev {card}; ip link set {card} up; ip addr add {subnet}.15/24 dev {card}
        until [ "$(cat /sys/class/net/{card}/carrier)" = 1 ]; do usleep 50000; done''')
    payload = os.urandom(NET_DATA)
    with Server(payload) as source, Server() as sink:
        found = m.sh(f'''nc {subnet}.2 {source.port} </dev/null >/tmp/net && sha256sum </tmp/net
            nc {subnet}.2 {sink.port} </tmp/net''', timeout=120).split()[0]
        sink.wait()
        check_equal(found, sha256(payload), f'{driver}: checksum of what Domain 0 received')
        check_equal(sha256(sink.received), sha256(payload), f'{driver}: checksum of what Domain 0 sent')


def record(m, device_name):
    """Start recording what an input device reports, into /tmp/events."""
    m.sh(f'''
        killall cat 2>/dev/null
        while :; do
            for d in /sys/class/input/event*; do
                grep -q '{device_name}' $d/device/name && break 2
            done
            usleep 100000
        done
        cat /dev/input/$(basename $d) >/tmp/events &
        until ls -l /proc/$!/fd 2>/dev/null | grep -q /dev/input/; do usleep 10000; done''')


def check_key(m, code, what):
    """The key was pressed, and let go."""
    text = m.sh(f'''
        released={EV_KEY:02x}00{code:02x}0000000000
        until hexdump -v -e '{EVENT.size}/1 "%02x" "\\n"' /tmp/events | grep -q "$released$"; do usleep 50000; done
        hexdump -v -e '{EVENT.size}/1 "%02x" "\\n"' /tmp/events''')
    events = [EVENT.unpack(bytes.fromhex(line)) for line in text.split()]
    keys = [(c, value) for _, _, kind, c, value in events if kind == EV_KEY]
    check_equal(keys, [(code, 1), (code, 0)], what)


def press(m):
    m.command('send-key', keys=[{'type': 'qcode', 'data': 'a'}])


def random_numbers(m):
    check_equal(m.sh('cat /sys/class/misc/hw_random/rng_current').strip(), 'virtio_rng.0', 'generator')
    m.sh('head -c 4096 /dev/hwrng >/tmp/1; head -c 4096 /dev/hwrng >/tmp/2; [ $(stat -c %s /tmp/1) = 4096 ] && ! cmp -s /tmp/1 /tmp/2')
    # Random bytes do not compress.
    check(int(m.sh('gzip -9 </tmp/1 | wc -c')) > 4096, 'the numbers are not random')


def keyboard(m, device_name):
    record(m, device_name)
    m.command('send-key', keys=[{'type': 'qcode', 'data': 'a'}])
    check_key(m, KEY_A, f'key of {device_name}')


@test(long=True, timeout=400)
def network_rng_usb_keyboard(t):
    m = t.boot_dom0(machine='q35', extra=(
        '-netdev', 'user,id=net1,net=10.0.3.0/24', '-device', f'e1000e,netdev=net1,{NO_PXE}',
        '-netdev', 'user,id=net2,net=10.0.4.0/24', '-device', f'virtio-net-pci,netdev=net2,{NO_PXE}',
        '-device', 'virtio-rng-pci', '-device', 'qemu-xhci,id=xhci', '-device', 'usb-kbd,bus=xhci.0'))
    transfer(m, 'e1000e', '10.0.3')
    transfer(m, 'virtio_net', '10.0.4')
    random_numbers(m)
    keyboard(m, 'USB Keyboard')
    check_dom0_healthy(m)


def clock_chip(m):
    """Read, its alarm's interrupt, and set."""
    found = m.sh('date +%s; cat /sys/class/rtc/rtc0/since_epoch').split()
    check(abs(int(found[0]) - int(found[1])) <= 2, f'clock and clock chip: {found}')
    m.sh('''
        count() { sed -n 's/^ *[0-9]*: *\\([0-9]*\\) .*rtc0$/\\1/p' /proc/interrupts; }
        before=$(count)
        [ -n "$before" ] || exit 1
        echo +1 >/sys/class/rtc/rtc0/wakealarm
        until [ $(count) -gt $before ]; do usleep 50000; done''')
    m.sh('date -s "2031-05-06 07:08:09" >/dev/null && hwclock -w -u')
    check_equal(m.sh('cat /sys/class/rtc/rtc0/date').strip(), '2031-05-06', 'date that the clock chip was set to')


@test(long=True)
def ps2_keyboard_power_button_rtc(t):
    m = t.boot_dom0(cpus=1)
    keyboard(m, 'AT Translated Set 2 keyboard')
    record(m, 'Power Button')
    m.command('system_powerdown')
    check_key(m, KEY_POWER, 'power button')
    clock_chip(m)
    check_dom0_healthy(m)
