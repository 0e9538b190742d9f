/* SPDX-License-Identifier: MIT */
/* Ends in a crash of the guest: an event while the stack pointer leads nowhere. */
#include "lib/event.h"
#include "lib/test.h"

TEST(event_without_stack)
{
	long port = event_bind_ipi(0);
	struct evtchn_send *send = (void *)page_alloc();

	send->port = (u32)port;
	event_mask((u32)port, false);
	print("about to crash\n");
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 0);
	asm volatile("mov %0, %%rsp; mov %1, %%eax; mov %2, %%edi; mov %3, %%rsi; syscall"
		     :: "r"(SCRATCH_VA), "i"(__HYPERVISOR_event_channel_op), "i"(EVTCHNOP_send), "r"(send) : "memory");
	__builtin_unreachable();
}
