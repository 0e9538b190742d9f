/* SPDX-License-Identifier: MIT */
/* The extended MMU operations: pinning, base pointers, flushes, page helpers. */
#include "lib/test.h"

static u64 *scratch = (u64 *)SCRATCH_VA;

/* A chain of tables, one per level, that maps page at VA 0 of its own tree; tables[1] is the level-1 table. */
struct tree {
	u64 *page;
	u64 *tables[5];
};

static void tree_make(struct tree *t, int top)
{
	u64 *below = t->page = page_alloc();

	for (int level = 1; level <= top; level++) {
		t->tables[level] = page_alloc();
		t->tables[level][0] = MAKE_PTE(virt_to_mfn(below), level == 1 ? PTE_RW : PTE_TABLE);
		CHECK_EQ(page_protect(t->tables[level], false), 0);
		below = t->tables[level];
	}
}

static void tree_drop(struct tree *t, int top)
{
	for (int level = top; level >= 1; level--)
		table_free(t->tables[level]);
	page_free(t->page);
}

TEST(pin_each_level)
{
	for (int level = 1; level <= 4; level++) {
		struct tree t;
		u64 mfn;

		tree_make(&t, level);
		mfn = virt_to_mfn(t.tables[level]);
		CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE + level - 1, mfn, 0), 0);
		/* Typed all the way down: no table can become writable, the data page can. */
		for (int l = 1; l <= level; l++)
			CHECK_LT(page_protect(t.tables[l], true), 0);
		CHECK_EQ(page_protect(t.page, true), 0);
		CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE + level - 1, mfn, 0), 0);
		CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn, 0), 0);
		CHECK_LT(mmuext(MMUEXT_UNPIN_TABLE, mfn, 0), 0);
		tree_drop(&t, level);
	}
}

TEST(pin_wrong_level)
{
	/* A tree pinned at any level but its own contains entries that are wrong there, except data pages seen as tables. */
	for (int level = 2; level <= 4; level++) {
		struct tree t;
		u64 mfn;

		tree_make(&t, level);
		mfn = virt_to_mfn(t.tables[level]);
		CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE + level - 1, mfn, 0), 0);
		for (int other = 1; other <= 4; other++)
			if (other != level)
				CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE + other - 1, mfn, 0), 0);
		CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn, 0), 0);
		tree_drop(&t, level);
	}
}

TEST(pin_writable_page)
{
	u64 *page = page_alloc();

	for (int level = 1; level <= 4; level++)
		CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE + level - 1, virt_to_mfn(page), 0), 0);
	WRITE_ONCE(page[0], 1);
	page_free(page);
}

TEST(pin_not_ours)
{
	for (int level = 1; level <= 4; level++) {
		CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE + level - 1, 0x100, 0), 0);
		CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE + level - 1, 0xffffff0000, 0), 0);
		CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE + level - 1, ~0ul, 0), 0);
	}
	CHECK_LT(mmuext(MMUEXT_UNPIN_TABLE, 0x100, 0), 0);
	CHECK_LT(mmuext(MMUEXT_UNPIN_TABLE, ~0ul, 0), 0);
	CHECK_LT(mmuext(MMUEXT_NEW_BASEPTR, 0x100, 0), 0);
	CHECK_LT(mmuext(MMUEXT_NEW_BASEPTR, ~0ul, 0), 0);
	CHECK_LT(mmuext(MMUEXT_NEW_USER_BASEPTR, 0x100, 0), 0);
	CHECK_LT(mmuext(MMUEXT_NEW_USER_BASEPTR, ~0ul, 0), 0);
}

TEST(pin_full_table)
{
	/* 512 entries for one page: counted 512 times, released 512 times. */
	u64 *page = page_alloc(), *table = page_alloc();

	for (unsigned i = 0; i < 512; i++)
		table[i] = MAKE_PTE(virt_to_mfn(page), PTE_RW);
	CHECK_EQ(page_protect(table, false), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(table), 0), 0);
	CHECK_LT(mmuext(MMUEXT_PIN_L2_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(table), 0), 0);
	/* Nothing but the linear map refers to the page now, so that once read-only it can be a table. */
	CHECK_EQ(page_protect(page, false), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0), 0);
	table_free(page);
	table_free(table);
}

