/* SPDX-License-Identifier: MIT */
/* Page types and translations under two vCPUs: pin against unpin, map against pin, use against release. */
#include "lib/test.h"
#include "lib/time.h"

#include <xen/memory.h>

/* A race goes on for this long, and then until both sides have got somewhere. */
#define DURATION (500 * MSEC)
#define ENOUGH 5

static volatile bool stop;
static u64 *victim;		/* the page both vCPUs fight for */
static volatile u64 counts[4];

static bool racing(u64 since, u64 mine, u64 theirs)
{
	u64 t = now() - since;

	return t < DURATION || (t < PATIENCE && (mine < ENOUGH || theirs < ENOUGH));
}

static bool two_cpus(void)
{
	if (cpu_count() >= 2)
		return true;
	test_note("needs two vCPUs");
	return false;
}

static void other(void (*job)(void *))
{
	stop = false;
	memset((void *)counts, 0, sizeof(counts));
	cpu_run(1, job, NULL);
}

static void join(void)
{
	stop = true;
	CHECK_EQ(cpu_wait(1), 0);
}

static void pinner(void *arg)
{
	u64 mfn = virt_to_mfn(victim);

	(void)arg;
	while (!stop) {
		if (mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0))
			continue;
		counts[0]++;
		/* Pinned by us: whatever the other vCPU does, the content is valid and the page is not writable. */
		if (READ_ONCE(victim[5]))
			counts[1]++;
		if (mmuext(MMUEXT_UNPIN_TABLE, mfn, 0))
			counts[2]++;
	}
}

TEST(pin_against_map)
{
	/* One vCPU pins and unpins the page; the other makes it writable and puts an entry in that no table may hold. */
	u64 evil, writable = 0, start;

	if (!two_cpus())
		return;
	victim = table_alloc();
	evil = MAKE_PTE(virt_to_mfn(current_l4()), PTE_RW);
	other(pinner);
	start = now();
	while (racing(start, writable, counts[0])) {
		if (page_protect(victim, true))
			continue;
		writable++;
		WRITE_ONCE(victim[5], evil);
		WRITE_ONCE(victim[5], 0);
		CHECK_EQ(page_protect(victim, false), 0);
	}
	join();
	print("  pinned %lu times, writable %lu times\n", counts[0], writable);
	CHECK_NE(counts[0], 0);
	CHECK_NE(writable, 0);
	CHECK_EQ(counts[1], 0);
	CHECK_EQ(counts[2], 0);
	table_free(victim);
}

static void same_pinner(void *arg)
{
	u64 mfn = virt_to_mfn(victim);
	unsigned level = (unsigned)(u64)arg;

	while (!stop)
		if (!mmuext(MMUEXT_PIN_L1_TABLE + level, mfn, 0)) {
			counts[0]++;
			while (!stop && mmuext(MMUEXT_UNPIN_TABLE, mfn, 0))
				;
		}
}

TEST(pin_against_pin)
{
	/* Two vCPUs pin the same page at different levels: never both. An empty page is valid at either. */
	u64 mfn, mine = 0, start;

	if (!two_cpus())
		return;
	victim = table_alloc();
	mfn = virt_to_mfn(victim);
	stop = false;
	counts[0] = 0;
	cpu_run(1, same_pinner, (void *)1);
	start = now();
	while (racing(start, mine, counts[0]))
		if (!mmuext(MMUEXT_PIN_L3_TABLE, mfn, 0)) {
			mine++;
			CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0), 0);
			/* Ours to unpin, though the other may have been quicker. */
			mmuext(MMUEXT_UNPIN_TABLE, mfn, 0);
		}
	join();
	mmuext(MMUEXT_UNPIN_TABLE, mfn, 0);
	print("  %lu and %lu pins\n", mine, counts[0]);
	CHECK_NE(mine, 0);
	CHECK_NE(counts[0], 0);
	CHECK_EQ(page_protect(victim, true), 0);
	page_free(victim);
}

static u64 *tree_top;

static void tree_pinner(void *arg)
{
	u64 mfn = virt_to_mfn(tree_top);

	(void)arg;
	while (!stop)
		if (!mmuext(MMUEXT_PIN_L2_TABLE, mfn, 0)) {
			counts[0]++;
			mmuext(MMUEXT_UNPIN_TABLE, mfn, 0);
		}
}

