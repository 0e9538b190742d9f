# SPDX-License-Identifier: MIT
# Lodge's side: everything is up.
set -e
mkdir -p /files && mount -t ext4 -o ro /dev/disk/files /files
. /files/lib.sh
TOOL=lodge DEFINITIONS=/tmp name_prefix=

free_kib() {
	lodge info --json | awk -F '[:,]' '/"free_kib"/ { print $2 + 0 }'
}

# Wait until the guest's console shows the text.
wait_text() {
	lodge console "$1" </dev/null 2>/dev/null | grep -aqm 1 "$2"
}

until lodge list >/dev/null 2>&1; do usleep 100000; done
@BENCH@