TEST(pin_bad_entry_undone)
{
	/* The 300th entry is bad: the pin fails and the first 299 references are gone again. */
	u64 *page = page_alloc(), *table = page_alloc();

	for (unsigned i = 0; i < 512; i++)
		table[i] = MAKE_PTE(i == 300 ? 0xffffff0000 : virt_to_mfn(page), PTE_RW);
	CHECK_EQ(page_protect(table, false), 0);
	CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(table), 0), 0);
	CHECK_EQ(page_protect(page, false), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0), 0);
	table_free(page);
	table_free(table);
}

TEST(pin_order)
{
	/* Pin every level of one tree, unpin from the bottom and then from the top: the pins are independent. */
	for (int pass = 0; pass < 2; pass++) {
		struct tree t;

		tree_make(&t, 4);
		for (int l = 1; l <= 4; l++)
			CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE + l - 1, virt_to_mfn(t.tables[l]), 0), 0);
		for (int i = 1; i <= 4; i++) {
			int l = pass ? i : 5 - i;

			CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(t.tables[l]), 0), 0);
			/* Seen from the top, a table is free once it and all above it are unpinned. */
			CHECK_EQ(page_protect(t.tables[l], true) == 0, !pass || l == 4);
			CHECK_EQ(page_protect(t.tables[l], false), 0);
		}
		tree_drop(&t, 4);
	}
}

TEST(pin_shared_subtree)
{
	/* Two level-2 tables share a level-1 table, which stays a table until both are gone. */
	struct tree t;
	u64 *second = page_alloc();

	tree_make(&t, 2);
	second[7] = t.tables[2][0];
	CHECK_EQ(page_protect(second, false), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L2_TABLE, virt_to_mfn(t.tables[2]), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L2_TABLE, virt_to_mfn(second), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(t.tables[2]), 0), 0);
	CHECK_LT(page_protect(t.tables[1], true), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(second), 0), 0);
	CHECK_EQ(page_protect(t.tables[1], true), 0);
	table_free(second);
	tree_drop(&t, 2);
}

/* A top level that maps the kernel as the running one does. */
static u64 *clone_l4(void)
{
	u64 *l4 = page_alloc();

	l4[pt_index(VIRT_BASE, 4)] = *pt_walk(VIRT_BASE, 4);
	CHECK_EQ(page_protect(l4, false), 0);
	return l4;
}

TEST(new_base_pointer)
{
	u64 *page = page_alloc(), *l4 = clone_l4();

	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	WRITE_ONCE(scratch[0], 17);
	CHECK_EQ(mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(l4), 0), 0);
	CHECK_TRAP(VEC_PF, READ_ONCE(scratch[0]));
	/* The hypervisor has put its own slots in. */
	CHECK_EQ(machine_to_phys_mapping[virt_to_mfn(page)], virt_to_pfn(page));
	/* In use without being pinned: neither writable nor unpinnable. */
	CHECK_LT(page_protect(l4, true), 0);
	CHECK_LT(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l4), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(current_l4()), 0), 0);
	CHECK_EQ(READ_ONCE(scratch[0]), 17);
	CHECK_EQ(mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(current_l4()), 0), 0);
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	table_free(l4);
	page_free(page);
}

TEST(new_base_pointer_refused)
{
	u64 *page = page_alloc();

	CHECK_LT(mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(page), 0), 0);
	for (int level = 1; level < 4; level++)
		CHECK_LT(mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(pt_walk(VIRT_BASE, level)), 0), 0);
	WRITE_ONCE(page[0], 1);
	page_free(page);
}

TEST(new_user_base_pointer)
{
	u64 *l4 = clone_l4(), *page = page_alloc();

	CHECK_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(l4), 0), 0);
	CHECK_LT(page_protect(l4, true), 0);
	CHECK_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(l4), 0), 0);
	CHECK_LT(mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(page), 0), 0);
	CHECK_LT(page_protect(l4, true), 0);
	CHECK_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
	CHECK_EQ(page_protect(l4, true), 0);
	page_free(l4);
	page_free(page);
}

