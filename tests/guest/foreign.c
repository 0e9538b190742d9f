/* SPDX-License-Identifier: MIT */
/* Memory of another domain: mapping it, building its tables, taking it away, and the numbers that name no such memory. */
#include "lib/audit.h"
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/memory.h>

static struct peer p;
static struct dom d;

static void start(void)
{
	if (!p.dom.id)
		CHECK_EQ(peer_start(&p, 2), 0);
}

TEST(frames_that_cannot_be_mapped)
{
	static const u64 odd[] = {
		0x0f00000000000, 0xfffffffffffff, 1ul << 40, 1ul << 28, 0xfee00, 0xfec00, 0xb8, 0xfffff, 0x1,
	};

	start();
	for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
		CHECK_LT(foreign_map_error(peer_id(&p), odd[i], false), 0);
		CHECK_LT(foreign_map_error(peer_id(&p), odd[i], true), 0);
	}
	/* Ours under its name, its under another's and nobody's. */
	CHECK_LT(foreign_map_error(peer_id(&p), virt_to_mfn(page_alloc()), false), 0);
	CHECK_LT(foreign_map_error(peer_id(&p), virt_to_mfn(current_l4()), false), 0);
	CHECK_LT(foreign_map_error(4321, p.dom.p2m[500], false), 0);
	CHECK_LT(foreign_map_error(DOMID_IDLE, p.dom.p2m[500], false), 0);
	CHECK_LT(foreign_map_error(DOMID_INVALID, p.dom.p2m[500], false), 0);
	CHECK_EQ(foreign_map_error(peer_id(&p), p.dom.p2m[500], true), 0);
}

TEST(tables_are_not_mapped_writable)
{
	start();
	for (unsigned i = 0; i < 4; i++) {
		CHECK_LT(foreign_map_error(peer_id(&p), p.dom.p2m[p.dom.l4_pfn + i], true), 0);
		CHECK_EQ(foreign_map_error(peer_id(&p), p.dom.p2m[p.dom.l4_pfn + i], false), 0);
	}
}

TEST(mapped_writable_is_no_table)
{
	/* While we have it writable the peer cannot make a page table of it, and afterwards it can. */
	u64 va, mfn;
	void *view;
	struct mmuext_op op = { .cmd = MMUEXT_PIN_L1_TABLE };

	start();
	va = peer_alloc(&p, 0);
	mfn = peer_mfn(&p, va);
	view = foreign_map(peer_id(&p), mfn, true);
	REQUIRE(view != NULL);
	CHECK_EQ(PEER_CALL(&p, update_va_mapping, va, MAKE_PTE(mfn, PTE_RO), UVMF_INVLPG | UVMF_ALL), 0);
	op.arg1.mfn = mfn;
	memcpy(peer_box(&p, 0)->data, &op, sizeof(op));
	CHECK_LT(PEER_CALL(&p, mmuext_op, peer_data_va(&p, 0), 1, 0, DOMID_SELF), 0);
	foreign_unmap(view);
	CHECK_EQ(PEER_CALL(&p, mmuext_op, peer_data_va(&p, 0), 1, 0, DOMID_SELF), 0);
	CHECK_LT(foreign_map_error(peer_id(&p), mfn, true), 0);
	op.cmd = MMUEXT_UNPIN_TABLE;
	memcpy(peer_box(&p, 0)->data, &op, sizeof(op));
	CHECK_EQ(PEER_CALL(&p, mmuext_op, peer_data_va(&p, 0), 1, 0, DOMID_SELF), 0);
	CHECK_EQ(foreign_map_error(peer_id(&p), mfn, true), 0);
}

