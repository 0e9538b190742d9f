#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual of the command line lists exactly the parameters that the sources define.
set -e
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

grep -rhoE '^BOOT_PARAM\("[^"]+"' hypervisor --include='*.c' | sed 's/.*("//; s/"$//' | LC_ALL=C sort > "$tmp/source"
sed -n 's/^### `\([^`=]*\).*/\1/p' docs/man/lodge-command-line.md | LC_ALL=C sort > "$tmp/manual"

rc=0
for p in $(uniq -d "$tmp/source"); do
	echo "parameter $p is defined twice" >&2; rc=1
done
for p in $(LC_ALL=C comm -23 "$tmp/source" "$tmp/manual"); do
	echo "parameter $p is not in docs/man/lodge-command-line.md" >&2; rc=1
done
for p in $(LC_ALL=C comm -13 "$tmp/source" "$tmp/manual"); do
	echo "docs/man/lodge-command-line.md has $p, which no source defines" >&2; rc=1
done
[ -s "$tmp/source" ] || { echo "no BOOT_PARAM rows found" >&2; rc=1; }
[ $rc -ne 0 ] || echo "ok params/manual ($(wc -l < "$tmp/source") parameters)"
exit $rc
