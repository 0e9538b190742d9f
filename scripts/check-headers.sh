#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks the house rules that a compiler can check. Arguments: the compiler and its flags, as the Makefile uses them.
#  - every header compiles alone;
#  - a folder includes only itself and folders that stand above it;
#  - every source file starts with its SPDX line and one line of purpose;
#  - every other file has its SPDX line, unless it cannot hold a comment.
set -u
cd "$(dirname "$0")/.." || exit 1
order="lib x86 core memory domain sched ipc pv hvm hypercall iommu boot debug"
bad=0

fail() { echo "FAIL $*"; bad=$((bad + 1)); }

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
for h in hypervisor/*/*.h; do
	printf '#include <%s>\n' "${h#hypervisor/}" > "$tmp/one.c"
	"$@" -MF "$tmp/one.d" -fsyntax-only "$tmp/one.c" 2> "$tmp/err" || { fail "$h does not compile alone"; sed 5q "$tmp/err"; }
done

rank() {
	n=0
	for f in $order; do
		n=$((n + 1))
		[ "$f" = "$1" ] && { echo $n; return; }
	done
	echo 0
}
for src in hypervisor/*/*.[chS]; do
	folder=${src#hypervisor/}
	folder=${folder%%/*}
	mine=$(rank "$folder")
	for inc in $(sed -n 's/^#include <\([a-z0-9]*\)\/.*/\1/p' "$src" | sort -u); do
		theirs=$(rank "$inc")
		[ "$theirs" -le "$mine" ] || fail "$src includes <$inc/…>, which stands below $folder/"
	done
done

for src in $(git ls-files 'hypervisor/*.[chS]' 'tests/*.[chS]' 'image/*.c' 'tools/*.[ch]'); do
	[ -f "$src" ] || continue
	sed -n 1p "$src" | grep -q 'SPDX-License-Identifier: MIT' || fail "$src has no SPDX line"
	sed -n 2p "$src" | grep -q '^/\*' || fail "$src does not say what it is for"
done

for f in $(git ls-files); do
	case $f in
	LICENSE|VERSION|*/passwd|*/group|tests/fuzz/corpus/*) continue ;;
	esac
	[ ! -f "$f" ] || sed 4q "$f" | grep -q 'SPDX-License-Identifier: MIT' || fail "$f has no SPDX line"
done

[ $bad -eq 0 ] && echo "ok headers, include order, file heads"
[ $bad -eq 0 ]
