# SPDX-License-Identifier: MIT
"""The bench "boot": from QEMU's start to Domain 0's first process, and the memory that no domain gets. Also without a hypervisor."""
import dataclasses
import os
import subprocess
import time
from pathlib import Path

import bench
import guests
from machine import Machine

SIDES = ('lodge', 'xen', 'none')
MEMORY_KIB = 3 << 20
TIMEOUT = 900

MEMORY_SCRIPT = 'result free $(free_kib) KiB; result dom0 $(dom0_kib) KiB\n'


def image(scratch):
    """The Domain 0 image with first.c in it."""
    tree = scratch / 'first'
    tree.mkdir()
    subprocess.run(['gcc', '-std=gnu17', '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-o', tree / 'first', bench.HERE / 'first.c'], check=True)
    return guests.initrd_with(scratch, tree)


def config_of(side, config, initrd, **changes):
    """The machine of the other benches, with that image. Without a hypervisor the kernel has as much memory as Domain 0."""
    limit = ' mem=1024M' if side == 'none' else ''
    return dataclasses.replace(config, initrd=initrd, dom0_args=f'{config.dom0_args} rdinit=/first{limit}', **changes)


def wait_first(machine):
    """(ticks, the kernel's nanoseconds) when the first process started."""
    match = machine.expect(r'first process: (\d+) ticks, (\d+) ns', TIMEOUT)
    return int(match[1]), int(match[2])


def cpu_seconds(pid):
    """What the process has used."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def run_once(side, config, initrd, store, log):
    """{key: (value, unit)} of two boots: in virtual time, and by the host's clock with two processors."""
    found = {}
    with Machine(config_of(side, config, initrd), log) as machine:
        ticks, kernel = wait_first(machine)
        found['first_process,_virtual_time'] = ticks / 1e9, 's'
        found['…_of_that_the_kernel'] = kernel / 1e9, 's'
        if side != 'none':
            machine.wait_agent(TIMEOUT)
            memory = bench.run_script(side, machine, MEMORY_SCRIPT, store)
            found['memory_not_for_domains'] = (MEMORY_KIB - memory['free'][0] - memory['dom0'][0]) / 1024, 'MiB'
    config = config_of(side, config, initrd, virtual=False, accel='tcg', cpus=2)
    begin = time.monotonic()
    with Machine(config, log) as machine:
        wait_first(machine)
        found['first_process,_by_the_clock'] = time.monotonic() - begin, 's'
        found["…_of_QEMU's_processor_time"] = cpu_seconds(machine.process.pid), 's'
    return found
