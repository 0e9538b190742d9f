# SPDX-License-Identifier: MIT
"""`make install` into a folder and `make uninstall`; the units; what update-grub makes of a /boot."""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSION = (ROOT / 'VERSION').read_text().strip()
PROGRAMS = ['usr/bin/lodge', 'usr/sbin/stored', 'usr/sbin/consoled', 'usr/sbin/lodged']
# What 20_lodge asks of GRUB's own programs about the machine.
PROBE = '#!/bin/sh\ncase $* in *fs_uuid*) echo 1234-ABCD ;; *target=fs*) echo ext2 ;; *partmap*) echo gpt ;; *) echo hd0 ;; esac\n'


def run(*command, status=0, **more):
    p = subprocess.run([str(c) for c in command], cwd=ROOT, capture_output=True, text=True, check=False, **more)
    assert p.returncode == status, f'{command}: status {p.returncode}: {p.stdout}{p.stderr}'
    return p.stdout + p.stderr


def make(target, folder, **variables):
    return run('make', '-s', target, f'DESTDIR={folder}', *(f'{k}={v}' for k, v in variables.items()))


def tree(folder):
    """{path: (mode, content or target)} of all that is no folder."""
    found = {}
    for path in sorted(folder.rglob('*')):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = os.readlink(path)
        elif not path.is_dir():
            found[str(path.relative_to(folder))] = (path.stat().st_mode & 0o7777, path.read_bytes())
    return found


def install_and_back(folder):
    umask = os.umask(0o077)      # root's is nobody else's business
    make('install', folder)
    os.umask(umask)
    first = tree(folder)
    assert first[f'boot/lodge-{VERSION}.gz'][1] == (ROOT / 'build/lodge.gz').read_bytes()
    assert f'usr/lib/debug/boot/lodge-{VERSION}.elf' in first and 'usr/lib/lodge/builders/debian' in first, list(first)
    assert 'usr/share/man/man1/lodge.1' in first and 'usr/share/bash-completion/completions/lodge' in first, list(first)
    for path in PROGRAMS:
        assert first[path][0] == 0o755 and len(first[path][1]) < (ROOT / 'build/tools' / Path(path).name).stat().st_size, path
    assert run(folder / 'usr/bin/lodge', '--version').strip().endswith(VERSION)
    for path in folder.rglob('*'):
        mode = path.lstat().st_mode & 0o777
        assert path.is_symlink() or mode in ((0o755,) if path.is_dir() else (0o644, 0o755)), f'{path}: {mode:o}'
    make('install', folder)
    assert tree(folder) == first, 'a second installation differs'

    # What an administrator has changed stays: a unit that is disabled, entries of his own, definitions, settings.
    wants = folder / 'etc/systemd/system/multi-user.target.wants'
    (wants / 'lodge-autostart.service').unlink()
    (folder / 'etc/grub.d/20_lodge').unlink()
    own = {'etc/grub.d/20_lodge': '#!/bin/sh\n', 'etc/xen/vm/web': 'name = "web"\n', 'etc/lodge/lodged.conf': 'nat = no\n'}
    for path, text in own.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    make('install', folder)
    assert not (wants / 'lodge-autostart.service').exists(), 'what was disabled is enabled again'
    make('uninstall', folder)
    left = {path: content[1].decode() for path, content in tree(folder).items()}
    assert left == own, left
    make('uninstall', folder)
    assert not (folder / 'usr/lib/lodge').exists() and not (folder / 'etc/xen/auto').exists()


def elsewhere(folder):
    make('install', folder, PREFIX='/usr/local')
    found = tree(folder)
    assert 'usr/local/sbin/lodged' in found and 'usr/local/share/man/man1/lodge.1' in found and 'usr/sbin/lodged' not in found, list(found)
    assert b'\nExecStart=/usr/local/sbin/lodged\n' in found['usr/lib/systemd/system/lodged.service'][1]
    make('uninstall', folder, PREFIX='/usr/local')
    assert not tree(folder), list(tree(folder))
    assert 'PREFIX' in run('make', '-s', 'install', f'DESTDIR={folder}', 'PREFIX=usr', status=2)
    assert 'run make first' in run('make', '-s', 'install', f'DESTDIR={folder}', f'BUILD={folder}', status=2)
    assert not tree(folder), list(tree(folder))


def without_lowdown(folder):
    """Then there are no manual pages, and that is said."""
    programs = folder / 'bin'
    programs.mkdir()
    for name in 'sh cat cut mkdir dirname basename strip chmod sed install mv ln'.split():
        (programs / name).symlink_to(f'/usr/bin/{name}')
    out = run('/bin/sh', 'install/install.sh', 'install', env={'PATH': str(programs), 'DESTDIR': str(folder / 'root')})
    assert 'lowdown' in out, out
    assert 'usr/bin/lodge' in tree(folder / 'root') and not (folder / 'root/usr/share/man').exists()


def units(folder):
    """As systemd reads them; the programs that they name are there."""
    make('install', folder)
    copies = folder / 'units'
    copies.mkdir()
    for path in (folder / 'usr/lib/systemd/system').iterdir():
        (copies / path.name).write_text(re.sub(r'(?m)^(Exec\w+=)(/usr/s?bin/)', rf'\1{folder}\2', path.read_text()))
    out = run('systemd-analyze', 'verify', '--man=no', *copies.iterdir())
    assert not out, out


# GRUB

