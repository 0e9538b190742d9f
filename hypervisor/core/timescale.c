/* SPDX-License-Identifier: MIT */
/* Arithmetic of clocks. */
#include <core/timescale.h>
#include <lib/div.h>

#define NS_MAX	(~0UL >> 1)

struct timescale timescale_ratio(u64 ns, u64 ticks)
{
	struct timescale s = { .shift = 0 };

	/* Bring ns / ticks into [1/2, 1), then it is a 32-bit fraction with the top bit set. */
	while (ns >= ticks) {
		if (ticks >> 63)
			ns >>= 1;
		else
			ticks <<= 1;
		s.shift++;
	}
	while (ns < ticks - ticks / 2) {
		ns <<= 1;
		s.shift--;
	}
	s.mul = (u32)muldiv64(ns, 1UL << 32, ticks);
	return s;
}

struct timescale timescale_hz(u64 hz)
{
	return timescale_ratio(1000000000, hz);
}

u64 timescale_ns(struct timescale s, u64 ticks)
{
	unsigned __int128 product = (unsigned __int128)ticks * s.mul;
	int right = 32 - s.shift;
	u64 ns;

	if (timescale_ns_usual(s, ticks, &ns))
		return ns;
	if (!product)
		return 0;
	if (right >= 0)
		product = right < 128 ? product >> right : 0;
	else if (-right >= 32 || product >> (127 + right))
		return NS_MAX;
	else
		product <<= -right;
	return product > NS_MAX ? NS_MAX : (u64)product;
}

u64 timescale_ticks(struct timescale s, u64 ns)
{
	/* ns * 2^32 / mul first, then the shift; mul >= 2^31 keeps the quotient within 65 bits. */
	u64 whole;

	if (ns > NS_MAX / 2)
		return NS_MAX;
	whole = muldiv64(ns, 1UL << 32, s.mul) + 1;
	if (s.shift >= 0)
		return (whole >> (s.shift < 63 ? s.shift : 63)) + 1;
	if (-s.shift >= 63 || whole > NS_MAX >> -s.shift)
		return NS_MAX;
	/* Shifting after the division would lose precision: divide the shifted value where it fits. */
	if (ns <= NS_MAX >> -s.shift)
		return muldiv64(ns << -s.shift, 1UL << 32, s.mul) + 1;
	return whole << -s.shift;
}

u64 segment_at(const struct segment *s, u64 tsc)
{
	u64 d;

	if (likely(tsc >= s->tsc))
		return s->ns + timescale_ns(s->scale, tsc - s->tsc);
	d = timescale_ns(s->scale, s->tsc - tsc);
	return d < s->ns ? s->ns - d : 0;
}

struct timescale timescale_slew(struct timescale measured, s64 error, u64 period_ns)
{
	u64 ticks = timescale_ticks(measured, period_ns);
	u64 aim = period_ns;

	if (error >= 0)
		aim -= min((u64)error, period_ns / 2);
	else
		aim += min((u64)-error, period_ns);
	return timescale_ratio(aim, ticks);
}

u64 counter_delta(u64 from, u64 to, u64 mask, u64 expected)
{
	u64 delta = (to - from) & mask;

	if (mask == ~0UL || expected <= delta)
		return delta;
	/* Whole wraps, rounded to the nearest. */
	return delta + ((expected - delta + (mask >> 1)) & ~mask);
}

u64 date_to_seconds(unsigned year, unsigned month, unsigned day, unsigned hour, unsigned minute, unsigned second)
{
	static const u16 days_before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	unsigned y = year - 1;
	/* Leap days up to the end of the year before, less those up to 1969. */
	u64 days = (year - 1970) * 365UL + (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);

	days += days_before[(month - 1) % 12] + day - 1;
	if (month > 2 && year % 4 == 0 && (year % 100 || year % 400 == 0))
		days++;
	return ((days * 24 + hour) * 60 + minute) * 60 + second;
}
