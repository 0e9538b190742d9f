/* SPDX-License-Identifier: MIT */
/* For sources with boot parameters: the test calls a row's parser as param_<its name>. Included before everything else (cflags). */
#ifndef TESTS_UNIT_FAKE_PARAM_H
#define TESTS_UNIT_FAKE_PARAM_H

#ifndef LIB_COMPILER_H
#undef __always_inline	/* the C library's */
#endif
#include <core/param.h>
#undef BOOT_PARAM
#define BOOT_PARAM(nm, fn, syntax, text)					\
	int param_##fn(const char *value);					\
	int param_##fn(const char *value) { return *(syntax) && *(text) ? fn(value) : -1; }

#endif
