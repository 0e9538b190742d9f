# SPDX-License-Identifier: MIT
"""Networks of guests: the default one with DHCP, names and the world outside; a bridge of one's own; addresses that stay."""
from guests import boot, create, define, guests, in_guest, lodge, lodge_fails, lodge_json, to_agent
from harness import check, check_equal, check_sound, test
from transfer import HOST, Server, sha256


@test(timeout=600)
def default(t):
    """Without a word in the definition: addresses, names, guest to guest, to Domain 0, and to the world."""
    m = boot(t)
    for name in ('one', 'two'):
        create(m, name)
    own = lodge_json(m, 'version')
    bridge = m.sh("ip -4 -o addr show dev lodge0 | awk '{ sub(\"/.*\", \"\", $4); print $4 }'").strip()
    check(bridge, 'the default bridge has no address')
    # By name and by address, in all directions.
    m.sh('ping -c 1 -W 10 one; ping -c 1 -W 10 two; nslookup one >/dev/null')
    # Whoever gets Domain 0 its address writes anew whom to ask for names: both ways to do that.
    for write in 'echo nameserver 10.0.2.3 >/etc/resolv.conf', 'echo nameserver 10.0.2.3 >/etc/new; mv /etc/new /etc/resolv.conf':
        m.sh(f'{write}; until grep -q {bridge} /etc/resolv.conf; do usleep 50000; done; grep 10.0.2.3 /etc/resolv.conf; ping -c 1 -W 10 one')
    in_guest(m, 'one', f'ping -c 1 -W 10 two && ping -c 1 -W 10 {bridge} && hostname | grep -x one')
    in_guest(m, 'two', 'wget -q -O - http://one/ | grep -x "Hello from one\\."')
    # Bulk data with checksums, guest to guest both ways and to Domain 0.
    sums = m.sh('dd if=/dev/urandom bs=1M count=8 of=/tmp/data 2>/dev/null; sha256sum </tmp/data').split()[0]
    # A receiver whose input ends closes its half, and busybox's sender then stops. The agent's connection is not theirs to keep open.
    in_guest(m, 'two', '{ sleep 1000 | nc -l -p 7000 >/tmp/in; } >/dev/null 2>&1 & until grep -q :1B58 /proc/net/tcp*; do usleep 10000; done')
    m.sh('nc two 7000 </tmp/data')
    check_equal(in_guest(m, 'two', 'until [ $(stat -c %s /tmp/in) -ge 8388608 ]; do usleep 10000; done; sha256sum </tmp/in').split()[0],
                sums, 'what two received from Domain 0')
    in_guest(m, 'two', 'ln -s /tmp/in /run/www/data')
    check_equal(in_guest(m, 'one', 'wget -q -O - http://two/data | sha256sum').split()[0], sums, 'what one received from two')
    # The world: a server of the host, behind Domain 0's NAT and QEMU's.
    payload = bytes(range(256)) * 4096
    with Server(payload) as server:
        check_equal(in_guest(m, 'one', f'nc {HOST} {server.port} </dev/null | sha256sum').split()[0], sha256(payload),
                    'what a guest received from outside')
    check_equal(own['network']['state'], 'up', 'state of the default network')
    m.sh('lodge shutdown -w -a')
    check_equal(m.sh('ls /sys/class/net | grep vif || true').strip(), '', 'interfaces left over')
    check_sound(t, m)


@test(timeout=600, long=True)
def addresses_stay(t):
    """MAC and IP addresses are the same after a restart of the guest and of the manager."""
    m = boot(t)
    create(m, 'one')
    before = lodge_json(m, 'info', 'one')['nics'][0]
    check(before['mac'].startswith('00:16:3e:'), before['mac'])
    lodge(m, 'destroy', 'one')
    m.sh('kill -9 $(pidof lodged)')
    create(m, 'zero')
    create(m, 'one')
    after = lodge_json(m, 'info', 'one')['nics'][0]
    check_equal((after['mac'], after['address']), (before['mac'], before['address']), 'addresses')
    lodge(m, 'destroy', 'zero')
    lodge(m, 'destroy', 'one')


@test(timeout=600, long=True)
def own_bridge(t):
    """A bridge that the definition names, a MAC address and an interface name of one's own; clashes are refused."""
    m = boot(t)
    m.sh('ip link add br7 type bridge; ip addr add 10.77.0.1/24 dev br7; ip link set br7 up')
    setup = 'console=hvc0 AGENT=1 RUN="ip addr add 10.77.0.{0}/24 dev eth0"'
    for number, name in ((2, 'a'), (3, 'b')):
        create(m, name, vif=[f'bridge=br7,mac=00:16:3e:00:77:0{number},vifname=lan{number}'], extra=setup.format(number))
    m.sh('ping -c 1 -W 10 10.77.0.2; ping -c 1 -W 10 10.77.0.3')
    check_equal(m.sh('ls /sys/class/net/br7/brif').split(), ['lan2', 'lan3'], 'ports of the bridge')
    check_equal(to_agent(m, '10.77.0.2', 'ping -c 1 -W 10 10.77.0.3 >/dev/null && cat /sys/class/net/eth0/address').strip(),
                '00:16:3e:00:77:02', 'MAC address in the guest')
    define(m, 'c', vif=['bridge=br7,mac=00:16:3e:00:77:02'])
    text = lodge_fails(m, 'create', 'c')
    check('00:16:3e:00:77:02' in text and 'a' in text, text)
    define(m, 'c', vif=['bridge=br8'])
    text = lodge_fails(m, 'create', 'c')
    check('br8' in text and len(text.splitlines()) == 1, text)
    m.sh('lodge destroy a b')
    check_equal(m.sh('ls /sys/class/net/br7/brif').split(), [], 'ports of the bridge in the end')
    check_equal(guests(m), {}, 'guests')


