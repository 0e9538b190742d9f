# SPDX-License-Identifier: MIT
"""Networks of guests: the default one with DHCP, names and the world outside; a bridge of one's own; addresses that stay."""
from guests import boot, create, define, guests, in_guest, lodge, lodge_fails, lodge_json, to_agent
from harness import audit, check, check_dom0_healthy, check_equal, test
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
    in_guest(m, 'one', f'ping -c 1 -W 10 two && ping -c 1 -W 10 {bridge} && hostname | grep -x one')
    in_guest(m, 'two', 'wget -q -O - http://one/ | grep -x "Hello from one\\."')
    # Bulk data with checksums, guest to guest both ways and to Domain 0.
    sums = m.sh(f'dd if=/dev/urandom bs=1M count=8 of=/tmp/data 2>/dev/null; sha256sum </tmp/data').split()[0]
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
    check_dom0_healthy(m)
    if t.ours:
        audit(m)


@test(timeout=600)
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


@test(timeout=600)
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
