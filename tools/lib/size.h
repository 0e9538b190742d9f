/* SPDX-License-Identifier: MIT */
/* Sizes of memory as users write them. */
#ifndef TOOLS_LIB_SIZE_H
#define TOOLS_LIB_SIZE_H

#include <stdint.h>

/* "512" (MiB), "512m", "2G", "262144k" …, to the end of the text, in KiB; 0: no size, nothing, or more than a guest can have. */
uint64_t size_kib(const char *text);

#endif
