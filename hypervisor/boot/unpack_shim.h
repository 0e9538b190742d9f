/* SPDX-License-Identifier: MIT */
/* The memory that the decompression libraries allocate from. */
#ifndef BOOT_UNPACK_SHIM_H
#define BOOT_UNPACK_SHIM_H

#include <lib/types.h>

/* Serve unpack_malloc() from @size bytes at @base from now on; nothing may be allocated. */
void unpack_arena_init(void *base, size_t size);

#endif
