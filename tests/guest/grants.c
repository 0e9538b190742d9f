/* SPDX-License-Identifier: MIT */
/* Grant tables with ourselves as the peer: set-up, versions, map, unmap, copy, transfer, and misuse. */
#include "lib/test.h"

#include <xen/grant_table.h>
#include <xen/memory.h>

#define GRANT_VA (SCRATCH_VA + (1ul << 30))
#define FIRST_REF GNTTAB_NR_RESERVED_ENTRIES

static struct grant_entry_v1 *v1 = (void *)GRANT_VA;
static union grant_entry_v2 *v2 = (void *)GRANT_VA;
static u64 frames[8];

static int setup_table(u32 n)
{
	struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = n };

	set_xen_guest_handle(s.frame_list, frames);
	if (HCALL(grant_table_op, GNTTABOP_setup_table, &s, 1))
		return -100;
	return s.status;
}

static long set_version(u32 version)
{
	struct gnttab_set_version v = { .version = version };

	return HCALL(grant_table_op, GNTTABOP_set_version, &v, 1);
}

static u32 get_version(void)
{
	struct gnttab_get_version v = { .dom = DOMID_SELF };

	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_get_version, &v, 1), 0);
	return v.version;
}

static void ready(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	CHECK_EQ(setup_table(1), GNTST_okay);
	CHECK_EQ(map_new(GRANT_VA, MAKE_PTE(frames[0], PTE_RW)), 0);
	CHECK_EQ(map_new(SCRATCH_VA, 0), 0);
	memset(v1 + FIRST_REF, 0, PAGE_SIZE - FIRST_REF * sizeof(*v1));
}

static void offer(u32 ref, u64 *page, bool readonly)
{
	v1[ref].frame = (u32)virt_to_mfn(page);
	v1[ref].domid = (domid_t)own_id();
	barrier();
	WRITE_ONCE(v1[ref].flags, GTF_permit_access | (readonly ? GTF_readonly : 0));
}

static struct gnttab_map_grant_ref map_ref(u64 va, u32 ref, u32 flags)
{
	struct gnttab_map_grant_ref m = { .host_addr = va, .flags = flags, .ref = ref, .dom = DOMID_SELF, .status = 1 };

	/* DOMID_SELF names us here too, but the number is what a backend uses. */
	m.dom = (domid_t)own_id();
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	return m;
}

static int unmap(u64 va, u64 dev, u32 handle)
{
	struct gnttab_unmap_grant_ref u = { .host_addr = va, .dev_bus_addr = dev, .handle = handle, .status = 1 };

	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
	return u.status;
}

TEST(query_size)
{
	struct gnttab_query_size q = { .dom = DOMID_SELF, .status = 1 };

	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_query_size, &q, 1), 0);
	CHECK_EQ(q.status, GNTST_okay);
	/* Xen starts with one frame; none until the table is set up is as good. */
	CHECK_LT(q.nr_frames, 2);
	CHECK_GE(q.max_nr_frames, 4);
	q.dom = 4321;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_query_size, &q, 1), 0);
	CHECK_EQ(q.status, GNTST_bad_domain);
}

TEST(setup_table)
{
	struct gnttab_query_size q = { .dom = DOMID_SELF };
	struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 1 };

	ready();
	CHECK_NE(frames[0], 0);
	CHECK_EQ(setup_table(4), GNTST_okay);
	CHECK_NE(frames[3], 0);
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_query_size, &q, 1), 0);
	CHECK_GE(q.nr_frames, 4);
	/* Too many. */
	set_xen_guest_handle(s.frame_list, frames);
	s.nr_frames = q.max_nr_frames + 1;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_setup_table, &s, 1), 0);
	CHECK_LT(s.status, 0);
	s.nr_frames = ~0u;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_setup_table, &s, 1), 0);
	CHECK_LT(s.status, 0);
	s.nr_frames = 1;
	s.dom = 4321;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_setup_table, &s, 1), 0);
	CHECK_LT(s.status, 0);
	/* A frame list in the hypervisor. */
	s.dom = DOMID_SELF;
	set_xen_guest_handle(s.frame_list, (u64 *)XEN_VA_M2P);
	CHECK(HCALL(grant_table_op, GNTTABOP_setup_table, &s, 1) < 0 || s.status < 0);
	/* The table is the hypervisor's page; the guest maps it and cannot make anything else of it. */
	CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE, frames[0], 0), 0);
	CHECK_LT(mmu_update(frames[0] << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 1), 1);
}

