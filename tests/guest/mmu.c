/* SPDX-License-Identifier: MIT */
/* Changing page tables with update_va_mapping and mmu_update. */
#include "lib/test.h"

#include <xen/memory.h>

static u64 *scratch = (u64 *)SCRATCH_VA;

/* A data page mapped at SCRATCH_VA; the first word holds value. */
static u64 *new_scratch(u64 value, u64 flags)
{
	u64 *page = page_alloc();

	page[0] = value;
	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), flags)), 0);
	return page;
}

static void drop_scratch(u64 *page)
{
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	page_free(page);
}

TEST(va_mapping_read_write)
{
	u64 *page = new_scratch(0x1234, PTE_RW);

	CHECK_EQ(scratch[0], 0x1234);
	scratch[1] = 0x5678;
	CHECK_EQ(page[1], 0x5678);
	drop_scratch(page);
}

TEST(va_mapping_read_only)
{
	u64 *page = new_scratch(7, PTE_RO);
	struct trap t;

	CHECK_EQ(scratch[0], 7);
	t = CHECK_TRAP(VEC_PF, WRITE_ONCE(scratch[0], 8));
	CHECK_EQ(t.error, PF_PRESENT | PF_WRITE);
	CHECK_EQ(t.cr2, SCRATCH_VA);
	CHECK_EQ(page[0], 7);
	drop_scratch(page);
}

TEST(va_mapping_removed)
{
	u64 *page = new_scratch(7, PTE_RW);
	struct trap t;

	CHECK_EQ(scratch[0], 7);
	drop_scratch(page);
	t = CHECK_TRAP(VEC_PF, READ_ONCE(scratch[0]));
	CHECK_EQ(t.error, 0);
	CHECK_EQ(t.cr2, SCRATCH_VA);
	t = CHECK_TRAP(VEC_PF, WRITE_ONCE(scratch[3], 0));
	CHECK_EQ(t.error, PF_WRITE);
	CHECK_EQ(t.cr2, SCRATCH_VA + 24);
}

TEST(va_mapping_no_execute)
{
	u8 *page = (u8 *)new_scratch(0, PTE_RW);
	struct trap t;

	page[0] = 0xc3;
	asm volatile("call *%0" :: "r"(scratch) : "memory");
	CHECK_EQ(map_va(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RW | PTE_NX)), 0);
	t = CHECK_TRAP(VEC_PF, asm volatile("call *%0" :: "r"(scratch) : "memory"));
	CHECK_EQ(t.error, PF_PRESENT | PF_FETCH);
	CHECK_EQ(t.frame.rip, SCRATCH_VA);
	drop_scratch((u64 *)page);
}

TEST(va_mapping_flush_kinds)
{
	u64 *a = new_scratch(1, PTE_RW), *b = page_alloc();
	u64 mask = 1, pte_a = MAKE_PTE(virt_to_mfn(a), PTE_RW), pte_b = MAKE_PTE(virt_to_mfn(b), PTE_RW);
	const u64 flags[] = {
		UVMF_TLB_FLUSH | UVMF_LOCAL, UVMF_TLB_FLUSH | UVMF_ALL, UVMF_TLB_FLUSH | UVMF_MULTI | (u64)&mask,
		UVMF_INVLPG | UVMF_LOCAL, UVMF_INVLPG | UVMF_ALL, UVMF_INVLPG | UVMF_MULTI | (u64)&mask,
	};

	*b = 2;
	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		CHECK_EQ(scratch[0], 1);
		CHECK_EQ(HCALL(update_va_mapping, SCRATCH_VA, pte_b, flags[i]), 0);
		CHECK_EQ(scratch[0], 2);
		CHECK_EQ(HCALL(update_va_mapping, SCRATCH_VA, pte_a, flags[i]), 0);
	}
	CHECK_EQ(HCALL(update_va_mapping, SCRATCH_VA, pte_b, UVMF_NONE), 0);
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
	CHECK_EQ(scratch[0], 2);
	drop_scratch(a);
	page_free(b);
}

