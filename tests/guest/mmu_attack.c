/* SPDX-License-Identifier: MIT */
/* Attempts to write to a page table behind the hypervisor's back, and reference loops between tables. */
#include "lib/test.h"

#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/vcpu.h>

static u64 *scratch = (u64 *)SCRATCH_VA;

/* A tree of our own, pinned at level 4 and in no use: table[1…4], one data page below. */
static u64 *table[5], *data;
/* Frames to aim at: the live tables of the kernel and those of the tree. */
static u64 *targets[8];

static void setup(void)
{
	u64 *below;

	if (table[4])
		return;
	data = below = page_alloc();
	for (int l = 1; l <= 4; l++) {
		table[l] = page_alloc();
		table[l][3] = MAKE_PTE(virt_to_mfn(below), l == 1 ? PTE_RW : PTE_TABLE);
		CHECK_EQ(page_protect(table[l], false), 0);
		below = table[l];
	}
	CHECK_EQ(mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(table[4]), 0), 0);
	for (int l = 1; l <= 4; l++) {
		targets[l - 1] = table[l];
		targets[l + 3] = (u64 *)((u64)pt_walk(VIRT_BASE, l) & ~(PAGE_SIZE - 1));
	}
	CHECK_EQ(map_new(SCRATCH_VA, 0), 0);
}

/* The invariant, seen from outside: no target can be written through its linear mapping or made writable there. */
static void check_invariant(const char *what, u64 value)
{
	for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
		u64 *e = pt_walk((u64)targets[i], 1);

		if (READ_ONCE(*e) & PTE_W)
			test_fail(__FILE__, __LINE__, "%s %lx: target %u is mapped writable", what, value, i);
	}
}

/* Writes entry [7] of our tree's table at `level` in every way there is; 0 when the hypervisor took it. */
static int write_entry(int level, u64 value, int way)
{
	u64 *e = &table[level][7];
	struct mmu_update u[2] = { { virt_to_maddr(e), 0 }, { virt_to_maddr(e), value } };

	switch (way) {
	case 0:
		return mmu_update(virt_to_maddr(e), value);
	case 1:
		return mmu_update(virt_to_maddr(e) | MMU_PT_UPDATE_PRESERVE_AD, value);
	case 2:
		return mmu_update(virt_to_maddr(e) | MMU_PT_UPDATE_NO_TRANSLATE, value);
	default:
		return (int)HCALL(mmu_update, u, 2, NULL, DOMID_SELF);
	}
}

/* Every combination of the twelve low bits (present set) at one level, aimed at one frame. */
static unsigned try_low_bits(int level, u64 mfn, bool target_is_table, int target_level)
{
	unsigned accepted = 0;

	for (u64 flags = 1; flags < 4096; flags += 2) {
		u64 got;

		if (write_entry(level, MAKE_PTE(mfn, flags), 0))
			continue;
		accepted++;
		got = READ_ONCE(table[level][7]);
		if (!(got & PTE_P) || pte_mfn(got) != mfn)
			test_fail(__FILE__, __LINE__, "level %d: wrote %lx, found %lx", level, MAKE_PTE(mfn, flags), got);
		/* Level 1: a table may be mapped, not writable. Above: only a table one level down fits, or a linear one. */
		if (level == 1 && target_is_table && (got & PTE_W))
			test_fail(__FILE__, __LINE__, "level 1 maps a table writable: %lx", got);
		if (level > 1 && (got & PTE_PSE))
			test_fail(__FILE__, __LINE__, "level %d takes a large page: %lx", level, got);
		if (level > 1 && target_level != level - 1 && !(target_level == level && !(got & PTE_W)))
			test_fail(__FILE__, __LINE__, "level %d refers to level %d: %lx", level, target_level, got);
		if (write_entry(level, 0, 0))
			test_fail(__FILE__, __LINE__, "level %d: cannot be cleared", level);
	}
	return accepted;
}

TEST(low_bits_to_tables)
{
	setup();
	for (int level = 1; level <= 4; level++)
		for (unsigned i = 0; i < ARRAY_SIZE(targets); i++)
			try_low_bits(level, virt_to_mfn(targets[i]), true, (int)i % 4 + 1);
	check_invariant("low bits", 0);
}