TEST(map_read_write)
{
	u64 *page = page_alloc();
	struct gnttab_map_grant_ref m;

	ready();
	page[0] = 0x99;
	offer(FIRST_REF, page, false);
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map);
	REQUIRE_EQ(m.status, GNTST_okay);
	CHECK_EQ(READ_ONCE(*(u64 *)SCRATCH_VA), 0x99);
	WRITE_ONCE(*(u64 *)SCRATCH_VA, 0x98);
	CHECK_EQ(page[0], 0x98);
	CHECK_EQ(READ_ONCE(v1[FIRST_REF].flags) & (GTF_reading | GTF_writing), GTF_reading | GTF_writing);
	/* In use: the guest must not see the bits go before it is unmapped. */
	CHECK_EQ(unmap(SCRATCH_VA, 0, m.handle), GNTST_okay);
	CHECK_EQ(READ_ONCE(v1[FIRST_REF].flags) & (GTF_reading | GTF_writing), 0);
	CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)SCRATCH_VA));
	v1[FIRST_REF].flags = 0;
	page_free(page);
}

TEST(map_read_only)
{
	u64 *page = page_alloc();
	struct gnttab_map_grant_ref m;

	ready();
	offer(FIRST_REF, page, true);
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map);
	CHECK_LT(m.status, 0);
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map | GNTMAP_readonly);
	REQUIRE_EQ(m.status, GNTST_okay);
	CHECK_EQ(READ_ONCE(*(u64 *)SCRATCH_VA), 0);
	CHECK_TRAP(VEC_PF, WRITE_ONCE(*(u64 *)SCRATCH_VA, 1));
	CHECK_EQ(READ_ONCE(v1[FIRST_REF].flags) & (GTF_reading | GTF_writing), GTF_reading);
	CHECK_EQ(unmap(SCRATCH_VA, 0, m.handle), GNTST_okay);
	v1[FIRST_REF].flags = 0;
	page_free(page);
}

TEST(map_twice)
{
	/* The same reference read-only and read-write, in both orders of unmapping: pins are counted. */
	u64 *page = page_alloc();

	ready();
	CHECK_EQ(map_new(SCRATCH_VA + PAGE_SIZE, 0), 0);
	for (unsigned order = 0; order < 2; order++) {
		struct gnttab_map_grant_ref a, b;
		u64 va[2] = { SCRATCH_VA, SCRATCH_VA + PAGE_SIZE };

		offer(FIRST_REF, page, false);
		a = map_ref(va[0], FIRST_REF, GNTMAP_host_map | GNTMAP_readonly);
		b = map_ref(va[1], FIRST_REF, GNTMAP_host_map);
		REQUIRE(a.status == GNTST_okay && b.status == GNTST_okay);
		CHECK_NE(a.handle, b.handle);
		CHECK_EQ(unmap(order ? va[0] : va[1], 0, order ? a.handle : b.handle), GNTST_okay);
		CHECK(READ_ONCE(v1[FIRST_REF].flags) & GTF_reading);
		CHECK_EQ(!!(READ_ONCE(v1[FIRST_REF].flags) & GTF_writing), order);
		CHECK_EQ(unmap(order ? va[1] : va[0], 0, order ? b.handle : a.handle), GNTST_okay);
		CHECK_EQ(READ_ONCE(v1[FIRST_REF].flags) & (GTF_reading | GTF_writing), 0);
		v1[FIRST_REF].flags = 0;
	}
	page_free(page);
}

