/* SPDX-License-Identifier: MIT */
/*
 * What core/ needs from memory/, which stands below it: function pointers that boot/start.c sets once memory_init() is done.
 */
#ifndef CORE_HOOKS_H
#define CORE_HOOKS_H

#include <lib/allocator.h>

/*
 * Map device memory uncached (memory/map.h: ioremap). Until it is set, addresses below 4 GiB are reached through the direct map,
 * others are NULL. The counterpart gives a mapping back.
 */
extern void *(*core_ioremap)(paddr_t p, size_t len);
extern void (*core_iounmap)(void *va, size_t len);
/* Map a firmware table in ordinary memory, cached, for good: below 4 GiB that is the direct map. NULL on failure. */
const void *core_map_table(paddr_t p, size_t len);
/* Small objects (memory/xmalloc.h: xzalloc, xfree). Until set: NULL. */
extern void *(*core_zalloc)(size_t size);
extern void (*core_free)(void *p);
/* The last two as an allocator for the containers of lib/. */
extern const struct allocator core_allocator;

#endif
