/* SPDX-License-Identifier: MIT */
/* Grant tables from the inside. For ipc/gnttab*.c only; the theory is in gnttab.c. */
#ifndef IPC_GNTTAB_TABLE_H
#define IPC_GNTTAB_TABLE_H

#include <core/leaf_lock.h>
#include <ipc/gnttab.h>
#include <memory/heap.h>
#include <x86/cr.h>

#define GNTTAB_DEFAULT_FRAMES		64
#define GNTTAB_LIMIT_FRAMES		65536	/* no table is larger, whatever the tools say */
#define GNTTAB_DEFAULT_MAPTRACK		1024
#define ENTRIES_PER_FRAME_V1		(PAGE_SIZE / sizeof(struct grant_entry_v1))
#define ENTRIES_PER_FRAME_V2		(PAGE_SIZE / sizeof(union grant_entry_v2))
#define STATUS_PER_FRAME		(PAGE_SIZE / sizeof(grant_status_t))
#define FRAMES_PER_STATUS		(STATUS_PER_FRAME / ENTRIES_PER_FRAME_V2)	/* table frames that one status frame serves */

/* What the hypervisor knows about an entry in use. All fields: `lock`, under which the shared entry's flags are changed, too. */
struct grant_active {
	struct leaf_lock lock;
	u32 readers, writers;	/* pins: mappings and copies in progress, by permission */
	u16 domid;		/* who has the pins */
	u16 flags;		/* of the shared entry, as they were when it was last pinned */
	u16 start, len;		/* the bytes granted: a version-2 sub-page grant has less than a page. These: fixed while there are pins */
	mfn_t frame;		/* what it stands for */
};
#define ACTIVE_PER_PAGE		(PAGE_SIZE / sizeof(struct grant_active))
#define ACTIVE_PAGES_PER_FRAME	(ENTRIES_PER_FRAME_V1 / ACTIVE_PER_PAGE)

/* Those of one table frame. A page comes when one of its entries is locked for the first time, and goes with the table. */
struct grant_active_frame { struct grant_active *page[ACTIVE_PAGES_PER_FRAME]; };

/* A mapping that current's domain has made, named by its handle. */
struct maptrack {
	u32 state;		/* (a) MT_*; 0: not in use */
	union {
		u32 ref;	/* these: fixed while state != 0 */
		u32 next_free;	/* while it is 0; handle + 1, 0: end */
	};
	struct domain *granter;	/* exists because we hold a reference to a frame of his */
	struct grant_active *act;
	mfn_t frame;
};
#define MAPTRACK_PER_PAGE	(PAGE_SIZE / sizeof(struct maptrack))
#define MAPTRACK_PER_ABI_FRAME	256	/* handles that one unit of max_maptrack_frames stands for */
#define MT_DEVICE	GNTMAP_device_map
#define MT_HOST		GNTMAP_host_map
#define MT_READONLY	GNTMAP_readonly
#define MT_BUSY		BIT(31)		/* somebody is unmapping it and owns it until he clears this */

/* Handles that one vCPU keeps at hand: only it touches them, in hypercalls. */
struct maptrack_cache { u32 head, count; };

struct grant_table {
	/* Field letters: (g) lock, (e) every entry lock must be passed to change it, read under any; (m) map_lock. */
	struct spinlock lock;
	u32 version;			/* (g)(e) 1 or 2 */
	bool switching;			/* (g)(e) no new pins */
	u32 max_frames;			/* (c) */
	u32 nr_frames;			/* (g) grows only; read anywhere */
	u32 nr_status;			/* (g) grows only */
	void **shared;			/* [max_frames] pages shared with the domain */
	grant_status_t **status;
	struct grant_active_frame **active;	/* [max_frames] */

	struct spinlock map_lock;
	struct maptrack **map;		/* (m) pages; NULL until first needed; grows only, read anywhere below nr_maps */
	u32 nr_maps, max_maps;		/* (m) handles that exist; limit (c) */
	u32 map_free, map_nr_free;	/* (m) common free list */
	struct maptrack_cache *map_cache;	/* (c) [max_vcpus] */
	u32 map_cache_max;		/* (c) what one has at hand at most */
	u32 relinquished;		/* handles that relinquish has seen to */
};

/* Why somebody pins an entry. */
enum grant_use { GRANT_MAP, GRANT_COPY };

/*
 * gnttab_entry.c: check that owner grants current entry ref, with write access if wanted, mark it in use, and take references to the
 * frame (of FRAME_WRITABLE type if write): one for the pin and extra ones for the caller. The active entry; or NULL, and why not: GNTST_*.
 * Interrupts on, no lock held.
 */