TEST(map_into_entry)
{
	/* GNTMAP_contains_pte: the address is that of the entry. */
	u64 *page = page_alloc(), entry = 0;
	struct gnttab_map_grant_ref m;

	ready();
	entry = virt_to_maddr(pt_walk(SCRATCH_VA, 1));
	page[0] = 0x55;
	offer(FIRST_REF, page, false);
	m = map_ref(entry, FIRST_REF, GNTMAP_host_map | GNTMAP_contains_pte);
	REQUIRE_EQ(m.status, GNTST_okay);
	CHECK_EQ(READ_ONCE(*(u64 *)SCRATCH_VA), 0x55);
	CHECK_LT(unmap(entry + 8, 0, m.handle), 0);
	CHECK_EQ(unmap(entry, 0, m.handle), GNTST_okay);
	/* Entries of higher levels, misaligned ones, and memory that is no table. */
	m = map_ref(virt_to_maddr(pt_walk(SCRATCH_VA, 2)), FIRST_REF, GNTMAP_host_map | GNTMAP_contains_pte);
	CHECK_LT(m.status, 0);
	m = map_ref(virt_to_maddr(pt_walk(SCRATCH_VA, 4)), FIRST_REF, GNTMAP_host_map | GNTMAP_contains_pte);
	CHECK_LT(m.status, 0);
	m = map_ref(entry + 4, FIRST_REF, GNTMAP_host_map | GNTMAP_contains_pte);
	CHECK_LT(m.status, 0);
	m = map_ref(virt_to_maddr(page), FIRST_REF, GNTMAP_host_map | GNTMAP_contains_pte);
	CHECK_LT(m.status, 0);
	m = map_ref(0x100000, FIRST_REF, GNTMAP_host_map | GNTMAP_contains_pte);
	CHECK_LT(m.status, 0);
	CHECK_EQ(READ_ONCE(v1[FIRST_REF].flags) & (GTF_reading | GTF_writing), 0);
	v1[FIRST_REF].flags = 0;
	page_free(page);
}

TEST(map_refused)
{
	u64 *page = page_alloc(), *table = table_alloc();
	struct gnttab_map_grant_ref m;

	ready();
	/* Nothing offered; beyond the table; offered to another. */
	v1[FIRST_REF].flags = 0;
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map);
	CHECK_LT(m.status, 0);
	m = map_ref(SCRATCH_VA, 0xffffffff, GNTMAP_host_map);
	CHECK_EQ(m.status, GNTST_bad_gntref);
	m = map_ref(SCRATCH_VA, 1u << 20, GNTMAP_host_map);
	CHECK_EQ(m.status, GNTST_bad_gntref);
	offer(FIRST_REF, page, false);
	v1[FIRST_REF].domid = (domid_t)own_id() + 1000;
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map);
	CHECK_LT(m.status, 0);
	v1[FIRST_REF].domid = (domid_t)own_id();
	/* No such domain, no kind of mapping, an address of the hypervisor's or of nobody. */
	m = (struct gnttab_map_grant_ref){ .host_addr = SCRATCH_VA, .flags = GNTMAP_host_map, .ref = FIRST_REF, .dom = 4321 };
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	CHECK_EQ(m.status, GNTST_bad_domain);
	m = map_ref(SCRATCH_VA, FIRST_REF, 0);
	CHECK_LT(m.status, 0);
	m = map_ref(XEN_VA_INSIDE, FIRST_REF, GNTMAP_host_map);
	CHECK_LT(m.status, 0);
	m = map_ref(XEN_VA_M2P, FIRST_REF, GNTMAP_host_map);
	CHECK_LT(m.status, 0);
	m = map_ref(NONCANONICAL, FIRST_REF, GNTMAP_host_map);
	CHECK_LT(m.status, 0);
	m = map_ref(SCRATCH_VA + (2ul << 39), FIRST_REF, GNTMAP_host_map);
	CHECK_LT(m.status, 0);
	CHECK_EQ(READ_ONCE(v1[FIRST_REF].flags) & (GTF_reading | GTF_writing), 0);
	/* The frame offered is a page table (writable: no), or nobody's. */
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(table), 0), 0);
	offer(FIRST_REF, table, false);
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map);
	CHECK_LT(m.status, 0);
	v1[FIRST_REF].flags = 0;
	v1[FIRST_REF].frame = 0x100;
	v1[FIRST_REF].flags = GTF_permit_access;
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map);
	CHECK_LT(m.status, 0);
	v1[FIRST_REF].flags = 0;
	v1[FIRST_REF].frame = ~0u;
	v1[FIRST_REF].flags = GTF_permit_access;
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map);
	CHECK_LT(m.status, 0);
	v1[FIRST_REF].flags = 0;
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table), 0), 0);
	table_free(table);
	page_free(page);
}

