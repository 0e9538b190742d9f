/* SPDX-License-Identifier: MIT */
/* Arithmetic of clocks: tick counts to nanoseconds, straight pieces of a timeline, and bending it. Pure functions. */
#ifndef CORE_TIMESCALE_H
#define CORE_TIMESCALE_H

#include <lib/types.h>

/* Nanoseconds per tick: mul / 2^32 * 2^shift, mul >= 2^31 (ABI: struct vcpu_time_info). */
struct timescale { u32 mul; s8 shift; };

/* The scale at which `ticks` ticks take `ns` nanoseconds; both 1..2^63. The error is below 2^-31, relatively. */
struct timescale timescale_ratio(u64 ns, u64 ticks);
/* Of a counter that runs at hz. */
struct timescale timescale_hz(u64 hz);
/* Ticks to nanoseconds, rounded down. Exact for results below 2^63; beyond that, saturates to 2^63 - 1. */
u64 timescale_ns(struct timescale s, u64 ticks);
/* The same for reading the clock, which happens all the time. False: not a usual one, between 4 MHz and 100 GHz, or for too long: nothing was done. */
static inline bool timescale_ns_usual(struct timescale s, u64 ticks, u64 *ns);
/* Nanoseconds to ticks: the reverse, rounded up, saturating to 2^63 - 1. */
u64 timescale_ticks(struct timescale s, u64 ns);

/* A straight piece of the function from TSC to system time: ns at tsc, and so on with the scale. */
struct segment { u64 tsc, ns; struct timescale scale; };
/* System time at tsc, which may also lie a little before the segment's start; never below 0. */
u64 segment_at(const struct segment *s, u64 tsc);

/*
 * How a clock should go on so that it meets the reference after one more period, without ever stepping: measured says how fast its
 * ticks really are, error is clock minus reference in ns. The result runs at between half and twice the measured speed.
 */
struct timescale timescale_slew(struct timescale measured, s64 error, u64 period_ns);

/*
 * Ticks between two readings of a counter that wraps at mask + 1 (mask is 2^n - 1), when about `expected` ticks have gone by: right
 * as long as expected is wrong by less than half a wrap.
 */
u64 counter_delta(u64 from, u64 to, u64 mask, u64 expected);

/* Seconds since 1970-01-01 of a date in the proleptic Gregorian calendar; year >= 1970, month 1..12, day 1..31. */
u64 date_to_seconds(unsigned year, unsigned month, unsigned day, unsigned hour, unsigned minute, unsigned second);

static inline bool timescale_ns_usual(struct timescale s, u64 ticks, u64 *ns)
{
	unsigned __int128 product = (unsigned __int128)ticks * s.mul;
	unsigned right = 32u - (unsigned)s.shift;

	/* The result is below 2^62. */
	if (unlikely(right - 24 > 40 - 24 || ticks >> 54))
		return false;
	*ns = (u64)(product >> (right & 63));
	return true;
}

#endif
