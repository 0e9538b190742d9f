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

static void push(struct maptrack *mt, u32 *head, u32 *count, u32 handle)
{
	mt->next_free = *head;
	*head = handle + 1;
	++*count;
}

static struct maptrack *pop(struct grant_table *gt, u32 *head, u32 *count, u32 *handle)
{
	struct maptrack *mt = maptrack_of(gt, *handle = *head - 1);

	*head = mt->next_free;
	--*count;
	return mt;
}

/* Some from one list to another; map_lock is held. */
static void move(struct grant_table *gt, u32 *from, u32 *from_count, u32 *to, u32 *to_count)
{
	for (u32 i = 0; i < CACHE_BATCH && *from_count; i++) {
		u32 handle;
		struct maptrack *mt = pop(gt, from, from_count, &handle);

		push(mt, to, to_count, handle);
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
		push(page + i, &gt->map_free, &gt->map_nr_free, first + i);
	return 0;
}

static __noinline int refill(struct grant_table *gt, struct maptrack_cache *cache)
{
	int rc = 0;

	spin_lock(&gt->map_lock);
	if (!gt->map_nr_free)
		rc = grow(gt);
	move(gt, &gt->map_free, &gt->map_nr_free, &cache->head, &cache->count);
	spin_unlock(&gt->map_lock);
	return rc;
}

struct maptrack *maptrack_alloc(struct grant_table *gt, u32 *handle)
{
	struct maptrack_cache *cache = &gt->map_cache[current->id];

	if (unlikely(!cache->count) && refill(gt, cache))
		return NULL;
	return pop(gt, &cache->head, &cache->count, handle);
}

static __noinline void give_back(struct grant_table *gt, struct maptrack_cache *cache)
{
	spin_lock(&gt->map_lock);
	move(gt, &cache->head, &cache->count, &gt->map_free, &gt->map_nr_free);
	spin_unlock(&gt->map_lock);
}

void maptrack_free(struct grant_table *gt, struct maptrack *mt, u32 handle)
{
	struct maptrack_cache *cache = &gt->map_cache[current->id];

	BUG_ON(current->domain->grants != gt);
	push(mt, &cache->head, &cache->count, handle);
	if (unlikely(cache->count >= CACHE_MAX))
		give_back(gt, cache);
}
