/* SPDX-License-Identifier: MIT */
/* Formatted output: on the hypervisor's console in Domain 0's place, on its own console ring in another domain. */
#ifndef GUEST_PRINT_H
#define GUEST_PRINT_H

#include "lib/types.h"

/*
 * print: writes one message; several vCPUs may call it at once, messages do not mix.
 * Understands %d %u %x %c %s %p %%, the l modifier, width and a leading 0. Cut at 511 characters.
 */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void vprint(const char *fmt, va_list ap);

/* As print(), into a buffer of len bytes; always terminated. Returns the length stored. */
int format(char *buf, size_t len, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