TEST(low_bits_to_data)
{
	u64 *page = page_alloc();

	setup();
	/* Plainly allowed: present with any of W, U, A, D, NX and cache bits, at level 1. */
	CHECK_GE(try_low_bits(1, virt_to_mfn(page), false, 0), 64);
	/* A page that is mapped writable is no table. */
	for (int level = 2; level <= 4; level++)
		CHECK_EQ(try_low_bits(level, virt_to_mfn(page), false, 0), 0);
	page_free(page);
}

TEST(high_bits)
{
	static const u64 flags[] = { PTE_TABLE, PTE_RW | PTE_G, PTE_RO, PTE_RW | PTE_PSE, PTE_RO | PTE_PSE };

	setup();
	for (int level = 1; level <= 4; level++)
		for (unsigned i = 0; i < ARRAY_SIZE(targets); i++)
			for (unsigned bit = 44; bit < 64; bit++)
				for (unsigned k = 0; k < ARRAY_SIZE(flags); k++) {
					u64 v = MAKE_PTE(virt_to_mfn(targets[i]), flags[k]) | 1ul << bit, got;
					int rc = write_entry(level, v, 0);

					if (rc)
						continue;
					got = READ_ONCE(table[level][7]);
					if (level == 1 && (got & PTE_W))
						test_fail(__FILE__, __LINE__, "level 1 maps a table writable: %lx", got);
					if (bit < 52)
						test_fail(__FILE__, __LINE__, "address bit %u accepted: %lx", bit, got);
					CHECK_EQ(write_entry(level, 0, 0), 0);
				}
	check_invariant("high bits", 0);
}

TEST(read_only_then_writable)
{
	/* A read-only alias of a table is upgraded by changing flags only, in every way of writing an entry. */
	setup();
	for (unsigned i = 0; i < ARRAY_SIZE(targets); i++)
		for (int way = 0; way < 4; way++)
			for (u64 extra = 0; extra < 4; extra++) {
				u64 mfn = virt_to_mfn(targets[i]);
				u64 rw = MAKE_PTE(mfn, PTE_RW) | (extra & 1 ? PTE_NX : 0) | (extra & 2 ? 0 : PTE_G);
				u64 got;

				CHECK_EQ(write_entry(1, MAKE_PTE(mfn, PTE_RO), 0), 0);
				CHECK_LT(write_entry(1, rw, way), 0);
				got = READ_ONCE(table[1][7]);
				if (got & PTE_W)
					test_fail(__FILE__, __LINE__, "way %d: %lx", way, got);
				CHECK_EQ(write_entry(1, 0, 0), 0);
			}
	check_invariant("upgrade", 0);
}

TEST(va_mapping_upgrade)
{
	setup();
	for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
		u64 mfn = virt_to_mfn(targets[i]);

		CHECK_EQ(map_va(SCRATCH_VA, MAKE_PTE(mfn, PTE_RO)), 0);
		CHECK_LT(map_va(SCRATCH_VA, MAKE_PTE(mfn, PTE_RW)), 0);
		CHECK_LT(map_va(SCRATCH_VA, MAKE_PTE(mfn, PTE_RW | PTE_G)), 0);
		CHECK_LT(map_va(SCRATCH_VA, MAKE_PTE(mfn, PTE_RW | PTE_NX)), 0);
		CHECK_LT(HCALL(update_va_mapping_otherdomain, SCRATCH_VA, MAKE_PTE(mfn, PTE_RW), UVMF_INVLPG, DOMID_SELF), 0);
		/* Nor by a direct write through the alias, whether the emulator sees it (level 1) or not. */
		CHECK_TRAP(VEC_PF, WRITE_ONCE(*(u64 *)(SCRATCH_VA + 8 * 4), MAKE_PTE(mfn, PTE_RW)));
		CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	}
	check_invariant("upgrade", 0);
}

