/* SPDX-License-Identifier: MIT */
/* memory_op: reservation changes, exchange, maps and limits, with good and with bad arguments. */
#include "lib/test.h"

#include <xen/memory.h>

static const domid_t self = DOMID_SELF;

static long current_pages(void)
{
	return HCALL(memory_op, XENMEM_current_reservation, &self);
}

/* What current_pages() is when no test has anything out; a test that cannot help moving it sets it. */
static long expected_pages;

static long baseline(void)
{
	return expected_pages ? expected_pages : (long)start_info->nr_pages;
}

static long reserve(unsigned op, u64 *list, u64 n, u32 order, u32 flags)
{
	struct xen_memory_reservation r = { .nr_extents = n, .extent_order = order, .mem_flags = flags, .domid = DOMID_SELF };

	set_xen_guest_handle(r.extent_start, list);
	return HCALL(memory_op, op, &r);
}

/* Gives a page's frame away: unmaps it and hands it back. The page's pfn is free afterwards. */
static void give_away(u64 *page)
{
	u64 mfn = virt_to_mfn(page);

	CHECK_EQ(map_va((u64)page, 0), 0);
	CHECK_EQ(reserve(XENMEM_decrease_reservation, &mfn, 1, 0, 0), 1);
}

static void take_back(u64 *page)
{
	u64 pfn = virt_to_pfn(page), mfn = pfn;

	CHECK_EQ(reserve(XENMEM_populate_physmap, &mfn, 1, 0, 0), 1);
	CHECK_EQ(mfn_to_pfn(mfn), pfn);
	set_p2m(pfn, mfn);
	CHECK_EQ(map_va((u64)page, MAKE_PTE(mfn, PTE_RW)), 0);
}

TEST(numbers)
{
	static const domid_t nobody = 4321;
	domid_t number = (domid_t)own_id();

	CHECK_EQ(current_pages(), start_info->nr_pages);
	CHECK_EQ(HCALL(memory_op, XENMEM_current_reservation, &number), start_info->nr_pages);
	CHECK_GE(HCALL(memory_op, XENMEM_maximum_reservation, &self), (long)start_info->nr_pages);
	CHECK_GE(HCALL(memory_op, XENMEM_maximum_ram_page, NULL), (long)start_info->nr_pages - 1);
	CHECK_GE(HCALL(memory_op, XENMEM_maximum_gpfn, &self), (long)shared_info->arch.max_pfn - 1);
	CHECK_LT(HCALL(memory_op, XENMEM_current_reservation, &nobody), 0);
	CHECK_LT(HCALL(memory_op, XENMEM_maximum_reservation, &nobody), 0);
	for (u64 pfn = 0; pfn < start_info->nr_pages; pfn += 97)
		if (pfn_to_mfn(pfn) > (u64)HCALL(memory_op, XENMEM_maximum_ram_page, NULL))
			CHECK_EQ(pfn, 0);
}

TEST(decrease_and_populate)
{
	u64 *page = page_alloc();

	page[0] = 1;
	give_away(page);
	CHECK_EQ(current_pages(), baseline() - 1);
	take_back(page);
	CHECK_EQ(current_pages(), baseline());
	WRITE_ONCE(page[1], 2);
	page_free(page);
}

TEST(fresh_memory_holds_nothing)
{
	/* What comes back from the hypervisor's heap must not show what anybody wrote there. */
	enum { N = 64 };
	u64 *pages[N], dirty = 0;

	for (unsigned i = 0; i < N; i++) {
		pages[i] = page_alloc();
		memset(pages[i], 0xa5, PAGE_SIZE);
		give_away(pages[i]);
	}
	for (unsigned i = 0; i < N; i++) {
		take_back(pages[i]);
		for (unsigned k = 0; k < 512; k++)
			if (READ_ONCE(pages[i][k]))
				dirty++;
	}
	/* A domain may be given its own old frames unscrubbed: Xen scrubs only when a domain dies. */
	if (dirty)
		test_note("%lu words of old contents, our own", dirty);
	for (unsigned i = 0; i < N; i++) {
		for (unsigned k = 0; k < 512; k++)
			if (pages[i][k] && pages[i][k] != 0xa5a5a5a5a5a5a5a5 && k) {
				/* The free list of the test's own allocator uses word 0. */
				CHECK_EQ(pages[i][k], 0);
				break;
			}
		page_free(pages[i]);
	}
}