TEST(unmap_refused)
{
	u64 *page = page_alloc();
	struct gnttab_map_grant_ref m;

	ready();
	offer(FIRST_REF, page, false);
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map);
	REQUIRE_EQ(m.status, GNTST_okay);
	CHECK_EQ(unmap(SCRATCH_VA, 0, m.handle + 1), GNTST_bad_handle);
	CHECK_EQ(unmap(SCRATCH_VA, 0, ~0u), GNTST_bad_handle);
	CHECK_EQ(unmap(SCRATCH_VA, 0, 1u << 24), GNTST_bad_handle);
	CHECK_LT(unmap(SCRATCH_VA + PAGE_SIZE, 0, m.handle), 0);
	CHECK_LT(unmap(VIRT_BASE, 0, m.handle), 0);
	CHECK_LT(unmap(XEN_VA_INSIDE, 0, m.handle), 0);
	/* All that has left the mapping as it was. */
	CHECK_TRAP(VEC_NONE, READ_ONCE(*(u64 *)SCRATCH_VA));
	CHECK_EQ(unmap(SCRATCH_VA, 0, m.handle), GNTST_okay);
	CHECK_EQ(unmap(SCRATCH_VA, 0, m.handle), GNTST_bad_handle);
	v1[FIRST_REF].flags = 0;
	page_free(page);
}

TEST(unmap_and_replace)
{
	u64 *page = page_alloc(), *other = page_alloc(), *hole = page_alloc();
	struct gnttab_map_grant_ref m;
	struct gnttab_unmap_and_replace r = { .host_addr = SCRATCH_VA, .new_addr = (u64)hole };

	ready();
	other[0] = 0x31;
	offer(FIRST_REF, page, false);
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map);
	REQUIRE_EQ(m.status, GNTST_okay);
	/* The mapping of the new address moves here, leaving a hole there. */
	hole[0] = 0x32;
	r.handle = m.handle + 1;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_unmap_and_replace, &r, 1), 0);
	CHECK_LT(r.status, 0);
	r.handle = m.handle;
	r.new_addr = XEN_VA_M2P;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_unmap_and_replace, &r, 1), 0);
	CHECK_LT(r.status, 0);
	r.new_addr = (u64)hole;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_unmap_and_replace, &r, 1), 0);
	if (r.status == GNTST_okay) {
		CHECK_EQ(READ_ONCE(*(u64 *)SCRATCH_VA), 0x32);
		CHECK_TRAP(VEC_PF, READ_ONCE(hole[0]));
		CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
		CHECK_EQ(map_va((u64)hole, MAKE_PTE(virt_to_mfn(hole), PTE_RW)), 0);
	} else {
		unmap(SCRATCH_VA, 0, m.handle);
	}
	v1[FIRST_REF].flags = 0;
	page_free(page);
	page_free(other);
	page_free(hole);
}

static int copy(struct gnttab_copy *c)
{
	c->status = 1;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_copy, c, 1), 0);
	return c->status;
}

TEST(copy)
{
	u64 *from = page_alloc(), *to = page_alloc();
	struct gnttab_copy c = { .len = 100, .flags = GNTCOPY_source_gref };

	ready();
	memset(from, 0x41, PAGE_SIZE);
	offer(FIRST_REF, from, true);
	c.source.u.ref = FIRST_REF;
	c.source.domid = (domid_t)own_id();
	c.source.offset = 50;
	c.dest.u.gmfn = virt_to_mfn(to);
	c.dest.domid = DOMID_SELF;
	c.dest.offset = 3;
	CHECK_EQ(copy(&c), GNTST_okay);
	CHECK_EQ(((u8 *)to)[2], 0);
	CHECK_EQ(((u8 *)to)[3], 0x41);
	CHECK_EQ(((u8 *)to)[102], 0x41);
	CHECK_EQ(((u8 *)to)[103], 0);
	CHECK_EQ(READ_ONCE(v1[FIRST_REF].flags) & (GTF_reading | GTF_writing), 0);
	/* Into a grant: only if it may be written. */
	c = (struct gnttab_copy){ .len = 8, .flags = GNTCOPY_dest_gref };
	c.source.u.gmfn = virt_to_mfn(to);
	c.source.domid = DOMID_SELF;
	c.dest.u.ref = FIRST_REF;
	c.dest.domid = (domid_t)own_id();
	CHECK_LT(copy(&c), 0);
	v1[FIRST_REF].flags = 0;
	offer(FIRST_REF, from, false);
	CHECK_EQ(copy(&c), GNTST_okay);
	CHECK_EQ(((u8 *)from)[2], 0);
	/* Whole page, and frame to frame. */
	c = (struct gnttab_copy){ .len = PAGE_SIZE };
	c.source.u.gmfn = virt_to_mfn(from);
	c.dest.u.gmfn = virt_to_mfn(to);
	c.source.domid = c.dest.domid = DOMID_SELF;
	CHECK_EQ(copy(&c), GNTST_okay);
	CHECK_EQ(memcmp(from, to, PAGE_SIZE), 0);
	v1[FIRST_REF].flags = 0;
	page_free(from);
	page_free(to);
}