TEST(upper_flags_do_not_lie)
{
	/*
	 * Read-only or not at the upper levels: the same subtree entered twice, once without W, must not let the level-1
	 * checks be skipped, and a change of flags of a valid upper entry is not a change of its type.
	 */
	u64 *page = page_alloc();

	setup();
	for (int level = 2; level <= 4; level++) {
		u64 sub = MAKE_PTE(virt_to_mfn(table[level - 1]), 0);
		static const u64 flags[] = { PTE_TABLE, PTE_RO, PTE_P, PTE_TABLE | PTE_NX, PTE_P | PTE_W };

		for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
			int rc = write_entry(level, sub | flags[i], i & 1);

			CHECK_EQ(rc, 0);
			/* From valid to valid with PSE: refused, whatever else changes. */
			for (unsigned k = 0; k < ARRAY_SIZE(flags); k++)
				CHECK_LT(write_entry(level, sub | flags[k] | PTE_PSE, 0), 0);
			CHECK_LT(write_entry(level, MAKE_PTE(virt_to_mfn(page), flags[i]), 0), 0);
		}
		CHECK_EQ(write_entry(level, 0, 0), 0);
	}
	page_free(page);
}

TEST(large_pages)
{
	/* A frame number with low bits set, PAT in bit 12, at levels 2 to 4; and their "flags only" variants. */
	setup();
	for (int level = 2; level <= 4; level++)
		for (u64 low = 0; low < 16; low++) {
			u64 base = pfn_to_mfn(512) << PAGE_SHIFT;

			CHECK_LT(write_entry(level, (base | low << 9 | PTE_TABLE | PTE_PSE) & ~PTE_G, 0), 0);
			CHECK_LT(write_entry(level, base | PTE_PAT_LARGE | PTE_TABLE | PTE_PSE, 0), 0);
			CHECK_EQ(READ_ONCE(table[level][7]), 0);
		}
}

TEST(pin_tables_with_bad_entries)
{
	/* Content made while the page was ordinary memory, then pinned: the same rules apply. */
	setup();
	for (int level = 1; level <= 4; level++)
		for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
			u64 *page = page_alloc();
			u64 bad = MAKE_PTE(virt_to_mfn(targets[i]), PTE_RW | (level > 1 ? PTE_PSE : 0));

			page[511] = bad;
			CHECK_EQ(page_protect(page, false), 0);
			CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE + level - 1, virt_to_mfn(page), 0), 0);
			/* A slot that belongs to the hypervisor is ignored in a level-4 table, or refused. */
			table_free(page);
		}
	check_invariant("pin", 0);
}

TEST(self_reference)
{
	/* A page that maps itself: writable never, read-only at level 1 always; above level 1 only as a linear table. */
	for (int level = 1; level <= 4; level++) {
		u64 *page = page_alloc();
		u64 self = MAKE_PTE(virt_to_mfn(page), 0);

		page[7] = self | PTE_RW;
		CHECK_EQ(page_protect(page, false), 0);
		CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE + level - 1, virt_to_mfn(page), 0), 0);
		CHECK_EQ(page_protect(page, true), 0);
		page[7] = self | PTE_RO;
		CHECK_EQ(page_protect(page, false), 0);
		if (!mmuext(MMUEXT_PIN_L1_TABLE + level - 1, virt_to_mfn(page), 0)) {
			CHECK_LT(page_protect(page, true), 0);
			CHECK_LT(mmu_update(virt_to_maddr(&page[7]), self | PTE_RW), 0);
			CHECK_LT(mmu_update(virt_to_maddr(&page[8]), self | PTE_RW), 0);
			CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0), 0);
		} else {
			CHECK_NE(level, 1);
		}
		table_free(page);
	}
}

/* Two tables of one level that refer to each other, put together and taken apart in every order. */
static void cross_reference(int level, int order)
{
	u64 *a = table_alloc(), *b = table_alloc();
	u64 to_a = MAKE_PTE(virt_to_mfn(a), PTE_RO), to_b = MAKE_PTE(virt_to_mfn(b), PTE_RO);
	unsigned pin = MMUEXT_PIN_L1_TABLE + level - 1;
	int rc_ab, rc_ba;

	CHECK_EQ(mmuext(pin, virt_to_mfn(a), 0), 0);
	CHECK_EQ(mmuext(pin, virt_to_mfn(b), 0), 0);
	rc_ab = mmu_update(virt_to_maddr(&a[7]), to_b);
	rc_ba = mmu_update(virt_to_maddr(&b[7]), to_a);
	for (int i = 0; i < 4; i++) {
		/* Steps in a rotation: unpin a, unpin b, clear a→b, clear b→a. Later ones may no longer apply. */
		switch ((i + order) % 4) {
		case 0:
			mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(a), 0);
			break;
		case 1:
			mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(b), 0);
			break;
		case 2:
			if (!rc_ab)
				mmu_update(virt_to_maddr(&a[7]), 0);
			break;
		case 3:
			if (!rc_ba)
				mmu_update(virt_to_maddr(&b[7]), 0);
			break;
		}
		/* While either is typed it is not writable. */
		if (!page_protect(a, true))
			CHECK_EQ(page_protect(a, false), 0);
	}
	mmu_update(virt_to_maddr(&a[7]), 0);
	mmu_update(virt_to_maddr(&b[7]), 0);
	/* In the end all references are gone, unless a cycle kept itself alive, which must not be. */
	CHECK_EQ(page_protect(a, true), 0);
	CHECK_EQ(page_protect(b, true), 0);
	page_free(a);
	page_free(b);
}