TEST(decrease_mapped)
{
	/* A frame that is still mapped leaves the reservation, but stays ours to use until the mapping goes. */
	u64 *page = page_alloc(), mfn = virt_to_mfn(page);

	CHECK_EQ(reserve(XENMEM_decrease_reservation, &mfn, 1, 0, 0), 1);
	WRITE_ONCE(page[0], 0x77);
	CHECK_EQ(READ_ONCE(page[0]), 0x77);
	/* A second time changes nothing, though Xen says that it did. */
	CHECK(reserve(XENMEM_decrease_reservation, &mfn, 1, 0, 0) <= 1);
	CHECK_EQ(map_va((u64)page, 0), 0);
	take_back(page);
	CHECK_EQ(current_pages(), baseline());
	page_free(page);
}

TEST(decrease_refused)
{
	static const u64 bad[] = { 0x100, 0xfee00, 0xffffff0000, ~0ul, 1ul << 51, 1ul << 63 };
	u64 mfn;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		mfn = bad[i];
		CHECK(reserve(XENMEM_decrease_reservation, &mfn, 1, 0, 0) <= 0);
	}
	CHECK_EQ(current_pages(), baseline());
}

TEST(increase)
{
	/* Over the maximum: nothing is given. Below it: frames that are not in the p2m, listed by mfn. */
	u64 list[2] = { 0, 0 }, *page = page_alloc();
	long rc;

	give_away(page);
	rc = reserve(XENMEM_increase_reservation, list, 1, 0, 0);
	CHECK_EQ(rc, 1);
	CHECK_NE(list[0], 0);
	CHECK_EQ(current_pages(), baseline());
	CHECK_EQ(map_va((u64)page, MAKE_PTE(list[0], PTE_RW)), 0);
	CHECK_EQ(mmu_update(list[0] << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, virt_to_pfn(page)), 0);
	set_p2m(virt_to_pfn(page), list[0]);
	WRITE_ONCE(page[0], 1);
	page_free(page);
}

TEST(counts_and_orders)
{
	static u64 list[600];
	u64 *page = page_alloc();

	/* Nothing to do. */
	CHECK_EQ(reserve(XENMEM_decrease_reservation, NULL, 0, 0, 0), 0);
	CHECK_EQ(reserve(XENMEM_populate_physmap, NULL, 0, 0, 0), 0);
	/* Orders and counts beyond all measure. */
	list[0] = virt_to_mfn(page);
	for (u32 order = 19; order < 70; order += 5) {
		CHECK(reserve(XENMEM_increase_reservation, list, 1, order, 0) <= 0);
		CHECK(reserve(XENMEM_populate_physmap, list, 1, order, 0) <= 0);
		CHECK(reserve(XENMEM_decrease_reservation, list, 1, order, 0) <= 0);
	}
	CHECK(reserve(XENMEM_decrease_reservation, list, 1, ~0u, 0) <= 0);
	CHECK(reserve(XENMEM_decrease_reservation, list, ~0ul, 0, 0) <= 0);
	CHECK(reserve(XENMEM_decrease_reservation, list, 1ul << 58, 0, 0) <= 0);
	CHECK(reserve(XENMEM_populate_physmap, list, 1ul << 61, 0, 0) <= 0);
	CHECK(reserve(XENMEM_increase_reservation, list, (1ul << 52) + 1, 9, 0) <= 0);
	/* Impossible placement. */
	CHECK(reserve(XENMEM_increase_reservation, list, 1, 0, XENMEMF_address_bits(12)) <= 0);
	CHECK_EQ(current_pages(), baseline());
	WRITE_ONCE(page[0], 1);
	page_free(page);
}

