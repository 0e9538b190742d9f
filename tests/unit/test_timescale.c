/* SPDX-License-Identifier: MIT */
/* Unit tests: arithmetic of clocks. */
/* sources: core/timescale.c */
#include "test.h"

#include <core/timescale.h>

typedef unsigned __int128 u128;

/* A random number whose size is random too. */
static u64 any_size(unsigned int max_bits)
{
	return (test_random() >> (64 - max_bits)) >> test_below(max_bits);
}

/* |a - b| <= a / 2^shift + slack */
static bool close_to(u128 a, u128 b, unsigned int shift, u64 slack)
{
	u128 d = a > b ? a - b : b - a;

	return d <= (a >> shift) + slack;
}

TEST(ratio_is_normalised_and_exact)
{
	for (int i = 0; i < 100000; i++) {
		u64 ns = any_size(62) + 1, ticks = any_size(62) + 1;
		struct timescale s = timescale_ratio(ns, ticks);

		CHECK(s.mul >> 31);
		CHECK(close_to(ns, timescale_ns(s, ticks), 30, 1));
	}
}

TEST(frequencies)
{
	static const u64 hz[] = { 1193182, 3579545, 14318180, 100000000, 999999999, 1000000000, 1000000001, 2593906000, 5000000000, 24 };

	for (size_t i = 0; i < sizeof(hz) / sizeof(hz[0]); i++) {
		struct timescale s = timescale_hz(hz[i]);

		for (u64 seconds = 1; seconds < 1UL << 32; seconds = seconds * 7 + 1) {
			if ((u128)hz[i] * seconds >> 63)
				break;
			CHECK(close_to((u128)seconds * 1000000000, timescale_ns(s, hz[i] * seconds), 30, 1));
		}
	}
}

TEST(saturates_instead_of_wrapping)
{
	struct timescale slow = timescale_hz(24), fast = timescale_ratio(1, 1UL << 63), extreme = timescale_ratio(1UL << 63, 1);

	CHECK_EQ(timescale_ns(slow, ~0UL), ~0UL >> 1);
	CHECK_EQ(timescale_ns(fast, 1UL << 63), 1);
	CHECK_EQ(timescale_ns(extreme, 0), 0);
	CHECK_EQ(timescale_ns(extreme, 2), ~0UL >> 1);
	CHECK_EQ(timescale_ticks(fast, ~0UL), ~0UL >> 1);
	CHECK_EQ(timescale_ticks(fast, 1000), ~0UL >> 1);
}

TEST(ns_never_falls)
{
	for (int i = 0; i < 1000; i++) {
		struct timescale s = timescale_hz(1000000 + test_below(6000000000));
		u64 base = any_size(62), last = timescale_ns(s, base);

		for (int j = 1; j < 200; j++) {
			u64 now = timescale_ns(s, base + (u64)j);

			CHECK(now >= last);
			last = now;
		}
	}
}

TEST(ticks_reverses_ns)
{
	for (int i = 0; i < 100000; i++) {
		u64 hz = 1000000 + test_below(6000000000);
		struct timescale s = timescale_hz(hz);
		u64 ns = any_size(55);
		u64 ticks = timescale_ticks(s, ns);

		/* Not too early, and not much later than asked for: one tick of rounding, plus relative error. */
		CHECK(timescale_ns(s, ticks) >= ns);
		CHECK(close_to(ns, timescale_ns(s, ticks), 30, 3 * (1000000000 / hz + 1)));
	}
}

TEST(segments_join)
{
	struct segment s = { .tsc = test_random() >> 8, .ns = 12345, .scale = timescale_hz(2600000000) };
	u64 tsc = s.tsc, last = 0;

	for (int i = 0; i < 20000; i++) {
		u64 now;

		tsc += test_below(5000000);
		now = segment_at(&s, tsc);
		CHECK(now >= last);
		last = now;
		if (i % 10 == 0) {
			struct segment next = { .tsc = tsc + 1000, .ns = segment_at(&s, tsc + 1000), .scale = timescale_hz(2000000000 + test_below(1000000000)) };

			CHECK_EQ(segment_at(&next, next.tsc), segment_at(&s, next.tsc));
			tsc += 1000;
			s = next;
		}
	}
}

TEST(segment_before_its_start)
{
	struct segment s = { .tsc = 1000000, .ns = 500, .scale = timescale_hz(1000000000) };

	CHECK_EQ(segment_at(&s, 1000000 - 100), 400);
	CHECK_EQ(segment_at(&s, 0), 0);
}

/* A clock with a wrong rate and offset meets its reference within two periods, and never goes backwards. */
TEST(slewing_converges)
{
	for (int i = 0; i < 2000; i++) {
		u64 true_hz = 1000000000 + test_below(4000000000), period = 1000000000;
		s64 offset = (s64)test_below(2000000) - 1000000;
		u64 tsc = test_random() >> 10, reference = 10 * period;
		struct segment s = { .tsc = tsc, .ns = reference + (u64)offset, .scale = timescale_hz(true_hz / 100 * (98 + test_below(5))) };
		u64 last = s.ns;
		s64 error = 0;

		for (int round = 0; round < 4; round++) {
			u64 before = tsc, now;

			tsc += true_hz;
			reference += period;
			now = segment_at(&s, tsc);
			CHECK(now >= last);
			last = now;
			error = (s64)(now - reference);
			s = (struct segment){ .tsc = tsc, .ns = now, .scale = timescale_slew(timescale_ratio(period, tsc - before), error, period) };
		}
		CHECK(error > -200 && error < 200);
	}
}

TEST(slewing_is_limited)
{
	struct timescale real = timescale_hz(2000000000), s;

	s = timescale_slew(real, 1L << 50, 1000000000);
	CHECK(close_to(500000000, timescale_ns(s, 2000000000), 20, 2));
	s = timescale_slew(real, -(1L << 50), 1000000000);
	CHECK(close_to(2000000000, timescale_ns(s, 2000000000), 20, 2));
}

TEST(counter_wraps)
{
	for (int i = 0; i < 100000; i++) {
		static const u64 masks[] = { 0xffff, 0xffffff, 0xffffffff, ~0UL };
		u64 mask = masks[test_below(4)];
		u64 from = test_random() & mask, real = any_size(50);
		u64 slop = mask == ~0UL ? 0 : mask / 2;
		u64 guess = real + test_below(slop / 2 + 1) - min(real, test_below(slop / 2 + 1));

		CHECK_EQ(counter_delta(from, (from + real) & mask, mask, guess), real);
	}
	CHECK_EQ(counter_delta(10, 5, 0xff, 0), 251);
}

TEST(dates)
{
	CHECK_EQ(date_to_seconds(1970, 1, 1, 0, 0, 0), 0);
	CHECK_EQ(date_to_seconds(1999, 12, 31, 23, 59, 59), 946684799);
	CHECK_EQ(date_to_seconds(2000, 2, 29, 0, 0, 0), 951782400);
	CHECK_EQ(date_to_seconds(2000, 3, 1, 0, 0, 0), 951868800);
	CHECK_EQ(date_to_seconds(2026, 11, 20, 12, 34, 56), 1795178096);
	CHECK_EQ(date_to_seconds(2100, 2, 28, 0, 0, 0), 4107456000);
	CHECK_EQ(date_to_seconds(2100, 3, 1, 0, 0, 0), 4107542400);
}
