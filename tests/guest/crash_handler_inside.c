/* SPDX-License-Identifier: MIT */
/* Ends in a crash of the guest: a page-fault handler at an address of the hypervisor, with a stack that ends. */
#include "lib/test.h"

TEST(handler_inside)
{
	struct trap_info table[2] = { { .vector = VEC_PF, .cs = FLAT_KERNEL_CS, .address = 0xffff82d040200000 } };

	/* Refused, or useless: ring 3 cannot fetch there. */
	if (HCALL(set_trap_table, table) < 0)
		CHECK_EQ(HCALL(set_trap_table, NULL), 0);
	print("about to crash\n");
	READ_ONCE(*(u64 *)0x1000);
}
