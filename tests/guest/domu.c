/* SPDX-License-Identifier: MIT */
/* The memory tests, run in ordinary domains: what they prove in Domain 0's place holds without privileges. */
#include "lib/domu.h"
#include "lib/test.h"

TEST(first)
{
	static struct dom d;

	/* What the hypervisor keeps from the first time on is not lost memory. */
	REQUIRE_EQ(dom_create(&d, 2, DOMU_PAGES), 0);
	CHECK_EQ(dom_destroy(&d), 0);
}

DOMU(mmu, 1)
DOMU(mmuext, 1)
DOMU(mmu_attack, 1)
DOMU(ptwr, 1)
DOMU(memory, 1)
DOMU(grants, 1)
