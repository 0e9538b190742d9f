/* SPDX-License-Identifier: MIT */
/* Lists of processors: "0-3,^2,5", "all", "none". */
#include <lib/definition.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

static int bad(const char *text, const char *why, struct err *e)
{
	return err_set(e, EINVAL, "bad-definition", "cpus: found \"%.80s\", expected a list such as 0-3,^2 or all%s", text, why);
}

/* A number at *s, which goes behind it; -1: none, or too large to be a processor's. */
static long number(const char **s)
{
	long n = 0;

	if (!isdigit((unsigned char)**s))
		return -1;
	for (; isdigit((unsigned char)**s); ++*s)
		if ((n = n * 10 + (**s - '0')) > 1000000)
			return -1;
	return n;
}

static const char *blanks(const char *s)
{
	return s + strspn(s, " \t");
}

int definition_cpus(const char *text, uint8_t *bitmap, size_t nbits, struct err *e)
{
	const char *s = blanks(text);

	memset(bitmap, 0, (nbits + 7) / 8);
	if (strcmp(s, "none") == 0)
		return 0;
	for (;;) {
		long first = 0, last = (long)nbits - 1;
		bool without = *s == '^';

		s += without;
		if (strncmp(s, "all", 3) == 0) {
			s += 3;
		} else if (strncmp(s, "node", 4) == 0) {
			return bad(text, "; NUMA nodes are not supported", e);
		} else {
			first = last = number(&s);
			s = blanks(s);
			if (*s == '-') {
				s = blanks(s + 1);
				last = number(&s);
			}
			if (first < 0 || last < first)
				return bad(text, "", e);
			if (last >= (long)nbits)
				return err_set(e, EINVAL, "bad-definition",
					"cpus: found \"%.80s\", but the processors are 0 to %ld", text, (long)nbits - 1);
		}
		for (long i = first; i <= last; i++) {
			if (without)
				bitmap[i / 8] = (uint8_t)(bitmap[i / 8] & ~(1u << (i % 8)));
			else
				bitmap[i / 8] = (uint8_t)(bitmap[i / 8] | 1u << (i % 8));
		}
		s = blanks(s);
		if (*s == 0)
			return 0;
		if (*s != ',')
			return bad(text, "", e);
		s = blanks(s + 1);
	}
}