TEST(cross_references)
{
	for (int level = 2; level <= 4; level++)
		for (int order = 0; order < 4; order++)
			cross_reference(level, order);
}

TEST(linear_map_is_read_only)
{
	/* The live top level in a slot of its own, if that is offered: tables are seen through it and not written. */
	unsigned slot = pt_index(SCRATCH_VA, 4) + 1;
	u64 mfn = virt_to_mfn(current_l4()), base = SCRATCH_VA + (1ul << 39);
	u64 l4_va = base | (u64)slot << 30 | (u64)slot << 21 | (u64)slot << 12;
	struct trap t;

	CHECK_LT(table_set(current_l4(), slot, MAKE_PTE(mfn, PTE_TABLE)), 0);
	if (table_set(current_l4(), slot, MAKE_PTE(mfn, PTE_RO))) {
		test_note("no linear page tables");
		return;
	}
	CHECK_EQ(pte_mfn(READ_ONCE(((u64 *)l4_va)[slot])), mfn);
	CATCH(&t, WRITE_ONCE(((u64 *)l4_va)[slot], 0));
	CHECK_EQ(t.vector, VEC_PF);
	CHECK_LT(map_va(l4_va, MAKE_PTE(mfn, PTE_RW)), 0);
	CHECK_EQ(table_set(current_l4(), slot, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
	CHECK_TRAP(VEC_PF, READ_ONCE(((u64 *)l4_va)[slot]));
}

TEST(hypervisor_slots_of_a_new_top)
{
	/* Whatever a top level had in the hypervisor's slots before it was pinned is gone afterwards, for good. */
	u64 *l4 = page_alloc();

	setup();
	for (unsigned i = 256; i < 272; i++)
		l4[i] = MAKE_PTE(virt_to_mfn(table[3]), PTE_TABLE);
	CHECK_EQ(page_protect(l4, false), 0);
	if (!mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(l4), 0)) {
		for (unsigned i = 256; i < 272; i++) {
			CHECK_NE(pte_mfn(READ_ONCE(l4[i])), virt_to_mfn(table[3]));
			CHECK_LT(mmu_update(virt_to_maddr(&l4[i]), MAKE_PTE(virt_to_mfn(table[3]), PTE_TABLE)), 0);
		}
		CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l4), 0), 0);
	}
	table_free(l4);
}

/* Other ways to have the hypervisor write to a frame. */

TEST(vcpu_info_on_a_table)
{
	struct vcpu_register_vcpu_info info = { 0 };

	setup();
	for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
		u64 before = READ_ONCE(targets[i][0]);

		info.mfn = virt_to_mfn(targets[i]);
		CHECK_LT(HCALL(vcpu_op, VCPUOP_register_vcpu_info, 0, &info), 0);
		CHECK_EQ((READ_ONCE(targets[i][0]) ^ before) & ~(PTE_A | PTE_D), 0);
	}
	CHECK_EQ(this_cpu()->info->evtchn_upcall_mask, 1);
}

TEST(areas_on_a_table)
{
	/* Areas named by address: only what the guest itself could write. */
	struct vcpu_register_runstate_memory_area rs = { .addr.v = (void *)table[1] };
	struct vcpu_register_time_memory_area ti = { .addr.v = (void *)table[1] };

	setup();
	rs.addr.v = (void *)table[1];
	ti.addr.v = (void *)table[1];
	HCALL(vcpu_op, VCPUOP_register_runstate_memory_area, 0, &rs);
	HCALL(vcpu_op, VCPUOP_register_vcpu_time_memory_area, 0, &ti);
	for (int i = 0; i < 20; i++)
		HCALL(sched_op, 0 /* yield */);
	for (unsigned i = 0; i < 512; i++)
		if (i != 3 && READ_ONCE(table[1][i]))
			test_fail(__FILE__, __LINE__, "entry %u became %lx", i, table[1][i]);
	rs.addr.v = NULL;
	ti.addr.v = NULL;
	HCALL(vcpu_op, VCPUOP_register_runstate_memory_area, 0, &rs);
	HCALL(vcpu_op, VCPUOP_register_vcpu_time_memory_area, 0, &ti);
}

