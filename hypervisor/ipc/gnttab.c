/* SPDX-License-Identifier: MIT */
/*
 * Grant tables: the table itself, its growth and its version, and the theory of all of ipc/gnttab*.c.
 *
 * The shared entries are written by the guest at any time: whatever is read there is read once, and used only after the checks. What the
 * hypervisor relies on is in its own arrays: for each entry a struct grant_active, for each mapping a struct maptrack.
 *
 * References. Who uses a granted frame *pins* the entry (gnttab_pin): that sets GTF_reading or GTF_writing for the granter to see, counts in the
 * active entry, and takes one reference to the frame, with the FRAME_WRITABLE type for write access. The reference belongs to the pin (and is
 * taken right after it is counted, dropped right after it is not counted any more). So
 *
 *   readers + writers of an entry  ==  maptrack entries in use that name it  +  copies in progress
 *   each of them holds one general reference to act->frame, or one FRAME_WRITABLE type reference
 *
 * A page-table entry made for a mapping has a reference of its own besides (struct guest_ops in domain/domain.h), so whatever a guest does
 * to its page tables, the counts stay right: a mapping that it loses track of keeps the frame until the domain is gone,
 * and a page-table entry that outlives its handle keeps it too. It is taken together with the pin's, and dropped together with it.
 *
 * The granter's struct domain and grant table exist as long as any frame of his is referenced, hence as long as there are pins. That is not so
 * for pages that the hypervisor shares with him (FRAME_SHARED), which go with him: they cannot be pinned.
 *
 * Revoking: after an unmap the entry's flags are cleared only when no CPU can use the mapping any more. gnttab_unmap() removes the page-table
 * entry and owns the handle (MT_BUSY); gnttab_unmap_finish() flushes the TLBs, then unpins, drops the entry's reference and frees the handle.
 *
 * Locks, in this order; all taken with interrupts on:
 *   lock		growth and version of one table
 *   map_lock		the domain's common list of free handles
 *   entry lock		one entry, active and shared. A leaf lock: none of the others is taken with it held. Only one at a time, but gnttab_swap()
 *			takes two, by index
 * No lock is held while page tables are changed, and never locks of two domains. Handles are claimed by compare-and-exchange on
 * their state, and each vCPU has free ones at hand, so mapping, unmapping and copying of different entries run in parallel.
 *
 * Version: a change takes `lock`, sets `switching`, and passes through every entry lock to see that there are no pins; from then on there
 * can be none, as gnttab_pin() finds `switching` under the entry lock. Frames, status frames included, are only ever added, so a guest that has
 * them mapped keeps what it has.
 *
 * Not supported, because no system is known to use it: transitive grants (version 2) are refused with GNTST_general_error.
 */
#include <core/console.h>
#include <ipc/gnttab_table.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <memory/xmalloc.h>

/* --- growth ------------------------------------------------------------------------------------------------------------------- */

static u32 status_needed(u32 frames) { return DIV_ROUND_UP(frames, (u32)FRAMES_PER_STATUS); }

/* Status frames for so many table frames. gt->lock is held. */
static int grow_status(struct domain *d, struct grant_table *gt, u32 frames)
{
	while (gt->nr_status < status_needed(frames)) {
		grant_status_t *page = alloc_page_zeroed();

		if (!page)
			return -ENOMEM;
		share_page_with_domain(page, d, true);
		gt->status[gt->nr_status++] = page;
	}
	return 0;
}

static int add_frame(struct domain *d, struct grant_table *gt)
{
	struct grant_active_frame **active = &gt->active[gt->nr_frames];
	void *page;

	/* What is left from an earlier failure is used now. */
	if (!*active && !(*active = xnew(struct grant_active_frame)))
		return -ENOMEM;
	page = alloc_page_zeroed();
	if (!page)
		return -ENOMEM;
	share_page_with_domain(page, d, true);
	gt->shared[gt->nr_frames] = page;
	atomic_store(&gt->nr_frames, gt->nr_frames + 1);
	return 0;
}

/* gt->lock is held. */
static int grow_locked(struct domain *d, struct grant_table *gt, u32 frames)
{
	int rc = 0;

	if (frames > gt->max_frames || d->is_dying)
		return -EINVAL;
	/* Status frames first: an entry of version 2 has its status word when it appears. */
	if (gt->version == 2)
		rc = grow_status(d, gt, frames);
	while (!rc && gt->nr_frames < frames)
		rc = add_frame(d, gt);
	return rc;
}

int gnttab_grow(struct domain *d, u32 frames)
{
	struct grant_table *gt = d->grants;
	int rc;

	spin_lock(&gt->lock);
	rc = grow_locked(d, gt, frames);
	spin_unlock(&gt->lock);
	return rc;
}

