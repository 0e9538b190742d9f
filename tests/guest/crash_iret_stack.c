/* SPDX-License-Identifier: MIT */
/* Ends in a crash of the guest: the iret hypercall with a stack that is not there. */
#include "lib/test.h"

TEST(iret_without_stack)
{
	print("about to crash\n");
	asm volatile("mov %0, %%rsp; mov %1, %%eax; syscall" :: "r"(SCRATCH_VA), "i"(__HYPERVISOR_iret) : "memory");
	__builtin_unreachable();
}