TEST(part_of_a_batch)
{
	/* The updates before the bad one are done and counted, those after it are not. */
	static struct mmu_update u[6];
	static u32 done;
	u64 base = SCRATCH_VA;

	start();
	CHECK_EQ(map_new(base, 0), 0);
	for (unsigned i = 0; i < 6; i++)
		u[i] = (struct mmu_update){ virt_to_maddr(pt_walk(base + i * PAGE_SIZE, 1)), MAKE_PTE(p.dom.p2m[500 + i], PTE_RW) };
	u[3].val = MAKE_PTE(virt_to_mfn(current_l4()), PTE_RW);
	CHECK_LT(HCALL(mmu_update, u, 6, &done, peer_id(&p)), 0);
	CHECK_EQ(done, 3);
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQ(!!(*pt_walk(base + i * PAGE_SIZE, 1) & PTE_P), i < 3);
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQ(map_va(base + i * PAGE_SIZE, 0), 0);
	CHECK_LT(audit(), 1);
}

TEST(given_back_while_mapped)
{
	/* The peer gives a page back that we have mapped: it stays ours to see until we let it go, and is nobody else's. */
	long before = free_pages_stable();
	u64 va, mfn, *view;
	struct {
		struct xen_memory_reservation r;
		u64 frame;
	} a = { .r = { .nr_extents = 1, .domid = DOMID_SELF } };

	start();
	va = peer_alloc(&p, 0);
	mfn = peer_mfn(&p, va);
	CHECK_EQ(peer_write(&p, va, 0x5555), VEC_NONE);
	view = foreign_map(peer_id(&p), mfn, true);
	REQUIRE(view != NULL);
	CHECK_EQ(PEER_CALL(&p, update_va_mapping, va, 0, UVMF_INVLPG | UVMF_ALL), 0);
	a.frame = mfn;
	set_xen_guest_handle(a.r.extent_start, (u64 *)(peer_data_va(&p, 0) + offsetof(__typeof__(a), frame)));
	CHECK_EQ(PEER_OP(&p, memory_op, XENMEM_decrease_reservation, &a), 1);
	CHECK_EQ(*view, 0x5555);
	CHECK_EQ(free_pages_settle(before), before);
	foreign_unmap(view);
	CHECK_EQ(free_pages_settle(before + 1), before + 1);
	/* And one in its place. */
	a.frame = (va - VIRT_BASE) >> PAGE_SHIFT;
	CHECK_EQ(PEER_OP(&p, memory_op, XENMEM_populate_physmap, &a), 1);
	CHECK_EQ(PEER_CALL(&p, update_va_mapping, va, MAKE_PTE(a.frame, PTE_RW), 0), 0);
	/* Xen leaves it as it was: it is still the same domain's. */
	CHECK(!is_lodge() || peer_read(&p, va) == 0);
	CHECK_EQ(free_pages_settle(before), before);
}

