/* SPDX-License-Identifier: MIT */
/* Ends in a crash of the guest: a page-fault handler that is not mapped, until the stack is used up. */
#include "lib/test.h"

TEST(fault_loop)
{
	struct trap_info table[2] = { { .vector = VEC_PF, .cs = FLAT_KERNEL_CS, .address = SCRATCH_VA } };

	CHECK_EQ(HCALL(set_trap_table, table), 0);
	print("about to crash\n");
	READ_ONCE(*(u64 *)0x1000);
}
