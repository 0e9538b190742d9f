# SPDX-License-Identifier: MIT
"""The command line: images, and machines made from them."""
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'lib'))
from fakemanager import Raw, Refused
from lodge_bench import LODGE, equal, main, raise_, test

IMAGE = {'name': 'debian', 'size_kib': 2097152, 'disk_kib': 520000, 'disk': '/var/lib/lodge/images/debian/disk.qcow2', 'created': 1790000000,
         'system': 'Debian 12.5 (bookworm)', 'machines': ['web1', 'web2']}
KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1bq2mWkqA7Xo6jT0Y3vD2pN8kRz5uLhQe4sG9cVbXy me@home'
MADE = {'name': 'web1', 'definition': '/etc/xen/vm/web1', 'disk': '/d', 'size_kib': 1024}


@test
def verbs_of_two_words(b):
    b.manager.methods['image_list'] = {'images': []}
    head = 'Name                        Size    Disk Machines Created    System\n'
    for words in (('image', 'list'), ('image-list',), ('image', 'l'), ('image-l',)):
        b.run(*words, out=head)
        b.asked(('image_list', {}))
    b.manager.methods['block_list'] = {'domid': 1, 'disks': []}
    b.run('block', 'list', 'web1')
    b.asked(('block_list', {'guest': 'web1'}))
    b.run('image', status=2, err='lodge: image is the first word of several verbs; expected one of build, export, import, list, remove behind it; see lodge --help\n')
    b.run('image', 'bild', status=2, err='lodge: image is the first word of several verbs; expected one of build, export, import, list, remove behind it; see lodge --help\n')
    assert 'usage: lodge image build [OPTION]... SYSTEM NAME' in b.run('help', 'image', 'build')
    assert 'usage: lodge image build ' in b.run('image', 'build', '--help')
    assert '\n  image build    ' in b.run('help')
    assert 'image build' in [v['name'] for v in json.loads(b.run('help', '--json'))['verbs']]
    # A verb of one word is never taken for the first of two.
    b.manager.methods['dump_core'] = {'file': '/x', 'kib': 1}
    b.run('dump', 'core')
    b.asked(('dump_core', {'guest': 'core'}))


@test
def image_list(b):
    b.manager.methods['image_list'] = lambda params: {'images': [IMAGE]} if params.get('image', 'debian') == 'debian' else raise_(
        Refused('no-such-image', 'there is no image x', 2))
    head = 'Name                        Size    Disk Machines Created    System\n'
    row = 'debian                      2048     508        2 2026-09-21 Debian 12.5 (bookworm)\n'
    b.run('image', 'list', out=head + row, env={'TZ': 'UTC'})
    b.run('image', 'list', 'debian', 'x', status=3, out=head + row, err='lodge: x: there is no image x\n', env={'TZ': 'UTC'})
    equal(json.loads(b.run('image', 'list', '--json')), {'images': [IMAGE]})
    b.manager.methods['image_list'] = {'images': [{'name': 'a\x1b[2J', 'system': '\x1b]0;x\x07'}]}
    text = b.run('image', 'list')
    assert '\x1b' not in text and '\x07' not in text, text


