/* SPDX-License-Identifier: MIT */
/*
 * Marks around what tests/bench/ops measures: a long NOP with a displacement that no compiler makes. QEMU with the plugin profile.c counts the
 * instructions between them, in a test kernel as in a program.
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

#define MARK_BEGIN	0x4c6f6401
#define MARK_END	0x4c6f6402

#define MARK(value)	__asm__ volatile("nopl %c0(%%rax,%%rax)" :: "i"(value) : "memory")

/* Each operation is measured so often; the median counts, so that a timer's tick in one of them does not. */
#define MARK_REPEATS	9

#endif