TEST(bad_lists)
{
	static const u64 bad[] = { XEN_VA_INSIDE, XEN_VA_M2P, NONCANONICAL, SCRATCH_VA, ~7ul, 0x00007ffffffffff8 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(reserve(XENMEM_decrease_reservation, (u64 *)bad[i], 1, 0, 0) <= 0);
		CHECK(reserve(XENMEM_populate_physmap, (u64 *)bad[i], 1, 0, 0) <= 0);
		/* The result of these is a count, so that "none" is an answer as well. */
		CHECK(HCALL(memory_op, XENMEM_decrease_reservation, bad[i]) <= 0);
		CHECK(HCALL(memory_op, XENMEM_increase_reservation, bad[i]) <= 0);
		CHECK(HCALL(memory_op, XENMEM_populate_physmap, bad[i]) <= 0);
		CHECK_LT(HCALL(memory_op, XENMEM_exchange, bad[i]), 0);
		CHECK_LT(HCALL(memory_op, XENMEM_current_reservation, bad[i]), 0);
		CHECK_LT(HCALL(memory_op, XENMEM_machphys_mapping, bad[i]), 0);
		CHECK_LT(HCALL(memory_op, XENMEM_machphys_mfn_list, bad[i]), 0);
		CHECK_LT(HCALL(memory_op, XENMEM_memory_map, bad[i]), 0);
		CHECK_LT(HCALL(memory_op, XENMEM_machine_memory_map, bad[i]), 0);
	}
	CHECK_EQ(current_pages(), baseline());
}

TEST(increase_without_report)
{
	/*
	 * The frames cannot be reported. Xen has allocated each by then and leaves it with the domain; not to allocate, or
	 * to take it back, is better. What must not happen is a write to the place named, or a count of more than one each.
	 */
	static const u64 bad[] = { XEN_VA_INSIDE, XEN_VA_M2P, NONCANONICAL, SCRATCH_VA };
	u64 first = machine_to_phys_mapping[0];
	long before = current_pages();

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(reserve(XENMEM_increase_reservation, (u64 *)bad[i], 1, 0, 0) <= 0);
	CHECK_EQ(machine_to_phys_mapping[0], first);
	CHECK(current_pages() >= before && current_pages() <= before + (long)ARRAY_SIZE(bad));
	expected_pages = current_pages();
}

TEST(result_list_read_only)
{
	/* Frames were given but cannot be reported: they must be known to nobody, or counted and recoverable. */
	u64 *page = page_alloc(), *list = page_alloc();
	long before;

	give_away(page);
	before = current_pages();
	list[0] = virt_to_pfn(page);
	CHECK_EQ(page_protect(list, false), 0);
	CHECK(reserve(XENMEM_populate_physmap, list, 1, 0, 0) <= 1);
	CHECK_EQ(READ_ONCE(list[0]), virt_to_pfn(page));
	CHECK_EQ(page_protect(list, true), 0);
	if (current_pages() == before) {
		take_back(page);
	} else {
		/* The frame is there; look for it by its pfn. */
		bool found = false;

		for (u64 mfn = 0; mfn <= (u64)HCALL(memory_op, XENMEM_maximum_ram_page, NULL) && !found; mfn++) {
			struct trap t;
			volatile u64 pfn = ~0ul;

			CATCH(&t, pfn = mfn_to_pfn(mfn));
			if (t.vector == VEC_NONE && pfn == virt_to_pfn(page) &&
			    !map_va((u64)page, MAKE_PTE(mfn, PTE_RW))) {
				set_p2m(pfn, mfn);
				found = true;
			}
		}
		CHECK(found);
	}
	CHECK_EQ(current_pages(), baseline());
	page_free(list);
}

static long exchange(struct xen_memory_exchange *x)
{
	return HCALL(memory_op, XENMEM_exchange, x);
}

static struct xen_memory_exchange exchange_args(u64 *in, u64 n_in, u32 o_in, u64 *out, u64 n_out, u32 o_out)
{
	struct xen_memory_exchange x = {
		.in = { .nr_extents = n_in, .extent_order = o_in, .domid = DOMID_SELF },
		.out = { .nr_extents = n_out, .extent_order = o_out, .domid = DOMID_SELF },
	};

