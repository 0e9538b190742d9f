/* SPDX-License-Identifier: MIT */
/* What the compiler calls when the instruction set it may use lacks an operation. */
#include <lib/types.h>

int __popcountdi2(u64 x);

/* Number of set bits: sums of ever wider fields. */
int __popcountdi2(u64 x)
{
	x -= x >> 1 & 0x5555555555555555UL;
	x = (x & 0x3333333333333333UL) + (x >> 2 & 0x3333333333333333UL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fUL;
	return (int)(x * 0x0101010101010101UL >> 56);
}