@test
def image_build(b):
    b.manager.methods['image_build'] = {'name': 'd'}
    b.run('image', 'build', 'debian', 'd', out='the image d is there\n')
    b.asked(('image_build', {'builder': 'debian', 'name': 'd'}))
    b.run('image', 'build', '-q', 'debian', 'd', '--release', 'trixie', '--size=3G', '-p', 'vim', '--package', 'git', '--package=gcc', '-m', 'http://m/d', out='')
    b.asked(('image_build', {'builder': 'debian', 'name': 'd', 'release': 'trixie', 'size_kib': 3 << 20, 'packages': ['vim', 'git', 'gcc'], 'mirror': 'http://m/d'}))
    equal(json.loads(b.run('image', 'build', '--json', 'debian', 'd')), {'name': 'd'})
    b.run('image', 'build', 'debian', 'd', '--size', 'big', status=2, err='lodge image build: found "big", expected a size, such as 512 (MiB) or 2G; see lodge image build --help\n')
    b.run('image', 'build', 'debian', status=2, err='lodge image build: expected SYSTEM NAME; see lodge image build --help\n')
    many = [word for i in range(129) for word in ('-p', f'p{i}')]
    b.run('image', 'build', 'debian', 'd', *many, status=2, err='lodge image build: there are more than 128 options; see lodge image build --help\n')
    b.manager.methods['image_build'] = lambda params: raise_(Refused('build-failed', 'debian: no', 5))
    b.run('image', 'build', 'debian', 'd', status=1, err='lodge: d: debian: no\n')
    b.manager.methods['image_build'] = lambda params: raise_(Raw(b''))
    b.run('image', 'build', 'debian', 'd', status=5, err=re.compile('ended before it answered'))


def on_terminal(b, *words, typed=b''):
    """What lodge writes to a terminal, and its status."""
    ours, its = pty.openpty()
    p = subprocess.Popen([LODGE, *words], stdin=its, stdout=its, stderr=its, env={'LODGED_SOCKET': b.manager.path, 'PATH': os.environ['PATH']})
    os.close(its)
    os.write(ours, typed)
    text = b''
    try:
        while data := os.read(ours, 4096):
            text += data
    except OSError:
        pass
    os.close(ours)
    return text.decode(), p.wait(60)


@test
def progress(b):
    """One line that is gone over on a terminal, a line for each step elsewhere."""
    b.manager.methods['image_import'] = {'name': 'd'}
    b.manager.progress = [('copying', 1), ('copying', 50), 'unpacking', ('packing', 99)]
    b.run('image', 'import', '/x', 'd', out='the image d is there\n', err='lodge: d: copying\nlodge: d: unpacking\nlodge: d: packing\n')
    b.run('image', 'import', '-q', '/x', 'd', out='')
    text, status = on_terminal(b, 'image', 'import', '/x', 'd')
    equal(status, 0)
    equal(text, '\r\x1b[Klodge: d:   1 % copying\r\x1b[Klodge: d:  50 % copying\r\x1b[Klodge: d: unpacking\r\n'
          '\r\x1b[Klodge: d:  99 % packing\r\x1b[Kthe image d is there\r\n')


@test
def image_import_export_remove(b):
    b.manager.methods.update(image_import={'name': 'd'}, image_export={'file': '/x', 'kib': 3000}, image_remove={})
    b.run('image', 'import', 'disk.img', 'd', '-f', 'raw', '--kernel', 'k', '--ramdisk=/r', '-c', 'root=/dev/xvda', out='the image d is there\n')
    here = os.path.realpath(b.folder)
    b.asked(('image_import', {'name': 'd', 'file': f'{here}/disk.img', 'format': 'raw', 'kernel': f'{here}/k', 'ramdisk': '/r', 'cmdline': 'root=/dev/xvda'}))
    b.run('image', 'export', 'd', 'x.raw', '--format', 'raw', out='d is in /x (3 MiB)\n')
    b.asked(('image_export', {'image': 'd', 'file': f'{here}/x.raw', 'format': 'raw'}))
    b.run('image', 'remove', 'd', 'e', out='')
    b.asked(('image_remove', {'image': 'd'}), ('image_remove', {'image': 'e'}))
    b.manager.methods['image_remove'] = lambda params: raise_(Refused('image-in-use', 'the image d is needed by the disks of web1', 16))
    b.run('image', 'remove', 'd', status=1, err='lodge: d: the image d is needed by the disks of web1\n')


