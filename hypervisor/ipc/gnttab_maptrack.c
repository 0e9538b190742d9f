/* SPDX-License-Identifier: MIT */
/*
 * Grant tables: handles, the names of mappings.
 *
 * Free handles are in the common list (map_lock) or at hand of a vCPU. A vCPU takes and returns its own without a lock, since a vCPU runs
 * one hypercall at a time; it exchanges CACHE_BATCH of them with the common list when it has none or too many.
 */
#include <core/panic.h>
#include <ipc/gnttab_table.h>
#include <lib/errno.h>
#include <memory/xmalloc.h>

#define CACHE_BATCH	32
#define CACHE_MAX	(2 * CACHE_BATCH)

struct maptrack *maptrack_of(const struct grant_table *gt, u32 handle)
{
	u32 nr = atomic_load(&gt->nr_maps);

	if (handle >= nr)
		return NULL;
	handle = (u32)index_nospec(handle, nr);
	return gt->map[handle / MAPTRACK_PER_PAGE] + handle % MAPTRACK_PER_PAGE;
}

static void push(struct grant_table *gt, u32 *head, u32 *count, u32 handle)
{
	maptrack_of(gt, handle)->next_free = *head;
	*head = handle + 1;
	++*count;
}

static u32 pop(struct grant_table *gt, u32 *head, u32 *count)
{
	u32 handle = *head - 1;

	*head = maptrack_of(gt, handle)->next_free;
	--*count;
	return handle;
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
		push(gt, &gt->map_free, &gt->map_nr_free, first + i);
	return 0;
}

static int refill(struct grant_table *gt, struct maptrack_cache *cache)
{
	int rc = 0;

	spin_lock(&gt->map_lock);
	if (!gt->map_nr_free)
		rc = grow(gt);
	for (u32 i = 0; i < CACHE_BATCH && gt->map_nr_free; i++)
		push(gt, &cache->head, &cache->count, pop(gt, &gt->map_free, &gt->map_nr_free));
	spin_unlock(&gt->map_lock);
	return rc;
}

int maptrack_alloc(struct grant_table *gt, u32 *handle)
{
	struct maptrack_cache *cache = &gt->map_cache[current->id];
	int rc = cache->count ? 0 : refill(gt, cache);

	if (rc)
		return rc;
	*handle = pop(gt, &cache->head, &cache->count);
	return 0;
}

void maptrack_free(struct grant_table *gt, u32 handle)
{
	struct maptrack_cache *cache = &gt->map_cache[current->id];

	BUG_ON(current->domain->grants != gt);
	push(gt, &cache->head, &cache->count, handle);
	if (cache->count < CACHE_MAX)
		return;
	spin_lock(&gt->map_lock);
	for (u32 i = 0; i < CACHE_BATCH; i++)
		push(gt, &gt->map_free, &gt->map_nr_free, pop(gt, &cache->head, &cache->count));
	spin_unlock(&gt->map_lock);
}