	set_xen_guest_handle(x.in.extent_start, in);
	set_xen_guest_handle(x.out.extent_start, out);
	return x;
}

/* Maps pages again after an exchange of 2^order of them for one extent at out. */
static void remap(u64 *first, unsigned n, const u64 *out, bool contiguous)
{
	for (unsigned i = 0; i < n; i++) {
		u64 *page = first + i * 512, mfn = contiguous ? out[0] + i : out[i];

		set_p2m(virt_to_pfn(page), mfn);
		CHECK_EQ(mfn_to_pfn(mfn), virt_to_pfn(page));
		CHECK_EQ(map_va((u64)page, MAKE_PTE(mfn, PTE_RW)), 0);
		WRITE_ONCE(page[0], i);
	}
}

TEST(exchange_for_contiguous)
{
	/* Sixteen scattered pages for one run of sixteen, as a driver's DMA buffer is made; and back. */
	enum { ORDER = 4, N = 1 << ORDER };
	u64 *first = pages_alloc(ORDER), in[N], out[N];
	struct xen_memory_exchange x;
	long before = current_pages();

	for (unsigned i = 0; i < N; i++) {
		in[i] = virt_to_mfn(first + i * 512);
		CHECK_EQ(map_va((u64)(first + i * 512), 0), 0);
	}
	out[0] = virt_to_pfn(first);
	x = exchange_args(in, N, 0, out, 1, ORDER);
	REQUIRE_EQ(exchange(&x), 0);
	CHECK_EQ(x.nr_exchanged, N);
	CHECK_EQ(out[0] & (N - 1), 0);
	remap(first, N, out, true);
	CHECK_EQ(current_pages(), before);

	for (unsigned i = 0; i < N; i++) {
		CHECK_EQ(map_va((u64)(first + i * 512), 0), 0);
		in[0] = out[0];
	}
	for (unsigned i = 0; i < N; i++)
		out[i] = virt_to_pfn(first) + i;
	x = exchange_args(in, 1, ORDER, out, N, 0);
	REQUIRE_EQ(exchange(&x), 0);
	CHECK_EQ(x.nr_exchanged, 1);
	remap(first, N, out, false);
	CHECK_EQ(current_pages(), before);
}

TEST(exchange_below_limit)
{
	u64 *page = page_alloc(), in = virt_to_mfn(page), out = virt_to_pfn(page);
	struct xen_memory_exchange x = exchange_args(&in, 1, 0, &out, 1, 0);

	x.out.mem_flags = XENMEMF_address_bits(31);
	CHECK_EQ(map_va((u64)page, 0), 0);
	REQUIRE_EQ(exchange(&x), 0);
	CHECK_LT(out, 1ul << 19);
	remap(page, 1, &out, false);
	page_free(page);
}

TEST(exchange_refused)
{
	u64 *page = page_alloc(), in[2], out[2];
	struct xen_memory_exchange x;

	in[0] = in[1] = virt_to_mfn(page);
	out[0] = out[1] = virt_to_pfn(page);
	/* Different amounts. */
	x = exchange_args(in, 1, 0, out, 2, 0);
	CHECK_LT(exchange(&x), 0);
	x = exchange_args(in, 1, 0, out, 1, 1);
	CHECK_LT(exchange(&x), 0);
	x = exchange_args(in, 1, 70, out, 1, 70);
	CHECK_LT(exchange(&x), 0);
	x = exchange_args(in, 1, 64, out, 1, 0);
	CHECK_LT(exchange(&x), 0);
	x = exchange_args(in, ~0ul, 0, out, ~0ul, 0);
	CHECK_LT(exchange(&x), 0);
	/* Different domains, no such domain. */
	x = exchange_args(in, 1, 0, out, 1, 0);
	x.out.domid = 4321;
	CHECK_LT(exchange(&x), 0);
	x.in.domid = 4321;
	CHECK_LT(exchange(&x), 0);
	/* Progress that was never made. */
	x = exchange_args(in, 1, 0, out, 1, 0);
	x.nr_exchanged = 2;
	CHECK_LT(exchange(&x), 0);
	x.nr_exchanged = ~0ul;
	CHECK_LT(exchange(&x), 0);
	/* Frames of nobody. */
	in[0] = 0x100;
	x = exchange_args(in, 1, 0, out, 1, 0);
	CHECK_LT(exchange(&x), 0);
	in[0] = ~0ul;
	x = exchange_args(in, 1, 0, out, 1, 0);
	CHECK_LT(exchange(&x), 0);
	CHECK_EQ(current_pages(), baseline());
	WRITE_ONCE(page[0], 1);
	page_free(page);
}