TEST(reservations_of_others)
{
	/* Numbers, sizes and addresses of XENMEM_* for another domain. */
	static u64 list[64];
	struct xen_memory_reservation r = { .nr_extents = 64 };
	long before = free_pages_stable();

	REQUIRE_EQ(dom_create(&d, 1, 0), 0);
	{
		struct xen_domctl op = { .u.max_mem.max_memkb = 4096 };

		CHECK_EQ(domctl(XEN_DOMCTL_max_mem, d.id, &op), 0);
	}
	r.domid = (domid_t)d.id;
	set_xen_guest_handle(r.extent_start, list);
	for (unsigned i = 0; i < 64; i++)
		list[i] = i;
	CHECK_EQ(HCALL(memory_op, XENMEM_populate_physmap, &r), 64);
	CHECK_EQ(HCALL(memory_op, XENMEM_current_reservation, &(domid_t){ (domid_t)d.id }), 64);
	CHECK_EQ(HCALL(memory_op, XENMEM_maximum_reservation, &(domid_t){ (domid_t)d.id }), 1024);
	for (unsigned i = 0; i < 64; i++)
		if (mfn_to_pfn(list[i]) != i) {
			CHECK_EQ(mfn_to_pfn(list[i]), i);
			break;
		}
	/* Half of it back, with ours and nonsense in between: it stops there. */
	list[20] = virt_to_mfn(current_l4());
	CHECK_EQ(HCALL(memory_op, XENMEM_decrease_reservation, &r), 20);
	list[20] = ~0ul >> 12;
	CHECK_EQ(HCALL(memory_op, XENMEM_decrease_reservation, &r), 0);
	CHECK_EQ(HCALL(memory_op, XENMEM_current_reservation, &(domid_t){ (domid_t)d.id }), 44);
	/* A list in the hypervisor, beyond the address space, too long. */
	set_xen_guest_handle(r.extent_start, (u64 *)XEN_VA_INSIDE);
	CHECK(HCALL(memory_op, XENMEM_populate_physmap, &r) <= 0);
	set_xen_guest_handle(r.extent_start, (u64 *)NONCANONICAL);
	CHECK(HCALL(memory_op, XENMEM_populate_physmap, &r) <= 0);
	set_xen_guest_handle(r.extent_start, list);
	r.nr_extents = ~0ul >> 4;
	CHECK(HCALL(memory_op, XENMEM_populate_physmap, &r) <= 0);
	r.nr_extents = 1;
	r.extent_order = 63;
	CHECK(HCALL(memory_op, XENMEM_populate_physmap, &r) <= 0);
	CHECK_EQ(HCALL(memory_op, XENMEM_current_reservation, &(domid_t){ (domid_t)d.id }), 44);
	CHECK_EQ(dom_destroy(&d), 0);
	check_no_loss(before);
}

TEST(machphys_of_others)
{
	/* The tools write the machine-to-physical table for a domain; only for frames that it has. */
	start();
	CHECK_EQ(mmu_update_foreign(p.dom.p2m[500] << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 501, peer_id(&p)), 0);
	CHECK_EQ(mfn_to_pfn(p.dom.p2m[500]), 501);
	CHECK_EQ(mmu_update_foreign(p.dom.p2m[500] << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 500, peer_id(&p)), 0);
	CHECK_LT(mmu_update_foreign(virt_to_mfn(current_l4()) << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 1, peer_id(&p)), 0);
	CHECK_LT(mmu_update_foreign(p.dom.p2m[500] << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 1, DOMID_SELF), 0);
	CHECK_LT(mmu_update_foreign(0xfffffffffful << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 1, peer_id(&p)), 0);
}

TEST(tables_of_others)
{
	/* An entry of another domain's table, written for it: with its frames, not with ours. */
	u64 l1, both;

	start();
	l1 = p.dom.p2m[p.dom.l4_pfn + 3] << PAGE_SHIFT;
	both = peer_id(&p) | (u64)(peer_id(&p) + 1) << 16;
	CHECK_EQ(mmu_update_foreign(l1 | 8 * 2, MAKE_PTE(p.dom.p2m[2], PTE_RO), (u32)both), 0);
	CHECK_EQ(peer_write(&p, dom_va(2), 1), VEC_PF);
	CHECK_EQ(mmu_update_foreign(l1 | 8 * 2, MAKE_PTE(p.dom.p2m[2], PTE_RW), (u32)both), 0);
	CHECK_EQ(peer_write(&p, dom_va(2), 1), VEC_NONE);
	CHECK_LT(mmu_update_foreign(l1 | 8 * 2, MAKE_PTE(virt_to_mfn(current_l4()), PTE_RO), (u32)both), 0);
	/* A writable view of a table of its own. */
	CHECK_LT(mmu_update_foreign(l1 | 8 * 2, MAKE_PTE(p.dom.p2m[p.dom.l4_pfn], PTE_RW), (u32)both), 0);
	/* Under the name of a third, and of nobody. */
	CHECK_LT(mmu_update_foreign(l1 | 8 * 2, 0, peer_id(&p) | (4321u + 1) << 16), 0);
	CHECK_LT(mmu_update_foreign(l1 | 8 * 2, 0, DOMID_SELF), 0);
	CHECK_EQ(peer_read(&p, dom_va(2)), 1);
	CHECK_LT(audit(), 1);
}

