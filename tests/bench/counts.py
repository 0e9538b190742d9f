# SPDX-License-Identifier: MIT
"""Instructions that QEMU's plugin profile.c has counted: by place and by function."""
import bisect
import collections
import socket
import subprocess
from pathlib import Path

import bench
import steps

# The ABI gives a PV guest's hypervisor these addresses, and Lodge and Xen are wholly there.
HYPERVISOR_BEGIN, HYPERVISOR_END = 0xffff800000000000, 0xffff880000000000
KERNEL_BEGIN = 1 << 63
PLACES = ('hypervisor', 'kernel', 'program')


def build_plugin(directory):
    plugin = Path(directory) / 'profile.so'
    steps.run_step('Building the plugin', 'bench-plugin', ['gcc', '-shared', '-fPIC', '-O2', '-Wall', '-Wextra', '-pthread', '-o', plugin, bench.HERE / 'profile.c'])
    return plugin


def read(path):
    """{address: instructions} of a file that the plugin wrote."""
    return {int(a, 16): int(n) for a, n in (line.split() for line in path.read_text().splitlines())}


class Counter:
    """The plugin's other end."""

    def __init__(self, scratch):
        self.scratch = Path(scratch)
        self.plugin = build_plugin(scratch)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.scratch / 'socket'))
        self.listener.listen()

    def arguments(self):
        return ('-plugin', f'{self.plugin},blocks=on,socket={self.scratch / "socket"}')

    def read(self):
        """{address: instructions} so far."""
        path = self.scratch / 'counts'
        if self.listener:
            self.connection = self.listener.accept()[0]
            self.listener = None
        self.connection.sendall(f'{path}\n'.encode())
        if self.connection.recv(5) != b'done\n':
            raise SystemExit('QEMU could not write the counts')
        return read(path)


def place(address):
    if HYPERVISOR_BEGIN <= address < HYPERVISOR_END:
        return 'hypervisor'
    return 'kernel' if address >= KERNEL_BEGIN else 'program'


def by_place(counts):
    """Counter {place: instructions}."""
    found = collections.Counter()
    for address, n in counts.items():
        found[place(address)] += n
    return found


def symbols(text):
    """Sorted [(address, name)] of what nm or /proc/kallsyms says."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and words[1] in 'tTwW' and int(words[0], 16) >= KERNEL_BEGIN:
            found[int(words[0], 16)] = words[2] if len(words) == 3 else f'{words[2]} {words[3]}'
    return sorted(found.items())


def lodge_symbols():
    return symbols(subprocess.run(['nm', steps.SYMBOLS], capture_output=True, text=True, check=True).stdout)


def by_function(counts, tables):
    """Counter {(place, function): instructions}. tables: {place: symbols}; a place without is one function."""
    found = collections.Counter()
    for address, n in counts.items():
        where = place(address)
        table = tables.get(where, ())
        at = bisect.bisect_right(table, (address, '\x7f')) - 1
        found[where, table[at][1] if at >= 0 else ''] += n
    return found


def print_table(title, found, top, per=1):
    """per: divides the counts."""
    total = sum(found.values()) / per
    print(f'\n{title}: {total:,.0f} instructions, {total * 2e-6:,.3f} ms')
    for where in PLACES:
        share = sum(n for (p, _), n in found.items() if p == where) / per
        print(f'  {where:12} {share:14,.1f}  {100 * share / total:5.1f} %')
    for (where, name), n in found.most_common(top):
        print(f'  {n / per:14,.1f}  {100 * n / per / total:5.1f} %  {where}: {name}')
