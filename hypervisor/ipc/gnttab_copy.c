/* SPDX-License-Identifier: MIT */
/* Grant tables: copying between granted pages or own frames, and exchanging two entries. Theory: gnttab.c. */
#include <ipc/gnttab_table.h>
#include <lib/string.h>

static void release(struct gnttab_copy_side *s)
{
	if (!s->owner)
		return;
	if (s->is_ref)
		gnttab_unpin(s->owner, (u32)s->id, s->write);
	else if (s->write)
		frame_put_writable(s->frame);
	else
		put_frame(s->frame);
	domain_put(s->owner);
	s->owner = NULL;
}

/* A frame of the caller's own. */
static s16 hold_frame(struct gnttab_copy_side *s)
{
	s->frame = mfn(s->id);
	s->start = 0;
	s->len = PAGE_SIZE;
	if (s->write ? !frame_get_writable(s->frame, s->owner) : get_frame(s->frame, s->owner))
		return GNTST_okay;
	return GNTST_bad_page;
}

static s16 hold_entry(struct gnttab_copy_side *s)
{
	struct grant_pin pin;
	s16 rc = gnttab_pin(s->owner, (u32)s->id, current->domain, s->write, GRANT_COPY, &pin);

	s->frame = pin.frame;
	s->start = pin.start;
	s->len = pin.len;
	return rc;
}

/* Get hold of one side of the copy, unless it is the one held already. */
static s16 hold(struct gnttab_copy_side *s, const struct gnttab_copy_ptr *p, bool is_ref, bool write)
{
	u16 domid = p->domid == DOMID_SELF ? current->domain->id : p->domid;
	u64 id = is_ref ? p->u.ref : p->u.gmfn;
	s16 rc;

	if (s->owner && s->owner->id == domid && s->id == id && s->is_ref == is_ref)
		return GNTST_okay;
	release(s);
	/* Another domain's memory is reached through its grants only (ABI). */
	if (!is_ref && p->domid != DOMID_SELF)
		return GNTST_permission_denied;
	s->id = id;
	s->is_ref = is_ref;
	s->write = write;
	s->owner = domain_get(domid);
	if (!s->owner)
		return GNTST_bad_domain;
	rc = is_ref ? hold_entry(s) : hold_frame(s);
	if (rc) {
		domain_put(s->owner);
		s->owner = NULL;
	}
	return rc;
}

static bool within(const struct gnttab_copy_side *s, u16 offset, u16 len)
{
	return offset >= s->start && (u32)offset + len <= (u32)s->start + s->len;
}

s16 gnttab_copy(const struct gnttab_copy *op, struct gnttab_copy_state *state)
{
	struct gnttab_copy_side *from = &state->source, *to = &state->dest;
	s16 rc;

	if ((u32)op->source.offset + op->len > PAGE_SIZE || (u32)op->dest.offset + op->len > PAGE_SIZE)
		return GNTST_bad_copy_arg;
	rc = hold(from, &op->source, op->flags & GNTCOPY_source_gref, false);
	if (rc)
		return rc;
	rc = hold(to, &op->dest, op->flags & GNTCOPY_dest_gref, true);
	if (rc)
		return rc;
	if (!within(from, op->source.offset, op->len) || !within(to, op->dest.offset, op->len))
		return GNTST_general_error;
	memmove((u8 *)mfn_to_virt(to->frame) + op->dest.offset, (u8 *)mfn_to_virt(from->frame) + op->source.offset, op->len);
	return GNTST_okay;
}

void gnttab_copy_finish(struct gnttab_copy_state *state)
{
	release(&state->source);
	release(&state->dest);
}

/* --- exchange ----------------------------------------------------------------------------------------------------------------- */

/* Under the locks of both entries. */
static s16 swap_locked(struct grant_table *gt, u32 a, u32 b)
{
	if (entry_pinned(active_of(gt, a)) || entry_pinned(active_of(gt, b)))
		return GNTST_eagain;
	if (gt->version == 1) {
		struct grant_entry_v1 t = *entry_v1(gt, a);

		*entry_v1(gt, a) = *entry_v1(gt, b);
		*entry_v1(gt, b) = t;
	} else {
		union grant_entry_v2 t = *entry_v2(gt, a);

		*entry_v2(gt, a) = *entry_v2(gt, b);
		*entry_v2(gt, b) = t;
	}
	return GNTST_okay;
}

s16 gnttab_swap(struct domain *d, u32 ref_a, u32 ref_b)
{
	struct grant_table *gt = d->grants;
	u32 low = min(ref_a % GNTTAB_LOCKS, ref_b % GNTTAB_LOCKS) == ref_a % GNTTAB_LOCKS ? ref_a : ref_b;
	u32 high = low == ref_a ? ref_b : ref_a;
	struct spinlock *second = low % GNTTAB_LOCKS == high % GNTTAB_LOCKS ? NULL : &gt->entry_lock[high % GNTTAB_LOCKS];
	s16 rc = GNTST_bad_gntref;

	if (!gnttab_lock_entry(gt, low))
		return rc;
	/* The version cannot change now, so the bound of one is that of the other. */
	if (gnttab_entry_exists(gt, high)) {
		if (second)
			spin_lock_nested(second);
		rc = ref_a == ref_b ? GNTST_okay : swap_locked(gt, ref_a, ref_b);
		if (second)
			spin_unlock(second);
	}
	gnttab_unlock_entry(gt, low);
	return rc;
}