TEST(exchange_mapped_frame)
{
	/* Our own page, still mapped: it cannot be stolen from under the mapping. */
	u64 *page = page_alloc(), in = virt_to_mfn(page), out = virt_to_pfn(page);
	struct xen_memory_exchange x = exchange_args(&in, 1, 0, &out, 1, 0);

	page[0] = 0x1234;
	CHECK_LT(exchange(&x), 0);
	CHECK_EQ(x.nr_exchanged, 0);
	CHECK_EQ(READ_ONCE(page[0]), 0x1234);
	CHECK_EQ(virt_to_pfn(page), mfn_to_pfn(in));
	page_free(page);
}

TEST(exchange_bad_lists)
{
	/* The result list points into the hypervisor, at nothing, or at read-only memory: a write there must not happen. */
	static const u64 bad[] = { XEN_VA_INSIDE, XEN_VA_M2P, NONCANONICAL, SCRATCH_VA, 0xffff82d080000000, ~7ul };
	u64 first = machine_to_phys_mapping[0];

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		u64 *page = page_alloc(), in = virt_to_mfn(page), out = virt_to_pfn(page);
		struct xen_memory_exchange x = exchange_args(&in, 1, 0, (u64 *)bad[i], 1, 0);

		CHECK_EQ(map_va((u64)page, 0), 0);
		CHECK_LT(exchange(&x), 0);
		/* Index arithmetic that wraps round to a valid-looking address. */
		x = exchange_args(&in, 1, 0, &out, 1, 0);
		x.nr_exchanged = 1ul << 60;
		CHECK_LT(exchange(&x), 0);
		x = exchange_args((u64 *)bad[i], 1, 0, &out, 1, 0);
		CHECK_LT(exchange(&x), 0);
		/* Exchanged before the result could not be stored: the new frame is the guest's loss. */
		if (map_va((u64)page, MAKE_PTE(virt_to_mfn(page), PTE_RW)))
			continue;
		page_free(page);
	}
	CHECK_EQ(machine_to_phys_mapping[0], first);
	CHECK_EQ(current_pages(), baseline());
}

