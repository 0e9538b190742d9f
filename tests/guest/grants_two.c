/* SPDX-License-Identifier: MIT */
/* Grants between domains: mapping, pin counts, copying, transfer, versions; and what is refused. */
#include "lib/audit.h"
#include "lib/grant.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/memory.h>

#define IN_USE (GTF_reading | GTF_writing)

static struct peer p, q;
static struct grant_entry_v1 *own, *theirs;
static u64 page_va, page_mfn;		/* a page of the peer's */

static void start(void)
{
	if (theirs)
		return;
	own = grant_own_table();
	CHECK_EQ(peer_start(&p, 2), 0);
	CHECK_EQ(peer_start(&q, 1), 0);
	theirs = grant_table_of(&p);
	if (!theirs) {
		print("no view of the peer's table\n");
		test_die();
	}
	page_va = peer_alloc(&p, 0);
	page_mfn = peer_mfn(&p, page_va);
	for (unsigned i = 0; i < 8; i++) {
		CHECK_EQ(map_new(SCRATCH_VA + i * PAGE_SIZE, 0), 0);
		CHECK_EQ(peer_map(&p, SCRATCH_VA + i * PAGE_SIZE, 0), 0);
		CHECK_EQ(peer_map(&q, SCRATCH_VA + i * PAGE_SIZE, 0), 0);
	}
}

static u64 va(unsigned i)
{
	return SCRATCH_VA + i * PAGE_SIZE;
}

static u16 use_of(u32 ref)
{
	return READ_ONCE(theirs[ref].flags) & IN_USE;
}

TEST(we_map_theirs)
{
	u32 h;

	start();
	CHECK_EQ(peer_write(&p, page_va, 0xabc), VEC_NONE);
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	REQUIRE_EQ(grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
	CHECK_EQ(READ_ONCE(*(u64 *)va(0)), 0xabc);
	WRITE_ONCE(*(u64 *)va(0), 0xdef);
	CHECK_EQ(peer_read(&p, page_va), 0xdef);
	CHECK_EQ(use_of(FIRST_REF), IN_USE);
	CHECK_EQ(grant_unmap(va(0), h), GNTST_okay);
	CHECK_EQ(use_of(FIRST_REF), 0);
	CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)va(0)));
}