def boot_folder(folder, kernels, hypervisors, initrd=True):
    """{version: can it be Domain 0}"""
    folder.mkdir()
    for version, able in kernels.items():
        (folder / f'vmlinuz-{version}').touch()
        (folder / f'config-{version}').write_text(f'{"" if able else "# "}CONFIG_XEN_PV_DOM0{"=y" if able else " is not set"}\n')
        if initrd:
            (folder / f'initrd.img-{version}').touch()
    for version in hypervisors:
        (folder / f'lodge-{version}.gz').touch()


def grub(folder, boot, settings='', **variables):
    """What 20_lodge prints for that /boot; GRUB takes it."""
    probe, defaults = folder / 'probe', folder / 'default'
    probe.write_text(PROBE)
    probe.chmod(0o755)
    (defaults / 'grub.d').mkdir(parents=True, exist_ok=True)
    (defaults / 'grub.d/x.cfg').write_text(settings)
    env = {**os.environ, 'LODGE_BOOT': str(boot), 'LODGE_DEFAULTS': str(defaults), 'grub_probe': str(probe), 'GRUB_DEVICE': '/dev/sda2',
           'GRUB_DEVICE_BOOT': '/dev/sda1', 'GRUB_DISTRIBUTOR': 'Debian', 'GRUB_CMDLINE_LINUX': 'net.ifnames=0', **variables}
    p = subprocess.run(['sh', ROOT / 'install/grub'], capture_output=True, text=True, check=True, env=env)
    cfg = folder / 'grub.cfg'
    cfg.write_text(p.stdout)
    if p.stdout:
        run('grub-script-check', cfg)
    return p.stdout, p.stderr


def lines(text, word):
    return [line.strip().removeprefix(word + ' ') for line in text.splitlines() if line.strip().startswith(word + ' ')]


def menu(folder):
    boot = folder / 'boot'
    boot_folder(boot, {'6.1.0-9-amd64': True, '6.1.0-10-amd64': True, '6.1.0-11-cloud-amd64': False}, ['0.1', '0.10', '0.9'])
    (boot / 'vmlinuz-6.1.0-10-amd64.dpkg-new').touch()
    out, said = grub(folder, boot)
    assert said.splitlines() == [f'Found Lodge: {boot}/lodge-{v}.gz' for v in ('0.10', '0.9', '0.1')], said
    titles = lines(out, 'menuentry')
    assert titles[0].startswith("'Debian GNU/Linux, with Lodge' ") and '--id lodge ' in titles[0], titles
    assert len(titles) == 1 + 3 * 2 and 'with Lodge 0.10 and Linux 6.1.0-10-amd64' in titles[1], titles
    relative = run('grub-mkrelpath', boot).strip()
    assert lines(out, 'multiboot2')[0] == f'{relative}/lodge-0.10.gz dom0_mem=max:4G', out
    assert lines(out, 'module2')[:2] == [f'{relative}/vmlinuz-6.1.0-10-amd64 root=/dev/sda2 ro net.ifnames=0',
                                         f'{relative}/initrd.img-6.1.0-10-amd64'], out
    assert "search --no-floppy --fs-uuid --set=root" in out and 'insmod all_video' in out and 'cloud' not in out, out

    out, _ = grub(folder, boot, 'GRUB_CMDLINE_LODGE="console=com1 dom0_mem=2G"\nGRUB_CMDLINE_LODGE_LINUX=console=hvc0\n', GRUB_SAVEDEFAULT='true',
                  GRUB_CMDLINE_LINUX_DEFAULT='quiet', GRUB_FS='btrfs', GRUB_DISTRIBUTOR="John's")
    assert lines(out, 'multiboot2')[0].endswith('.gz console=com1 dom0_mem=2G'), out
    assert ' ro rootflags=subvol=' in out and lines(out, 'module2')[0].endswith(' net.ifnames=0 quiet console=hvc0'), out
    assert 'savedefault' in out and "John'\\''s GNU/Linux, with Lodge" in out, out
    assert lines(grub(folder, boot, 'GRUB_CMDLINE_LODGE=\n')[0], 'multiboot2')[0].endswith('/lodge-0.10.gz'), 'no parameters at all'


def root(folder):
    """By UUID where the initramfs can find that."""
    known = Path('/dev/disk/by-uuid')
    uuid = next((p.name for p in known.iterdir()), None) if known.exists() else None
    boot, bare = folder / 'boot', folder / 'bare'
    boot_folder(boot, {'6.1': True}, ['1'])
    boot_folder(bare, {'6.1': True}, ['1'], initrd=False)
    for place, device, wanted, more in ((boot, '/dev/sda2', f'UUID={uuid}', {}), (bare, '/dev/sda2', '/dev/sda2', {}),
                                        (boot, '/dev/mapper/vg-root', '/dev/mapper/vg-root', {}),
                                        (boot, '/dev/sda2', '/dev/sda2', {'GRUB_DISABLE_LINUX_UUID': 'true'})):
        out, _ = grub(folder, place, GRUB_DEVICE=device, GRUB_DEVICE_UUID=uuid or '', **more)
        assert uuid is None or f' root={wanted} ro' in lines(out, 'module2')[0], out
        assert len(lines(out, 'module2')) == (4 if place == boot else 2), out


def nothing(folder):
    for name, kernels, hypervisors in ('a', {'6.1': True}, []), ('b', {'6.1': False}, ['1']):
        boot_folder(folder / name, kernels, hypervisors)
        out, said = grub(folder, folder / name)
        assert not out and ('CONFIG_XEN_PV_DOM0' in said) == bool(hypervisors), (out, said)


failed = False
for test in install_and_back, elsewhere, without_lowdown, units, menu, root, nothing:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            test(Path(scratch))
        except AssertionError as error:
            print(f'{test.__name__}: {error}')
            failed = True
sys.exit(failed)
