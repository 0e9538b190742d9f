/* SPDX-License-Identifier: MIT */
/* Ends in a reboot that the guest asks for. */
#include "lib/test.h"

#include <xen/sched.h>

TEST(asks)
{
	struct sched_shutdown s = { .reason = SHUTDOWN_reboot };

	print("about to reboot\n");
	HCALL(sched_op, SCHEDOP_shutdown, &s);
}