TEST(they_map_ours)
{
	u64 *page = page_alloc();
	u32 h;

	start();
	page[0] = 0x77;
	grant_offer(own, FIRST_REF, virt_to_mfn(page), peer_id(&p), GTF_permit_access);
	REQUIRE_EQ(peer_grant_map(&p, va(0), 0, FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
	CHECK_EQ(peer_read(&p, va(0)), 0x77);
	CHECK_EQ(peer_write(&p, va(0), 0x78), VEC_NONE);
	CHECK_EQ(page[0], 0x78);
	/* Mapped writable by another: no page table. */
	page[0] = 0;
	CHECK_EQ(page_protect(page, false), 0);
	CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_EQ(peer_grant_unmap(&p, va(0), h), GNTST_okay);
	CHECK_EQ(peer_write(&p, va(0), 1), VEC_PF);
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0);
	/* A page table is not granted writable. */
	CHECK_NE(peer_grant_map(&p, va(0), 0, FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_EQ(page_protect(page, true), 0);
	own[FIRST_REF].flags = 0;
	page_free(page);
}

TEST(pin_counts)
{
	/* Two read-only and two writable mappings of one reference, unmapped in every order. */
	static const u32 flags[4] = { GNTMAP_readonly, 0, GNTMAP_readonly, 0 };

	start();
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	for (unsigned order = 0; order < 24; order++) {
		unsigned left = 4, mapped[4] = { 0, 1, 2, 3 }, choice = order;
		u32 h[4];

		for (unsigned i = 0; i < 4; i++)
			REQUIRE_EQ(grant_map(va(i), peer_id(&p), FIRST_REF, GNTMAP_host_map | flags[i], &h[i]), GNTST_okay);
		while (left) {
			unsigned k = choice % left, i = mapped[k];
			u16 wanted = 0;

			choice /= left;
			mapped[k] = mapped[--left];
			CHECK_EQ(grant_unmap(va(i), h[i]), GNTST_okay);
			for (k = 0; k < left; k++)
				wanted |= flags[mapped[k]] ? GTF_reading : IN_USE;
			if (use_of(FIRST_REF) != wanted)
				test_fail(__FILE__, __LINE__, "order %u, %u left: %x, not %x", order, left, use_of(FIRST_REF), wanted);
		}
	}
	CHECK_LT(audit(), 1);
}

TEST(wrong_handles)
{
	u32 a, b;

	start();
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	grant_offer(theirs, FIRST_REF + 1, peer_mfn(&p, peer_alloc(&p, 0)), 0, GTF_permit_access);
	REQUIRE_EQ(grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &a), GNTST_okay);
	REQUIRE_EQ(grant_map(va(1), peer_id(&p), FIRST_REF + 1, GNTMAP_host_map, &b), GNTST_okay);
	/* The other's handle, handles that do not exist, addresses that map something else or nothing. */
	CHECK_LT(grant_unmap(va(0), b), 0);
	CHECK_LT(grant_unmap(va(1), a), 0);
	CHECK_LT(grant_unmap(va(2), a), 0);
	CHECK_LT(grant_unmap((u64)own, a), 0);
	CHECK_LT(grant_unmap(NONCANONICAL, a), 0);
	CHECK_LT(grant_unmap(XEN_VA_INSIDE, a), 0);
	CHECK_EQ(grant_unmap(va(0), ~0u), GNTST_bad_handle);
	CHECK_EQ(grant_unmap(va(0), 0x7fffffff), GNTST_bad_handle);
	CHECK_EQ(grant_unmap(va(0), a + b + 1000), GNTST_bad_handle);
	/* A handle belongs to a domain. */
	CHECK_LT(peer_grant_unmap(&p, va(0), a), 0);
	CHECK_LT(peer_grant_unmap(&q, va(0), a), 0);
	CHECK_EQ(use_of(FIRST_REF), IN_USE);
	CHECK_EQ(use_of(FIRST_REF + 1), IN_USE);
	CHECK_EQ(READ_ONCE(*(u64 *)va(1)), 0);
	CHECK_EQ(grant_unmap(va(0), a), GNTST_okay);
	CHECK_EQ(grant_unmap(va(0), a), GNTST_bad_handle);
	CHECK_EQ(grant_unmap(va(1), b), GNTST_okay);
	CHECK_EQ(use_of(FIRST_REF) | use_of(FIRST_REF + 1), 0);
}

TEST(not_for_everyone)
{
	/* For Domain 0 only, for q only; nobody's; by a domain's own id. */
	u32 h;

	start();
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	CHECK_LT(peer_grant_map(&q, va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), 0);
	grant_offer(theirs, FIRST_REF, page_mfn, peer_id(&q), GTF_permit_access);
	CHECK_LT(grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), 0);
	REQUIRE_EQ(peer_grant_map(&q, va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
	/* While q has it pinned, the entry is rewritten for us: not ours yet. */
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	{
		u32 h2;
		int rc = grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &h2);

		CHECK_LT(rc, 0);
	}
	CHECK_EQ(peer_grant_unmap(&q, va(0), h), GNTST_okay);
	CHECK_LT(grant_map(va(0), 4321, FIRST_REF, GNTMAP_host_map, &h), 0);
	CHECK_LT(grant_map(va(0), DOMID_XEN, FIRST_REF, GNTMAP_host_map, &h), 0);
	CHECK_LT(grant_map(va(0), DOMID_IO, FIRST_REF, GNTMAP_host_map, &h), 0);
	theirs[FIRST_REF].flags = 0;
}

TEST(frames_that_are_not_theirs)
{
	u64 *table = table_alloc();
	u64 frames[] = {
		virt_to_mfn(table), q.dom.p2m[q.dom.l4_pfn], 0xfee00, 0xb8, 0x12345678, p.dom.shared_mfn + (1ul << 31),
	};
	u32 h;

	start();
	for (unsigned i = 0; i < ARRAY_SIZE(frames); i++) {
		grant_offer(theirs, FIRST_REF, frames[i], 0, GTF_permit_access);
		CHECK_LT(grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), 0);
		CHECK_LT(grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map | GNTMAP_readonly, &h), 0);
		CHECK_EQ(use_of(FIRST_REF), 0);
	}
	/* Its own page tables: to read at most. */
	grant_offer(theirs, FIRST_REF, p.dom.p2m[p.dom.l4_pfn], 0, GTF_permit_access);
	CHECK_LT(grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), 0);
	if (grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map | GNTMAP_readonly, &h) == GNTST_okay)
		CHECK_EQ(grant_unmap(va(0), h), GNTST_okay);
	theirs[FIRST_REF].flags = 0;
	table_free(table);
}

