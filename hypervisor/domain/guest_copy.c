/* SPDX-License-Identifier: MIT */
/*
 * Copies to and from the current PV guest's address space, which is the one that is loaded: a guest address is used as it is,
 * once it is known not to lie in the hypervisor's part. Every instruction that touches it has a fix-up.
 */
#include <domain/guest_copy.h>
#include <x86/cr.h>
#include <x86/fixup.h>
#include <x86/layout.h>

/* Returns the number of bytes not copied. Eight at a time, the rest singly; a fault in the first part is retried bytewise to find the spot. */
static size_t copy_fixed(void *dst, const void *src, size_t len)
{
	size_t words = len / 8;

	__asm__ volatile("1: rep movsq\n"
			 "mov %k3, %k2\n"
			 "and $7, %k2\n"
			 "2: rep movsb\n"
			 "3:\n"
			 ".pushsection .text.fixup, \"ax\"\n"
			 "4: and $7, %k3\n"
			 "lea (%3, %2, 8), %2\n"
			 "jmp 2b\n"
			 ".popsection\n"
			 FIXUP(1b, 4b)
			 FIXUP(2b, 3b)
			 : "+D"(dst), "+S"(src), "+c"(words), "+r"(len) : : "memory");
	return words;
}

static size_t clear_fixed(void *dst, size_t len)
{
	size_t left = len;

	__asm__ volatile("1: rep stosb\n"
			 "2:\n"
			 FIXUP(1b, 2b)
			 : "+D"(dst), "+c"(left) : "a"(0) : "memory");
	return left;
}

size_t copy_from_guest_partial(void *dst, const void *guest_src, size_t len)
{
	if (unlikely(!guest_range_ok((u64)guest_src, len)))
		return len;
	return copy_fixed(dst, guest_src, len);
}

size_t copy_to_guest_partial(void *guest_dst, const void *src, size_t len)
{
	if (unlikely(!guest_range_ok((u64)guest_dst, len)))
		return len;
	return copy_fixed(guest_dst, src, len);
}

int copy_from_guest(void *dst, const void *guest_src, size_t len)
{
	return copy_from_guest_partial(dst, guest_src, len) ? -EFAULT : 0;
}

int copy_to_guest(void *guest_dst, const void *src, size_t len)
{
	return copy_to_guest_partial(guest_dst, src, len) ? -EFAULT : 0;
}

int clear_guest(void *guest_dst, size_t len)
{
	if (!guest_range_ok((u64)guest_dst, len))
		return -EFAULT;
	return clear_fixed(guest_dst, len) ? -EFAULT : 0;
}

int copy_from_guest_idx(void *dst, const void *guest_array, u64 i, size_t n)
{
	u64 off, addr;

	if (__builtin_mul_overflow(i, n, &off) || __builtin_add_overflow((u64)guest_array, off, &addr))
		return -EFAULT;
	return copy_from_guest(dst, (const void *)addr, n);
}

int copy_to_guest_idx(void *guest_array, u64 i, const void *src, size_t n)
{
	u64 off, addr;

	if (__builtin_mul_overflow(i, n, &off) || __builtin_add_overflow((u64)guest_array, off, &addr))
		return -EFAULT;
	return copy_to_guest((void *)addr, src, n);
}