int gnttab_get_frame(struct domain *d, bool status, u32 idx, mfn_t *out)
{
	struct grant_table *gt = d->grants;
	u64 frames = status ? (u64)idx * FRAMES_PER_STATUS + 1 : (u64)idx + 1;
	int rc = 0;

	if (frames > gt->max_frames)
		return -EINVAL;
	spin_lock(&gt->lock);
	if (status && gt->version != 2)
		rc = -EINVAL;
	else if (frames > gt->nr_frames)
		rc = grow_locked(d, gt, (u32)frames);
	if (!rc)
		*out = virt_to_mfn(status ? (void *)gt->status[index_nospec(idx, gt->nr_status)] :
					    gt->shared[index_nospec(idx, gt->nr_frames)]);
	spin_unlock(&gt->lock);
	return rc;
}

void gnttab_query(struct domain *d, u32 *frames, u32 *limit)
{
	*frames = READ_ONCE(d->grants->nr_frames);
	*limit = d->grants->max_frames;
}

u32 gnttab_version(struct domain *d)
{
	return READ_ONCE(d->grants->version);
}

/* --- version ------------------------------------------------------------------------------------------------------------------ */

/* Stop new pins, and see that there are none. gt->lock is held. */
static bool quiesce(struct grant_table *gt)
{
	u32 entries = gt->nr_frames * ENTRIES_PER_FRAME_V1;
	bool pinned = false;

	WRITE_ONCE(gt->switching, true);
	/* Whoever makes an active entry that we do not see, sees that. */
	smp_mb();
	for (u32 ref = 0; ref < entries && !pinned; ref++) {
		struct grant_active *act = active_of(gt, ref);

		if (!act)
			continue;
		leaf_lock(&act->lock);
		pinned = entry_pinned(act);
		leaf_unlock(&act->lock);
	}
	if (pinned)
		atomic_store(&gt->switching, false);
	return !pinned;
}

/* The reserved entries in the other format: they may have been made by whoever built the domain. Unused ones and refused kinds are 0. */
static int convert_reserved(const struct grant_table *gt, u32 version, void *out)
{
	for (u32 ref = 0; ref < GNTTAB_NR_RESERVED_ENTRIES; ref++) {
		struct grant_entry_v1 *v1 = (struct grant_entry_v1 *)out + ref;
		union grant_entry_v2 *v2 = (union grant_entry_v2 *)out + ref;

		if (version == 2) {
			struct grant_entry_v1 e = *(volatile struct grant_entry_v1 *)entry_v1(gt, ref);

			if ((e.flags & GTF_type_mask) != GTF_permit_access)
				continue;
			v2->full_page.hdr.flags = e.flags & ~(GTF_reading | GTF_writing);
			v2->full_page.hdr.domid = e.domid;
			v2->full_page.frame = e.frame;
		} else {
			union grant_entry_v2 e;

			memcpy(&e, entry_v2(gt, ref), sizeof(e));
			barrier();	/* e is looked at, not the guest's memory again */
			if ((e.hdr.flags & GTF_type_mask) == GTF_invalid)
				continue;
			if ((e.hdr.flags & GTF_type_mask) != GTF_permit_access || e.hdr.flags & GTF_sub_page || e.full_page.frame >> 32)
				return -ERANGE;
			v1->flags = e.hdr.flags;
			v1->domid = e.hdr.domid;
			v1->frame = (u32)e.full_page.frame;
		}
	}
	return 0;
}

static int switch_version(struct domain *d, struct grant_table *gt, u32 version)
{
	u8 reserved[GNTTAB_NR_RESERVED_ENTRIES * sizeof(union grant_entry_v2)] __aligned(16) = { 0 };
	int rc = version == 2 ? grow_status(d, gt, gt->nr_frames) : 0;

	if (!rc && !quiesce(gt))
		rc = -EBUSY;
	if (rc)
		return rc;
	if (gt->nr_frames)
		rc = convert_reserved(gt, version, reserved);
	/* Commit. */
	if (!rc) {
		for (u32 i = 0; i < gt->nr_frames; i++)
			memset(gt->shared[i], 0, PAGE_SIZE);
		for (u32 i = 0; i < gt->nr_status; i++)
			memset(gt->status[i], 0, PAGE_SIZE);
		if (gt->nr_frames)
			memcpy(gt->shared[0], reserved, sizeof(reserved));
		atomic_store(&gt->version, version);
	}
	atomic_store(&gt->switching, false);
	return rc;
}

int gnttab_set_version(struct domain *d, u32 version)
{
	struct grant_table *gt = d->grants;
	int rc = 0;

	if (version != 1 && version != 2)
		return -EINVAL;
	if (d->limits.grant_version && version > d->limits.grant_version)
		return -ENOSYS;
	spin_lock(&gt->lock);
	if (gt->version != version)
		rc = switch_version(d, gt, version);
	spin_unlock(&gt->lock);
	return rc;
}