TEST(copy_refused)
{
	u64 *a = page_alloc(), *b = page_alloc();
	struct gnttab_copy c, good = { .len = 16 };

	ready();
	good.source.u.gmfn = virt_to_mfn(a);
	good.dest.u.gmfn = virt_to_mfn(b);
	good.source.domid = good.dest.domid = DOMID_SELF;
	memset(a, 0x77, PAGE_SIZE);
	/* Across the end of a page, on either side. */
	c = good;
	c.source.offset = PAGE_SIZE - 8;
	CHECK_EQ(copy(&c), GNTST_bad_copy_arg);
	c = good;
	c.dest.offset = PAGE_SIZE - 8;
	CHECK_EQ(copy(&c), GNTST_bad_copy_arg);
	c = good;
	c.len = 0xffff;
	CHECK_EQ(copy(&c), GNTST_bad_copy_arg);
	c = good;
	c.source.offset = 0xffff;
	CHECK_EQ(copy(&c), GNTST_bad_copy_arg);
	/* Frames of nobody, of the hypervisor; domains that are none. */
	c = good;
	c.dest.u.gmfn = 0x100;
	CHECK_LT(copy(&c), 0);
	c.dest.u.gmfn = ~0ul;
	CHECK_LT(copy(&c), 0);
	c = good;
	c.source.u.gmfn = ~0ul;
	CHECK_LT(copy(&c), 0);
	c = good;
	c.source.domid = 4321;
	CHECK_LT(copy(&c), 0);
	c = good;
	c.flags = GNTCOPY_source_gref;
	c.source.u.ref = ~0u;
	CHECK_LT(copy(&c), 0);
	for (unsigned i = 0; i < 512; i++)
		if (READ_ONCE(b[i])) {
			CHECK_EQ(b[i], 0);
			break;
		}
	page_free(a);
	page_free(b);
}

TEST(copy_batch)
{
	/* Each of a batch has its own status; a bad one does not stop the rest. */
	static struct gnttab_copy c[64];
	u64 *a = page_alloc(), *b = page_alloc();

	ready();
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		c[i] = (struct gnttab_copy){ .len = 8, .status = 1 };
		c[i].source.u.gmfn = i == 20 ? ~0ul : virt_to_mfn(a);
		c[i].dest.u.gmfn = virt_to_mfn(b);
		c[i].source.domid = c[i].dest.domid = DOMID_SELF;
		c[i].dest.offset = (u16)(i * 8);
	}
	a[0] = 0x1111;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_copy, c, ARRAY_SIZE(c)), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		CHECK_EQ(c[i].status == GNTST_okay, i != 20);
		CHECK_EQ(READ_ONCE(b[i]), i == 20 ? 0 : 0x1111);
	}
	page_free(a);
	page_free(b);
}

