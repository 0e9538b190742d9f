/* SPDX-License-Identifier: MIT */
/* Formatted output into a buffer. */
#ifndef LIB_PRINTF_H
#define LIB_PRINTF_H

#include <stdarg.h>

#include <lib/types.h>

/*
 * As in ISO C, without floating point, octal, %n, and wide characters. Conversions:
 * d i u x X c s p %; flags - 0 # + space; width and precision as numbers or *;
 * lengths hh h l ll z t j. %p is %#lx; %s of NULL is "(null)". An unknown
 * conversion is copied as it stands, and the rest of the format too, since the
 * argument's size is unknown.
 *
 * At most @size bytes are written, with a terminating 0 (unless @size is 0).
 * Returns the length the whole text has; the output was cut if it is >= @size.
 * No locks, any context.
 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args) __printf(3, 0);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

/*
 * As vsnprintf(), but returns the number of characters stored: what one wants
 * when appending piece by piece (pos += scnprintf(buf + pos, size - pos, …)).
 */
size_t scnprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

#endif