TEST(exchange_overlapping_lists)
{
	u64 *page = page_alloc(), both[2];
	struct xen_memory_exchange x;
	long rc;

	both[0] = virt_to_mfn(page);
	CHECK_EQ(map_va((u64)page, 0), 0);
	x = exchange_args(both, 1, 0, both, 1, 0);
	rc = exchange(&x);
	CHECK(rc <= 0);
	CHECK_EQ(current_pages(), baseline());
	if (rc) {
		CHECK_EQ(map_va((u64)page, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	} else {
		/* The list held the old mfn where a pfn was read: repair what the M2P says now. */
		CHECK_EQ(mmu_update(both[0] << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, virt_to_pfn(page)), 0);
		remap(page, 1, both, false);
	}
	page_free(page);
}

TEST(machphys_mapping)
{
	struct xen_machphys_mapping m = { 0 };

	CHECK_EQ(HCALL(memory_op, XENMEM_machphys_mapping, &m), 0);
	CHECK_EQ(m.v_start, XEN_VA_M2P);
	CHECK_LT((long)(m.v_start - m.v_end), 0);
	CHECK_GE(m.max_mfn + 1, HCALL(memory_op, XENMEM_maximum_ram_page, NULL));
}

TEST(machphys_mfn_list)
{
	u64 list[4] = { ~0ul, ~0ul, ~0ul, ~0ul };
	struct xen_machphys_mfn_list l = { .max_extents = 2 };

	set_xen_guest_handle(l.extent_start, list);
	CHECK_EQ(HCALL(memory_op, XENMEM_machphys_mfn_list, &l), 0);
	CHECK_GE(l.nr_extents, 1);
	CHECK_LT(l.nr_extents, 3);
	CHECK_NE(list[0], ~0ul);
	CHECK_EQ(list[2], ~0ul);
	l.max_extents = 0;
	CHECK_EQ(HCALL(memory_op, XENMEM_machphys_mfn_list, &l), 0);
	CHECK_EQ(l.nr_extents, 0);
	l.max_extents = ~0u;
	set_xen_guest_handle(l.extent_start, (u64 *)XEN_VA_INSIDE);
	CHECK_LT(HCALL(memory_op, XENMEM_machphys_mfn_list, &l), 0);
}

struct e820 {
	u64 addr, size;
	u32 type;
} __attribute__((packed));

TEST(memory_maps)
{
	static struct e820 map[128];
	struct xen_memory_map m = { .nr_entries = ARRAY_SIZE(map) };
	u64 ram = 0;
	long rc;

	set_xen_guest_handle(m.buffer, map);
	if (!privileged()) {
		CHECK_LT(HCALL(memory_op, XENMEM_machine_memory_map, &m), 0);
		return;
	}
	REQUIRE_EQ(HCALL(memory_op, XENMEM_machine_memory_map, &m), 0);
	CHECK_GE(m.nr_entries, 2);
	CHECK_LT(m.nr_entries, ARRAY_SIZE(map) + 1);
	for (unsigned i = 0; i < m.nr_entries; i++) {
		if (map[i].type == 1)
			ram += map[i].size;
		if (i)
			CHECK(map[i].addr >= map[i - 1].addr + map[i - 1].size);
	}
	CHECK_GE(ram, baseline() << PAGE_SHIFT);
	/* A short buffer gets a short answer, or none. */
	m.nr_entries = 1;
	map[1].size = 0x1234;
	rc = HCALL(memory_op, XENMEM_machine_memory_map, &m);
	CHECK(rc < 0 || m.nr_entries <= 1);
	CHECK_EQ(map[1].size, 0x1234);
	m.nr_entries = 0;
	CHECK(HCALL(memory_op, XENMEM_machine_memory_map, &m) <= 0);
	/* The map of the domain: Domain 0 has none unless one was set. */
	m.nr_entries = ARRAY_SIZE(map);
	rc = HCALL(memory_op, XENMEM_memory_map, &m);
	CHECK(rc == 0 || rc == -XEN_ENOSYS);
	/* Into nowhere. */
	m.nr_entries = ARRAY_SIZE(map);
	set_xen_guest_handle(m.buffer, (void *)XEN_VA_INSIDE);
	CHECK_LT(HCALL(memory_op, XENMEM_machine_memory_map, &m), 0);
}

TEST(other_domains)
{
	u64 list = 5;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = 4321 };

	set_xen_guest_handle(r.extent_start, &list);
	CHECK(HCALL(memory_op, XENMEM_populate_physmap, &r) <= 0);
	CHECK(HCALL(memory_op, XENMEM_increase_reservation, &r) <= 0);
	CHECK(HCALL(memory_op, XENMEM_decrease_reservation, &r) <= 0);
	r.domid = DOMID_XEN;
	CHECK(HCALL(memory_op, XENMEM_decrease_reservation, &r) <= 0);
	r.domid = DOMID_IO;
	CHECK(HCALL(memory_op, XENMEM_decrease_reservation, &r) <= 0);
	CHECK_EQ(list, 5);
}

TEST(populate_over_existing)
{
	/* A pfn that has a frame already: given a second one or refused, never the first lost. */
	u64 *page = page_alloc(), *spare = page_alloc(), list = virt_to_pfn(page), mfn = virt_to_mfn(page);
	long rc;

	page[0] = 0x4444;
	give_away(spare);
	rc = reserve(XENMEM_populate_physmap, &list, 1, 0, 0);
	CHECK(rc == 0 || rc == 1);
	CHECK_EQ(READ_ONCE(page[0]), 0x4444);
	CHECK_EQ(mmu_update(mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, virt_to_pfn(page)), 0);
	if (rc == 1) {
		CHECK_NE(list, mfn);
		CHECK_EQ(mmu_update(list << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, virt_to_pfn(spare)), 0);
		remap(spare, 1, &list, false);
	} else {
		take_back(spare);
	}
	CHECK_EQ(current_pages(), baseline());
	page_free(page);
	page_free(spare);
}

TEST(forged_continuation)
{
	/* The upper bits of the command carry the progress of a preempted call; a guest may put anything there. */
	u64 *page = page_alloc(), mfn = virt_to_mfn(page);
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

	set_xen_guest_handle(r.extent_start, &mfn);
	for (unsigned shift = 6; shift < 64; shift += 3) {
		long rc = HCALL(memory_op, XENMEM_decrease_reservation | 1ul << shift, &r);

		/* Past the end of the list, or a command that does not exist. */
		CHECK(rc < 0 || rc == 0 || (u64)rc == 1ul << (shift - 6) || rc == 1);
		CHECK(HCALL(memory_op, XENMEM_populate_physmap | 1ul << shift, &r) != 1 || shift == 6);
	}
	if (current_pages() != baseline()) {
		test_fail(__FILE__, __LINE__, "%ld pages", current_pages());
		return;
	}
	WRITE_ONCE(page[0], 1);
	page_free(page);
}

TEST(many_at_once)
{
	/* Enough for a preemption in the middle: everything is done all the same. */
	enum { N = 2048 };
	const unsigned n = privileged() ? N : N / 4;
	static u64 list[N], mfns[N];
	static u64 *pages[N];

	for (unsigned i = 0; i < n; i++) {
		pages[i] = page_alloc();
		mfns[i] = virt_to_mfn(pages[i]);
		CHECK_EQ(HCALL(update_va_mapping, pages[i], 0, UVMF_NONE), 0);
	}
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
	CHECK_EQ(reserve(XENMEM_decrease_reservation, mfns, n, 0, 0), n);
	CHECK_EQ(current_pages(), baseline() - n);
	for (unsigned i = 0; i < n; i++)
		list[i] = virt_to_pfn(pages[i]);
	REQUIRE_EQ(reserve(XENMEM_populate_physmap, list, n, 0, 0), n);
	for (unsigned i = 0; i < n; i++) {
		set_p2m(virt_to_pfn(pages[i]), list[i]);
		if (map_va((u64)pages[i], MAKE_PTE(list[i], PTE_RW)))
			CHECK_EQ(i, n);
		page_free(pages[i]);
	}
	CHECK_EQ(current_pages(), baseline());
}

TEST(physmap_operations_are_not_for_pv)
{
	struct xen_add_to_physmap add = { .domid = DOMID_SELF, .space = XENMAPSPACE_gmfn, .idx = 5, .gpfn = 6 };
	struct xen_remove_from_physmap rem = { .domid = DOMID_SELF, .gpfn = 5 };

	CHECK(HCALL(memory_op, XENMEM_add_to_physmap, &add) <= 0);
	/* Xen lets a PV domain drop a frame of its own this way; a frame that is none it does not. */
	rem.gpfn = ~0ul;
	CHECK_LT(HCALL(memory_op, XENMEM_remove_from_physmap, &rem), 0);
	CHECK_EQ(current_pages(), baseline());
}

TEST(unknown_operations)
{
	CHECK_EQ(HCALL(memory_op, 8, NULL), -XEN_ENOSYS);
	CHECK_EQ(HCALL(memory_op, 40, NULL), -XEN_ENOSYS);
	CHECK_EQ(HCALL(memory_op, 63, NULL), -XEN_ENOSYS);
}