TEST(read_only_stays_read_only)
{
	/* The peer has our page to read, and tries to make more of it. */
	u64 *page = page_alloc(), mfn = virt_to_mfn(page);
	u32 h, h2;

	start();
	grant_offer(own, FIRST_REF, mfn, peer_id(&p), GTF_permit_access | GTF_readonly);
	CHECK_LT(peer_grant_map(&p, va(0), 0, FIRST_REF, GNTMAP_host_map, &h), 0);
	REQUIRE_EQ(peer_grant_map(&p, va(0), 0, FIRST_REF, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_okay);
	CHECK_LT(peer_grant_map(&p, va(1), 0, FIRST_REF, GNTMAP_host_map, &h2), 0);
	CHECK_LT(PEER_CALL(&p, update_va_mapping, va(0), MAKE_PTE(mfn, PTE_RW), UVMF_INVLPG), 0);
	CHECK_LT(PEER_CALL(&p, update_va_mapping, va(1), MAKE_PTE(mfn, PTE_RW), UVMF_INVLPG), 0);
	CHECK_LT(PEER_CALL(&p, update_va_mapping, va(1), MAKE_PTE(mfn, PTE_RO), UVMF_INVLPG), 0);
	CHECK_EQ(peer_write(&p, va(0), 1), VEC_PF);
	CHECK_EQ(page[0], 0);
	/* Nor does it give it on. */
	grant_offer(theirs, FIRST_REF, mfn, 0, GTF_permit_access | GTF_readonly);
	CHECK_LT(grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map | GNTMAP_readonly, &h2), 0);
	theirs[FIRST_REF].flags = 0;
	CHECK_EQ(peer_grant_unmap(&p, va(0), h), GNTST_okay);
	own[FIRST_REF].flags = 0;
	page_free(page);
}

