# SPDX-License-Identifier: MIT
# sides: lodge
# machine: 5G
# domain0: 3584M
# template: yes
# A Debian guest from an image to its login prompt, and the same guest from a definition and disks that were made by hand.
# In memory: virtual time runs on while a disk of the machine's is waited for.
room() {
	mkdir -p /memory /room
	mount -t tmpfs -o size=90% tmpfs /memory
	dd if=/dev/zero of=/memory/disk bs=1M seek=8192 count=0 2>/dev/null
	mke2fs -F /memory/disk >/dev/null 2>&1
	mount -t ext4 -o loop /memory/disk /room
	mkdir -p /room/images /room/machines
	ln -s /room/images /room/machines /var/lib/lodge
}

# boot DEFINITION NAME: create the guest and wait for its prompt.
boot() {
	lodge create "$1" >/dev/null || fail "create $1"
	wait_text "$2" "$2 login:"
}

room
mount -t ext4 -o ro /dev/disk/template /mnt
cp /mnt/boot/vmlinuz-* /room/kernel
cp /mnt/boot/initrd.img-* /room/ramdisk
umount /mnt
lodge image import -q --kernel /room/kernel --ramdisk /room/ramdisk --cmdline 'root=/dev/xvda ro console=hvc0' /dev/disk/template debian

# The same disks, but made by hand: a whole copy of the image's, nothing below it.
lodge new -q --from debian other
cp /room/images/debian/disk.qcow2 /room/hand.qcow2
cp /room/machines/other/seed.img /room/seed.img
sed 's,/var/lib/lodge/machines/other/disk.qcow2,/room/hand.qcow2,; s,/var/lib/lodge/machines/other/seed.img,/room/seed.img,' /etc/xen/vm/other >/etc/xen/vm/hand

# Either is made once, so that the kernel is unpacked and what is read of programs is in memory; then what counts.
lodge create -q -p hand
destroy other
lodge create -q -p other
destroy other
start
boot hand other
stop
plain=$elapsed
destroy other
result by_hand_to_login $plain ms
start
lodge new -q --from debian one
stop
result new $elapsed ms
boot one one
stop
result new_to_login $elapsed ms
result new_to_login_:_by_hand $(awk "BEGIN { printf \"%.4f\", $elapsed / $plain }") ratio
lodge shutdown -w one --timeout 600 || fail shutdown
start
boot one one
stop
result second_start_to_login $elapsed ms