@test
def new(b):
    b.manager.methods['new'] = MADE
    b.run('new', 'web1', '--from', 'debian', out='web1 is defined in /etc/xen/vm/web1; lodge create web1 starts it\n')
    b.asked(('new', {'name': 'web1', 'image': 'debian'}))
    keys = b.write('keys', f'# mine\n\n{KEY}\r\n{KEY}2\n')
    b.run('new', '-q', 'web1', '-i', 'debian', '-m', '1G', '--vcpus', '2', '-s', '8G', '-u', 'ada', '-k', KEY, '--ssh-key', keys, out='')
    b.asked(('new', {'name': 'web1', 'image': 'debian', 'memory_kib': 1 << 20, 'vcpus': 2, 'size_kib': 8 << 20, 'user': 'ada', 'ssh_keys': [KEY, KEY, KEY + '2']}))
    equal(json.loads(b.run('new', '--json', 'web1', '-i', 'debian')), MADE)
    b.run('new', 'web1', '-i', 'debian', '-u', 'ada', err='lodge: web1: warning: nobody can log in as ada, who has neither a key (--ssh-key) nor a password\n')
    b.run('new', 'web1', status=2, err='lodge new: expected --from IMAGE; see lodge new --help\n')
    b.run('new', 'web1', '-i', 'debian', '--vcpus', '0', status=2, err='lodge new: a machine has at least one vCPU; see lodge new --help\n')
    b.run('new', 'web1', '-i', 'debian', '-m', '0', status=2, err='lodge new: found "0", expected a size, such as 512 (MiB) or 2G; see lodge new --help\n')
    b.manager.methods['new'] = lambda params: raise_(Refused('name-taken', 'taken', 17))
    b.run('new', 'web1', '-i', 'debian', status=1, err='lodge: web1: taken\n')
    b.manager.methods['new'] = lambda params: raise_(Refused('no-such-image', 'there is none', 2))
    b.run('new', 'web1', '-i', 'debian', status=3, err='lodge: web1: there is none\n')


@test
def keys_that_are_none(b):
    b.manager.methods['new'] = MADE
    for text, why in (('', 'there is no key in'), ('# x\n', 'there is no key in'), ('-----BEGIN OPENSSH PRIVATE KEY-----\nx\n', 'is a private key; the public one is mostly in')):
        path = b.write('key', text)
        b.run('new', 'web1', '-i', 'd', '-k', path, status=1, err=re.compile(why))
        b.asked()
    b.run('new', 'web1', '-i', 'd', '-k', '/no/file', status=1, err='lodge: /no/file is neither a public key of SSH nor a file with some: No such file or directory\n')
    b.run('new', 'web1', '-i', 'd', '-k', '/etc', status=1, err='lodge: /etc is no file of public keys\n')
    b.run('new', 'web1', '-i', 'd', '-k', b.write('key', 'x' * 600000), status=1, err=re.compile('is no file of public keys'))
    # What is in a key is for the manager to look at: it goes there as it is.
    b.run('new', 'web1', '-i', 'd', '-k', 'ssh-x a\nruncmd: [x]')
    b.asked(('new', {'name': 'web1', 'image': 'd', 'ssh_keys': ['ssh-x a\nruncmd: [x]']}))


@test
def remove(b):
    b.manager.methods['remove'] = {}
    b.run('remove', '--yes', 'web1', 'web2', out='')
    b.asked(('remove', {'machine': 'web1'}), ('remove', {'machine': 'web2'}))
    b.run('remove', 'web1', status=2, err='lodge remove: there is no terminal to ask on; --yes removes disks without asking; see lodge remove --help\n', stdin=b'y\n')
    b.asked()
    for typed, status in ((b'y\n', 0), (b'yes\n', 0), (b'n\n', 1), (b'\n', 1), (b'yep\n', 1)):
        b.manager.requests.clear()
        text, found = on_terminal(b, 'remove', 'web1', typed=typed)
        equal((typed, found, len(b.manager.requests)), (typed, status, 1 - status))
        assert 'Remove the machine web1, with its disk and all that is on it?' in text, text
    b.manager.methods['remove'] = lambda params: raise_(Refused('no-such-machine', 'no', 2))
    b.run('remove', '-y', 'web1', status=3, err='lodge: web1: no\n')


sys.exit(main())
