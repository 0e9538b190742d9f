/* SPDX-License-Identifier: MIT */
/*
 * Grant tables: handles, the names of mappings.
 *
 * Free handles are in the common list (map_lock) or at hand of a vCPU. A vCPU takes and returns its own without a lock, since a vCPU runs
 * one hypercall at a time; it exchanges many of them with the common list when it has none or too many.
 */
#include <core/panic.h>
#include <ipc/gnttab_table.h>
#include <lib/errno.h>
#include <memory/xmalloc.h>

#define FEW	32u

/* Up to n from one list to another; map_lock is held. */
static void move(struct grant_table *gt, u32 n, u32 *from, u32 *from_count, u32 *to, u32 *to_count)
{
	for (u32 i = 0; i < n && *from_count; i++) {
		u32 handle;
		struct maptrack *mt = maptrack_pop(gt, from, from_count, &handle);

		maptrack_push(mt, to, to_count, handle);
	}
}

/* A page of new handles for the common list. map_lock is held. */
static int grow(struct grant_table *gt)
{
	u32 first = gt->nr_maps;
	struct maptrack *page;

	if (first >= gt->max_maps)
		return -ENOSPC;
	if (!gt->map && !(gt->map = xcalloc(DIV_ROUND_UP(gt->max_maps, (u32)MAPTRACK_PER_PAGE), sizeof(*gt->map))))
		return -ENOMEM;
	page = alloc_page_zeroed();
	if (!page)
		return -ENOMEM;
	gt->map[first / MAPTRACK_PER_PAGE] = page;
	atomic_store(&gt->nr_maps, first + (u32)MAPTRACK_PER_PAGE);
	for (u32 i = MAPTRACK_PER_PAGE; i-- > 0;)
		maptrack_push(page + i, &gt->map_free, &gt->map_nr_free, first + i);
	return 0;
}

int maptrack_refill(struct grant_table *gt, struct maptrack_cache *cache)
{
	int rc = 0;

	spin_lock(&gt->map_lock);
	if (!gt->map_nr_free)
		rc = grow(gt);
	/* Few where there are not many: the other vCPUs should not need a page more because of this one. */
	move(gt, max(min(gt->map_cache_max / 2, gt->map_nr_free / 4), FEW), &gt->map_free, &gt->map_nr_free, &cache->head, &cache->count);
	spin_unlock(&gt->map_lock);
	return rc;
}

void maptrack_give_back(struct grant_table *gt, struct maptrack_cache *cache)
{
	spin_lock(&gt->map_lock);
	move(gt, gt->map_cache_max / 2, &cache->head, &cache->count, &gt->map_free, &gt->map_nr_free);
	spin_unlock(&gt->map_lock);
}
