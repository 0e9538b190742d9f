/* SPDX-License-Identifier: MIT */
/* Ends in a crash of the guest: a base pointer to a page table in which the kernel is not mapped. */
#include "lib/test.h"

TEST(empty_base)
{
	u64 *l4 = table_alloc();

	CHECK_EQ(mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(l4), 0), 0);
	print("about to crash\n");
	CHECK_NE(mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(l4), 0), 0);
}
