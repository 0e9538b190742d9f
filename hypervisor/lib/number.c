/* SPDX-License-Identifier: MIT */
/* Text to number, with every error reported. */

#include <lib/errno.h>
#include <lib/number.h>

/* The value of a digit; 16 or more if @c is none. */
static unsigned int digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	c |= 0x20;
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	return 99;
}

static int finish(const char *s, const char **end, int rc)
{
	if (end)
		*end = s;
	return rc;
}

int number_parse(const char *s, const char **end, unsigned int base, u64 *value)
{
	u64 n = 0;

	if ((base == 0 || base == 16) && s[0] == '0' && (s[1] | 0x20) == 'x' && digit(s[2]) < 16) {
		base = 16;
		s += 2;
	} else if (base == 0) {
		base = 10;
	}
	if (digit(*s) >= base)
		return finish(s, end, -EINVAL);

	for (; digit(*s) < base; s++)
		if (__builtin_mul_overflow(n, (u64)base, &n) ||
		    __builtin_add_overflow(n, (u64)digit(*s), &n))
			return finish(s, end, -ERANGE);
	*value = n;
	return finish(s, end, 0);
}

int number_parse_size(const char *s, const char **end, u64 unit, u64 *bytes)
{
	const char *p;
	u64 n;
	int rc = number_parse(s, &p, 0, &n);

	if (rc)
		return finish(p, end, rc);

	const char *suffix = p;

	switch (*p++ | 0x20) {
	case 'b': unit = 1; break;
	case 'k': unit = KiB(1); break;
	case 'm': unit = MiB(1); break;
	case 'g': unit = GiB(1); break;
	case 't': unit = GiB(1024); break;
	default: p = suffix; break;
	}
	if (__builtin_mul_overflow(n, unit, &n))
		return finish(suffix, end, -ERANGE);
	*bytes = n;
	return finish(p, end, 0);
}

int number_parse_all(const char *s, unsigned int base, u64 *value)
{
	const char *end;
	u64 n;
	int rc = number_parse(s, &end, base, &n);

	if (rc)
		return rc;
	if (*end)
		return -EINVAL;
	*value = n;
	return 0;
}