TEST(grant_copy_to_a_table)
{
	struct gnttab_copy c = { 0 };

	setup();
	c.source.u.gmfn = virt_to_mfn(data);
	c.source.domid = DOMID_SELF;
	c.dest.domid = DOMID_SELF;
	c.len = 64;
	for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
		u64 before = READ_ONCE(targets[i][0]);

		c.dest.u.gmfn = virt_to_mfn(targets[i]);
		c.status = 1;
		if (!HCALL(grant_table_op, GNTTABOP_copy, &c, 1))
			CHECK_LT(c.status, 0);
		CHECK_EQ((READ_ONCE(targets[i][0]) ^ before) & ~(PTE_A | PTE_D), 0);
	}
}

TEST(release_a_table)
{
	/* Given back while pinned: it stays a table, or the call fails; it never becomes writable. */
	u64 *t = table_alloc();
	u64 mfn = virt_to_mfn(t), pfn = virt_to_pfn(t);
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	long rc;

	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0), 0);
	set_xen_guest_handle(r.extent_start, &mfn);
	rc = HCALL(memory_op, XENMEM_decrease_reservation, &r);
	CHECK(rc == 0 || rc == 1);
	CHECK_LT(page_protect(t, true), 0);
	CHECK_LT(map_va(SCRATCH_VA, MAKE_PTE(mfn, PTE_RW)), 0);
	mmuext(MMUEXT_UNPIN_TABLE, mfn, 0);
	if (rc == 1) {
		u64 gone = pfn;

		/* The last references to the old frame go; a new one takes its place. */
		CHECK_EQ(map_va((u64)t, 0), 0);
		set_xen_guest_handle(r.extent_start, &gone);
		CHECK_EQ(HCALL(memory_op, XENMEM_populate_physmap, &r), 1);
		set_p2m(pfn, gone);
		CHECK_EQ(map_va((u64)t, MAKE_PTE(gone, PTE_RW)), 0);
		WRITE_ONCE(t[0], 0);
		page_free(t);
	} else {
		table_free(t);
	}
}

TEST(machphys_of_a_table)
{
	/* Lying in the M2P harms nobody but the liar: the frame's type is not found by it. */
	u64 mfn;

	setup();
	mfn = virt_to_mfn(table[1]);
	CHECK_EQ(mmu_update(mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, virt_to_pfn(data)), 0);
	CHECK_LT(map_va(SCRATCH_VA, MAKE_PTE(mfn, PTE_RW)), 0);
	CHECK_EQ(mmu_update(mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, virt_to_pfn(table[1])), 0);
}

TEST(update_as_data)
{
	/* mmu_update on a frame that is about to become a table: the words are data until it is typed. */
	u64 *page = page_alloc();

	setup();
	CHECK_EQ(mmu_update(virt_to_maddr(&page[1]), MAKE_PTE(virt_to_mfn(table[1]), PTE_RW)), 0);
	CHECK_EQ(page_protect(page, false), 0);
	CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_LT(mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(page), 0), 0);
	CHECK_EQ(mmu_update(virt_to_maddr(&page[1]), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_LT(mmu_update(virt_to_maddr(&page[1]), MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0), 0);
	table_free(page);
}

TEST(everything_released)
{
	setup();
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table[4]), 0), 0);
	for (int l = 1; l <= 4; l++) {
		CHECK_EQ(page_protect(table[l], true), 0);
		CHECK_EQ(page_protect(table[l], false), 0);
	}
	for (int l = 4; l >= 1; l--)
		table_free(table[l]);
	CHECK_EQ(scratch == NULL, 0);
	CHECK_EQ(HCALL(memory_op, XENMEM_current_reservation, &(domid_t){ DOMID_SELF }), start_info->nr_pages);
}
