/* SPDX-License-Identifier: MIT */
/* Text to number, with every error reported. */
#ifndef LIB_NUMBER_H
#define LIB_NUMBER_H

#include <lib/types.h>

/*
 * Parse an unsigned number at the start of @s. @base is 2..16, or 0: hexadecimal
 * after "0x", else decimal (a leading 0 does not mean octal). No sign, no blanks.
 * @end, if not NULL, is set to the first character that was not used.
 * Returns 0; -EINVAL if there is no digit, -ERANGE if it does not fit 64 bits; on
 * error *@value is unchanged and *@end is the place of the error.
 */
int __must_check number_parse(const char *s, const char **end, unsigned int base, u64 *value);

/*
 * The same with a size suffix: B, K, M, G, T (bytes, KiB … TiB; either case). A
 * number without one counts in units of @unit bytes. The result is in bytes.
 */
int __must_check number_parse_size(const char *s, const char **end, u64 unit, u64 *bytes);

/* All of @s is one number: -EINVAL also if anything follows it. */
int __must_check number_parse_all(const char *s, unsigned int base, u64 *value);

#endif