TEST(validate_against_update)
{
	/* A tree of 16 tables is validated and torn down while its entries are changed with mmu_update. */
	enum { TABLES = 16 };
	u64 *l1[TABLES];
	u64 start, updates = 0;

	if (!two_cpus())
		return;
	tree_top = page_alloc();
	for (unsigned i = 0; i < TABLES; i++) {
		l1[i] = table_alloc();
		tree_top[i] = MAKE_PTE(virt_to_mfn(l1[i]), PTE_TABLE);
	}
	CHECK_EQ(page_protect(tree_top, false), 0);
	other(tree_pinner);
	start = now();
	for (unsigned i = 0; racing(start, updates, counts[0]); i = (i + 1) % TABLES) {
		u64 good = MAKE_PTE(virt_to_mfn(l1[i]), PTE_TABLE), where = virt_to_maddr(&tree_top[i]);

		/* Refused, or written while it has no type; either way the next pin sees one state or the other. */
		mmu_update(where, 0);
		mmu_update(where, good);
		/* Only while the table is unpinned may this be stored at all. */
		if (!mmu_update(where, MAKE_PTE(virt_to_mfn(current_l4()), PTE_TABLE)))
			mmu_update(where, good);
		updates++;
	}
	join();
	print("  %lu pins, %lu updates\n", counts[0], updates);
	CHECK_NE(counts[0], 0);
	table_free(tree_top);
	for (unsigned i = 0; i < TABLES; i++)
		table_free(l1[i]);
}

/* Stale translations. */

static u64 *stale = (u64 *)SCRATCH_VA;

static void writer(void *arg)
{
	(void)arg;
	while (!stop) {
		struct trap t;

		CATCH(&t, while (!stop) { WRITE_ONCE(stale[5], 0xeeee000000000066); counts[0]++; });
		if (t.vector != VEC_NONE)
			counts[1]++;
	}
}

TEST(stale_writable_mapping)
{
	/*
	 * The other vCPU writes through a mapping. We remove the mapping without any flush and make the page a table: the
	 * hypervisor must see to it that the stale translation is gone before the page counts as one.
	 */
	u64 *page;
	unsigned pins = 0;

	if (!two_cpus())
		return;
	page = page_alloc();
	CHECK_EQ(map_new(SCRATCH_VA, 0), 0);
	other(writer);
	for (unsigned i = 0; i < 20; i++) {
		u64 before = counts[0];

		CHECK_EQ(page_protect(page, true), 0);
		CHECK_EQ(HCALL(update_va_mapping, SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RW),
			       UVMF_TLB_FLUSH | UVMF_ALL), 0);
		/* Until it has written at least once more it has no translation to be stale. */
		CHECK(WAIT_FOR(counts[0] > before + 2, PATIENCE));
		CHECK_EQ(HCALL(update_va_mapping, SCRATCH_VA, 0, UVMF_NONE), 0);
		CHECK_EQ(HCALL(update_va_mapping, page, MAKE_PTE(virt_to_mfn(page), PTE_RO), UVMF_NONE), 0);
		/* What the other vCPU writes has no present bit, so that the page is a valid table at every moment. */
		CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0);
		pins++;
		/* A table now. An entry of our own making must stay as it is. */
		CHECK_EQ(mmu_update(virt_to_maddr(&page[5]), 0x4000), 0);
		for (unsigned k = 0; k < 2000; k++)
			if (READ_ONCE(page[5]) != 0x4000) {
				CHECK_EQ(page[5], 0x4000);
				break;
			}
		CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0), 0);
	}
	join();
	print("  %u pins\n", pins);
	CHECK_NE(pins, 0);
	CHECK_EQ(page_protect(page, true), 0);
	page_free(page);
}

TEST(stale_mapping_of_released_frame)
{
	/* The same with the frame given back to the hypervisor and taken again, here at another place. */
	u64 *page, *home;
	u64 pfn;

	if (!two_cpus())
		return;
	page = page_alloc();
	pfn = virt_to_pfn(page);
	home = page;
	other(writer);
	for (unsigned i = 0; i < 20; i++) {
		u64 before = counts[0], mfn = pfn_to_mfn(pfn), frame = mfn, got = pfn;
		struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

		CHECK_EQ(HCALL(update_va_mapping, SCRATCH_VA, MAKE_PTE(mfn, PTE_RW), UVMF_TLB_FLUSH | UVMF_ALL), 0);
		CHECK(WAIT_FOR(counts[0] > before + 2, PATIENCE));
		CHECK_EQ(HCALL(update_va_mapping, SCRATCH_VA, 0, UVMF_NONE), 0);
		CHECK_EQ(HCALL(update_va_mapping, home, 0, UVMF_NONE), 0);
		set_xen_guest_handle(r.extent_start, &frame);
		REQUIRE_EQ(HCALL(memory_op, XENMEM_decrease_reservation, &r), 1);
		set_xen_guest_handle(r.extent_start, &got);
		REQUIRE_EQ(HCALL(memory_op, XENMEM_populate_physmap, &r), 1);
		set_p2m(pfn, got);
		CHECK_EQ(map_va((u64)home, MAKE_PTE(got, PTE_RW)), 0);
		WRITE_ONCE(home[5], 0x1111);
		for (unsigned k = 0; k < 2000; k++)
			if (READ_ONCE(home[5]) != 0x1111) {
				CHECK_EQ(home[5], 0x1111);
				break;
			}
	}
	join();
	page_free(page);
}

