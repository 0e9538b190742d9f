/* SPDX-License-Identifier: MIT */
/* Grant tables: pinning entries, that is, checking what the guest grants and holding on to it. Theory: gnttab.c. */
#include <ipc/gnttab_table.h>
#include <x86/pte.h>

#define STATUS_TRIES	5	/* the guest may change an entry that often while we mark it */
#define PINS_MAX	0x7fffffffu

bool gnttab_entry_exists(const struct grant_table *gt, u32 ref)
{
	return ref < (u64)atomic_load(&gt->nr_frames) * (gt->version == 1 ? ENTRIES_PER_FRAME_V1 : ENTRIES_PER_FRAME_V2);
}

bool gnttab_lock_entry(struct grant_table *gt, u32 ref)
{
	/* The version, and with it the bound, is stable only under the lock. */
	spin_lock(&gt->entry_lock[ref % GNTTAB_LOCKS]);
	if (likely(gnttab_entry_exists(gt, ref) && !gt->switching))
		return true;
	spin_unlock(&gt->entry_lock[ref % GNTTAB_LOCKS]);
	return false;
}

void gnttab_unlock_entry(struct grant_table *gt, u32 ref)
{
	spin_unlock(&gt->entry_lock[ref % GNTTAB_LOCKS]);
}

/* May `user` do that with an entry whose flags and domid are these? */
static bool permitted(u32 header, const struct domain *user, bool write, enum grant_use use, u32 version)
{
	u32 flags = header & 0xffff;

	if ((flags & GTF_type_mask) != GTF_permit_access || header >> 16 != user->id)
		return false;
	if (write && flags & GTF_readonly)
		return false;
	return version == 1 || use == GRANT_COPY || !(flags & GTF_sub_page);
}

/* Tell the granter that the entry is in use, if it permits that. On success *header is what was permitted. */
static bool mark_v1(u32 *entry, const struct domain *user, bool write, enum grant_use use, u32 *header)
{
	u32 h = READ_ONCE(*entry);

	for (unsigned i = 0; i < STATUS_TRIES; i++) {
		if (!permitted(h, user, write, use, 1))
			return false;
		if (atomic_try_cmpxchg(entry, &h, h | GTF_reading | (write ? GTF_writing : 0))) {
			*header = h;
			return true;
		}
	}
	return false;
}

static bool mark_v2(u32 *entry, grant_status_t *status, const struct domain *user, bool write, enum grant_use use, u32 *header)
{
	grant_status_t add = GTF_reading | (write ? GTF_writing : 0), was;
	u32 h = READ_ONCE(*entry);

	if (!permitted(h, user, write, use, 2))
		return false;
	was = atomic_fetch_or(status, add);
	/* The granter withdraws by changing the flags, then looking at the status: one of us sees the other. */
	smp_mb();
	*header = READ_ONCE(*entry);
	if (permitted(*header, user, write, use, 2))
		return true;
	atomic_fetch_and(status, (grant_status_t)~(add & ~was));
	return false;
}

/* Make the entry's status agree with the pins. */
static void unmark(struct grant_table *gt, u32 ref, const struct grant_active *act)
{
	u16 gone = (act->writers ? 0 : GTF_writing) | (entry_pinned(act) ? 0 : GTF_reading);

	if (!gone)
		return;
	if (gt->version == 1)
		atomic_fetch_and(&entry_v1(gt, ref)->flags, (u16)~gone);
	else
		atomic_fetch_and(status_v2(gt, ref), (grant_status_t)~gone);
}

/* The first pin decides what the entry stands for. */
static void fix_frame(const struct grant_table *gt, u32 ref, u32 header, struct grant_active *act)
{
	act->start = 0;
	act->len = PAGE_SIZE;
	if (gt->version == 1) {
		act->frame = mfn(READ_ONCE(entry_v1(gt, ref)->frame));
	} else if (header & GTF_sub_page) {
		act->start = READ_ONCE(entry_v2(gt, ref)->sub_page.page_off);
		act->len = READ_ONCE(entry_v2(gt, ref)->sub_page.length);
		act->frame = mfn(READ_ONCE(entry_v2(gt, ref)->sub_page.frame));
	} else {
		act->frame = mfn(READ_ONCE(entry_v2(gt, ref)->full_page.frame));
	}
}

