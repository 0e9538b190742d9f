/* SPDX-License-Identifier: MIT */
/* Names of the hypervisor's functions, for backtraces. */
#ifndef DEBUG_SYMBOLS_H
#define DEBUG_SYMBOLS_H

#include <lib/types.h>

/*
 * The function that contains addr: its name, and the distance of addr from its start. NULL when addr is not in the image's code
 * or the image has no table. Any context.
 */
const char *symbol_find(u64 addr, u64 *offset);
/* Write "name+0xoff", or the bare address, cut to size. Returns buf. */
const char *symbol_format(char *buf, size_t size, u64 addr);

#endif
