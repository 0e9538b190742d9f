/* SPDX-License-Identifier: MIT */
/* Small objects for the hypervisor: size classes up to a page, whole pages above. */
#ifndef MEMORY_XMALLOC_H
#define MEMORY_XMALLOC_H

#include <lib/allocator.h>

/* At least 16-byte aligned. NULL when out of memory or size is 0. Not in interrupt context. */
void *xmalloc(size_t size);
void *xzalloc(size_t size);
/* n * size, NULL on overflow. Zeroed. */
void *xcalloc(size_t n, size_t size);
/* NULL is allowed. */
void xfree(void *p);

/* The same for the containers of lib/. */
extern const struct allocator xmalloc_allocator;

#define xnew(type)	((type *)xzalloc(sizeof(type)))

#endif
