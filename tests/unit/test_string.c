/* SPDX-License-Identifier: MIT */
/* Unit tests: memory and string functions, against the C library's. */
/* sources: lib/string.c */
#include "test.h"

static void *(*const libc_memcpy)(void *, const void *, size_t) = memcpy;
static void *(*const libc_memmove)(void *, const void *, size_t) = memmove;
static void *(*const libc_memset)(void *, int, size_t) = memset;
static int (*const libc_memcmp)(const void *, const void *, size_t) = memcmp;
static char *(*const libc_strstr)(const char *, const char *) = strstr;
static int (*const libc_strcmp)(const char *, const char *) = strcmp;
static int (*const libc_strncmp)(const char *, const char *, size_t) = strncmp;

#include "rename.h"
#include <lib/string.h>

static int sign(int x)
{
	return x < 0 ? -1 : x > 0;
}

TEST(memory)
{
	u8 a[96], b[96], src[96];

	for (int step = 0; step < 20000; step++) {
		size_t n = test_below(48), d = test_below(48), s = test_below(48);

		for (size_t i = 0; i < sizeof(a); i++) {
			src[i] = (u8)test_random();
			a[i] = b[i] = (u8)test_random();
		}
		CHECK(memcpy(a + d, src + s, n) == a + d);
		libc_memcpy(b + d, src + s, n);
		CHECK(libc_memcmp(a, b, sizeof(a)) == 0);

		CHECK(memmove(a + d, a + s, n) == a + d);
		libc_memmove(b + d, b + s, n);
		CHECK(libc_memcmp(a, b, sizeof(a)) == 0);

		CHECK(memset(a + d, (int)step - 99, n) == a + d);
		libc_memset(b + d, (int)step - 99, n);
		CHECK(libc_memcmp(a, b, sizeof(a)) == 0);

		if (n)
			b[d + test_below(n)] ^= (u8)test_below(3);
		CHECK_EQ(sign(memcmp(a + d, b + d, n)), sign(libc_memcmp(a + d, b + d, n)));
	}
}

TEST(find)
{
	const char *s = "lodge";

	CHECK(memchr(s, 'g', 6) == s + 3);
	CHECK(memchr(s, 'g', 3) == NULL);
	CHECK(memchr("\377", 0xff, 1) != NULL);
	CHECK(strchr(s, 'd') == s + 2);
	CHECK(strchr(s, 0) == s + 5);
	CHECK(strchr(s, 'x') == NULL);
	CHECK(strrchr("a/b/c", '/')[1] == 'c');
	CHECK(strrchr(s, 'x') == NULL);
	CHECK(strrchr(s, 0) == s + 5);
	CHECK(strstr(s, "") == s);
	CHECK_EQ(strlen(""), 0);
	CHECK_EQ(strlen(s), 5);
	CHECK_EQ(strnlen(s, 3), 3);
	CHECK_EQ(strnlen(s, 9), 5);
	CHECK_EQ(strnlen(NULL, 0), 0);
}

TEST(compare_random)
{
	for (int step = 0; step < 50000; step++) {
		char a[12] = { }, b[12] = { };
		size_t n = test_below(13);

		for (size_t i = test_below(11); i--; )
			a[i] = "ab\377"[test_below(3)];
		for (size_t i = test_below(6); i--; )
			b[i] = "ab\377"[test_below(3)];
		CHECK_EQ(sign(strcmp(a, b)), sign(libc_strcmp(a, b)));
		CHECK_EQ(sign(strncmp(a, b, n)), sign(libc_strncmp(a, b, n)));
		CHECK(strstr(a, b) == libc_strstr(a, b));
	}
}

TEST(strlcpy)
{
	char buf[4] = "xyz";

	CHECK_EQ(strlcpy(buf, "abcdef", 0), 6);
	CHECK_STR(buf, "xyz");
	CHECK_EQ(strlcpy(buf, "abcdef", 4), 6);
	CHECK_STR(buf, "abc");
	CHECK_EQ(strlcpy(buf, "ab", 4), 2);
	CHECK_STR(buf, "ab");
	CHECK_EQ(strlcpy(buf, "abc", 1), 3);
	CHECK_STR(buf, "");
}
