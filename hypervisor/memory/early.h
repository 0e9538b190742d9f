/* SPDX-License-Identifier: MIT */
/* Memory before the heap: within memory_init() only. */
#ifndef MEMORY_EARLY_H
#define MEMORY_EARLY_H

#include <lib/types.h>

/* True until the heap has taken over. */
bool early_memory(void);
/*
 * bytes (a multiple of the page size) of RAM at a multiple of align (a power of two), as a direct-map address below 4 GiB;
 * contents undefined. Never given back. Panics when there is none.
 */
void *early_alloc(u64 bytes, u64 align);

#endif
