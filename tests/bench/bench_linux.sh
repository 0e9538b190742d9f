# SPDX-License-Identifier: MIT
# Debian's kernel as vmlinuz with a disk and a network card, first and second use; and from create to the guest's first process.
brctl addbr bench0
ip addr add 10.9.0.1/24 dev bench0
ip link set bench0 up
dd if=/dev/zero of=/tmp/disk.img bs=1M count=64 2>/dev/null
define linux /boot/vmlinuz 128 'console=hvc0 quiet MARK=first-process' 'ramdisk = "/boot/guest.gz"' \
	'disk = [ "/tmp/disk.img,raw,xvda,rw" ]' 'vif = [ "bridge=bench0" ]'
for i in 1 2 3; do
	now; begin_all=$clock
	timed create linux
	result create_linux_use_$i $elapsed ms
	wait_text linux first-process
	now; result create_to_first_process_$i $(((clock - begin_all) / 1000)) ms
	timed $TOOL destroy linux
	result destroy_linux_$i $elapsed ms
done
define tiny /files/tiny.elf 4 ''
now; begin_all=$clock
create tiny
wait_text tiny tiny
now; result tiny_create_to_first_output $(((clock - begin_all) / 1000)) ms
