/* SPDX-License-Identifier: MIT */
/* How the allocating containers of lib/ (rangeset, radix) get their memory. */
#ifndef LIB_ALLOCATOR_H
#define LIB_ALLOCATOR_H

#include <lib/types.h>

struct allocator {
	/* Returns @size bytes aligned for any object, contents undefined; NULL when there are none. */
	void *(*alloc)(void *ctx, size_t size);
	/* Takes back a block; @size is what was asked for. */
	void (*free)(void *ctx, void *block, size_t size);
	void *ctx;
};

#endif
