/* SPDX-License-Identifier: MIT */
/* Hypercalls: HCALL(name, args…) through the hypercall page, raw_hypercall() by a bare SYSCALL. */
#ifndef GUEST_HYPERCALL_H
#define GUEST_HYPERCALL_H

#include "lib/types.h"

extern char hypercall_page[4096];

static inline long hypercall(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	register u64 r10 asm("r10") = d;
	register u64 r8 asm("r8") = e;
	u64 entry = (u64)hypercall_page + nr * 32;

	asm volatile("call *%0" : "+a"(entry), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8)
		     :: "rcx", "r11", "memory");
	return (long)entry;
}

/* For numbers that the page has no entry for, and for callers that want no stack use. */
static inline long raw_hypercall(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	register u64 r10 asm("r10") = d;
	register u64 r8 asm("r8") = e;

	asm volatile("syscall" : "+a"(nr), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8)
		     :: "rcx", "r11", "memory");
	return (long)nr;
}

#define HCALL_PAD(nr, a, b, c, d, e, ...) \
	hypercall(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e))

/* HCALL(memory_op, XENMEM_…, &arg): missing arguments are zero. Returns what the hypercall returned. */
#define HCALL(name, ...) HCALL_PAD(__HYPERVISOR_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0)

#endif