TEST(unmapped_behind_the_back)
{
	/* The entry is overwritten by an ordinary update: the frame stays until the handle is given back, which needs no address. */
	u32 h;

	start();
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	REQUIRE_EQ(grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
	CHECK_EQ(map_va(va(0), 0), 0);
	CHECK_EQ(use_of(FIRST_REF), IN_USE);
	CHECK_LT(grant_unmap(va(0), h), 0);
	/* With the mapping put back it goes. */
	CHECK_EQ(mmu_update_foreign(virt_to_maddr(pt_walk(va(0), 1)), MAKE_PTE(page_mfn, PTE_RW), peer_id(&p)), 0);
	CHECK_EQ(grant_unmap(va(0), h), GNTST_okay);
	CHECK_EQ(use_of(FIRST_REF), 0);
	CHECK_LT(audit(), 1);
}

static struct copy_end reference(u32 ref, u16 offset)
{
	return (struct copy_end){ true, peer_id(&p), ref, offset };
}

static struct copy_end frame(u64 *page, u16 offset)
{
	return (struct copy_end){ false, DOMID_SELF, virt_to_mfn(page), offset };
}

TEST(copy)
{
	u64 *page = page_alloc();
	u8 *bytes = (u8 *)page, *view;

	start();
	view = foreign_map(peer_id(&p), page_mfn, true);
	REQUIRE(view != NULL);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		view[i] = (u8)(i * 7);
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	CHECK_EQ(grant_copy(reference(FIRST_REF, 100), frame(page, 200), 300), GNTST_okay);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		if (bytes[i] != (i >= 200 && i < 500 ? (u8)((i - 100) * 7) : 0)) {
			test_fail(__FILE__, __LINE__, "byte %u is %x", i, bytes[i]);
			break;
		}
	bytes[4095] = 0x5a;
	CHECK_EQ(grant_copy(frame(page, 4095), reference(FIRST_REF, 4095), 1), GNTST_okay);
	CHECK_EQ(view[4095], 0x5a);
	CHECK_EQ(view[4094], (u8)(4094 * 7));
	CHECK_EQ(grant_copy(frame(page, 0), reference(FIRST_REF, 0), PAGE_SIZE), GNTST_okay);
	CHECK(!memcmp(view, page, PAGE_SIZE));
	CHECK_EQ(use_of(FIRST_REF), 0);
	/* Over the end of either page, however the sum wraps. */
	CHECK_LT(grant_copy(reference(FIRST_REF, 1), frame(page, 0), PAGE_SIZE), 0);
	CHECK_LT(grant_copy(reference(FIRST_REF, 0), frame(page, 1), PAGE_SIZE), 0);
	CHECK_LT(grant_copy(reference(FIRST_REF, 4095), frame(page, 0), 2), 0);
	CHECK_LT(grant_copy(reference(FIRST_REF, 0xffff), frame(page, 0), 1), 0);
	CHECK_LT(grant_copy(reference(FIRST_REF, 0xffff), frame(page, 0), 0xffff), 0);
	CHECK_LT(grant_copy(reference(FIRST_REF, 0), frame(page, 0xfff0), 0x20), 0);
	/* Not readable, not writable, not there. */
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access | GTF_readonly);
	CHECK_LT(grant_copy(frame(page, 0), reference(FIRST_REF, 0), 8), 0);
	CHECK_EQ(grant_copy(reference(FIRST_REF, 0), frame(page, 0), 8), GNTST_okay);
	theirs[FIRST_REF].flags = 0;
	CHECK_LT(grant_copy(reference(FIRST_REF, 0), frame(page, 0), 8), 0);
	CHECK_LT(grant_copy(reference(~0u, 0), frame(page, 0), 8), 0);
	CHECK_LT(grant_copy(reference(REFS_V1 * 8, 0), frame(page, 0), 8), 0);
	/* Onto a page table of ours. */
	CHECK_LT(grant_copy(reference(FIRST_REF, 0), frame(current_l4(), 0), 8), 0);
	/* Between two references, one of them ours. */
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	grant_offer(own, FIRST_REF, virt_to_mfn(page), 0, GTF_permit_access);
	page[0] = 0x1111;
	CHECK_EQ(grant_copy((struct copy_end){ true, DOMID_SELF, FIRST_REF, 0 }, reference(FIRST_REF, 8), 8), GNTST_okay);
	CHECK_EQ(peer_read(&p, page_va + 8), 0x1111);
	own[FIRST_REF].flags = theirs[FIRST_REF].flags = 0;
	foreign_unmap(view);
	page_free(page);
	CHECK_LT(audit(), 1);
}

static u64 pages_of(u32 id)
{
	struct xen_domctl op = { 0 };

	return domctl(XEN_DOMCTL_getdomaininfo, id, &op) ? 0 : op.u.getdomaininfo.tot_pages;
}

static int transfer(u64 mfn, u32 to, u32 ref)
{
	struct gnttab_transfer t = { .mfn = mfn, .domid = (domid_t)to, .ref = ref, .status = 1 };
	long rc = HCALL(grant_table_op, GNTTABOP_transfer, &t, 1);

	return rc ? (int)rc : t.status;
}

