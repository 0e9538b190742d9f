/* SPDX-License-Identifier: MIT */
/* Grant tables of two domains. */
#include "lib/grant.h"
#include "lib/test.h"

#include <xen/memory.h>

#define OWN_VA (SCRATCH_VA + (3ul << 40))

struct grant_entry_v1 *grant_own_table(void)
{
	static bool done;
	static u64 frame;
	struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 1 };

	if (done)
		return (void *)OWN_VA;
	set_xen_guest_handle(s.frame_list, &frame);
	if (HCALL(grant_table_op, GNTTABOP_setup_table, &s, 1) || s.status || map_new(OWN_VA, MAKE_PTE(frame, PTE_RW))) {
		print("no grant table: %d\n", s.status);
		test_die();
	}
	done = true;
	return (void *)OWN_VA;
}

void grant_offer(struct grant_entry_v1 *table, u32 ref, u64 mfn, u32 to, u16 flags)
{
	table[ref].frame = (u32)mfn;
	table[ref].domid = (domid_t)to;
	barrier();
	WRITE_ONCE(table[ref].flags, flags);
}

static void *resource(struct peer *p, u32 id)
{
	struct xen_mem_acquire_resource r = {
		.domid = (domid_t)peer_id(p), .type = XENMEM_resource_grant_table, .id = id, .nr_frames = 1,
	};
	static xen_pfn_t frame;

	set_xen_guest_handle(r.frame_list, &frame);
	if (HCALL(memory_op, XENMEM_acquire_resource, &r))
		return NULL;
	return foreign_map(peer_id(p), frame, true);
}

void *grant_table_of(struct peer *p)
{
	return resource(p, XENMEM_resource_grant_table_id_shared);
}

void *grant_status_of(struct peer *p)
{
	return resource(p, XENMEM_resource_grant_table_id_status);
}

int grant_map(u64 va, u32 dom, u32 ref, u32 flags, u32 *handle)
{
	struct gnttab_map_grant_ref m = { .host_addr = va, .flags = flags, .ref = ref, .dom = (domid_t)dom, .status = 1 };
	long rc = HCALL(grant_table_op, GNTTABOP_map_grant_ref, &m, 1);

	*handle = m.handle;
	return rc ? (int)rc : m.status;
}

int grant_unmap(u64 va, u32 handle)
{
	struct gnttab_unmap_grant_ref u = { .host_addr = va, .handle = handle, .status = 1 };
	long rc = HCALL(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1);

	return rc ? (int)rc : u.status;
}

int peer_grant_map(struct peer *p, u64 va, u32 dom, u32 ref, u32 flags, u32 *handle)
{
	struct gnttab_map_grant_ref m = { .host_addr = va, .flags = flags, .ref = ref, .dom = (domid_t)dom, .status = 1 };
	long rc = PEER_OP(p, grant_table_op, GNTTABOP_map_grant_ref, &m);

	*handle = m.handle;
	return rc ? (int)rc : m.status;
}

int peer_grant_unmap(struct peer *p, u64 va, u32 handle)
{
	struct gnttab_unmap_grant_ref u = { .host_addr = va, .handle = handle, .status = 1 };
	long rc = PEER_OP(p, grant_table_op, GNTTABOP_unmap_grant_ref, &u);

	return rc ? (int)rc : u.status;
}

long peer_set_version(struct peer *p, u32 version)
{
	struct gnttab_set_version v = { .version = version };

	return PEER_OP(p, grant_table_op, GNTTABOP_set_version, &v);
}

int grant_copy(struct copy_end from, struct copy_end to, u16 len)
{
	struct gnttab_copy c = { .len = len, .status = 1 };
	long rc;

	c.flags = (u16)((from.ref ? GNTCOPY_source_gref : 0) | (to.ref ? GNTCOPY_dest_gref : 0));
	c.source.domid = (domid_t)from.dom;
	c.dest.domid = (domid_t)to.dom;
	c.source.offset = from.offset;
	c.dest.offset = to.offset;
	if (from.ref)
		c.source.u.ref = (u32)from.id;
	else
		c.source.u.gmfn = from.id;
	if (to.ref)
		c.dest.u.ref = (u32)to.id;
	else
		c.dest.u.gmfn = to.id;
	rc = HCALL(grant_table_op, GNTTABOP_copy, &c, 1);
	return rc ? (int)rc : c.status;
}
