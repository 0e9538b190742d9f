/* SPDX-License-Identifier: MIT */
/* A panic of the hypervisor's sources ends the test. */
#ifndef TESTS_UNIT_FAKE_PANIC_H
#define TESTS_UNIT_FAKE_PANIC_H

#include <core/panic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("panic: ");
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	abort();
}

#endif