/* Gets a new frame for the page whose frame was given away. */
static void refill(u64 *page)
{
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	u64 frame_nr = virt_to_pfn(page);

	set_xen_guest_handle(r.extent_start, &frame_nr);
	CHECK_EQ(HCALL(memory_op, XENMEM_populate_physmap, &r), 1);
	set_p2m(virt_to_pfn(page), frame_nr);
	CHECK_EQ(map_va((u64)page, MAKE_PTE(frame_nr, PTE_RW)), 0);
}

/* A transfer of an unmapped page that must fail. By the ABI the page is lost, unless the error is GNTST_bad_page; we fetch another. */
static void refuse_transfer(u64 *page, u32 to, u32 ref)
{
	u64 mfn = virt_to_mfn(page), pages = pages_of(0);
	int rc;

	CHECK_EQ(map_va((u64)page, 0), 0);
	rc = transfer(mfn, to, ref);
	CHECK_LT(rc, 0);
	if (rc == GNTST_bad_page) {
		CHECK_EQ(pages_of(0), pages);
		CHECK_EQ(map_va((u64)page, MAKE_PTE(mfn, PTE_RW)), 0);
		return;
	}
	CHECK_EQ(pages_of(0), pages - 1);
	CHECK_LT(map_va((u64)page, MAKE_PTE(mfn, PTE_RW)), 0);
	refill(page);
}

TEST(transfer_refused)
{
	u64 *page = page_alloc();
	u64 before;

	start();
	before = pages_of(peer_id(&p));
	theirs[FIRST_REF].flags = 0;
	refuse_transfer(page, peer_id(&p), FIRST_REF);	/* not ready to take it */
	refuse_transfer(page, 4321, FIRST_REF);
	refuse_transfer(page, peer_id(&p), REFS_V1 * 8);
	grant_offer(theirs, FIRST_REF, 0, peer_id(&q), GTF_accept_transfer);
	refuse_transfer(page, peer_id(&p), FIRST_REF);	/* from somebody else */
	/* Mapped here; not ours; no memory; in use otherwise. */
	grant_offer(theirs, FIRST_REF, 0, 0, GTF_accept_transfer);
	page[0] = 0xfeed;
	CHECK_LT(transfer(virt_to_mfn(page), peer_id(&p), FIRST_REF), 0);
	CHECK_LT(transfer(page_mfn, peer_id(&p), FIRST_REF), 0);
	CHECK_LT(transfer(~0ul >> 12, peer_id(&p), FIRST_REF), 0);
	CHECK_LT(transfer(virt_to_mfn(current_l4()), peer_id(&p), FIRST_REF), 0);
	CHECK_EQ(page[0], 0xfeed);
	CHECK_EQ(pages_of(peer_id(&p)), before);
	theirs[FIRST_REF].flags = 0;
	page_free(page);
	CHECK_LT(audit(), 1);
}

TEST(transfer)
{
	u64 *page = page_alloc(), mfn, ours, before;

	start();
	ours = pages_of(0);
	before = pages_of(peer_id(&p));
	page[0] = 0xfeed;
	mfn = virt_to_mfn(page);
	grant_offer(theirs, FIRST_REF, 0, 0, GTF_accept_transfer);
	CHECK_EQ(map_va((u64)page, 0), 0);
	if (CHECK_EQ(transfer(mfn, peer_id(&p), FIRST_REF), GNTST_okay)) {
		CHECK_EQ(pages_of(0), ours - 1);
		CHECK_EQ(pages_of(peer_id(&p)), before + 1);
		CHECK(theirs[FIRST_REF].flags & GTF_transfer_completed);
		CHECK_LT(map_va((u64)page, MAKE_PTE(mfn, PTE_RW)), 0);
		/* The frame may be another than ours; its content is ours. */
		CHECK_EQ(peer_map(&p, va(0), MAKE_PTE(theirs[FIRST_REF].frame, PTE_RW)), 0);
		CHECK_EQ(peer_read(&p, va(0)), 0xfeed);
		CHECK_EQ(peer_map(&p, va(0), 0), 0);
	}
	refill(page);
	refuse_transfer(page, peer_id(&p), FIRST_REF);	/* the entry is used up */
	theirs[FIRST_REF].flags = 0;
	page_free(page);
	CHECK_LT(audit(), 1);
}