TEST(stale_write_to_free_frame)
{
	/*
	 * No second vCPU needed: the translations of a page are removed without a flush, the frame is given back, and then
	 * written through what the TLB remembers, all over. The hypervisor must not keep anything of its own in a frame that
	 * a TLB may still know.
	 */
	u64 *page = page_alloc(), pfn = virt_to_pfn(page);

	CHECK_EQ(map_new(SCRATCH_VA, 0), 0);
	for (unsigned i = 0; i < 20; i++) {
		u64 mfn = pfn_to_mfn(pfn), frame = mfn, got = pfn;
		struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
		struct trap t;

		CHECK_EQ(map_va(SCRATCH_VA, MAKE_PTE(mfn, PTE_RW)), 0);
		set_xen_guest_handle(r.extent_start, &frame);
		WRITE_ONCE(stale[0], 1);
		CHECK_EQ(HCALL(update_va_mapping, SCRATCH_VA, 0, UVMF_NONE), 0);
		CHECK_EQ(HCALL(update_va_mapping, page, 0, UVMF_NONE), 0);
		REQUIRE_EQ(HCALL(memory_op, XENMEM_decrease_reservation, &r), 1);
		CATCH(&t, for (unsigned k = 0; k < 512; k++) WRITE_ONCE(stale[k], 0x4141414141414141));
		CHECK(t.vector == VEC_NONE || t.vector == VEC_PF);
		set_xen_guest_handle(r.extent_start, &got);
		REQUIRE_EQ(HCALL(memory_op, XENMEM_populate_physmap, &r), 1);
		set_p2m(pfn, got);
		CHECK_EQ(map_va((u64)page, MAKE_PTE(got, PTE_RW)), 0);
	}
	page_free(page);
}

static void reader(void *arg)
{
	(void)arg;
	while (!stop) {
		struct trap t;

		CATCH(&t, while (!stop) { u64 v = READ_ONCE(stale[0]); if (v > counts[2]) counts[2] = v; counts[0]++; });
	}
}

TEST(flush_reaches_other_cpu)
{
	/* After an update with UVMF_ALL, or a MULTI flush that names it, the other vCPU sees the new page at once. */
	u64 *page[2], mask = ~0ul;

	if (!two_cpus())
		return;
	page[0] = page_alloc();
	page[1] = page_alloc();
	CHECK_EQ(map_va(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page[0]), PTE_RW)), 0);
	other(reader);
	for (u64 i = 1; i < 40; i++) {
		u64 *next = page[i & 1], pte = MAKE_PTE(virt_to_mfn(next), PTE_RW), seen;

		next[0] = i;
		if (i % 3 == 0) {
			CHECK_EQ(HCALL(update_va_mapping, SCRATCH_VA, pte, UVMF_INVLPG | UVMF_ALL), 0);
		} else if (i % 3 == 1) {
			CHECK_EQ(mmu_update(virt_to_maddr(pt_walk(SCRATCH_VA, 1)), pte), 0);
			CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, (u64)&mask), 0);
		} else {
			CHECK_EQ(mmu_update(virt_to_maddr(pt_walk(SCRATCH_VA, 1)), pte), 0);
			CHECK_EQ(mmuext(MMUEXT_INVLPG_ALL, SCRATCH_VA, 0), 0);
		}
		seen = counts[0];
		/* Two whole rounds of the reader later it must have read this value. */
		CHECK(WAIT_FOR(counts[0] > seen + 1, PATIENCE));
		if (counts[2] != i) {
			CHECK_EQ(counts[2], i);
			break;
		}
	}
	join();
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	page_free(page[0]);
	page_free(page[1]);
}

static void base_switcher(void *arg)
{
	u64 mine = *(u64 *)arg, home = virt_to_mfn(current_l4());

	while (!stop) {
		if (!mmuext(MMUEXT_NEW_BASEPTR, mine, 0)) {
			counts[0]++;
			mmuext(MMUEXT_NEW_BASEPTR, home, 0);
		}
	}
}

TEST(base_pointer_against_unpin)
{
	/* One vCPU runs on a top level while the other pins, unpins and edits it. */
	u64 *l4, mfn, start, pins = 0;

	if (!two_cpus())
		return;
	l4 = table_alloc();
	mfn = virt_to_mfn(l4);
	CHECK_EQ(table_set(l4, pt_index(VIRT_BASE, 4), *pt_walk(VIRT_BASE, 4)), 0);
	stop = false;
	counts[0] = 0;
	cpu_run(1, base_switcher, &mfn);
	start = now();
	while (racing(start, pins, counts[0])) {
		if (mmuext(MMUEXT_PIN_L4_TABLE, mfn, 0))
			continue;
		pins++;
		CHECK_EQ(table_set(l4, 5, *pt_walk(VIRT_BASE, 4)), 0);
		CHECK_EQ(table_set(l4, 5, 0), 0);
		CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn, 0), 0);
	}
	join();
	print("  %lu pins, %lu switches\n", pins, counts[0]);
	CHECK_NE(pins, 0);
	CHECK_NE(counts[0], 0);
	table_free(l4);
}

TEST(memory_stays_accounted)
{
	CHECK_EQ(HCALL(memory_op, XENMEM_current_reservation, &(domid_t){ DOMID_SELF }), start_info->nr_pages);
}