TEST(transfer)
{
	/* A page is given to ourselves: Xen refuses that, a hypervisor that allows it must keep the count. */
	u64 *page = page_alloc();
	struct gnttab_transfer t = { .mfn = virt_to_mfn(page), .domid = 0, .ref = FIRST_REF, .status = 1 };
	static const domid_t self = DOMID_SELF;

	ready();
	v1[FIRST_REF].domid = (domid_t)own_id();
	v1[FIRST_REF].frame = 9;
	v1[FIRST_REF].flags = GTF_accept_transfer;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_transfer, &t, 1), 0);
	/* It is mapped, so it cannot go. */
	CHECK_LT(t.status, 0);
	t.mfn = ~0ul;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_transfer, &t, 1), 0);
	CHECK_LT(t.status, 0);
	t.mfn = 0x100;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_transfer, &t, 1), 0);
	CHECK_LT(t.status, 0);
	t.mfn = virt_to_mfn(page);
	t.domid = 4321;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_transfer, &t, 1), 0);
	CHECK_LT(t.status, 0);
	v1[FIRST_REF].flags = 0;
	CHECK_EQ(HCALL(memory_op, XENMEM_current_reservation, &self), start_info->nr_pages);
	WRITE_ONCE(page[0], 1);
	page_free(page);
}

TEST(version_switch)
{
	u64 *page = page_alloc();
	struct gnttab_map_grant_ref m;
	long rc;

	ready();
	CHECK_EQ(get_version(), 1);
	CHECK_EQ(set_version(0), -XEN_EINVAL);
	CHECK_EQ(set_version(3), -XEN_EINVAL);
	CHECK_EQ(set_version(~0u), -XEN_EINVAL);
	rc = set_version(2);
	if (rc) {
		/* A hypervisor may be told to offer version 1 only. */
		CHECK_EQ(get_version(), 1);
		test_note("no version 2: %ld", rc);
		page_free(page);
		return;
	}
	CHECK_EQ(get_version(), 2);
	CHECK_EQ(setup_table(1), GNTST_okay);
	CHECK_EQ(map_va(GRANT_VA, MAKE_PTE(frames[0], PTE_RW)), 0);
	memset(v2 + FIRST_REF, 0, PAGE_SIZE - FIRST_REF * sizeof(*v2));
	v2[FIRST_REF].full_page.frame = virt_to_mfn(page);
	v2[FIRST_REF].hdr.domid = (domid_t)own_id();
	barrier();
	WRITE_ONCE(v2[FIRST_REF].hdr.flags, GTF_permit_access);
	page[0] = 0x22;
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map);
	CHECK_EQ(m.status, GNTST_okay);
	if (m.status == GNTST_okay) {
		CHECK_EQ(READ_ONCE(*(u64 *)SCRATCH_VA), 0x22);
		/* Not while something is mapped. */
		CHECK_EQ(set_version(1), -XEN_EBUSY);
		CHECK_EQ(unmap(SCRATCH_VA, 0, m.handle), GNTST_okay);
	}
	{
		/* Part of a page. */
		u64 *to = page_alloc();
		struct gnttab_copy c = { .len = 16, .flags = GNTCOPY_source_gref };

		v2[FIRST_REF].hdr.flags = 0;
		v2[FIRST_REF].sub_page.page_off = 64;
		v2[FIRST_REF].sub_page.length = 32;
		v2[FIRST_REF].sub_page.frame = virt_to_mfn(page);
		barrier();
		v2[FIRST_REF].hdr.flags = GTF_permit_access | GTF_sub_page;
		c.source.u.ref = FIRST_REF;
		c.source.domid = (domid_t)own_id();
		c.dest.u.gmfn = virt_to_mfn(to);
		c.dest.domid = DOMID_SELF;
		c.source.offset = 64;
		CHECK_EQ(copy(&c), GNTST_okay);
		c.source.offset = 60;
		CHECK_LT(copy(&c), 0);
		c.source.offset = 90;
		CHECK_LT(copy(&c), 0);
		page_free(to);
	}
	{
		u64 status_frames[2] = { 0 };
		struct gnttab_get_status_frames s = { .dom = DOMID_SELF, .nr_frames = 1, .status = 1 };

		set_xen_guest_handle(s.frame_list, status_frames);
		CHECK_EQ(HCALL(grant_table_op, GNTTABOP_get_status_frames, &s, 1), 0);
		CHECK_EQ(s.status, GNTST_okay);
		CHECK_NE(status_frames[0], 0);
		/* Mapped status frames keep version 2, or are kept alive: reading them stays harmless. */
		CHECK_EQ(map_va(SCRATCH_VA, MAKE_PTE(status_frames[0], PTE_RO)), 0);
		rc = set_version(1);
		CHECK(rc == 0 || rc == -XEN_EBUSY);
		CHECK_TRAP(VEC_NONE, READ_ONCE(*(u64 *)SCRATCH_VA));
		CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
		if (rc)
			CHECK_EQ(set_version(1), 0);
		s.nr_frames = ~0u;
		CHECK_EQ(HCALL(grant_table_op, GNTTABOP_get_status_frames, &s, 1), 0);
		CHECK_LT(s.status, 0);
	}
	memset(v1 + FIRST_REF, 0, PAGE_SIZE - FIRST_REF * sizeof(*v1));
	CHECK_EQ(get_version(), 1);
	page_free(page);
}

