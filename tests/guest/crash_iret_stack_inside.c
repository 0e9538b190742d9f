/* SPDX-License-Identifier: MIT */
/* Ends in a crash of the guest: the iret hypercall with its frame inside the hypervisor. */
#include "lib/test.h"

TEST(iret_frame_inside)
{
	print("about to crash\n");
	asm volatile("mov %0, %%rsp; mov %1, %%eax; syscall" :: "r"(XEN_VA_INSIDE + 64), "i"(__HYPERVISOR_iret) : "memory");
	__builtin_unreachable();
}
