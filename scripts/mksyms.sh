#!/bin/sh
# SPDX-License-Identifier: MIT
# mksyms.sh ELF: print an assembly file with the table of the functions in ELF, sorted by address.
#
# An entry is two 32-bit words: the address relative to the image's start, and the offset of the name. The format's reader is
# hypervisor/debug/symbols.c.
set -e
nm=${NM:-nm}
base=$($nm "$1" | awk '$3 == "image_start" { print $1 }')
[ -n "$base" ] || { echo "mksyms.sh: $1 has no symbol image_start" >&2; exit 1; }

$nm "$1" | LC_ALL=C sort | awk -v base="$base" -v n=0 '
	$2 !~ /^[tTwW]$/ || $1 < base || $3 ~ /^\./ || $3 == "image_start" { next }
	$1 == last { next }
	{ last = $1; addr[n] = $1; name[n++] = $3 }
	END {
		print "\t.section .symtab_embedded, \"a\""
		print "\t.globl symtab_count, symtab_entries, symtab_names\n\t.balign 8"
		print "symtab_count:\n\t.long " n + 0 "\n\t.balign 8\nsymtab_entries:"
		for (i = 0; i < n; i++) {
			print "\t.long 0x" addr[i] " - 0x" base ", " off + 0
			off += length(name[i]) + 1
		}
		print "symtab_names:"
		for (i = 0; i < n; i++)
			print "\t.asciz \"" name[i] "\""
		print "\t.byte 0"
	}'