/* --- life cycle --------------------------------------------------------------------------------------------------------------- */

static int create(struct domain *d)
{
	struct grant_table *gt = xnew(struct grant_table);

	if (!gt)
		return -ENOMEM;
	d->grants = gt;
	spinlock_init(&gt->lock, LOCK_GRANT, "grant table");
	spinlock_init(&gt->map_lock, LOCK_MAPTRACK, "grant handles");
	gt->version = 1;
	gt->max_frames = min(d->limits.grant_frames ?: GNTTAB_DEFAULT_FRAMES, (u32)GNTTAB_LIMIT_FRAMES);
	gt->max_maps = min(d->limits.maptrack_frames ?: GNTTAB_DEFAULT_MAPTRACK, ~0u / MAPTRACK_PER_ABI_FRAME) * MAPTRACK_PER_ABI_FRAME;
	/* What a backend has in use at a time comes and goes; but the vCPUs keep no more than an eighth from each other, or little. */
	gt->map_cache_max = max(min(gt->max_maps / (8 * d->max_vcpus), 512u), 64u);
	gt->shared = xcalloc(gt->max_frames, sizeof(*gt->shared));
	gt->status = xcalloc(status_needed(gt->max_frames), sizeof(*gt->status));
	gt->active = xcalloc(gt->max_frames, sizeof(*gt->active));
	gt->map_cache = xcalloc(d->max_vcpus, sizeof(*gt->map_cache));
	return gt->shared && gt->status && gt->active && gt->map_cache ? 0 : -ENOMEM;
}

static void free_active(struct grant_active_frame *f)
{
	for (u32 i = 0; i < ACTIVE_PAGES_PER_FRAME; i++)
		if (f->page[i])
			free_page(f->page[i]);
	xfree(f);
}

static void destroy(struct domain *d)
{
	struct grant_table *gt = d->grants;

	if (!gt)
		return;
	for (u32 i = 0; i < gt->nr_frames; i++)
		unshare_free_page(gt->shared[i]);
	for (u32 i = 0; i < gt->nr_status; i++)
		unshare_free_page(gt->status[i]);
	for (u32 i = 0; gt->active && i < gt->max_frames && gt->active[i]; i++)
		free_active(gt->active[i]);
	for (u32 i = 0; i < gt->nr_maps; i += MAPTRACK_PER_PAGE)
		free_page(gt->map[i / MAPTRACK_PER_PAGE]);
	xfree(gt->map);
	xfree(gt->map_cache);
	xfree(gt->active);
	xfree(gt->status);
	xfree(gt->shared);
	xfree(gt);
	d->grants = NULL;
}

DOMAIN_MODULE(gnttab_module) = {
	.name = "gnttab", .order = MODULE_GRANT, .create = create, .relinquish = gnttab_relinquish, .destroy = destroy,
};

#define DUMP_MAX	200	/* lines per domain: guests decide how many there are */

static void dump_domain(struct domain *d)
{
	struct grant_table *gt = d->grants;
	u32 lines = 0, entries = READ_ONCE(gt->nr_frames) * (gt->version == 1 ? ENTRIES_PER_FRAME_V1 : ENTRIES_PER_FRAME_V2);

	log_info("domain %u: grant table version %u, %u of %u frames, %u of %u handles\n", d->id, gt->version, gt->nr_frames,
		 gt->max_frames, gt->nr_maps, gt->max_maps);
	for (u32 ref = 0; ref < entries && lines < DUMP_MAX; ref++) {
		struct grant_active *locked = active_of(gt, ref), act;

		if (!locked)
			continue;
		leaf_lock(&locked->lock);
		act = *locked;
		leaf_unlock(&locked->lock);
		if (entry_pinned(&act) && lines++ < DUMP_MAX)
			log_info("  %5u frame %#lx to domain %u: %u read, %u write\n", ref, act.frame.v, act.domid, act.readers,
				 act.writers);
	}
	for (u32 h = 0; h < READ_ONCE(gt->nr_maps) && lines < DUMP_MAX; h++) {
		struct maptrack *mt = maptrack_of(gt, h);
		u32 state = READ_ONCE(mt->state);

		if (state && lines++ < DUMP_MAX)
			log_info("  handle %u: frame %#lx of domain %u, entry %u, state %#x\n", h, mt->frame.v, mt->granter->id,
				 mt->ref, state);
	}
	if (lines >= DUMP_MAX)
		log_info("  …\n");
}

void gnttab_dump(void)
{
	struct domain *d;

	for (u32 id = 0; (d = domain_next((u16)id)); id = d->id + 1u, domain_put(d))
		dump_domain(d);
}
