/* SPDX-License-Identifier: MIT */
/* Grant tables: mapping and unmapping, and giving mappings back at the end of a domain. Theory: gnttab.c. */
#include <core/panic.h>
#include <core/softirq.h>
#include <ipc/gnttab_table.h>
#include <lib/errno.h>
#include <memory/audit.h>
#include <memory/tlbflush.h>
#include <x86/pte.h>

#define RELINQUISH_BATCH	64
#define MT_KINDS		(MT_DEVICE | MT_HOST)
/* What of the flags must be the same when the mapping is removed. */
#define MT_FLAGS		(MT_KINDS | MT_READONLY | GNTMAP_application_map | GNTMAP_contains_pte)

/* As the granter wants mappings to have them. */
static u64 cache_bits(u16 flags)
{
	if (likely(!(flags & (GTF_PWT | GTF_PCD | GTF_PAT))))
		return 0;
	return (flags & GTF_PWT ? PTE_PWT : 0) | (flags & GTF_PCD ? PTE_PCD : 0) | (flags & GTF_PAT ? PTE_PAT : 0);
}

/* Map for current. What belongs to the answer is in op then. */
static __always_inline s16 map(struct gnttab_map_grant_ref *op, struct gnttab_map_state *state)
{
	struct vcpu *v = current;
	struct domain *d = v->domain, *granter = state->granter;
	bool write = !(op->flags & GNTMAP_readonly), host = op->flags & GNTMAP_host_map;
	struct maptrack *mt = maptrack_alloc(d->grants, v, &op->handle);
	struct grant_active *act;
	mfn_t frame;
	s16 rc;

	if (!mt)
		return GNTST_no_space;
	/* With the reference of the page-table entry. */
	act = gnttab_pin(granter, op->ref, write, GRANT_MAP, host, &rc);
	if (!act)
		goto no_pin;
	frame = act->frame;
	rc = GNTST_general_error;
	if (host && d->ops->grant_map(v, &state->near, op->host_addr, frame, op->flags, cache_bits(act->flags)))
		goto no_mapping;
	/* Commit. */
	mt->ref = op->ref;
	mt->granter = granter;
	mt->act = act;
	mt->frame = frame;
	atomic_store(&mt->state, op->flags & MT_FLAGS);
	op->dev_bus_addr = mfn_to_paddr(frame).v;
	return GNTST_okay;

no_mapping:
	gnttab_unpin(granter, op->ref, act, write, host);
no_pin:
	maptrack_free(d->grants, v, mt, op->handle);
	return rc;
}

void gnttab_map(struct gnttab_map_grant_ref *op, struct gnttab_map_state *state)
{
	if (unlikely(!(op->flags & (GNTMAP_device_map | GNTMAP_host_map))))
		op->status = GNTST_bad_gntref;
	else if (unlikely(!gnttab_granter(&state->granter, op->dom)))
		op->status = GNTST_bad_domain;
	else
		op->status = map(op, state);
}

void gnttab_map_finish(struct gnttab_map_state *state)
{
	if (state->granter)
		domain_put(state->granter);
	state->granter = NULL;
	current->domain->ops->grant_end(current, &state->near);
}

/* Become the only one who may change the mapping. */
static __always_inline struct maptrack *claim(struct grant_table *gt, u32 handle, u32 *state)
{
	struct maptrack *mt = maptrack_of(gt, handle);

	if (!mt)
		return NULL;
	*state = atomic_load(&mt->state);
	do {
		if (!*state || *state & MT_BUSY)
			return NULL;
	} while (!atomic_try_cmpxchg(&mt->state, state, *state | (u32)MT_BUSY));
	return mt;
}

/* The reference of a page-table entry, where the mapping stays what it is for devices. */
static __noinline void drop_entry(struct domain *d, const struct maptrack *mt, u32 state)
{
	tlb_flush_mask(&d->dirty_cpus);
	frame_put_granted(mt->frame, !(state & MT_READONLY), 1);
}

s16 gnttab_unmap(u64 host_addr, u64 dev_bus_addr, u64 new_addr, u32 handle, struct gnttab_unmap_batch *batch)
{
	struct domain *d = current->domain;
	u32 state, left;
	struct maptrack *mt = claim(d->grants, handle, &state);
	s16 rc = GNTST_okay;

	if (!mt)
		return GNTST_bad_handle;
	left = state;
	if (dev_bus_addr && state & MT_DEVICE) {
		if (dev_bus_addr == mfn_to_paddr(mt->frame).v)
			left &= ~MT_DEVICE;
		else
			rc = GNTST_general_error;
	}
	if (!rc && host_addr && state & MT_HOST) {
		if (!d->ops->grant_unmap(current, &batch->near, host_addr, mt->frame, state, new_addr))
			left &= ~MT_HOST;
		else
			rc = GNTST_general_error;
	}
	if (rc)
		left = state;
	if (unlikely(left & MT_KINDS)) {
		if ((left ^ state) & MT_HOST)
			drop_entry(d, mt, state);
		atomic_store(&mt->state, left);
	} else {
		bool entry = state & ~left & MT_HOST;

		BUG_ON(batch->n == GNTTAB_UNMAP_BATCH);
		batch->flush |= entry;
		batch->done[batch->n++] = (struct gnttab_unmapped){ mt, handle, entry };	/* stays BUSY */
	}
	return rc;
}

void gnttab_unmap_finish(struct gnttab_unmap_batch *batch)
{
	struct vcpu *v = current;
	struct domain *d = v->domain;

	d->ops->grant_end(v, &batch->near);
	if (batch->flush)
		tlb_flush_mask(&d->dirty_cpus);
	for (u32 i = 0; i < batch->n; i++) {
		const struct gnttab_unmapped *u = &batch->done[i];
		struct maptrack *mt = u->mt;

		gnttab_unpin(mt->granter, mt->ref, mt->act, !(mt->state & MT_READONLY), u->entries);
		atomic_store(&mt->state, 0);
		maptrack_free(d->grants, v, mt, u->handle);
	}
	batch->n = 0;
	batch->flush = false;
}

int gnttab_relinquish(struct domain *d)
{
	struct grant_table *gt = d->grants;

	/* The vCPUs are stopped: nobody maps or unmaps. Handles need not go to a free list any more. */
	while (gt->relinquished < gt->nr_maps) {
		struct maptrack *mt = maptrack_of(gt, gt->relinquished++);

		if (mt->state) {
			gnttab_unpin(mt->granter, mt->ref, mt->act, !(mt->state & MT_READONLY), 0);
			mt->state = 0;
		}
		if (gt->relinquished % RELINQUISH_BATCH == 0 && softirq_pending())
			return -ERESTART;
	}
	return 0;
}

static void report_references(void)
{
	struct domain *d;

	for (u32 id = 0; (d = domain_next((u16)id)); id = d->id + 1u, domain_put(d)) {
		for (u32 h = 0; d->grants && h < d->grants->nr_maps; h++) {
			struct maptrack *mt = maptrack_of(d->grants, h);

			if (mt->state & MT_READONLY)
				audit_count(mt->frame);
			else if (mt->state)
				audit_type(mt->frame, FRAME_WRITABLE);
		}
	}
}

AUDIT_SOURCE(grant_audit, "grants", report_references);