TEST(flushes)
{
	u64 mask = 1;

	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, (u64)&mask), 0);
	CHECK_EQ(mmuext(MMUEXT_INVLPG_LOCAL, SCRATCH_VA, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_INVLPG_ALL, SCRATCH_VA, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_INVLPG_MULTI, SCRATCH_VA, (u64)&mask), 0);
	/* Only for who has devices. */
	CHECK_EQ(mmuext(MMUEXT_FLUSH_CACHE, 0, 0), privileged() ? 0 : -XEN_EACCES);
	CHECK_EQ(mmuext(MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0) == 0, privileged());
	/* Any address may be flushed; there is nothing to be found at some. */
	CHECK_EQ(mmuext(MMUEXT_INVLPG_LOCAL, XEN_VA_INSIDE, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_INVLPG_ALL, XEN_VA_INSIDE, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_INVLPG_LOCAL, NONCANONICAL, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_INVLPG_ALL, NONCANONICAL, 0), 0);
	CHECK_LT(mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, XEN_VA_INSIDE), 0);
	CHECK_LT(mmuext(MMUEXT_INVLPG_MULTI, SCRATCH_VA, NONCANONICAL), 0);
	/* Processors that do not exist are ignored. */
	mask = ~0ul;
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, (u64)&mask), 0);
	mask = 0;
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, (u64)&mask), 0);
}

TEST(clear_and_copy_page)
{
	u64 *a = page_alloc(), *b = page_alloc();

	memset(a, 0x5a, PAGE_SIZE);
	CHECK_EQ(mmuext(MMUEXT_COPY_PAGE, virt_to_mfn(b), virt_to_mfn(a)), 0);
	CHECK_EQ(memcmp(a, b, PAGE_SIZE), 0);
	CHECK_EQ(mmuext(MMUEXT_CLEAR_PAGE, virt_to_mfn(a), 0), 0);
	for (unsigned i = 0; i < 512; i++)
		if (READ_ONCE(a[i])) {
			CHECK_EQ(a[i], 0);
			break;
		}
	CHECK_EQ(b[511], 0x5a5a5a5a5a5a5a5a);
	page_free(a);
	page_free(b);
}

TEST(clear_and_copy_refused)
{
	u64 *page = page_alloc(), *l1 = pt_walk(VIRT_BASE, 1), first;

	l1 = (u64 *)((u64)l1 & ~(PAGE_SIZE - 1));
	first = l1[pt_index(VIRT_BASE, 1)];
	/* A page table is not to be written behind the hypervisor's back; reading it is fine. */
	CHECK_LT(mmuext(MMUEXT_CLEAR_PAGE, virt_to_mfn(l1), 0), 0);
	CHECK_LT(mmuext(MMUEXT_COPY_PAGE, virt_to_mfn(l1), virt_to_mfn(page)), 0);
	CHECK_EQ(READ_ONCE(l1[pt_index(VIRT_BASE, 1)]) & PTE_MFN_MASK, first & PTE_MFN_MASK);
	CHECK_EQ(mmuext(MMUEXT_COPY_PAGE, virt_to_mfn(page), virt_to_mfn(l1)), 0);
	CHECK_LT(mmuext(MMUEXT_CLEAR_PAGE, 0x100, 0), 0);
	CHECK_LT(mmuext(MMUEXT_CLEAR_PAGE, ~0ul, 0), 0);
	CHECK_LT(mmuext(MMUEXT_COPY_PAGE, virt_to_mfn(page), 0x100), 0);
	CHECK_LT(mmuext(MMUEXT_COPY_PAGE, virt_to_mfn(page), ~0ul), 0);
	CHECK_LT(mmuext(MMUEXT_COPY_PAGE, 0x100, virt_to_mfn(page)), 0);
	page_free(page);
}

TEST(batches)
{
	struct mmuext_op ops[4] = {
		{ .cmd = MMUEXT_TLB_FLUSH_LOCAL }, { .cmd = MMUEXT_TLB_FLUSH_ALL },
		{ .cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = ~0ul }, { .cmd = MMUEXT_TLB_FLUSH_LOCAL },
	};
	u32 done = 99;

	CHECK_EQ(HCALL(mmuext_op, ops, 2, &done, DOMID_SELF), 0);
	CHECK_EQ(done, 2);
	CHECK_LT(HCALL(mmuext_op, ops, 4, &done, DOMID_SELF), 0);
	CHECK_EQ(done, 2);
	CHECK_EQ(HCALL(mmuext_op, NULL, 0, NULL, DOMID_SELF), 0);
	CHECK_LT(HCALL(mmuext_op, XEN_VA_INSIDE, 1, NULL, DOMID_SELF), 0);
	CHECK_LT(HCALL(mmuext_op, NONCANONICAL, 1, NULL, DOMID_SELF), 0);
	CHECK_NOBODY(HCALL(mmuext_op, ops, 1, NULL, 4321));
}

TEST(unknown_commands)
{
	CHECK_LT(mmuext(14, 0, 0), 0);
	CHECK_LT(mmuext(21, 0, 0), 0);
	CHECK_LT(mmuext(~0u, 0, 0), 0);
}