struct grant_active *__must_check gnttab_pin(struct domain *owner, u32 ref, bool write, enum grant_use use, unsigned extra, s16 *status);
/* Undo it. Drops as many extra references to the frame. */
void gnttab_unpin(struct domain *owner, u32 ref, struct grant_active *act, bool write, unsigned extra);
/* The active entry of one that exists, its version settled, with the lock taken. NULL, and why not: GNTST_bad_gntref, _eagain, _general_error. */
struct grant_active *__must_check gnttab_lock_entry(struct grant_table *gt, u32 ref, s16 *status);

/* The domain whose entry it is; it stays referenced in *last for the next time. NULL: there is none. */
static inline struct domain *gnttab_granter(struct domain **last, u16 id)
{
	if (!*last || (*last)->id != id) {
		if (*last)
			domain_put(*last);
		*last = domain_get(id);
	}
	return *last;
}

/* gnttab_map.c: give back all pins of a dying domain. */
int gnttab_relinquish(struct domain *d);
/* gnttab_maptrack.c: between the common list of free handles and what a vCPU has at hand. -ENOSPC, -ENOMEM. */
int __must_check maptrack_refill(struct grant_table *gt, struct maptrack_cache *cache);
void maptrack_give_back(struct grant_table *gt, struct maptrack_cache *cache);

/* A handle that exists. */
static inline struct maptrack *maptrack_at(const struct grant_table *gt, u32 handle)
{
	return gt->map[handle / MAPTRACK_PER_PAGE] + handle % MAPTRACK_PER_PAGE;
}

/* NULL when there is no such handle. */
static inline struct maptrack *maptrack_of(const struct grant_table *gt, u32 handle)
{
	u32 nr = atomic_load(&gt->nr_maps);

	return handle < nr ? maptrack_at(gt, (u32)index_nospec(handle, nr)) : NULL;
}

/* Lists of free handles. */
static inline void maptrack_push(struct maptrack *mt, u32 *head, u32 *count, u32 handle)
{
	mt->next_free = *head;
	*head = handle + 1;
	++*count;
}

static inline struct maptrack *maptrack_pop(struct grant_table *gt, u32 *head, u32 *count, u32 *handle)
{
	struct maptrack *mt = maptrack_at(gt, *handle = *head - 1);

	*head = mt->next_free;
	--*count;
	return mt;
}

/* A handle, for v, which is current. NULL when there are no more, or no memory for more. */
static inline struct maptrack *__must_check maptrack_alloc(struct grant_table *gt, const struct vcpu *v, u32 *handle)
{
	struct maptrack_cache *cache = &gt->map_cache[v->id];

	if (unlikely(!cache->count) && maptrack_refill(gt, cache))
		return NULL;
	return maptrack_pop(gt, &cache->head, &cache->count, handle);
}

static inline void maptrack_free(struct grant_table *gt, const struct vcpu *v, struct maptrack *mt, u32 handle)
{
	struct maptrack_cache *cache = &gt->map_cache[v->id];

	maptrack_push(mt, &cache->head, &cache->count, handle);
	if (unlikely(cache->count >= gt->map_cache_max))
		maptrack_give_back(gt, cache);
}

/* Where the page of an existing entry is, or NULL until it comes. */
static inline struct grant_active **active_page_of(const struct grant_table *gt, u32 ref)
{
	return &gt->active[ref / ENTRIES_PER_FRAME_V1]->page[ref % ENTRIES_PER_FRAME_V1 / ACTIVE_PER_PAGE];
}

/* Of an existing entry: NULL when it has never been locked, hence not been pinned. */
static inline struct grant_active *active_of(const struct grant_table *gt, u32 ref)
{
	struct grant_active *page = atomic_load(active_page_of(gt, ref));

	return page ? page + ref % ACTIVE_PER_PAGE : NULL;
}

static inline struct grant_entry_v1 *entry_v1(const struct grant_table *gt, u32 ref)
{
	return (struct grant_entry_v1 *)gt->shared[ref / ENTRIES_PER_FRAME_V1] + ref % ENTRIES_PER_FRAME_V1;
}

static inline union grant_entry_v2 *entry_v2(const struct grant_table *gt, u32 ref)
{
	return (union grant_entry_v2 *)gt->shared[ref / ENTRIES_PER_FRAME_V2] + ref % ENTRIES_PER_FRAME_V2;
}

static inline grant_status_t *status_v2(const struct grant_table *gt, u32 ref)
{
	return gt->status[ref / STATUS_PER_FRAME] + ref % STATUS_PER_FRAME;
}

/* The first 32 bits of an entry, flags and domid, which change together. */
static inline u32 *entry_header(const struct grant_table *gt, u32 ref)
{
	return gt->version == 1 ? (u32 *)entry_v1(gt, ref) : (u32 *)entry_v2(gt, ref);
}

static inline bool entry_pinned(const struct grant_active *act) { return act->readers || act->writers; }

#endif
