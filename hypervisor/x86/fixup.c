/* SPDX-License-Identifier: MIT */
/* Look-up in the fix-up table, and the MSR accesses that rely on it. */
#include <lib/errno.h>
#include <x86/fixup.h>
#include <x86/msr.h>

struct fixup { s32 from, to; };	/* relative to the field itself */

extern const struct fixup fixup_table_start[], fixup_table_end[];

u64 fixup_find(u64 rip)
{
	/* A few dozen entries, used when something faults: a linear search is fast enough. */
	for (const struct fixup *f = fixup_table_start; f < fixup_table_end; f++)
		if ((u64)&f->from + (u64)(s64)f->from == rip)
			return (u64)&f->to + (u64)(s64)f->to;
	return 0;
}

int rdmsr_safe(u32 msr, u64 *val)
{
	u32 lo = 0, hi = 0;
	int rc = -EFAULT;

	__asm__ volatile("1: rdmsr\n"
			 "xor %0, %0\n"
			 "2:\n"
			 FIXUP(1b, 2b)
			 : "+r"(rc), "+a"(lo), "+d"(hi) : "c"(msr));
	*val = (u64)hi << 32 | lo;
	return rc;
}

int wrmsr_safe(u32 msr, u64 val)
{
	int rc = -EFAULT;

	__asm__ volatile("1: wrmsr\n"
			 "xor %0, %0\n"
			 "2:\n"
			 FIXUP(1b, 2b)
			 : "+r"(rc) : "c"(msr), "a"((u32)val), "d"((u32)(val >> 32)) : "memory");
	return rc;
}
