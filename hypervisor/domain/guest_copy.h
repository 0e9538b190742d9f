/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing the current guest's virtual memory. Every access may fault; a fault ends the copy and is reported, never fatal.
 *
 * Rule: each guest byte is read once, into hypervisor memory, and only the copy is looked at.
 */
#ifndef DOMAIN_GUEST_COPY_H
#define DOMAIN_GUEST_COPY_H

#include <lib/types.h>
#include <lib/errno.h>
#include <x86/fixup.h>
#include <x86/layout.h>

/* 0, or -EFAULT: unmapped, read-only, non-canonical, or inside the hypervisor's range. len may be 0. */
int __must_check copy_from_guest(void *dst, const void *guest_src, size_t len);
int __must_check copy_to_guest(void *guest_dst, const void *src, size_t len);
int __must_check clear_guest(void *guest_dst, size_t len);
/* Element i of a guest array of n-byte elements; the index arithmetic is overflow-checked. */
int __must_check copy_from_guest_idx(void *dst, const void *guest_array, u64 i, size_t n);
int __must_check copy_to_guest_idx(void *guest_array, u64 i, const void *src, size_t n);
/* Number of bytes that could not be copied: for faults that need the exact spot. */
size_t copy_from_guest_partial(void *dst, const void *guest_src, size_t len);
size_t copy_to_guest_partial(void *guest_dst, const void *src, size_t len);

/* All of [addr, addr + len) outside the hypervisor's range and without wrap-around. Non-canonical addresses fault by themselves. */
static inline bool guest_range_ok(u64 addr, size_t len)
{
	u64 end = addr + len;

	/* What is short and leads out of the top of the address space leads to the bottom, which is the guest's as well. */
	if (__builtin_constant_p(len) && len <= PAGE_SIZE)
		return addr - (HYP_VIRT_START - len + 1) >= HYP_VIRT_END - HYP_VIRT_START + len - 1;
	return end >= addr && (end <= HYP_VIRT_START || addr >= HYP_VIRT_END);
}

/*
 * Storing a u64, or loading what ptr points at (4 or 8 bytes), at a guest address that guest_range_ok() has passed; for
 * what is done all the time. A fault goes to the label `fault`.
 */
#ifndef guest_put	/* unit tests bring their own */
#define guest_put(addr, val, fault)						\
	__asm__ goto("1: movq %1, %0\n" FIXUP(1b, %l2)				\
		     : : "m"(*(u64 *)(addr)), "er"((u64)(val)) : "memory" : fault)
#define guest_get(ptr, fault) ({						\
	__typeof__(+*(ptr)) _val;					\
	__asm__ goto("1: mov %1, %0\n" FIXUP(1b, %l2)				\
		     : "=r"(_val) : "m"(*(ptr)) : "memory" : fault);		\
	_val; })

/* n words, a constant, at such an address. 0, -EFAULT. */
static __always_inline int __must_check guest_get_words(u64 *dst, const u64 *guest_src, unsigned n)
{
	#pragma GCC unroll 8
	for (unsigned i = 0; i < n; i++)
		dst[i] = guest_get(&guest_src[i], fault);
	return 0;
fault:
	return -EFAULT;
}

static __always_inline int __must_check guest_put_words(u64 *guest_dst, const u64 *src, unsigned n)
{
	#pragma GCC unroll 8
	for (unsigned i = 0; i < n; i++)
		guest_put(&guest_dst[i], src[i], fault);
	return 0;
fault:
	return -EFAULT;
}
#endif

#endif
