/* SPDX-License-Identifier: MIT */
/*
 * Which parts of the frame table hold a domain's frames: a sparse count per region, so that finding all its frames costs
 * O(owned).
 */
#ifndef MEMORY_REGION_MAP_H
#define MEMORY_REGION_MAP_H

#include <lib/types.h>

#define REGION_SHIFT	9
#define REGION_FRAMES	(1UL << REGION_SHIFT)	/* 2 MiB of memory, one page of the frame table */

struct region_map;

/* NULL when out of memory. */
struct region_map *region_map_create(void);
/* NULL is allowed. */
void region_map_destroy(struct region_map *r);
/* Count n frames more, from m. -ENOMEM: nothing changed. The caller serialises calls. */
int __must_check region_map_add(struct region_map *r, mfn_t m, u64 n);
/* n frames of m's region less. */
void region_map_remove(struct region_map *r, mfn_t m, u64 n);
/* First frame of the first region at or after *m's that has frames: false when there is none. Never moves *m back. */
bool region_map_next(const struct region_map *r, mfn_t *m);

#endif
