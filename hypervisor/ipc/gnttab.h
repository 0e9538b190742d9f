/* SPDX-License-Identifier: MIT */
/* Grant tables: memory that a domain lets another map, copy or take. ABI: <xen/grant_table.h>. */
#ifndef IPC_GNTTAB_H
#define IPC_GNTTAB_H

#include <domain/domain.h>
#include <xen/grant_table.h>

/*
 * Frame idx of d's grant table, or of its status words (version 2), for XENMAPSPACE_grant_table and XENMEM_acquire_resource: the table grows up to
 * it. 0; -EINVAL beyond the limit, or no status frames in version 1; -ENOMEM.
 */
int __must_check gnttab_get_frame(struct domain *d, bool status, u32 idx, mfn_t *out);
/* Size now, and limit, in frames. */
void gnttab_query(struct domain *d, u32 *frames, u32 *limit);
u32 gnttab_version(struct domain *d);
/* Make the table at least so many frames long. 0, -EINVAL beyond the limit, -ENOMEM. */
int __must_check gnttab_grow(struct domain *d, u32 frames);
/* 1 or 2. 0, -EINVAL, -EBUSY entries are in use, -ERANGE a reserved entry cannot be converted, -ENOMEM. */
int __must_check gnttab_set_version(struct domain *d, u32 version);

/* --- Single operations of current on its arguments, which are hypervisor copies. They return, or store in the argument, GNTST_*. --- */
s16 gnttab_swap(struct domain *d, u32 ref_a, u32 ref_b);
s16 gnttab_transfer(u64 frame, u16 domid, u32 ref);

/* Mapping keeps granter and page table at hand for the next call. A zeroed struct holds nothing. */
struct gnttab_map_state {
	struct domain *granter;	/* referenced */
	struct grant_near near;
};
void gnttab_map(struct gnttab_map_grant_ref *op, struct gnttab_map_state *state);
/* Must follow, whatever else happens. */
void gnttab_map_finish(struct gnttab_map_state *state);

/* Unmapping happens in batches: the references are given back after one TLB flush. Empty when all but `done` is zero. */
#define GNTTAB_UNMAP_BATCH	32
struct gnttab_unmap_batch {
	u32 n;
	bool flush;
	struct grant_near near;
	struct gnttab_unmapped { struct maptrack *mt; u32 handle, entries; } done[GNTTAB_UNMAP_BATCH];
};
/* new_addr: 0, or where the replacement comes from (GNTTABOP_unmap_and_replace). At most GNTTAB_UNMAP_BATCH calls per batch. */
s16 gnttab_unmap(u64 host_addr, u64 dev_bus_addr, u64 new_addr, u32 handle, struct gnttab_unmap_batch *batch);
/* Must follow, whatever else happens. */
void gnttab_unmap_finish(struct gnttab_unmap_batch *batch);

/* Copying keeps the last source and destination at hand for the next call. Holds nothing when `granter` and each `what` are zero. */
struct grant_active;
struct gnttab_copy_side {
	u32 what;			/* 0: nothing held. Is the id a grant reference or a frame number, and whose */
	u16 start, len;			/* bytes that may be accessed */
	u64 id;
	mfn_t frame;
	struct domain *owner;		/* of a granted one, which we have pinned */
	struct grant_active *act;
};
struct gnttab_copy_state {
	struct domain *granter;		/* who was named last: referenced, or NULL */
	struct gnttab_copy_side source, dest;
};
s16 gnttab_copy(const struct gnttab_copy *op, struct gnttab_copy_state *state);
/* Must follow, whatever else happens. */
void gnttab_copy_finish(struct gnttab_copy_state *state);

void gnttab_dump(void);	/* debug key 'g' */

#endif
