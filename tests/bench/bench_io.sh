# SPDX-License-Identifier: MIT
# What a guest gets from a disk (a file of Domain 0's memory) and from the network, to and from Domain 0. Measured in the guest; MiB/s.
brctl addbr bench0
ip addr add 10.9.0.1/24 dev bench0
ip link set bench0 up
dd if=/dev/zero of=/tmp/disk.img bs=1M count=64 2>/dev/null
dd if=/dev/zero of=/tmp/data bs=1M count=32 2>/dev/null
define io /boot/vmlinuz 128 'console=hvc0 quiet NODHCP=1 AGENT=1 RUN=\"ip addr add 10.9.0.2/24 dev eth0\"' \
	'ramdisk = "/boot/guest.gz"' 'disk = [ "/tmp/disk.img,raw,xvda,rw" ]' 'vif = [ "bridge=bench0" ]'
create io
wait_text io 'a guest of Lodge'

guest() {
	script=$(cat)
	printf '%d\n%s\n' $((${#script} + 1)) "$script" | nc 10.9.0.2 1023
}

# seconds of dd in the guest -> MiB/s
rate() {
	awk -v size="$2" -v key="$1" '/copied/ { for (i = 1; i < NF; i++) if ($(i + 1) ~ /^s(econds)?,?$/) print "result", key, size / $i, "MiB/s" }'
}

for i in 1 2 3; do
	echo 'dd if=/dev/xvda of=/dev/null bs=1M count=64 iflag=direct 2>&1' | guest | rate disk_read_direct 64
	echo 'dd if=/dev/zero of=/dev/xvda bs=1M count=32 oflag=direct conv=notrunc 2>&1' | guest | rate disk_write_direct 32
	echo 'echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/xvda of=/dev/null bs=64k count=1024 2>&1' | guest | rate disk_read_buffered 64
	echo 'nc -l -p 7000 </dev/null >/dev/null 2>&1 & until grep -q :1B58 /proc/net/tcp*; do usleep 10000; done' | guest
	now; begin=$clock
	nc 10.9.0.2 7000 </tmp/data
	now; result network_to_guest $(awk -v us=$((clock - begin)) 'BEGIN { print 32e6 / us }') MiB/s
	(nc -l -p 7001 </dev/null >/dev/null) &
	until grep -q :1B59 /proc/net/tcp*; do usleep 10000; done
	now; begin=$clock
	echo 'dd if=/dev/zero bs=64k count=512 2>/dev/null | nc 10.9.0.1 7001' | guest
	now; result network_from_guest $(awk -v us=$((clock - begin)) 'BEGIN { print 32e6 / us }') MiB/s
done
ping -A -c 20 10.9.0.2 | awk -F / '/min\/avg/ { print "result ping_average", $4, "ms" }'
