# SPDX-License-Identifier: MIT
# Xen's side, behind tests/lib/peer.sh: in the chroot of Debian's tools the same busybox runs the same bench.
cat >/mnt/tmp/bench.sh <<'END'
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/srv/bin
. /files/lib.sh
TOOL=xl DEFINITIONS=/tmp

free_kib() {
	xl info | awk '/^free_memory/ { print $3 * 1024 }'
}

dom0_kib() {
	xl list 0 | awk 'NR == 2 { print $3 * 1024 }'
}

@BENCH@
END
chroot /mnt /srv/bin/sh /tmp/bench.sh
