/* SPDX-License-Identifier: MIT */
/* Grant tables: copying between granted pages or own frames, and exchanging two entries. Theory: gnttab.c. */
#include <ipc/gnttab_table.h>
#include <lib/string.h>

/* In gnttab_copy_side.what, besides the domid of the argument: what the id is. */
#define SIDE_REF	0x10000u	/* a grant reference */
#define SIDE_FRAME	0x20000u	/* a frame number */

static __always_inline void release(struct gnttab_copy_side *s, bool write)
{
	if (s->what & SIDE_REF)
		gnttab_unpin(s->owner, (u32)s->id, s->act, write, 0);
	else if (s->what)
		frame_put_granted(s->frame, write, 1);
	s->what = 0;
}

/* A frame of the caller's own. */
static __always_inline s16 hold_frame(struct gnttab_copy_side *s, u64 id, bool write)
{
	struct domain *d = current->domain;

	s->frame = mfn(id);
	if (write ? !frame_get_type_again(s->frame, d->id, FRAME_WRITABLE) && frame_get_writable(s->frame, d) :
		    !frame_get_again(s->frame, d->id) && !get_frame(s->frame, d))
		return GNTST_bad_page;
	s->start = 0;
	s->len = PAGE_SIZE;
	return GNTST_okay;
}

static __always_inline s16 hold_entry(struct gnttab_copy_side *s, struct domain *owner, u32 ref, bool write)
{
	s16 rc;

	if (!owner)
		return GNTST_bad_domain;
	s->act = gnttab_pin(owner, ref, write, GRANT_COPY, 0, &rc);
	if (!s->act)
		return rc;
	s->owner = owner;
	s->frame = s->act->frame;
	s->start = s->act->start;
	s->len = s->act->len;
	return GNTST_okay;
}

/* Get hold of one side of the copy, unless it is the one held already. */
static __always_inline s16 hold(struct gnttab_copy_state *state, struct gnttab_copy_side *s, const struct gnttab_copy_ptr *p, bool is_ref, bool write)
{
	u32 what = p->domid | (is_ref ? SIDE_REF : SIDE_FRAME);
	u64 id = is_ref ? p->u.ref : p->u.gmfn;
	s16 rc;

	if (s->what == what && s->id == id)
		return GNTST_okay;
	/* Another domain's memory is reached through its grants only (ABI). */
	if (!is_ref && p->domid != DOMID_SELF)
		return GNTST_permission_denied;
	release(s, write);
	if (!is_ref)
		rc = hold_frame(s, id, write);
	else
		rc = hold_entry(s, p->domid == DOMID_SELF ? current->domain : gnttab_granter(&state->granter, p->domid), (u32)id, write);
	if (rc)
		return rc;
	s->what = what;
	s->id = id;
	return GNTST_okay;
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
	rc = hold(state, from, &op->source, op->flags & GNTCOPY_source_gref, false);
	if (rc)
		return rc;
	rc = hold(state, to, &op->dest, op->flags & GNTCOPY_dest_gref, true);
	if (rc)
		return rc;
	if (!within(from, op->source.offset, op->len) || !within(to, op->dest.offset, op->len))
		return GNTST_general_error;
	memmove((u8 *)mfn_to_virt(to->frame) + op->dest.offset, (u8 *)mfn_to_virt(from->frame) + op->source.offset, op->len);
	return GNTST_okay;
}

void gnttab_copy_finish(struct gnttab_copy_state *state)
{
	release(&state->source, false);
	release(&state->dest, true);
	if (state->granter)
		domain_put(state->granter);
	state->granter = NULL;
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
