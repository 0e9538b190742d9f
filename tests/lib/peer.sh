# SPDX-License-Identifier: MIT
# Debian's Xen tools in Domain 0, from a disk of their own, in the chroot /mnt. The daemons are started as Debian's own service does it. Lodge's
# daemons do not run: its disk is not at /usr. $store: oxenstored or xenstored; $log: what xenconsoled keeps a log of: none, guest.
set -e
for dir in /mnt /files /lodge; do mkdir -p $dir; done
mount -t ext4 /dev/disk/peer /mnt
mount -t ext4 -o ro /dev/disk/files /files
mount -t ext4 -o ro /dev/disk/boot /lodge
# Debian's own /run first: what is bound below /dev and /proc comes along.
mount -t tmpfs tmpfs /mnt/run
mount -t tmpfs tmpfs /mnt/tmp
for dir in proc sys dev; do mount -o rbind /$dir /mnt/$dir; done
mkdir -p /mnt/run/lock /mnt/run/xen /mnt/run/xenstored /mnt/var/log/xen/console /mnt/var/lib/xen /mnt/srv/bin /mnt/files
mount -o bind /bin /mnt/srv/bin
mount -o bind /files /mnt/files
mount -o bind /lodge/boot /mnt/boot
# What udev makes: the hotplug scripts want it.
ln -sfn /proc/self/fd /dev/fd
for i in 0:stdin 1:stdout 2:stderr; do ln -sf /proc/self/fd/${i%:*} /dev/${i#*:}; done
cat >/mnt/tmp/start.sh <<'END'
set -e
lib=/usr/lib/xen-4.17/bin
$lib/$store --pid-file /run/xenstored.pid
until xenstore-exists / 2>/dev/null; do sleep 0.1; done
$lib/xen-init-dom0 >/dev/null
$lib/xenconsoled --pid-file=/run/xenconsoled.pid --log=$log
END
store=$store log=$log chroot /mnt /bin/bash /tmp/start.sh
