/* SPDX-License-Identifier: MIT */
/* Ends in a crash of the guest: an exception for which no handler was ever set. */
#include "lib/test.h"

TEST(no_handler)
{
	CHECK_EQ(HCALL(set_trap_table, NULL), 0);
	print("about to crash\n");
	asm volatile("ud2");
}
