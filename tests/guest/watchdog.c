/* SPDX-License-Identifier: MIT */
/* Ends when a watchdog that is not fed fires. */
#include "lib/test.h"

#include <xen/sched.h>

TEST(fires)
{
	struct sched_watchdog w = { .id = 0, .timeout = 1 };

	CHECK_GE(HCALL(sched_op, SCHEDOP_watchdog, &w), 1);
	print("waiting for the watchdog\n");
	for (;;)
		HCALL(sched_op, SCHEDOP_yield);
}
