# SPDX-License-Identifier: MIT
# Xen's side: Debian's tools from a disk of their own, in a chroot, where the same busybox runs the same bench.
set -e
mount -t ext4 /dev/disk/peer /mnt
for dir in proc sys dev; do mount -o rbind /$dir /mnt/$dir; done
mount -t tmpfs tmpfs /mnt/run
mkdir -p /mnt/run/lock /mnt/run/xen /mnt/var/log/xen /mnt/var/lib/xen /mnt/srv/bin /mnt/srv/boot /mnt/files
mount -o bind /bin /mnt/srv/bin
mount -o bind /usr/boot /mnt/srv/boot
mount -t ext4 -o ro /dev/disk/files /mnt/files
ln -sfn srv/boot /mnt/boot.new && rm -rf /mnt/boot && mv /mnt/boot.new /mnt/boot
# The hotplug scripts want what udev makes.
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
chroot /mnt /bin/bash -ec '
	lib=/usr/lib/xen-4.17/bin
	$lib/xenstored --pid-file /run/xenstored.pid
	$lib/xen-init-dom0 >/dev/null
	$lib/xenconsoled --pid-file /run/xenconsoled.pid'
cat >/mnt/srv/bench.sh <<'END'
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/srv/bin
. /files/lib.sh
TOOL=xl DEFINITIONS=/tmp name_prefix=

free_kib() {
	echo $(($(xl info free_memory) * 1024))
}

wait_text() {
	sleep 100000 | xl console "$1" 2>/dev/null | /srv/bin/grep -aqm 1 "$2" &
	pipe=$!
	wait $pipe
}

@BENCH@
END
chroot /mnt /srv/bin/sh /srv/bench.sh
