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

/* Under the entry lock: all but the references. */
static __always_inline bool pin_locked(struct grant_table *gt, struct grant_active *act, u32 ref, const struct domain *user, bool write,
				       enum grant_use use, struct grant_pin *out)
{
	u32 header = 0, *entry = entry_header(gt, ref);
	bool ok, first = !entry_pinned(act);

	if (!first && (act->domid != user->id || act->readers >= PINS_MAX || act->writers >= PINS_MAX))
		return false;
	if (!first && use == GRANT_MAP && (act->start || act->len != PAGE_SIZE))
		return false;
	ok = gt->version == 1 ? mark_v1(entry, user, write, use, &header) :
				mark_v2(entry, status_v2(gt, ref), user, write, use, &header);
	if (!ok)
		return false;
	if (first) {
		fix_frame(gt, ref, header, act);
		act->domid = user->id;
	}
	if (write)
		act->writers++;
	else
		act->readers++;
	*out = (struct grant_pin){ .frame = act->frame, .start = act->start, .len = act->len, .header = header };
	return true;
}

static __always_inline void unpin(struct grant_table *gt, u32 ref, bool write)
{
	struct grant_active *act = active_of(gt, ref);

	/* While there is a pin the version cannot change, though somebody may be trying. */
	leaf_lock(&act->lock);
	if (write)
		act->writers--;
	else
		act->readers--;
	unmark(gt, ref, act);
	leaf_unlock(&act->lock);
}

s16 gnttab_pin(struct domain *owner, u32 ref, const struct domain *user, bool write, enum grant_use use, unsigned extra,
	       struct grant_pin *out)
{
	struct grant_table *gt = owner->grants;
	s16 status = GNTST_general_error;
	struct grant_active *act;
	bool ok;

	/* A dying domain's frames go as their references do: no new ones. */
	if (owner->is_dying)
		return status;
	act = lock_entry(gt, &ref, &status);
	if (!act)
		return status;
	ok = pin_locked(gt, act, ref, user, write, use, out);
	leaf_unlock(&act->lock);
	if (!ok)
		return GNTST_general_error;
	/* Refuses what is in use as a page table, and what does not keep its owner, as the theory needs it. */
	if (likely(frame_get_granted_again(out->frame, owner->id, write, 1 + extra)) || frame_get_granted(out->frame, owner, write, 1 + extra))
		return GNTST_okay;
	unpin(gt, ref, write);
	return GNTST_general_error;
}

void gnttab_unpin(struct domain *owner, u32 ref, bool write, mfn_t frame, unsigned extra)
{
	unpin(owner->grants, ref, write);
	/* May be the last thing that keeps the owner. */
	frame_put_granted(frame, write, 1 + extra);
}