TEST(pinning_for_others)
{
	static const u32 pins[] = { MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE };
	struct mmuext_op op = { 0 };

	start();
	/* Our table for the peer, its table as another level, twice, and unpinned for it twice. */
	for (unsigned i = 0; i < 4; i++) {
		op.cmd = pins[i];
		op.arg1.mfn = virt_to_mfn(current_l4());
		CHECK_LT(HCALL(mmuext_op, &op, 1, NULL, peer_id(&p)), 0);
		op.arg1.mfn = p.dom.p2m[p.dom.l4_pfn];
		CHECK_LT(HCALL(mmuext_op, &op, 1, NULL, peer_id(&p)), 0);
		op.arg1.mfn = p.dom.p2m[500];
		CHECK_LT(HCALL(mmuext_op, &op, 1, NULL, peer_id(&p)), 0);
	}
	/* The base pointers are the caller's own only. */
	op.cmd = MMUEXT_NEW_BASEPTR;
	op.arg1.mfn = p.dom.p2m[p.dom.l4_pfn];
	CHECK_LT(HCALL(mmuext_op, &op, 1, NULL, peer_id(&p)), 0);
	op.cmd = MMUEXT_NEW_USER_BASEPTR;
	CHECK_LT(HCALL(mmuext_op, &op, 1, NULL, peer_id(&p)), 0);
	CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
}

TEST(acquire_resource)
{
	static xen_pfn_t frames[64];
	struct xen_mem_acquire_resource r = { .type = XENMEM_resource_grant_table, .nr_frames = 1 };

	start();
	r.domid = (domid_t)peer_id(&p);
	set_xen_guest_handle(r.frame_list, frames);
	CHECK_EQ(HCALL(memory_op, XENMEM_acquire_resource, &r), 0);
	CHECK_EQ(foreign_map_error(peer_id(&p), frames[0], true), 0);
	r.frame = 8;	/* the limit at creation */
	CHECK_LT(HCALL(memory_op, XENMEM_acquire_resource, &r), 0);
	r.frame = ~0ul;
	CHECK_LT(HCALL(memory_op, XENMEM_acquire_resource, &r), 0);
	r.frame = 0;
	r.id = 2;
	CHECK_LT(HCALL(memory_op, XENMEM_acquire_resource, &r), 0);
	r.id = 0;
	r.type = 77;
	CHECK_LT(HCALL(memory_op, XENMEM_acquire_resource, &r), 0);
	r.type = XENMEM_resource_grant_table;
	r.domid = 4321;
	CHECK_LT(HCALL(memory_op, XENMEM_acquire_resource, &r), 0);
	r.domid = (domid_t)peer_id(&p);
	r.nr_frames = 4;
	set_xen_guest_handle(r.frame_list, (xen_pfn_t *)XEN_VA_INSIDE);
	CHECK_LT(HCALL(memory_op, XENMEM_acquire_resource, &r), 0);
	/* The grant table is no page table and no ordinary memory of the domain. */
	CHECK_LT(PEER_CALL(&p, update_va_mapping, SCRATCH_VA, MAKE_PTE(p.dom.shared_mfn + (1ul << 30), PTE_RW), 0), 0);
	{
		struct mmuext_op op = { .cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = frames[0] };

		CHECK_LT(HCALL(mmuext_op, &op, 1, NULL, peer_id(&p)), 0);
		op.arg1.mfn = p.dom.shared_mfn;
		CHECK_LT(HCALL(mmuext_op, &op, 1, NULL, peer_id(&p)), 0);
	}
}

TEST(end)
{
	start();
	CHECK_EQ(peer_destroy(&p), 0);
	/* It is gone, and so are its frames. */
	CHECK_LT(foreign_map_error(peer_id(&p), p.dom.p2m[500], false), 0);
}
