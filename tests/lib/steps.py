# SPDX-License-Identifier: MIT
"""What must exist before a boot: the hypervisor, Debian's kernel, the Domain 0 image. Each step says what it does."""
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / 'build'
LOG = BUILD / 'log'
CACHE = Path(os.environ.get('LODGE_CACHE') or BUILD / 'cache').absolute()

HYPERVISOR = BUILD / 'lodge'
HYPERVISOR_GZ = BUILD / 'lodge.gz'
SYMBOLS = BUILD / 'lodge.elf'
KERNEL = CACHE / 'kernel' / 'vmlinuz'
IMAGE = BUILD / 'dom0.gz'
TOOLS = BUILD / 'tools'
DISK = BUILD / 'dom0-usr.img'


class StepFailed(Exception):
    """A step failed; the text names it and its log."""


def say(text, end='\n'):
    """A line for the user; standard output belongs to Domain 0."""
    sys.stderr.write(text + end)
    sys.stderr.flush()


def tail(path, lines=15):
    """The last lines of a log, indented."""
    with open(path, errors='replace', newline='\n') as f:
        return ''.join('  | ' + line.strip('\r\n')[:200] + '\n' for line in f.readlines()[-lines:])


def run_step(name, log, command, quiet=False):
    """Run the command with its output in build/log/LOG.log; a dot per second shows that it lives."""
    LOG.mkdir(parents=True, exist_ok=True)
    path = LOG / (log + '.log')
    done = threading.Event()
    begin = time.monotonic()

    def dots():
        while not done.wait(1):
            say('.', end='')

    if not quiet:
        say(f'{name} ', end='')
        threading.Thread(target=dots, daemon=True).start()
    with open(path, 'wb') as f:
        status = subprocess.run([str(c) for c in command], cwd=ROOT, stdin=subprocess.DEVNULL,
                                stdout=f, stderr=subprocess.STDOUT).returncode
    done.set()
    if status:
        if not quiet:
            say('failed')
        raise StepFailed(f'{name} failed. The end of {path}:\n{tail(path)}')
    if not quiet:
        say(f'done ({time.monotonic() - begin:.1f} s)')


@contextlib.contextmanager
def build_lock():
    """One build at a time in this tree."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / '.lock', 'w') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def make(target, name, quiet=False):
    run_step(name, target, ['make', f'-j{os.cpu_count()}', target], quiet)


def build_hypervisor(quiet=False):
    make('hypervisor', 'Building the hypervisor', quiet)


def build_trial_kernel():
    """The hypervisor, and the path of a small kernel that shows whether it runs."""
    with build_lock():
        build_hypervisor(quiet=True)
        make('trial-kernel', 'Building a test kernel', quiet=True)
    return BUILD / 'guest/boot.elf'


def fetch_kernel(quiet=False, release=''):
    """The directory of this machine's Debian's kernel, or of another release's."""
    name = f'kernel-{release}' if release else 'kernel'
    if not (CACHE / name / 'version').exists():
        run_step(f"Fetching Debian's kernel {release}".rstrip(), name, [ROOT / 'scripts/fetch-kernel', CACHE, *release.split()], quiet)
    return CACHE / name


def fetch_debian(name, quiet=False):
    """An ext4 image made of Debian's packages, see scripts/fetch-debian; nobody is to write to it."""
    image = CACHE / f'{name}.ext4'
    if not image.exists():
        run_step(f'Making the Debian image {name}', f'debian-{name}', [ROOT / 'scripts/fetch-debian', CACHE, name], quiet)
    return image


def fetch_template(quiet=False):
    """What `lodge image build debian` puts into an image, made by the same program: a directory with disk, kernel, ramdisk."""
    folder, new = CACHE / 'template', CACHE / 'template.new'
    if not (folder / 'disk').exists():
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        run_step('Making the image of Debian', 'template', [ROOT / 'tools/builders/debian', new, str(1536 << 10)], quiet)
        new.rename(folder)
    return folder


def fetch_image(name):
    """One of these."""
    return fetch_template() if name == 'template' else fetch_debian(name)


def build_if_changed(name, target, sources, salt, command, quiet):
    """Run the command that makes target, unless it did with these contents of the sources already."""
    digest = hashlib.sha256(repr(salt).encode())
    for path in sorted(sources):
        digest.update(str(path.relative_to(BUILD.parent)).encode() + b'\0' + path.read_bytes())
    stamp = target.with_suffix('.stamp')
    if target.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    stamp.unlink(missing_ok=True)
    run_step(name, target.stem, command, quiet)
    stamp.write_text(digest.hexdigest())


def files_below(*paths):
    return [f for path in paths for f in path.rglob('*') if f.is_file()]


def build_images(quiet=False):
    """Make the Domain 0 image and the disk that it mounts at /usr, if anything that they are made of has changed."""
    kernel, image = CACHE / 'kernel', ROOT / 'image'
    version = (kernel / 'version').read_text()
    common = [image / 'lib.sh']
    build_if_changed('Making the Domain 0 image', IMAGE, [*common, image / 'build', image / 'modules', *files_below(image / 'dom0')],
                     version, [image / 'build', kernel, IMAGE], quiet)
    build_if_changed('Making the disk of tools and guests', DISK, [*common, image / 'build-disk', *files_below(image / 'guest', TOOLS, ROOT / 'tools/builders')],
                     version, [image / 'build-disk', kernel, TOOLS, DISK], quiet)


def prepare(hypervisor=True, quiet=False):
    """Everything that a boot needs. hypervisor: build ours, too."""
    with build_lock():
        fetch_kernel(quiet)
        make('tools', 'Building the tools', quiet)
        build_images(quiet)
        if hypervisor:
            build_hypervisor(quiet)