static u64 cache_bits(u32 header)
{
	return (header & GTF_PWT ? PTE_PWT : 0) | (header & GTF_PCD ? PTE_PCD : 0) | (header & GTF_PAT ? PTE_PAT : 0);
}

static void drop_frame(mfn_t frame, bool write)
{
	if (write)
		frame_put_writable(frame);
	else
		put_frame(frame);
}

/*
 * Take the reference of a pin. frame_get_writable() refuses what is in use as a page table. A page that the hypervisor shares with its
 * owner does not keep him, as the theory needs it; it stays one as long as he lives, and the caller sees to that.
 */
static bool take_frame(struct domain *owner, mfn_t frame, bool write)
{
	if (write ? frame_get_writable(frame, owner) != 0 : !get_frame(frame, owner))
		return false;
	if (likely(!(frame_read(frame).v & FRAME_SHARED)))
		return true;
	drop_frame(frame, write);
	return false;
}

/* Under the entry lock. */
static s16 pin_locked(struct domain *owner, u32 ref, const struct domain *user, bool write, enum grant_use use, struct grant_pin *out)
{
	struct grant_table *gt = owner->grants;
	struct grant_active *act;
	u32 header = 0, *entry;
	bool ok, first;

	ref = (u32)index_nospec(ref, gt->nr_frames * ENTRIES_PER_FRAME_V1);
	act = active_of(gt, ref);
	entry = entry_header(gt, ref);
	first = !entry_pinned(act);

	if (!first && (act->domid != user->id || act->readers >= PINS_MAX || act->writers >= PINS_MAX))
		return GNTST_general_error;
	if (!first && use == GRANT_MAP && (act->start || act->len != PAGE_SIZE))
		return GNTST_general_error;
	ok = gt->version == 1 ? mark_v1(entry, user, write, use, &header) :
				mark_v2(entry, status_v2(gt, ref), user, write, use, &header);
	if (!ok)
		return GNTST_general_error;
	if (first) {
		fix_frame(gt, ref, header, act);
		act->domid = user->id;
	}
	if (!take_frame(owner, act->frame, write)) {
		unmark(gt, ref, act);
		return GNTST_general_error;
	}
	if (write)
		act->writers++;
	else
		act->readers++;
	*out = (struct grant_pin){ .frame = act->frame, .start = act->start, .len = act->len, .cache = cache_bits(header) };
	return GNTST_okay;
}

/* See that the entry, if there is one, can be marked as pinned. False: no memory. */
static bool make_active(struct grant_table *gt, u32 ref)
{
	u64 entries = (u64)atomic_load(&gt->nr_frames) * ENTRIES_PER_FRAME_V1;
	struct grant_active **where, *page;

	if (ref >= entries)
		return true;
	where = active_page_of(gt, (u32)index_nospec(ref, entries));
	if (likely(atomic_load(where)))
		return true;
	page = alloc_page_zeroed();
	if (!page)
		return false;
	if (atomic_cmpxchg(where, NULL, page))
		free_page(page);
	return true;
}

s16 gnttab_pin(struct domain *owner, u32 ref, const struct domain *user, bool write, enum grant_use use, struct grant_pin *out)
{
	struct grant_table *gt = owner->grants;
	s16 rc;

	/* A dying domain's frames go as their references do: no new ones. */
	if (owner->is_dying || !make_active(gt, ref))
		return GNTST_general_error;
	if (!gnttab_lock_entry(gt, ref))
		return READ_ONCE(gt->switching) ? GNTST_eagain : GNTST_bad_gntref;
	rc = pin_locked(owner, ref, user, write, use, out);
	gnttab_unlock_entry(gt, ref);
	return rc;
}

void gnttab_unpin(struct domain *owner, u32 ref, bool write)
{
	struct grant_table *gt = owner->grants;
	struct grant_active *act;
	mfn_t frame;

	/* While there is a pin the version cannot change, though somebody may be trying. */
	spin_lock(&gt->entry_lock[ref % GNTTAB_LOCKS]);
	act = active_of(gt, ref);
	frame = act->frame;
	if (write)
		act->writers--;
	else
		act->readers--;
	unmark(gt, ref, act);
	spin_unlock(&gt->entry_lock[ref % GNTTAB_LOCKS]);

	/* May be the last thing that keeps the owner. */
	drop_frame(frame, write);
}
