# SPDX-License-Identifier: MIT
"""Tests of the command line: `lodge`, driven against a manager that says what the test wants."""
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import steps
from fakemanager import FakeManager, Refused

LODGE = os.environ.get('LODGE_BINARY') or str(steps.TOOLS / 'lodge')
UUID = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'
GUESTS = [
    {'domid': 0, 'uuid': '00000000-0000-0000-0000-000000000000', 'name': 'Domain-0', 'type': 'pv', 'state': 'running', 'flags': 'r-----',
     'memory_kib': 1048576, 'vcpus': 2, 'maxvcpus': 2, 'cpu_time_ns': 299412345678, 'managed': False},
    {'domid': 1, 'uuid': UUID, 'name': 'web1', 'type': 'pv', 'state': 'blocked', 'flags': '-b----', 'memory_kib': 8192, 'maxmem_kib': 8192,
     'vcpus': 1, 'maxvcpus': 1, 'cpu_time_ns': 49000000, 'start_time': 1790000000, 'managed': True},
    {'domid': 12, 'uuid': UUID, 'name': 'db', 'type': 'pv', 'state': 'crashed', 'flags': '---sc-', 'shutdown_reason': 'crash',
     'memory_kib': 262144, 'maxmem_kib': 262144, 'vcpus': 4, 'maxvcpus': 4, 'cpu_time_ns': 0, 'managed': True},
    {'domid': 13, 'uuid': UUID, 'type': 'hvm', 'state': 'paused', 'flags': '--p---', 'memory_kib': 4096, 'maxmem_kib': 4096, 'vcpus': 1,
     'maxvcpus': 1, 'cpu_time_ns': 0, 'managed': False},
]
VERSION = {
    'lodge': '0.3', 'api': 1,
    'hypervisor': {'version': '4.17', 'extra': '.7', 'changeset': 'abc', 'capabilities': 'xen-3.0-x86_64', 'command_line': 'dom0_mem=1G'},
    'machine': {'cpus': 2, 'max_cpu_id': 1, 'nodes': 1, 'cores_per_socket': 2, 'threads_per_core': 1, 'cpu_khz': 2596122, 'memory_kib': 3144704,
                'free_kib': 2045952, 'hw_caps': '1fcbf3fd:f2d8320b', 'virt_caps': 'pv gnttab-v1', 'scheduler': 'credit'},
    'network': {'bridge': 'lodge0', 'address': '10.99.0.1', 'prefix': 24, 'state': 'up'},
}
WEB1 = "name = 'web1'\nkernel = '/boot/vmlinuz'\nmemory = 128\ndisk = ['disk.img,raw,xvda,w']\nvif = ['']\n"

TESTS = []


def test(function):
    TESTS.append(function)
    return function


def equal(found, expected):
    assert found == expected, f'\nfound    {found!r}\nexpected {expected!r}'


def listed(params, guests):
    """The answer of `list`: whole, or the members that were asked for."""
    if 'members' not in params:
        return {'guests': guests}
    text = lambda value: '' if value is None else json.dumps(value) if isinstance(value, bool) else re.sub('[\0-\x1f]', '?', str(value))
    return {'rows': ['\t'.join(text(g.get(member)) for member in params['members']) for g in guests]}


class Bench:
    """A folder, a manager in it, and lodge."""

    def __init__(self, folder, manager):
        self.folder, self.manager = folder, manager
        manager.methods.update(list=self.list, version=VERSION, pause={}, unpause={}, destroy={}, rename={}, sysrq={}, debug_keys={},
                               shutdown={}, reboot={})

    def find(self, params):
        if 'guest' not in params:
            return GUESTS
        found = [g for g in GUESTS if str(params['guest']) in (str(g['domid']), g.get('name'))]
        if not found:
            raise Refused('no-such-guest', f'there is no guest {params["guest"]}', 2)
        return found

    def list(self, params):
        return listed(params, self.find(params))

    def run(self, *words, status=0, out=None, err='', env=None, cwd=None, stdin=b''):
        self.manager.requests.clear()
        environment = {'LODGED_SOCKET': self.manager.path, 'LODGE_DEFINITIONS': str(self.folder / 'etc'), 'PATH': os.environ['PATH'], **(env or {})}
        p = subprocess.run([LODGE, *words], capture_output=True, env=environment, cwd=cwd or self.folder, timeout=60, input=stdin)
        text, errors = p.stdout.decode(), p.stderr.decode()
        assert p.returncode == status, f'lodge {" ".join(words)}: status {p.returncode}, expected {status}\n{text}{errors}'
        if out is not None:
            equal(text, out)
        if isinstance(err, re.Pattern):
            assert err.search(errors), f'standard error: {errors!r}, expected {err.pattern!r}'
        else:
            equal(errors, err)
        return text

    def asked(self, *expected):
        equal(self.manager.requests, list(expected))

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)


def raise_(error):
    raise error


def main():
    failed = 0
    for function in TESTS:
        if len(sys.argv) > 1 and function.__name__ not in sys.argv[1:]:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder, FakeManager(Path(folder) / 'manager') as manager:
                function(Bench(Path(folder), manager))
        except Exception:
            failed += 1
            print(f'FAILED {function.__name__}')
            traceback.print_exc(file=sys.stdout)
    return 1 if failed else 0