TEST(transfer_leaves_no_view)
{
	/* We can read the page, take that mapping away without a flush, and give the page away: its new owner's secrets are not ours to see. */
	u64 *page = page_alloc(), mfn = virt_to_mfn(page);

	start();
	grant_offer(theirs, FIRST_REF, 0, 0, GTF_accept_transfer);
	CHECK_EQ(map_va((u64)page, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
	CHECK_EQ(map_va(va(0), MAKE_PTE(mfn, PTE_RO)), 0);
	CHECK_EQ(READ_ONCE(*(u64 *)va(0)), 0);
	CHECK_EQ(mmu_update(virt_to_maddr(pt_walk(va(0), 1)), 0), 0);
	CHECK_EQ(transfer(mfn, peer_id(&p), FIRST_REF), GNTST_okay);
	CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)va(0)));
	theirs[FIRST_REF].flags = 0;
	refill(page);
	page_free(page);
	CHECK_LT(audit(), 1);
}

TEST(transfer_beyond_the_limit)
{
	/* The receiver's limit counts. */
	struct xen_domctl op = { .u.max_mem.max_memkb = PEER_PAGES * 4 };
	struct grant_entry_v1 *table;
	u64 *page = page_alloc();

	start();
	CHECK_EQ(domctl(XEN_DOMCTL_max_mem, peer_id(&q), &op), 0);
	table = grant_table_of(&q);
	REQUIRE(table != NULL);
	grant_offer(table, FIRST_REF, 0, 0, GTF_accept_transfer);
	refuse_transfer(page, peer_id(&q), FIRST_REF);
	CHECK_EQ(pages_of(peer_id(&q)), PEER_PAGES);
	table[FIRST_REF].flags = 0;
	foreign_unmap(table);
	page_free(page);
}

TEST(version_switch)
{
	u32 h;

	start();
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	REQUIRE_EQ(grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
	/* Not while somebody has a mapping. */
	CHECK_EQ(peer_set_version(&p, 2), -XEN_EBUSY);
	CHECK_LT(peer_set_version(&p, 3), 0);
	CHECK_EQ(grant_unmap(va(0), h), GNTST_okay);
	CHECK_EQ(peer_set_version(&p, 2), 0);
	CHECK_LT(peer_set_version(&p, 0), 0);
	/* What was granted in version 1 is not granted in version 2. */
	CHECK_LT(grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), 0);
	CHECK_EQ(peer_set_version(&p, 1), 0);
}

