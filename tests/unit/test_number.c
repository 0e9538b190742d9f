/* SPDX-License-Identifier: MIT */
/* Unit tests: text to number, and scaling of times. */
/* sources: lib/number.c */
#include "test.h"

#include <lib/div.h>
#include <lib/errno.h>
#include <lib/number.h>

static void parse(const char *s, unsigned int base, int rc, u64 expected, size_t used)
{
	const char *end = NULL;
	u64 v = 77;

	CHECK_EQ(number_parse(s, &end, base, &v), rc);
	CHECK_EQ(v, rc ? 77 : expected);
	CHECK_EQ(end - s, used);
}

TEST(parse)
{
	parse("0", 0, 0, 0, 1);
	parse("123abc", 0, 0, 123, 3);
	parse("0x1fg", 0, 0, 0x1f, 4);
	parse("0X1F", 16, 0, 0x1f, 4);
	parse("ffFF", 16, 0, 0xffff, 4);
	parse("010", 0, 0, 10, 3);
	parse("017", 8, 0, 15, 3);
	parse("8", 8, -EINVAL, 0, 0);
	parse("78", 8, 0, 7, 1);
	parse("aAfFgG", 16, 0, 0xaaff, 4);
	parse("1@`:/", 16, 0, 1, 1);
	parse("0x", 0, 0, 0, 1);
	parse("0xg", 16, 0, 0, 1);
	parse("102", 2, 0, 2, 2);
	parse("", 0, -EINVAL, 0, 0);
	parse("-1", 0, -EINVAL, 0, 0);
	parse(" 1", 0, -EINVAL, 0, 0);
	parse("K", 0, -EINVAL, 0, 0);
	parse("18446744073709551615", 0, 0, ~0UL, 20);
	parse("18446744073709551616", 0, -ERANGE, 0, 19);
	parse("0xffffffffffffffff", 0, 0, ~0UL, 18);
	parse("0x10000000000000000", 0, -ERANGE, 0, 18);
	parse("99999999999999999999", 0, -ERANGE, 0, 19);
}

static void size(const char *s, u64 unit, int rc, u64 expected, size_t used)
{
	const char *end = NULL;
	u64 v = 77;

	CHECK_EQ(number_parse_size(s, &end, unit, &v), rc);
	CHECK_EQ(v, rc ? 77 : expected);
	CHECK_EQ(end - s, used);
}

TEST(parse_size)
{
	size("458752", KiB(1), 0, KiB(458752), 6);
	size("12", 1, 0, 12, 2);
	size("12b,", 1024, 0, 12, 3);
	size("12B", 1024, 0, 12, 3);
	size("3k", 1, 0, KiB(3), 2);
	size("512M,max:1G", KiB(1), 0, MiB(512), 4);
	size("1g", KiB(1), 0, GiB(1), 2);
	size("2T", 1, 0, GiB(2048), 2);
	size("0x10M", 1, 0, MiB(16), 5);
	size("5x", KiB(1), 0, KiB(5), 1);
	size("M", 1, -EINVAL, 0, 0);
	size("16777215T", 1, 0, 16777215UL << 40, 9);
	size("16777216T", 1, -ERANGE, 0, 8);
	size("18446744073709551615", KiB(1), -ERANGE, 0, 20);
}

TEST(parse_all)
{
	u64 v = 0;

	CHECK_EQ(number_parse_all("42", 0, &v), 0);
	CHECK_EQ(v, 42);
	CHECK_EQ(number_parse_all("42 ", 0, &v), -EINVAL);
	CHECK_EQ(number_parse_all("", 0, &v), -EINVAL);
	CHECK_EQ(number_parse_all("99999999999999999999", 0, &v), -ERANGE);
	CHECK_EQ(v, 42);
}

TEST(muldiv)
{
	for (int i = 0; i < 100000; i++) {
		u64 a = test_random() >> test_below(64), b = test_random() >> test_below(64);
		u64 c = (test_random() >> test_below(64)) | 1;
		unsigned __int128 q = (unsigned __int128)a * b / c;

		CHECK_EQ(muldiv64(a, b, c), q > ~0UL ? ~0UL : (u64)q);
	}
	CHECK_EQ(muldiv64(~0UL, ~0UL, ~0UL), ~0UL);
	CHECK_EQ(muldiv64(1000000000, 3, 2), 1500000000);
}

TEST(scale)
{
	/* 2 GHz: half a nanosecond a tick. */
	CHECK_EQ(scale_ticks(2000000000, 0x80000000, 0), 1000000000);
	/* 1.5 GHz: two thirds, rounded down. */
	CHECK_EQ(scale_ticks(1500000000, 0xaaaaaaaa, 0), 999999999);
	/* 100 MHz: 10 ns = 0.625 << 4. */
	CHECK_EQ(scale_ticks(100000000, 0xa0000000, 4), 1000000000);
	CHECK_EQ(scale_ticks(4000000000, 0x80000000, -1), 1000000000);
	CHECK_EQ(mul_frac32(~0UL, 0xffffffff), (u64)((unsigned __int128)~0UL * 0xffffffff >> 32));
}
