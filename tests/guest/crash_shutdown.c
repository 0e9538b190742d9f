/* SPDX-License-Identifier: MIT */
/* Ends in a crash that the guest itself declares. */
#include "lib/test.h"

#include <xen/sched.h>

TEST(declared)
{
	struct sched_shutdown s = { .reason = SHUTDOWN_crash };

	print("about to crash\n");
	HCALL(sched_op, SCHEDOP_shutdown, &s);
}
