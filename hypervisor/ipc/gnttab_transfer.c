/* SPDX-License-Identifier: MIT */
/*
 * Grant tables: giving a frame away for good (GNTTABOP_transfer). Theory: gnttab.c.
 *
 * The receiver has an entry of type GTF_accept_transfer for us with the pseudo-physical number that the frame is to have. The frame is taken from
 * the caller first, who has lost it from then on whatever happens (ABI), then accounted to the receiver, then
 * the entry is committed and completed in one step, so that nobody waits for us.
 */
#include <ipc/gnttab_table.h>
#include <lib/errno.h>
#include <memory/m2p.h>

#define COMMIT_TRIES	5

/* The frame's number and flags for the receiver. Under the entry lock. */
static s16 complete(struct grant_table *gt, u32 ref, const struct domain *giver, mfn_t frame)
{
	u32 *entry = entry_header(gt, ref), h = READ_ONCE(*entry);
	u64 pfn;

	for (unsigned i = 0; i < COMMIT_TRIES; i++) {
		if ((h & (GTF_type_mask | GTF_transfer_committed | GTF_transfer_completed)) != GTF_accept_transfer ||
		    h >> 16 != giver->id)
			return GNTST_bad_gntref;
		if (!atomic_try_cmpxchg(entry, &h, h | GTF_transfer_committed))
			continue;
		if (gt->version == 1) {
			pfn = READ_ONCE(entry_v1(gt, ref)->frame);
			WRITE_ONCE(entry_v1(gt, ref)->frame, (u32)frame.v);
		} else {
			pfn = READ_ONCE(entry_v2(gt, ref)->full_page.frame);
			WRITE_ONCE(entry_v2(gt, ref)->full_page.frame, frame.v);
		}
		m2p_set(frame, pfn);	/* the caller has a reference */
		atomic_fetch_or(entry, GTF_transfer_completed);
		return GNTST_okay;
	}
	return GNTST_bad_gntref;
}

/* The frame belongs to nobody; afterwards to the receiver, or it is free. */
static s16 give(mfn_t frame, struct domain *receiver, u32 ref)
{
	struct grant_table *gt = receiver->grants;
	struct grant_active *act;
	s16 rc;

	if (domain_assign_frame(receiver, frame)) {
		put_frame(frame);
		return GNTST_general_error;
	}
	/* The receiver, who may guess the number, can give it up already. */
	if (!get_frame(frame, receiver))
		return GNTST_general_error;
	act = gnttab_lock_entry(gt, ref, &rc);
	if (act) {
		rc = gt->version == 1 && frame.v >> 32 ? GNTST_address_too_big : complete(gt, ref, current->domain, frame);
		leaf_unlock(&act->lock);
	}
	if (rc)
		(void)frame_release(frame);
	put_frame(frame);
	return rc;
}

s16 gnttab_transfer(u64 frame, u16 domid, u32 ref)
{
	struct domain *d = current->domain, *receiver;
	mfn_t m = mfn(frame);
	s16 rc;

	if (!get_frame(m, d))
		return GNTST_bad_page;
	if (domain_steal_frame(d, m)) {
		put_frame(m);
		return GNTST_bad_page;
	}
	receiver = domain_get(domid);
	if (!receiver) {
		put_frame(m);
		return GNTST_bad_domain;
	}
	rc = give(m, receiver, ref);
	domain_put(receiver);
	return rc;
}
