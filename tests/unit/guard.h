/* SPDX-License-Identifier: MIT */
/* Buffers that end where an unmapped page begins: catches overruns in code without ASan too. */
#ifndef TESTS_UNIT_GUARD_H
#define TESTS_UNIT_GUARD_H

#include <sys/mman.h>

struct guarded {
	u8 *data;
	size_t len;
	u8 *map;
	size_t map_len;
};

static inline struct guarded guarded_new(size_t len)
{
	size_t pages = (len + PAGE_SIZE - 1) & PAGE_MASK;
	struct guarded g = { .len = len, .map_len = pages + PAGE_SIZE };

	g.map = mmap(NULL, g.map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g.map == MAP_FAILED || mprotect(g.map + pages, PAGE_SIZE, PROT_NONE))
		abort();
	g.data = g.map + pages - len;
	return g;
}

static inline void guarded_free(struct guarded *g)
{
	munmap(g->map, g->map_len);
}

#endif
