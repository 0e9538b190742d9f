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

/* Map for current; what is missing for an answer is in *handle and *frame. */
static s16 map(const struct gnttab_map_grant_ref *op, struct domain *granter, u32 *handle, mfn_t *frame)
{
	struct domain *d = current->domain;
	bool write = !(op->flags & GNTMAP_readonly);
	struct grant_pin pin;
	struct maptrack *mt;
	s16 rc;

	if (maptrack_alloc(d->grants, handle))
		return GNTST_no_space;
	rc = gnttab_pin(granter, op->ref, d, write, GRANT_MAP, &pin);
	if (rc)
		goto no_pin;
	if (op->flags & GNTMAP_host_map) {
		rc = GNTST_general_error;
		if (d->ops->grant_map(current, op->host_addr, pin.frame, op->flags, pin.cache))
			goto no_mapping;
	}
	/* Commit. */
	mt = maptrack_of(d->grants, *handle);
	mt->ref = op->ref;
	mt->granter = granter;
	mt->frame = pin.frame;
	atomic_store(&mt->state, op->flags & MT_FLAGS);
	*frame = pin.frame;
	return GNTST_okay;

no_mapping:
	gnttab_unpin(granter, op->ref, write);
no_pin:
	maptrack_free(d->grants, *handle);
	return rc;
}

void gnttab_map(struct gnttab_map_grant_ref *op)
{
	struct domain *granter;
	mfn_t frame;

	if (!(op->flags & (GNTMAP_device_map | GNTMAP_host_map))) {
		op->status = GNTST_bad_gntref;
		return;
	}
	granter = domain_get(op->dom);
	if (!granter) {
		op->status = GNTST_bad_domain;
		return;
	}
	op->status = map(op, granter, &op->handle, &frame);
	if (op->status == GNTST_okay)
		op->dev_bus_addr = mfn_to_paddr(frame).v;
	domain_put(granter);
}

/* Become the only one who may change the mapping. */
static struct maptrack *claim(struct grant_table *gt, u32 handle, u32 *state)
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
		if (!d->ops->grant_unmap(current, host_addr, mt->frame, state, new_addr)) {
			left &= ~MT_HOST;
			batch->flush = true;
		} else {
			rc = GNTST_general_error;
		}
	}
	if (rc)
		left = state;
	if (left & MT_KINDS) {
		atomic_store(&mt->state, left);
	} else {
		BUG_ON(batch->n == GNTTAB_UNMAP_BATCH);
		batch->handle[batch->n++] = handle;	/* stays BUSY */
	}
	return rc;
}

void gnttab_unmap_finish(struct gnttab_unmap_batch *batch)
{
	struct domain *d = current->domain;

	if (batch->flush)
		tlb_flush_mask(&d->dirty_cpus);
	for (u32 i = 0; i < batch->n; i++) {
		struct maptrack *mt = maptrack_of(d->grants, batch->handle[i]);

		gnttab_unpin(mt->granter, mt->ref, !(mt->state & MT_READONLY));
		atomic_store(&mt->state, 0);
		maptrack_free(d->grants, batch->handle[i]);
	}
	*batch = (struct gnttab_unmap_batch){ 0 };
}

int gnttab_relinquish(struct domain *d)
{
	struct grant_table *gt = d->grants;

	/* The vCPUs are stopped: nobody maps or unmaps. Handles need not go to a free list any more. */
	while (gt->relinquished < gt->nr_maps) {
		struct maptrack *mt = maptrack_of(gt, gt->relinquished++);

		if (mt->state) {
			gnttab_unpin(mt->granter, mt->ref, !(mt->state & MT_READONLY));
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
