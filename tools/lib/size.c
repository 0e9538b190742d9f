/* SPDX-License-Identifier: MIT */
/* Sizes of memory as users write them. */
#include <lib/size.h>
#include <lib/definition.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint64_t size_kib(const char *text)
{
	static const char units[] = "bkmgt";
	unsigned long long n;
	const char *unit;
	char *end;
	int shift;

	errno = 0;
	n = strtoull(text, &end, 10);
	unit = *end ? strchr(units, tolower((unsigned char)*end)) : units + 2;
	if (!isdigit((unsigned char)*text) || errno || !unit || (*end && end[1]))
		return 0;
	shift = 10 * (int)(unit - units); /* bytes in the unit */
	if (n > DEFINITION_MEMORY_MAX << 10 >> shift)
		return 0;
	return n << shift >> 10;
}