TEST(version_two)
{
	union grant_entry_v2 *table = (void *)theirs;
	u64 *page = page_alloc();
	grant_status_t *status;
	u32 h;

	start();
	REQUIRE_EQ(peer_set_version(&p, 2), 0);
	status = grant_status_of(&p);
	REQUIRE(status != NULL);
	memset(&table[FIRST_REF], 0, 2 * sizeof(table[0]));
	table[FIRST_REF].full_page.frame = page_mfn;
	table[FIRST_REF].hdr.domid = 0;
	barrier();
	WRITE_ONCE(table[FIRST_REF].hdr.flags, GTF_permit_access);
	REQUIRE_EQ(grant_map(va(0), peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
	CHECK_EQ(READ_ONCE(status[FIRST_REF]), IN_USE);
	CHECK_EQ(peer_set_version(&p, 1), -XEN_EBUSY);
	CHECK_EQ(grant_unmap(va(0), h), GNTST_okay);
	CHECK_EQ(READ_ONCE(status[FIRST_REF]), 0);
	/* Part of a page: to copy, in its bounds; not to map. */
	CHECK_EQ(peer_write(&p, page_va + 256, 0x9876), VEC_NONE);
	table[FIRST_REF + 1].sub_page.frame = page_mfn;
	table[FIRST_REF + 1].sub_page.page_off = 256;
	table[FIRST_REF + 1].sub_page.length = 64;
	table[FIRST_REF + 1].hdr.domid = 0;
	barrier();
	WRITE_ONCE(table[FIRST_REF + 1].hdr.flags, GTF_permit_access | GTF_sub_page);
	CHECK_LT(grant_map(va(0), peer_id(&p), FIRST_REF + 1, GNTMAP_host_map | GNTMAP_readonly, &h), 0);
	CHECK_EQ(grant_copy(reference(FIRST_REF + 1, 256), frame(page, 0), 64), GNTST_okay);
	CHECK_EQ(page[0], 0x9876);
	CHECK_LT(grant_copy(reference(FIRST_REF + 1, 255), frame(page, 0), 8), 0);
	CHECK_LT(grant_copy(reference(FIRST_REF + 1, 256), frame(page, 0), 65), 0);
	CHECK_LT(grant_copy(reference(FIRST_REF + 1, 0), frame(page, 0), 8), 0);
	/* A sub-page beyond its page. */
	WRITE_ONCE(table[FIRST_REF + 1].hdr.flags, 0);
	table[FIRST_REF + 1].sub_page.page_off = 4000;
	table[FIRST_REF + 1].sub_page.length = 4000;
	barrier();
	WRITE_ONCE(table[FIRST_REF + 1].hdr.flags, GTF_permit_access | GTF_sub_page);
	CHECK_LT(grant_copy(reference(FIRST_REF + 1, 4090), frame(page, 0), 8), 0);
	memset(&table[FIRST_REF], 0, 2 * sizeof(table[0]));
	foreign_unmap(status);
	CHECK_EQ(peer_set_version(&p, 1), 0);
	page_free(page);
	CHECK_LT(audit(), 1);
}

TEST(swap_references)
{
	struct gnttab_swap_grant_ref s = { .ref_a = FIRST_REF, .ref_b = FIRST_REF + 1, .status = 1 };
	u32 h;

	start();
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	grant_offer(theirs, FIRST_REF + 1, page_mfn + 1, 0, GTF_permit_access | GTF_readonly);
	CHECK_EQ(PEER_OP(&p, grant_table_op, GNTTABOP_swap_grant_ref, &s), 0);
	CHECK_EQ(s.status, GNTST_okay);
	CHECK_EQ(theirs[FIRST_REF + 1].frame, page_mfn);
	/* Not one in use. */
	REQUIRE_EQ(grant_map(va(0), peer_id(&p), FIRST_REF + 1, GNTMAP_host_map, &h), GNTST_okay);
	s.status = 1;
	CHECK_EQ(PEER_OP(&p, grant_table_op, GNTTABOP_swap_grant_ref, &s), 0);
	CHECK_LT(s.status, 0);
	CHECK_EQ(grant_unmap(va(0), h), GNTST_okay);
	theirs[FIRST_REF].flags = theirs[FIRST_REF + 1].flags = 0;
}

/* Pages that go with the domain and do not keep it: its shared_info, a frame of its grant table. A mapping would outlive the granter. */
TEST(pages_of_the_hypervisor)
{
	u64 frames[2];
	u32 h[4], n = 0;

	start();
	frames[0] = p.dom.shared_mfn;
	frames[1] = pte_mfn(*pt_walk((u64)theirs, 1));
	for (unsigned i = 0; i < ARRAY_SIZE(frames); i++) {
		grant_offer(theirs, FIRST_REF, frames[i], 0, GTF_permit_access);
		for (u32 flags = 0; flags <= GNTMAP_readonly; flags += GNTMAP_readonly)
			if (grant_map(va(n), peer_id(&p), FIRST_REF, GNTMAP_host_map | flags, &h[n]) == GNTST_okay)
				n++;
		CHECK(n || use_of(FIRST_REF) == 0);
	}
	if (is_lodge())
		CHECK_EQ(n, 0);
	/* Whoever has one may give it back when the granter is gone. */
	foreign_unmap(theirs);
	CHECK_EQ(peer_destroy(&p), 0);
	while (n--)
		CHECK_EQ(grant_unmap(va(n), h[n]), GNTST_okay);
	CHECK_LT(audit(), 1);
}

TEST(end)
{
	CHECK_EQ(peer_destroy(&q), 0);
}
