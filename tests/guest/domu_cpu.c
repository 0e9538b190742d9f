/* SPDX-License-Identifier: MIT */
/* The tests of traps, vCPUs and events, run in ordinary domains. */
#include "lib/domu.h"
#include "lib/test.h"

TEST(first)
{
	static struct dom d;

	/* What the hypervisor keeps from the first time on is not lost memory. */
	REQUIRE_EQ(dom_create(&d, 2, DOMU_PAGES), 0);
	CHECK_EQ(dom_destroy(&d), 0);
}

DOMU(traps, 1)
DOMU(iret, 1)
DOMU(descriptors, 1)
DOMU(user, 1)
DOMU(vcpu, 2)
DOMU(evtchn, 2)
DOMU(evtchn_fifo, 2)
DOMU(fpu, 1)
DOMU(multicall, 1)
DOMU(args, 2)
