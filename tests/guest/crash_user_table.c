/* SPDX-License-Identifier: MIT */
/* Ends in a crash of the guest: a return to user mode without a user page table. */
#include "lib/test.h"

static struct trap_frame frame;

static void user(u64 arg)
{
	(void)arg;
	asm volatile("ud2");
}

TEST(no_user_table)
{
	struct iret_context *c = (void *)(page_alloc() + 256);

	user_frame(&frame, user, 0);
	*c = (struct iret_context){ .rip = frame.rip, .cs = frame.cs, .rflags = frame.rflags, .rsp = frame.rsp, .ss = frame.ss };
	CHECK_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
	print("about to crash\n");
	asm volatile("mov %0, %%rsp; mov %1, %%eax; syscall" :: "r"(c), "i"(__HYPERVISOR_iret) : "memory");
	__builtin_unreachable();
}
