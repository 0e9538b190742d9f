/* SPDX-License-Identifier: MIT */
/* The symbol table of the first link: no symbols. The second link has the output of scripts/mksyms.sh in its place. */
	.section .symtab_embedded, "a"
	.globl symtab_count, symtab_entries, symtab_names
	.balign 8
symtab_count:
	.long 0
	.balign 8
symtab_entries:
symtab_names:
	.byte 0
