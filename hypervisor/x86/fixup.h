/* SPDX-License-Identifier: MIT */
/*
 * The fix-up table: instructions that are allowed to fault, and where to go on when they do.
 *
 * In inline assembly: `"1: insn\n" FIXUP(1b, 2f)`. In a .S file: `FIXUP 1b, 2f`.
 */
#ifndef X86_FIXUP_H
#define X86_FIXUP_H

#ifdef __ASSEMBLY__
.macro FIXUP from, to
	.pushsection .fixup_table, "a"
	.balign 4
	.long \from - ., \to - .
	.popsection
.endm
#else
#include <lib/types.h>

#define FIXUP(from, to)					\
	".pushsection .fixup_table, \"a\"\n"		\
	".balign 4\n"					\
	".long " #from " - ., " #to " - .\n"		\
	".popsection\n"

/* Where to continue after a fault at rip, or 0 when a fault there is a bug. */
u64 fixup_find(u64 rip);
#endif
#endif