# As the users' own scripts are: all they know is in the environment and in the store.
SCRIPT = r'''#!/bin/sh
{ env; echo "$0 $*"; } >"/tmp/script.$1"
[ "$1" = online ] || exit 0
bridge=$(xenstore-read "$XENBUS_PATH/bridge")
if ! [ -e "/sys/class/net/$bridge" ]; then
    xenstore-write "$XENBUS_PATH/hotplug-error" "no $bridge here" "$XENBUS_PATH/hotplug-status" error
    exit 1
fi
ip link set "$vif" master "$bridge" up
xenstore-write "$XENBUS_PATH/hotplug-status" connected
'''


def own_script(m, name, text):
    m.sh(f'mkdir -p /etc/xen/scripts; cat >/etc/xen/scripts/{name} <<"END"\n{text}END\nchmod +x /etc/xen/scripts/{name}')


@test(timeout=600, long=True)
def scripts(t):
    """script= is run as elsewhere when the interface comes and goes; what it says when it fails is the error, and all is undone."""
    m = boot(t)
    own_script(m, 'vif-own', SCRIPT)
    own_script(m, 'vif-bad', '#!/bin/sh\necho nonsense\nexit 7\n')
    m.sh('ip link add br7 type bridge; ip addr add 10.77.0.1/24 dev br7; ip link set br7 up')
    create(m, 'a', vif=['script=vif-own,bridge=br7,ip=10.77.0.2'], extra='console=hvc0 RUN="ip addr add 10.77.0.2/24 dev eth0"')
    m.sh('ping -c 1 -W 10 10.77.0.2')
    domid = lodge(m, 'domid', 'a').strip()
    backend = f'/local/domain/0/backend/vif/{domid}/0'
    check_equal(m.sh(f'xenstore-read {backend}/ip').strip(), '10.77.0.2', 'ip in the store')
    lodge(m, 'destroy', 'a')
    for job in 'online', 'offline':
        seen = m.sh(f'cat /tmp/script.{job}').splitlines()
        for line in ('script=/etc/xen/scripts/vif-own', f'XENBUS_PATH={backend}', 'XENBUS_TYPE=vif', 'XENBUS_BASE_PATH=backend',
                     f'vif=vif{domid}.0', f'/etc/xen/scripts/vif-own {job} type_if=vif'):
            check(line in seen, f'{line} is not in what the script got for {job}: {seen}')
    # Its own words, in one line; and nothing stays.
    define(m, 'b', vif=['script=vif-own,bridge=br8'])
    text = lodge_fails(m, 'create', 'b', status=1)
    check('no br8 here' in text and '/etc/xen/scripts/vif-own online' in text and len(text.splitlines()) == 1, text)
    text = lodge_fails(m, 'create', 'b', 'vif=["script=vif-bad"]', status=1)
    check('status 7' in text and '/var/log/lodge/scripts.log' in text and len(text.splitlines()) == 1, text)
    check('nonsense' in m.sh('cat /var/log/lodge/scripts.log'), 'output of the script')
    text = lodge_fails(m, 'create', '-n', 'b', 'vif=["script=vif-none"]', status=1)
    check('/etc/xen/scripts/vif-none' in text, text)
    check_equal(guests(m), {}, 'guests')
    check_equal(m.sh('ls /sys/class/net | grep vif; ls /sys/bus/xen-backend/devices; true').strip(), '', 'interfaces left over')


@test(timeout=600, long=True)
def rate_and_address(t):
    """rate= is what the guest sends at most; ip= in the default network is what DHCP gives it."""
    m = boot(t)
    wanted = lodge_json(m, 'version')['network']['address'].rpartition('.')[0] + '.77'
    size, rate, burst = 512 << 10, 125000, 128 << 10        # the kernel lets 128 KiB go at once
    create(m, 'slow', vif=[f'rate=1Mb/s,ip={wanted}'])
    check_equal(lodge_json(m, 'info', 'slow')['nics'][0]['address'], wanted, 'address')
    domid = lodge(m, 'domid', 'slow').strip()
    check_equal(m.sh(f'xenstore-read /local/domain/0/backend/vif/{domid}/0/rate').strip(), f'{rate // 20},50000', 'rate in the store')
    in_guest(m, 'slow', f'ip addr show dev eth0 | grep -F "inet {wanted}/" && dd if=/dev/zero of=/run/www/data bs=1k count={size >> 10}')
    before, after = m.sh('cut -d" " -f1 /proc/uptime; wget -q -O /tmp/data http://slow/data; cut -d" " -f1 /proc/uptime', 200).split()
    check_equal(m.sh('stat -c %s /tmp/data').strip(), str(size), 'bytes')
    took, least = float(after) - float(before), (size - burst) / rate
    check(took >= 0.95 * least, f'{size} bytes at {rate} a second took {took} s')
    # An address that is taken, or is none of this network's.
    define(m, 'b', vif=[f'ip={wanted}'])
    text = lodge_fails(m, 'create', 'b', status=1)
    check(wanted in text and lodge_json(m, 'info', 'slow')['nics'][0]['mac'] in text and len(text.splitlines()) == 1, text)
    text = lodge_fails(m, 'create', '-n', 'b', 'vif=["ip=192.168.7.7"]', status=1)
    check('ip=192.168.7.7' in text and len(text.splitlines()) == 1, text)
    lodge(m, 'destroy', 'slow')
    create(m, 'b', vif=[f'ip={wanted}'])
    in_guest(m, 'b', f'ip addr show dev eth0 | grep -F "inet {wanted}/"')
    lodge(m, 'destroy', 'b')