TEST(swap)
{
	struct gnttab_swap_grant_ref s = { .ref_a = FIRST_REF, .ref_b = FIRST_REF + 1, .status = 1 };

	ready();
	v1[FIRST_REF].frame = 0xaa;
	v1[FIRST_REF + 1].frame = 0xbb;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_swap_grant_ref, &s, 1), 0);
	CHECK_EQ(s.status, GNTST_okay);
	CHECK_EQ(v1[FIRST_REF].frame, 0xbb);
	CHECK_EQ(v1[FIRST_REF + 1].frame, 0xaa);
	s.ref_b = ~0u;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_swap_grant_ref, &s, 1), 0);
	CHECK_LT(s.status, 0);
	v1[FIRST_REF].frame = v1[FIRST_REF + 1].frame = 0;
}

TEST(many_mappings)
{
	/* A thousand mappings of one grant and back: handles are unique and all are returned. */
	enum { N = 1000 };
	static u32 handles[N];
	u64 *page = page_alloc(), base = SCRATCH_VA + (1ul << 31);
	unsigned n = 0;

	ready();
	offer(FIRST_REF, page, false);
	for (; n < N; n++) {
		struct gnttab_map_grant_ref m;

		if (map_new(base + n * PAGE_SIZE, 0))
			break;
		m = map_ref(base + n * PAGE_SIZE, FIRST_REF, GNTMAP_host_map);
		if (m.status) {
			/* The pin counters of one grant are small; 128 is what the structure of the original allows. */
			CHECK_GE(n, 100);
			break;
		}
		handles[n] = m.handle;
	}
	print("  %u mappings\n", n);
	while (n--)
		if (unmap(base + n * PAGE_SIZE, 0, handles[n]) != GNTST_okay) {
			CHECK_EQ(n, N);
			break;
		}
	CHECK_EQ(READ_ONCE(v1[FIRST_REF].flags) & (GTF_reading | GTF_writing), 0);
	v1[FIRST_REF].flags = 0;
	page_free(page);
}

TEST(bad_pointers)
{
	for (unsigned op = 0; op <= GNTTABOP_swap_grant_ref; op++) {
		CHECK_LT(HCALL(grant_table_op, op, XEN_VA_INSIDE, 1), 0);
		CHECK_LT(HCALL(grant_table_op, op, NONCANONICAL, 1), 0);
	}
	CHECK_LT(HCALL(grant_table_op, 77, NULL, 1), 0);
	CHECK_LT(HCALL(grant_table_op, GNTTABOP_copy, NULL, 0x80000000u), 0);
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_copy, NULL, 0), 0);
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_map_grant_ref, NULL, 0), 0);
}

TEST(mapping_removed_by_hand)
{
	/*
	 * Last of all, since it may cost the reference: the guest overwrites the mapping itself. Unmapping then works all the
	 * same, or says that the entry is not what it was and the grant stays pinned until the domain dies.
	 */
	u64 *page = page_alloc();
	struct gnttab_map_grant_ref m;

	ready();
	offer(FIRST_REF, page, false);
	m = map_ref(SCRATCH_VA, FIRST_REF, GNTMAP_host_map);
	REQUIRE_EQ(m.status, GNTST_okay);
	if (map_va(SCRATCH_VA, 0)) {
		CHECK_EQ(unmap(SCRATCH_VA, 0, m.handle), GNTST_okay);
		return;
	}
	CHECK(unmap(SCRATCH_VA, 0, m.handle) <= 0);
	CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)SCRATCH_VA));
	WRITE_ONCE(page[0], 1);
}
