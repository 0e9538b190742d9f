# SPDX-License-Identifier: MIT
# What a guest gets from a disk (a file in Domain 0's memory) and from the network, to and from Domain 0; MiB/s by Domain 0's clock. Of two
# rounds the first, which finds rings and grants unused, does not count.
make_bridge
dd if=/dev/zero of=/tmp/disk.img bs=1M count=64 2>/dev/null
mkdir /tmp/www
dd if=/dev/zero of=/tmp/www/data bs=1M count=32 2>/dev/null
httpd -p 8000 -h /tmp/www
define io /files/vmlinux 160 'console=hvc0 quiet NODHCP=1 AGENT=1 RUN=\"ip addr add 10.9.0.2/24 dev eth0; echo all-is-up\"' \
	'ramdisk = "/boot/guest.gz"' 'disk = [ "/tmp/disk.img,raw,xvda,rw" ]' 'vif = [ "bridge=bench0" ]'
create io
wait_text io all-is-up

# guest SCRIPT: its output; SCRIPT's commands fail together.
guest() {
	said=$(printf '%d\n%s\n' $((${#1} + 1)) "$1" | nc 10.9.0.2 1023)
	[ "${said##*status }" = 0 ] || fail "in the guest: $1: $said"
}

# rate MIB NAME: of what was just timed.
rate() {
	[ $round = 1 ] || result $2 $(awk -v mib=$1 -v ms=$elapsed 'BEGIN { printf "%.2f", mib * 1000 / ms }') MiB/s
}

# arrived DIRECTION BEFORE: all of it has crossed the bridge.
arrived() {
	count=$(cat /sys/class/net/bench0/statistics/$1_bytes)
	[ $((count - $2)) -ge 33554432 ] || fail "of 32 MiB $((count - $2)) bytes arrived"
}

guest 'dd if=/dev/zero of=/run/www/data bs=1M count=32 2>&1'
for round in 1 2; do
	timed guest 'dd if=/dev/xvda of=/dev/null bs=1M count=64 iflag=direct 2>&1'
	rate 64 disk_read_direct
	timed guest 'dd if=/dev/zero of=/dev/xvda bs=1M count=32 oflag=direct conv=notrunc 2>&1'
	rate 32 disk_write_direct
	guest 'echo 3 >/proc/sys/vm/drop_caches'
	timed guest 'dd if=/dev/xvda of=/dev/null bs=64k count=1024 2>&1'
	rate 64 disk_read_buffered

	before=$(cat /sys/class/net/bench0/statistics/tx_bytes)
	timed guest 'wget -q -O /dev/null http://10.9.0.1:8000/data'
	arrived tx $before
	rate 32 network_to_guest

	before=$(cat /sys/class/net/bench0/statistics/rx_bytes)
	timed wget -q -O /dev/null http://10.9.0.2/data
	arrived rx $before
	rate 32 network_from_guest
done
result ping_average $(ping -A -c 20 10.9.0.2 | awk -F / '/min\/avg/ { print $4 }') ms
