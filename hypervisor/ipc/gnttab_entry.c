/* SPDX-License-Identifier: MIT */
/* Grant tables: pinning entries, that is, checking what the guest grants and holding on to it. Theory: gnttab.c. */
#include <ipc/gnttab_table.h>

#define STATUS_TRIES	5	/* the guest may change an entry that often while we mark it */
#define PINS_MAX	0x7fffffffu

/* See that there is a page with the active entry. NULL: no memory. */
static __noinline struct grant_active *make_active(struct grant_table *gt, u32 ref)
{
	struct grant_active **where = active_page_of(gt, ref), *page = alloc_page_zeroed();

	if (page && atomic_cmpxchg(where, NULL, page))
		free_page(page);
	return active_of(gt, ref);
}

static s16 no_entry(const struct grant_table *gt)
{
	return READ_ONCE(gt->switching) ? GNTST_eagain : GNTST_bad_gntref;
}

/* *ref is bounded speculatively, too, then. */
static __always_inline struct grant_active *lock_entry(struct grant_table *gt, u32 *ref, s16 *status)
{
	u64 frames = atomic_load(&gt->nr_frames), most = frames * ENTRIES_PER_FRAME_V1;
	struct grant_active *act;

	_Static_assert(ENTRIES_PER_FRAME_V1 > ENTRIES_PER_FRAME_V2, "the bound of both versions");
	if (unlikely(*ref >= most)) {
		*status = no_entry(gt);
		return NULL;
	}
	*ref = (u32)index_nospec(*ref, most);
	act = active_of(gt, *ref);
	if (unlikely(!act) && !(act = make_active(gt, *ref))) {
		*status = GNTST_general_error;
		return NULL;
	}
	leaf_lock(&act->lock);
	/* Only from here on the version, and with it the bound, is stable. */
	if (likely(!READ_ONCE(gt->switching) && (gt->version == 1 || *ref < frames * ENTRIES_PER_FRAME_V2)))
		return act;
	*status = no_entry(gt);
	leaf_unlock(&act->lock);
	return NULL;
}

struct grant_active *gnttab_lock_entry(struct grant_table *gt, u32 ref, s16 *status)
{
	return lock_entry(gt, &ref, status);
}

/* May domain `user` do what it wants with an entry whose flags and domid are these? Not if one of the flags `refused` is set. */
static bool permitted(u32 header, u16 user, u32 refused)
{
	return !((header ^ (GTF_permit_access | (u32)user << 16)) & (GTF_type_mask | 0xffffu << 16 | refused));
}

/* Tell the granter that the entry is in use, if it permits that. The first pin decides what the entry stands for. */
static __always_inline bool mark_v1(const struct grant_table *gt, u32 ref, struct grant_active *act, u16 user, bool write, bool first)
{
	struct grant_entry_v1 *e = entry_v1(gt, ref);
	u32 header = READ_ONCE(*(u32 *)e);

	for (unsigned i = 0; i < STATUS_TRIES && permitted(header, user, write ? GTF_readonly : 0); i++) {
		if (!atomic_try_cmpxchg((u32 *)e, &header, header | GTF_reading | (write ? GTF_writing : 0)))
			continue;
		act->flags = (u16)header;
		if (first) {
			act->start = 0;
			act->len = PAGE_SIZE;
			act->frame = mfn(READ_ONCE(e->frame));
		}
		return true;
	}
	return false;
}

static void fix_frame_v2(const union grant_entry_v2 *e, struct grant_active *act)
{
	if (act->flags & GTF_sub_page) {
		act->start = READ_ONCE(e->sub_page.page_off);
		act->len = READ_ONCE(e->sub_page.length);
		act->frame = mfn(READ_ONCE(e->sub_page.frame));
	} else {
		act->start = 0;
		act->len = PAGE_SIZE;
		act->frame = mfn(READ_ONCE(e->full_page.frame));
	}
}

