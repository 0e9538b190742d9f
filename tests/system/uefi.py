# SPDX-License-Identifier: MIT
"""UEFI beyond booting: variables, screen, reset, and firmware that misbehaves. Each boot goes through the firmware and GRUB."""
import re
import struct

import steps
from gdbstub import GdbStub
from harness import audit, check, check_dom0_healthy, check_equal, test

OUR_PANIC = r'PANIC|Backtrace|BUG at'
# Of the name space for crash logs, whose variables Linux allows to remove.
VARIABLE = '/sys/firmware/efi/efivars/Lodge-cfc8fc79-be2e-4ddc-97f0-9f98bfe298a0'
ATTRIBUTES = r'\007\000\000\000'    # kept, and for boot and run time
SYSTEM_TABLE_RUNTIME = 88           # offsets in UEFI's tables
RUNTIME_GET_VARIABLE = 24 + 6 * 8


def guest_kernel(name):
    """A test kernel in Domain 0's place: it is there sooner."""
    return dict(kernel=steps.BUILD / f'guest/{name}.elf', initrd=None, tools=False, memory='512M')


@test(long=True, timeout=600)
def variables(t):
    """Written through efivarfs, there after a restart, and gone when removed."""
    m = t.boot_dom0(boot='uefi', machine='q35', cpus=1)
    before = m.sh(f'''
        set -e
        (printf '{ATTRIBUTES}'; head -c 3000 /dev/urandom) >/tmp/variable
        cat /tmp/variable >{VARIABLE}
        sha256sum <{VARIABLE}
        sha256sum </tmp/variable''').split()
    check_equal(before[0], before[2], 'the variable, read back')
    m.sh('reboot')
    m.wait_event('RESET', 60)
    m.wait_agent()
    check_equal(m.sh(f'sha256sum <{VARIABLE}').split()[0], before[0], 'the variable after a restart')
    m.sh(f'rm {VARIABLE} && ! ls {VARIABLE} 2>/dev/null')
    check_dom0_healthy(m)
    audit(m)


def pixels(path):
    """A picture in binary PPM: width, height, and the bytes red, green, blue of each pixel."""
    data = path.read_bytes()
    match = re.match(rb'P6\s+(\d+)\s+(\d+)\s+255\s', data)
    return int(match[1]), int(match[2]), data[match.end():]


@test(long=True)
def screen(t):
    """The firmware's frame buffer is Domain 0's: what it draws is to be seen."""
    m = t.boot_dom0(boot='uefi', machine='q35', cpus=1)
    check_equal(m.sh('cat /proc/fb').strip(), '0 EFI VGA', 'frame buffer')
    size, depth, stride = (m.sh(f'cat /sys/class/graphics/fb0/{f}').strip() for f in ('virtual_size', 'bits_per_pixel', 'stride'))
    width, height = (int(n) for n in size.split(','))
    # The upper half black, the lower half white.
    half = height // 2 * int(stride)
    m.sh(f'''echo 0 >/sys/class/graphics/fbcon/cursor_blink
        (head -c {half} /dev/zero; head -c {half} /dev/zero | tr '\\000' '\\377') >/dev/fb0''')
    m.command('screendump', filename=str(t.scratch / 'screen.ppm'))
    found_width, found_height, data = pixels(t.scratch / 'screen.ppm')
    check_equal((found_width, found_height), (width, height), f'size of the screen ({depth} bits)')
    upper, lower = data[:len(data) // 2], data[len(data) // 2:]
    # A cursor may stand somewhere.
    check(upper.count(0) > 0.99 * len(upper) and lower.count(255) > 0.99 * len(lower), 'the picture is not what was drawn')


@test(long=True)
def without_runtime_services(t):
    """efi=no-rs: Domain 0 has the firmware's tables, and its variables are not to be had."""
    m = t.boot_dom0(boot='uefi', machine='q35', cpus=1, hv_args='efi=no-rs')
    check_equal(m.sh('cat /sys/firmware/efi/fw_platform_size').strip(), '64', 'platform size')
    check('ACPI' in m.sh('cat /sys/firmware/efi/systab'), 'the tables are not known')
    check_equal(m.sh('ls /sys/firmware/efi/efivars 2>/dev/null | wc -l').strip(), '0', 'variables')
    check_dom0_healthy(m)
    m.sh('poweroff')
    check_equal(m.wait_event('SHUTDOWN', 60)['reason'], 'guest-shutdown', 'reason of the shutdown')


@test(long=True, ours=True)
def firmware_crash(t):
    """A service that dies is the end of the services, not of the machine."""
    path = t.scratch / 'gdb'
    m = t.boot_dom0(boot='uefi', machine='q35', cpus=1, extra=('-gdb', f'unix:{path},server=on,wait=off'))
    m.sh('ls /sys/firmware/efi/efivars | grep -q ^BootOrder-')
    table = int(re.search(r'system table at (0x[0-9a-f]+)', m.sh('hvctl log'))[1], 16)
    with GdbStub(path) as gdb:
        runtime, = struct.unpack('<Q', gdb.read(table + SYSTEM_TABLE_RUNTIME, 8))
        service, = struct.unpack('<Q', gdb.read(runtime + RUNTIME_GET_VARIABLE, 8))
        gdb.write(service, b'\x0f\x0b')     # ud2
    m.sh('! cat /sys/firmware/efi/efivars/BootOrder-* >/dev/null 2>&1')
    check('the firmware crashed in runtime service 6' in m.sh('hvctl log'), 'the crash was not reported')
    # Not once more.
    m.sh('! cat /sys/firmware/efi/efivars/BootOrder-* >/dev/null 2>&1')
    check_equal(m.sh('hvctl log').count('the firmware crashed'), 1, 'crashes')
    check_dom0_healthy(m)
    audit(m)
    m.sh('reboot')
    m.wait_event('RESET', 60)
    m.wait_agent()
    m.sh('cat /sys/firmware/efi/efivars/BootOrder-* >/dev/null')


@test(long=True, ours=True)
def reset_by_firmware(t):
    m = t.boot(boot='uefi', machine='q35', hv_args='reboot=efi', **guest_kernel('reboot'))
    m.expect('resetting the machine: efi', timeout=120, unless=OUR_PANIC)
    m.wait_event('RESET', 30)
    check('had no effect' not in m.output, 'another way was needed')


@test(long=True, ours=True)
def power_off_by_firmware(t):
    """Without Domain 0's interpreter for ACPI, the firmware knows how to switch off."""
    m = t.boot(boot='uefi', **guest_kernel('misc'))
    m.expect('Domain 0 powered off', timeout=120, unless=OUR_PANIC)
    check_equal(m.wait_event('SHUTDOWN', 30)['reason'], 'guest-shutdown', 'reason of the shutdown')


@test(long=True, ours=True)
def multiboot_1(t):
    """It does not carry what UEFI machines need: the console says so."""
    m = t.boot(boot='uefi1', **guest_kernel('misc'))
    m.expect('no tables found.*multiboot2', timeout=120, unless=OUR_PANIC)


@test(long=True, timeout=400)
def memory_above_4_gib(t):
    m = t.boot_dom0(boot='uefi', machine='q35', cpus=1, memory='6G')
    total = int(re.search(r'MemTotal: *(\d+)', m.sh('cat /proc/meminfo'))[1])
    check(total > 2.7 * (1 << 20), f'Domain 0 has {total} KiB')
    check_dom0_healthy(m)
    audit(m)