TEST(va_mapping_refused)
{
	u64 *page = new_scratch(1, PTE_RW);
	u64 pte = MAKE_PTE(virt_to_mfn(page), PTE_RW);

	/* No level-1 table there, a hypervisor address, and addresses that are not canonical. */
	CHECK_LT(map_va(SCRATCH_VA + (1ul << 39), pte), 0);
	CHECK_LT(map_va(XEN_VA_M2P, pte), 0);
	CHECK_LT(map_va(XEN_VA_INSIDE, pte), 0);
	CHECK_LT(map_va(NONCANONICAL, pte), 0);
	CHECK_LT(map_va(0x0000800000000000, pte), 0);
	/* A frame that does not exist, one of the hypervisor's, one in the far future. */
	CHECK_LT(map_va(SCRATCH_VA, MAKE_PTE(0xffffff0000, PTE_RW)), 0);
	CHECK_LT(map_va(SCRATCH_VA, MAKE_PTE(0xfffffffffful, PTE_RW)), 0);
	CHECK_EQ(scratch[0], 1);
	/* A CPU mask that cannot be read: the mapping may have been made, the call must say that it failed. */
	CHECK_LT(HCALL(update_va_mapping, SCRATCH_VA, pte, UVMF_INVLPG | UVMF_MULTI | XEN_VA_INSIDE), 0);
	CHECK_LT(HCALL(update_va_mapping, SCRATCH_VA, pte, UVMF_TLB_FLUSH | UVMF_MULTI | NONCANONICAL), 0);
	drop_scratch(page);
}

TEST(va_mapping_otherdomain)
{
	u64 *page = new_scratch(1, PTE_RW);
	u64 pte = MAKE_PTE(virt_to_mfn(page), PTE_RO);

	CHECK_EQ(HCALL(update_va_mapping_otherdomain, SCRATCH_VA, pte, UVMF_INVLPG, DOMID_SELF), 0);
	CHECK_TRAP(VEC_PF, WRITE_ONCE(scratch[0], 2));
	/* No such domain. */
	CHECK_NOBODY(HCALL(update_va_mapping_otherdomain, SCRATCH_VA, pte, UVMF_INVLPG, 4321));
	drop_scratch(page);
}

