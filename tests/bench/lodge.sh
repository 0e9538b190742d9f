# SPDX-License-Identifier: MIT
# Lodge's side: everything is up.
set -e
mkdir -p /files && mount -t ext4 -o ro /dev/disk/files /files
. /files/lib.sh
TOOL=lodge DEFINITIONS=/tmp

free_kib() {
	lodge info --json | awk -F '[:,]' '/"free_kib"/ { print $2 + 0 }'
}

dom0_kib() {
	lodge list --json | awk -F '[:,]' '/"memory_kib"/ { print $2 + 0; exit }'
}

until lodge list >/dev/null 2>&1; do usleep 100000; done
@BENCH@
