/* SPDX-License-Identifier: MIT */
/* Multiplication and division with 128-bit intermediates, for clocks and rates. */
#ifndef LIB_DIV_H
#define LIB_DIV_H

#include <lib/types.h>

/*
 * a * b / c, rounded down, without losing bits on the way. @c must not be 0. A
 * quotient beyond 64 bits saturates to ~0 (the processor would fault instead).
 */
static inline u64 muldiv64(u64 a, u64 b, u64 c)
{
	u64 hi, lo, quotient, rest;

	__asm__("mulq %3" : "=a" (lo), "=d" (hi) : "0" (a), "rm" (b) : "cc");
	if (hi >= c)
		return ~0UL;
	__asm__("divq %4" : "=a" (quotient), "=d" (rest) : "0" (lo), "1" (hi), "rm" (c) : "cc");
	return quotient;
}

/* (a * b) >> 32, bits beyond 64 dropped: multiplication by the binary fraction b / 2^32. */
static inline u64 mul_frac32(u64 a, u32 b)
{
	return (u64)((unsigned __int128)a * b >> 32);
}

/*
 * Ticks to nanoseconds as the guest ABI defines it (struct vcpu_time_info in
 * <xen/xen.h>): shift @ticks left by @shift (right if negative), then multiply by
 * @mul / 2^32. @shift is within -63..63.
 */
static inline u64 scale_ticks(u64 ticks, u32 mul, int shift)
{
	return mul_frac32(shift < 0 ? ticks >> -shift : ticks << shift, mul);
}

#endif