TEST(update_one)
{
	u64 *page = new_scratch(5, PTE_RW);
	u64 where = virt_to_maddr(pt_walk(SCRATCH_VA, 1));

	CHECK_EQ(mmu_update(where, MAKE_PTE(virt_to_mfn(page), PTE_RO)), 0);
	CHECK_EQ(mmuext(MMUEXT_INVLPG_LOCAL, SCRATCH_VA, 0), 0);
	CHECK_TRAP(VEC_PF, WRITE_ONCE(scratch[0], 2));
	CHECK_EQ(mmu_update(where, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	CHECK_EQ(mmuext(MMUEXT_INVLPG_LOCAL, SCRATCH_VA, 0), 0);
	CHECK_TRAP(VEC_NONE, WRITE_ONCE(scratch[0], 2));
	CHECK_EQ(page[0], 2);
	drop_scratch(page);
}

TEST(update_not_present)
{
	/* Entries without the present bit are the guest's to use as it likes. */
	u64 *page = new_scratch(5, PTE_RW), *e = pt_walk(SCRATCH_VA, 1);
	static const u64 values[] = { 0, 2, 0xfffffffffffffffe, 0x8000000000000000, 0x000ffffffffff182, 0x1e6 };

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		CHECK_EQ(mmu_update(virt_to_maddr(e), values[i]), 0);
		CHECK_EQ(*e, values[i]);
	}
	drop_scratch(page);
}

TEST(update_batch)
{
	enum { N = 512 };
	static struct mmu_update batch[N];
	u64 *page = new_scratch(9, PTE_RW), *e = pt_walk(SCRATCH_VA, 1);
	u32 done = 0;

	for (unsigned i = 0; i < N; i++)
		batch[i] = (struct mmu_update){ virt_to_maddr(&e[i]), MAKE_PTE(virt_to_mfn(page), PTE_RW) };
	CHECK_EQ(HCALL(mmu_update, batch, N, &done, DOMID_SELF), 0);
	CHECK_EQ(done, N);
	for (unsigned i = 0; i < N; i++)
		if (scratch[i * 512] != 9)
			CHECK_EQ(i, N);

	/* The first error ends the batch and done says how far it got. */
	for (unsigned i = 0; i < N; i++)
		batch[i].val = 0;
	batch[300].val = MAKE_PTE(0xffffff0000, PTE_RW);
	done = 12345;
	CHECK_LT(HCALL(mmu_update, batch, N, &done, DOMID_SELF), 0);
	CHECK_EQ(done, 300);
	CHECK_EQ(e[299], 0);
	CHECK(e[300] & PTE_P);
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
	CHECK_TRAP(VEC_PF, READ_ONCE(scratch[299 * 512]));
	CHECK_EQ(scratch[301 * 512], 9);

	batch[300].val = 0;
	CHECK_EQ(HCALL(mmu_update, batch, N, NULL, DOMID_SELF), 0);
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
	page_free(page);
}

TEST(update_empty_batch)
{
	u32 done = 77;

	CHECK_EQ(HCALL(mmu_update, NULL, 0, NULL, DOMID_SELF), 0);
	CHECK_EQ(HCALL(mmu_update, NULL, 0, &done, DOMID_SELF), 0);
	CHECK_EQ(done, 0);
}

TEST(update_forged_continuation)
{
	/* Bit 31 of the count marks a hypercall that goes on after preemption; a guest may set it, and gains nothing. */
	u64 *page = new_scratch(9, PTE_RW);
	u64 where = virt_to_maddr(pt_walk(SCRATCH_VA, 1));
	struct mmu_update u = { where, MAKE_PTE(virt_to_mfn(page), PTE_RO) };
	u32 done = 0;
	long rc;

	rc = HCALL(mmu_update, &u, 1 | 0x80000000u, &done, DOMID_SELF);
	CHECK(rc == 0 || rc < 0);
	CHECK_LT(done, 2);
	rc = HCALL(mmu_update, &u, 0x80000000u, &done, DOMID_SELF);
	CHECK(rc <= 0);
	/* An enormous count stops at the first entry that cannot be read or is not valid. */
	rc = HCALL(mmu_update, VIRT_BASE + (memory_pages() << PAGE_SHIFT) - 16, 0x7fffffff, NULL, DOMID_SELF);
	CHECK_LT(rc, 0);
	drop_scratch(page);
}

TEST(update_commands)
{
	u64 *page = new_scratch(9, PTE_RW);
	u64 where = virt_to_maddr(pt_walk(SCRATCH_VA, 1)), pte = MAKE_PTE(virt_to_mfn(page), PTE_RW);

	CHECK_EQ(mmu_update(where | MMU_PT_UPDATE_NO_TRANSLATE, pte), 0);
	for (unsigned cmd = 4; cmd < 8; cmd++)
		CHECK_LT(mmu_update(where | cmd, pte), 0);
	CHECK_EQ(scratch[0], 9);
	drop_scratch(page);
}

TEST(update_preserves_accessed_and_dirty)
{
	u64 *page = new_scratch(9, PTE_RW), *e = pt_walk(SCRATCH_VA, 1);
	u64 clean = MAKE_PTE(virt_to_mfn(page), PTE_P | PTE_W | PTE_U);

	CHECK_EQ(mmu_update(virt_to_maddr(e), clean), 0);
	CHECK_EQ(mmuext(MMUEXT_INVLPG_LOCAL, SCRATCH_VA, 0), 0);
	CHECK_EQ(READ_ONCE(*e) & (PTE_A | PTE_D), 0);
	CHECK_EQ(READ_ONCE(scratch[0]), 9);
	CHECK_EQ(READ_ONCE(*e) & (PTE_A | PTE_D), PTE_A);
	WRITE_ONCE(scratch[0], 10);
	CHECK_EQ(READ_ONCE(*e) & (PTE_A | PTE_D), PTE_A | PTE_D);
	CHECK_EQ(mmu_update(virt_to_maddr(e) | MMU_PT_UPDATE_PRESERVE_AD, clean & ~PTE_W), 0);
	CHECK_EQ(READ_ONCE(*e) & (PTE_A | PTE_D | PTE_W), PTE_A | PTE_D);
	CHECK_EQ(mmu_update(virt_to_maddr(e), clean), 0);
	CHECK_EQ(READ_ONCE(*e) & (PTE_A | PTE_D | PTE_W), PTE_W);
	drop_scratch(page);
}

TEST(update_machphys)
{
	u64 *page = page_alloc();
	u64 mfn = virt_to_mfn(page), pfn = virt_to_pfn(page);

	CHECK_EQ(mmu_update(mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 0x4711), 0);
	CHECK_EQ(mfn_to_pfn(mfn), 0x4711);
	CHECK_EQ(mmu_update(mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, pfn), 0);
	CHECK_EQ(mfn_to_pfn(mfn), pfn);
	/* Frames of others and frames that are none. */
	CHECK_LT(mmu_update(0x100ul << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 1), 0);
	CHECK_LT(mmu_update(0x000ffffffffff000 | MMU_MACHPHYS_UPDATE, 1), 0);
	CHECK_LT(mmu_update(0xfffffffffffff000 | MMU_MACHPHYS_UPDATE, 1), 0);
	page_free(page);
}

TEST(update_upper_levels)
{
	/* Hang a new level-1 table under level 2, a new level-2 table under level 3, … and see the translation change. */
	u64 *page = new_scratch(1, PTE_RW), *other = page_alloc();
	u64 old[5], *table;

	other[0] = 2;
	for (int level = 1; level <= 4; level++)
		old[level] = *pt_walk(SCRATCH_VA, level);
	table = other;
	for (int level = 1; level <= 4; level++) {
		u64 *e = pt_walk(SCRATCH_VA, level);

		CHECK_EQ(scratch[0], 1);
		CHECK_EQ(mmu_update(virt_to_maddr(e), MAKE_PTE(virt_to_mfn(table), level == 1 ? PTE_RW : PTE_TABLE)), 0);
		CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
		CHECK_EQ(scratch[0], 2);
		CHECK_EQ(mmu_update(virt_to_maddr(e), old[level]), 0);
		CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
		if (level < 4) {
			u64 *upper = table_alloc();

			/* No longer in use below, so the old one can be filled while it has no type, or as what it is. */
			CHECK_EQ(page_protect(upper, true), 0);
			upper[pt_index(SCRATCH_VA, level)] =
				MAKE_PTE(virt_to_mfn(table), level == 1 ? PTE_RW : PTE_TABLE);
			CHECK_EQ(page_protect(upper, false), 0);
			table = upper;
		}
	}
	CHECK_EQ(scratch[0], 1);
	drop_scratch(page);
}

TEST(update_upper_levels_refused)
{
	u64 *page = new_scratch(1, PTE_RW);

	for (int level = 2; level <= 4; level++) {
		u64 *e = pt_walk(SCRATCH_VA, level), old = *e;

		/* A page that is mapped writable, a table of the wrong level, a frame of nobody, a large page. */
		CHECK_LT(mmu_update(virt_to_maddr(e), MAKE_PTE(virt_to_mfn(page), PTE_TABLE)), 0);
		CHECK_LT(mmu_update(virt_to_maddr(e), MAKE_PTE(virt_to_mfn(e), PTE_TABLE)), 0);
		CHECK_LT(mmu_update(virt_to_maddr(e), MAKE_PTE(0xffffff0000, PTE_TABLE)), 0);
		CHECK_LT(mmu_update(virt_to_maddr(e), old | PTE_PSE), 0);
		CHECK_LT(mmu_update(virt_to_maddr(e), MAKE_PTE(0, PTE_TABLE | PTE_PSE)), 0);
		CHECK_EQ(*e & PTE_MFN_MASK, old & PTE_MFN_MASK);
		CHECK_EQ(scratch[0], 1);
	}
	drop_scratch(page);
}

TEST(update_hypervisor_slots)
{
	/* The top-level slots of the hypervisor cannot be changed, not even to what they hold. */
	for (unsigned i = 256; i < 272; i++) {
		u64 *e = &current_l4()[i], old = *e;

		CHECK_LT(mmu_update(virt_to_maddr(e), 0), 0);
		CHECK_LT(mmu_update(virt_to_maddr(e), *pt_walk(VIRT_BASE, 4)), 0);
		CHECK_EQ(*e, old);
	}
}

TEST(update_non_table)
{
	/* Pointers to frames that are not page tables: an ordinary page of ours is written, nobody else's is. */
	u64 *page = page_alloc();

	CHECK_EQ(mmu_update(virt_to_maddr(page), 0xabcd), 0);
	CHECK_EQ(page[0], 0xabcd);
	CHECK_LT(mmu_update(0x100000, 0), 0);
	CHECK_LT(mmu_update(0x000ffffffffff000, 0), 0);
	CHECK_LT(mmu_update(0xfffffffffffff000, 0), 0);
	page_free(page);
}

TEST(update_domains)
{
	u64 *page = new_scratch(1, PTE_RW);
	u64 where = virt_to_maddr(pt_walk(SCRATCH_VA, 1)), own = MAKE_PTE(virt_to_mfn(page), PTE_RW);

	long rc = mmu_update_foreign(where, own, own_id());

	/* Our own number in place of DOMID_SELF: Xen takes it for a mistake, which it need not be. */
	CHECK(rc == 0 || rc == -XEN_ESRCH);
	CHECK_NOBODY(mmu_update_foreign(where, own, 4321));
	/* Upper half: owner of the table, plus one. */
	CHECK_EQ(mmu_update_foreign(where, own, DOMID_SELF | (own_id() + 1) << 16), 0);
	CHECK_LT(mmu_update_foreign(where, own, DOMID_SELF | (4321 + 1) << 16), 0);
	CHECK_EQ(scratch[0], 1);
	drop_scratch(page);
}

TEST(map_devices)
{
	u64 *page = new_scratch(1, PTE_RW);

	/* The text screen's memory is Domain 0's to map; the local APIC is not. */
	if (privileged())
		CHECK_EQ(mmu_update_foreign(virt_to_maddr(pt_walk(SCRATCH_VA, 1)), MAKE_PTE(0xb8, PTE_RW), DOMID_IO), 0);
	else
		CHECK_LT(mmu_update_foreign(virt_to_maddr(pt_walk(SCRATCH_VA, 1)), MAKE_PTE(0xb8, PTE_RW), DOMID_IO), 0);
	CHECK_EQ(mmuext(MMUEXT_INVLPG_LOCAL, SCRATCH_VA, 0), 0);
	CHECK_TRAP(VEC_NONE, READ_ONCE(scratch[0]));
	CHECK_LT(mmu_update_foreign(virt_to_maddr(pt_walk(SCRATCH_VA, 1)), MAKE_PTE(0xfee00, PTE_RW), DOMID_IO), 0);
	CHECK_LT(mmu_update(virt_to_maddr(pt_walk(SCRATCH_VA, 1)), MAKE_PTE(0xfee00, PTE_RW)), 0);
	drop_scratch(page);
}

TEST(memory_stays_accounted)
{
	/* Every frame survived: the domain has what it started with. */
	CHECK_EQ(HCALL(memory_op, XENMEM_current_reservation, &(domid_t){ DOMID_SELF }), start_info->nr_pages);
}
