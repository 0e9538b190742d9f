/* SPDX-License-Identifier: MIT */
/* Unit tests: formatted output, against the C library's. */
/* sources: lib/printf.c lib/string.c */
#include "test.h"

static int (*const libc_vsnprintf)(char *, size_t, const char *, va_list) = vsnprintf;
static int (*const libc_snprintf)(char *, size_t, const char *, ...) = snprintf;

#define vsnprintf	lodge_vsnprintf
#define snprintf	lodge_snprintf
#include <lib/printf.h>

/* Formats made at run time: the compiler cannot check them. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-overflow"

/* Both must agree on text, return value, and truncation at @size. */
static void same(size_t size, const char *fmt, ...)
{
	char ours[256], theirs[256];
	va_list a, b;

	memset(ours, 'X', sizeof(ours));
	memset(theirs, 'X', sizeof(theirs));
	va_start(a, fmt);
	va_copy(b, a);

	int n = vsnprintf(ours, size, fmt, a), m = libc_vsnprintf(theirs, size, fmt, b);

	va_end(a);
	va_end(b);
	if (n != m || memcmp(ours, theirs, sizeof(ours)) != 0)
		TEST_FAIL("\"%s\" (size %zu): \"%.*s\" (%d), expected \"%.*s\" (%d)", fmt, size,
			  60, size ? ours : "", n, 60, size ? theirs : "", m);
}

TEST(plain)
{
	same(200, "%s", "");
	same(200, "a%%b%cc", 'x');
	same(200, "%d %u %x %lx %llx %zu %s %p", -5, 7u, 0xabcu, 0xdeadbeefUL, ~0ULL, (size_t)3, "str",
	     (void *)0x1234);
	same(200, "%*s|%-10s|%.*s|%08lx|%#x", 7, "ab", "left", 2, "cut", 0xffUL, 0x1fu);
	same(200, "%-*d|%*d", -6, 5, -6, 5);
	same(200, "%.*d|%.*s", -1, 5, -1, "abc");
	same(200, "%hhd %hd %hhu %hu", 511, 65537, 511, 65537);
	same(200, "%ld %lld %jd %td %zd", -1L, -2LL, (intmax_t)-3, (ptrdiff_t)-4, (ssize_t)-5);
	same(200, "%lld %lld", INT64_MIN, INT64_MAX);
	same(200, "%.3s|%.0s|%.s", "no terminator", "none", "none");
}

TEST(random_flags)
{
	static const char conv[] = "diuxX";
	static const u64 special[] = { 0, 1, 7, 10, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff,
				       0x7fffffffffffffff, 0x8000000000000000, ~0UL };

	for (int step = 0; step < 100000; step++) {
		u64 value = test_below(2) ? special[test_below(ARRAY_SIZE(special))]
					  : test_random() >> test_below(64);
		static const char *const lengths[] = { "", "l", "ll", "z", "j", "h", "hh" };
		char fmt[64], *p = fmt;
		size_t size = test_below(4) ? 200 : test_below(30);
		char c = conv[test_below(5)];

		*p++ = '<';
		*p++ = '%';
		for (int i = 0; i < 5; i++)
			/* + and space are undefined for unsigned conversions, # for d and u. */
			if (test_below(3) == 0 && !(i < 2 && !strchr("di", c)) && !(i == 2 && strchr("diu", c)))
				*p++ = "+ #0-"[i];
		if (test_below(2))
			p += libc_snprintf(p, 8, "%d", (int)(1 + test_below(30)));
		if (test_below(3) == 0)
			p += libc_snprintf(p, 8, ".%d", (int)test_below(25));
		else if (test_below(9) == 0)
			*p++ = '.';

		const char *len = lengths[test_below(7)];

		libc_snprintf(p, 16, "%s%c>", len, c);
		if (strchr("lzj", len[0]) && len[0])
			same(size, fmt, value);
		else
			same(size, fmt, (unsigned int)value);
	}
}

TEST(strings_cut_everywhere)
{
	for (size_t size = 0; size < 40; size++) {
		same(size, "[%s] %5.2s %-8s|%3c|%-3c|", "hello, world", "abc", "xy", 'c', 'd');
		same(size, "%020d %-20d %20d", 1, 2, 3);
	}
}

TEST(ours)
{
	char buf[64];

	const char *fmt = "%s|%.2s";

	CHECK_EQ(snprintf(buf, sizeof(buf), fmt, NULL, NULL), 9);
	CHECK_STR(buf, "(null)|(n");

	/* An unknown conversion ends formatting, visibly; no argument is misread. */
	fmt = "%d %y %s";
	snprintf(buf, sizeof(buf), fmt, 1, 2, NULL);
	CHECK_STR(buf, "1 %y %s");
	fmt = "tail %";
	snprintf(buf, sizeof(buf), fmt);
	CHECK_STR(buf, "tail %");
	fmt = "%5.3";
	snprintf(buf, sizeof(buf), fmt);
	CHECK_STR(buf, "%5.3");

	size_t n = 0;

	for (int i = 0; i < 100; i++)
		n += scnprintf(buf + n, 10 - n, "%d,", i);
	CHECK_EQ(n, 9);
	CHECK_STR(buf, "0,1,2,3,4");
	CHECK_EQ(scnprintf(NULL, 0, "abc"), 0);
	CHECK_EQ(snprintf(NULL, 0, "abc"), 3);
}
