/* SPDX-License-Identifier: MIT */
/* Grant tables: copying between granted pages or own frames, and exchanging two entries. Theory: gnttab.c. */
#include <ipc/gnttab_table.h>
#include <lib/string.h>

static __always_inline void release(struct gnttab_copy_side *s)
{
	if (!s->held)
		return;
	s->held = false;
	if (s->is_ref)
		gnttab_unpin(s->owner, (u32)s->id, s->write, s->frame, 0);
	else if (s->write)
		frame_put_writable(s->frame);
	else
		put_frame(s->frame);
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
	s16 rc = gnttab_pin(s->owner, (u32)s->id, current->domain, s->write, GRANT_COPY, 0, &pin);

	if (rc)
		return rc;
	s->frame = pin.frame;
	s->start = pin.start;
	s->len = pin.len;
	return GNTST_okay;
}

/* Get hold of one side of the copy, which is not the one held already. */
static __always_inline s16 change(struct gnttab_copy_side *s, u16 domid, u64 id, bool is_ref, bool write)
{
	s16 rc;

	release(s);
	if (!s->owner || s->owner->id != domid) {
		if (s->owner)
			domain_put(s->owner);
		s->owner = domain_get(domid);
		if (!s->owner)
			return GNTST_bad_domain;
	}
	s->id = id;
	s->is_ref = is_ref;
	s->write = write;
	rc = is_ref ? hold_entry(s) : hold_frame(s);
	s->held = !rc;
	return rc;
}

static __always_inline s16 hold(struct gnttab_copy_side *s, const struct gnttab_copy_ptr *p, bool is_ref, bool write)
{
	u16 domid = p->domid == DOMID_SELF ? current->domain->id : p->domid;
	u64 id = is_ref ? p->u.ref : p->u.gmfn;

	if (s->held && s->id == id && s->is_ref == is_ref && s->owner->id == domid)
		return GNTST_okay;
	/* Another domain's memory is reached through its grants only (ABI). */
	if (!is_ref && p->domid != DOMID_SELF)
		return GNTST_permission_denied;
	return change(s, domid, id, is_ref, write);
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

static void let_go(struct gnttab_copy_side *s)
{
	release(s);
	if (s->owner)
		domain_put(s->owner);
	s->owner = NULL;
}

void gnttab_copy_finish(struct gnttab_copy_state *state)
{
	let_go(&state->source);
	let_go(&state->dest);
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
	struct grant_active *first, *second;
	s16 rc;

	/* So that the second lock needs no memory when the first one is held. */
	second = gnttab_lock_entry(gt, max(ref_a, ref_b), &rc);
	if (!second)
		return rc;
	leaf_unlock(&second->lock);
	first = gnttab_lock_entry(gt, min(ref_a, ref_b), &rc);
	if (!first)
		return rc;
	if (ref_a == ref_b) {
		rc = GNTST_okay;
	} else if ((second = gnttab_lock_entry(gt, max(ref_a, ref_b), &rc))) {
		rc = swap_locked(gt, ref_a, ref_b);
		leaf_unlock(&second->lock);
	}
	leaf_unlock(&first->lock);
	return rc;
}
