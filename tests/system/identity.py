# SPDX-License-Identifier: MIT
"""What Domain 0 is told about the hypervisor and about itself."""
from harness import check, check_equal, test


def hypervisor_files(m):
    """/sys/hypervisor as a dictionary from path to content."""
    text = m.sh('cd /sys/hypervisor; for f in type guest_type uuid */*; do echo "$f=$(cat $f 2>/dev/null | tr -d "\\000")"; done')
    return dict(line.partition('=')[::2] for line in text.splitlines())


@test()
def sys_hypervisor(t):
    files = hypervisor_files(t.boot_dom0())
    check_equal(files['type'], 'xen', 'type')
    check_equal(files['guest_type'], 'PV', 'guest_type')
    check_equal((files['version/major'], files['version/minor']), ('4', '17'), 'version')
    check_equal(files['uuid'], '00000000-0000-0000-0000-000000000000', "Domain 0's handle")
    check('xen-3.0-x86_64' in files['properties/capabilities'].split(), f"capabilities: {files['properties/capabilities']}")
    check_equal(files['properties/virtual_start'], 'ffff800000000000', 'virtual_start')
    check_equal(files['properties/pagesize'], '1000', 'pagesize')
    for name in ('compilation/compiler', 'compilation/compile_date', 'compilation/compiled_by', 'properties/features'):
        check(files[name], f'{name} is empty')
    if t.ours:
        check('Lodge' in files['version/extra'], f"version/extra: {files['version/extra']!r}")


@test()
def domain_0(t):
    """Domain 0 knows that it is that, and has the devices of a control domain."""
    m = t.boot_dom0()
    check('control_d' in m.sh('cat /proc/xen/capabilities'), 'no control_d in /proc/xen/capabilities')
    m.sh('for d in privcmd evtchn gntdev gntalloc; do [ -c /dev/xen/$d ] || exit 1; done')


@test(long=True)
def memory(t):
    """Domain 0 has the memory that was asked for, in every way of asking."""
    for argument, low, high in (('dom0_mem=458752', 448, 448), ('dom0_mem=300M', 300, 300), ('dom0_mem=-400M', 500, 624),
                                ('dom0_mem=256M,max:512M', 256, 256), ('dom0_mem=900M,max:320M', 320, 320),
                                ('dom0_mem=200M,min:260M', 260, 260)):
        m = t.boot_dom0(hv_args=argument)
        mib = int(m.sh('cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb')) / 1024
        # The kernel takes some pages more or less into account, such as those below 1 MiB.
        check(low - 4 <= mib <= high + 4, f'{argument}: Domain 0 has {mib:.1f} MiB')
        m.kill()