static __noinline bool mark_v2(const struct grant_table *gt, u32 ref, struct grant_active *act, u16 user, bool write, enum grant_use use)
{
	grant_status_t *status = status_v2(gt, ref), add = GTF_reading | (write ? GTF_writing : 0), was;
	u32 *entry = (u32 *)entry_v2(gt, ref), refused = (write ? GTF_readonly : 0) | (use == GRANT_MAP ? GTF_sub_page : 0), header;

	if (!permitted(READ_ONCE(*entry), user, refused))
		return false;
	was = atomic_fetch_or(status, add);
	/* The granter withdraws by changing the flags, then looking at the status: one of us sees the other. */
	smp_mb();
	header = READ_ONCE(*entry);
	if (!permitted(header, user, refused)) {
		atomic_fetch_and(status, (grant_status_t)~(add & ~was));
		return false;
	}
	act->flags = (u16)header;
	if (!entry_pinned(act))
		fix_frame_v2(entry_v2(gt, ref), act);
	return true;
}

/* Make the entry's status agree with the pins. */
static __always_inline void unmark(struct grant_table *gt, u32 ref, const struct grant_active *act)
{
	u16 gone = (act->writers ? 0 : GTF_writing) | (entry_pinned(act) ? 0 : GTF_reading);

	if (!gone)
		return;
	if (gt->version == 1)
		atomic_fetch_and(&entry_v1(gt, ref)->flags, (u16)~gone);
	else
		atomic_fetch_and(status_v2(gt, ref), (grant_status_t)~gone);
}

/* Under the entry lock: all but the references. */
static __always_inline bool pin_locked(struct grant_table *gt, struct grant_active *act, u32 ref, bool write, enum grant_use use)
{
	u16 user = current->domain->id;
	bool first = !entry_pinned(act);

	if (!first && (act->domid != user || act->readers >= PINS_MAX || act->writers >= PINS_MAX))
		return false;
	if (!first && use == GRANT_MAP && (act->start || act->len != PAGE_SIZE))
		return false;
	if (!(likely(gt->version == 1) ? mark_v1(gt, ref, act, user, write, first) : mark_v2(gt, ref, act, user, write, use)))
		return false;
	act->domid = user;
	if (write)
		act->writers++;
	else
		act->readers++;
	return true;
}

static __always_inline void unpin(struct grant_table *gt, u32 ref, struct grant_active *act, bool write)
{
	/* While there is a pin the version cannot change, though somebody may be trying. */
	leaf_lock(&act->lock);
	if (write)
		act->writers--;
	else
		act->readers--;
	unmark(gt, ref, act);
	leaf_unlock(&act->lock);
}

struct grant_active *gnttab_pin(struct domain *owner, u32 ref, bool write, enum grant_use use, unsigned extra, s16 *status)
{
	struct grant_table *gt = owner->grants;
	struct grant_active *act;
	mfn_t frame;
	bool ok;

	*status = GNTST_general_error;
	/* A dying domain's frames go as their references do: no new ones. */
	if (owner->is_dying)
		return NULL;
	act = lock_entry(gt, &ref, status);
	if (!act)
		return NULL;
	ok = pin_locked(gt, act, ref, write, use);
	frame = act->frame;
	leaf_unlock(&act->lock);
	if (!ok)
		return NULL;
	/* Refuses what is in use as a page table, and what does not keep its owner, as the theory needs it. */
	if (likely(frame_get_granted_again(frame, owner->id, write, 1 + extra)) || frame_get_granted(frame, owner, write, 1 + extra)) {
		*status = GNTST_okay;
		return act;
	}
	unpin(gt, ref, act, write);
	return NULL;
}

void gnttab_unpin(struct domain *owner, u32 ref, struct grant_active *act, bool write, unsigned extra)
{
	mfn_t frame = act->frame;

	unpin(owner->grants, ref, act, write);
	/* May be the last thing that keeps the owner. */
	frame_put_granted(frame, write, 1 + extra);
}
