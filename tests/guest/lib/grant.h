/* SPDX-License-Identifier: MIT */
/* Grant tables of two domains: ours and a peer's, both written by the test. */
#ifndef GUEST_GRANT_H
#define GUEST_GRANT_H

#include "lib/peer.h"

#include <xen/grant_table.h>

#define FIRST_REF GNTTAB_NR_RESERVED_ENTRIES
/* Entries of version 1 and 2 in the one frame of a table that we look at. */
#define REFS_V1 512u
#define REFS_V2 256u

/* Our own table, version 1, its first frame mapped; the entry of frame mfn for domain `to` is written, or cleared by flags 0. */
struct grant_entry_v1 *grant_own_table(void);
void grant_offer(struct grant_entry_v1 *table, u32 ref, u64 mfn, u32 to, u16 flags);
/* The first frame of a peer's table, or of its status words, mapped for us; NULL when it cannot be had. Unmap with foreign_unmap(). */
void *grant_table_of(struct peer *p);
void *grant_status_of(struct peer *p);

/* Single operations of ours; they return a GNTST_*, or what the hypercall returned if that is an error. */
int grant_map(u64 va, u32 dom, u32 ref, u32 flags, u32 *handle);
int grant_unmap(u64 va, u32 handle);
/* The same by the peer. */
int peer_grant_map(struct peer *p, u64 va, u32 dom, u32 ref, u32 flags, u32 *handle);
int peer_grant_unmap(struct peer *p, u64 va, u32 handle);
long peer_set_version(struct peer *p, u32 version);

/* One end of a copy: a reference of a domain, or (ref false) a frame of ours. */
struct copy_end {
	bool ref;
	u32 dom;
	u64 id;
	u16 offset;
};
int grant_copy(struct copy_end from, struct copy_end to, u16 len);

#endif
