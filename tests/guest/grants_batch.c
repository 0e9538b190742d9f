/* SPDX-License-Identifier: MIT */
/* Grants by the array, with ourselves as the peer: near and far addresses, good and bad elements side by side. */
#include "lib/grant.h"
#include "lib/test.h"

#define N	40u	/* more than are done between two looks at the clock */
#define FAR	(SCRATCH_VA + (1ul << 30))
#define NOWHERE	(SCRATCH_VA + (2ul << 39))	/* has no page table */
#define USED	(GTF_reading | GTF_writing)

static struct grant_entry_v1 *table;
static u64 *pages[N];
static struct gnttab_map_grant_ref maps[N];
static struct gnttab_unmap_grant_ref unmaps[N + 1];

/* Where page i is to be seen: neighbours in the array are in different page tables. */
static u64 seen_at(unsigned i)
{
	return (i % 2 ? SCRATCH_VA : FAR) + i * PAGE_SIZE;
}

static void offer_all(void)
{
	table = grant_own_table();
	for (unsigned i = 0; i < N; i++) {
		if (!pages[i]) {
			pages[i] = page_alloc();
			REQUIRE_EQ(map_new(seen_at(i), 0), 0);
		}
		pages[i][0] = 1000 + i;
		grant_offer(table, FIRST_REF + i, virt_to_mfn(pages[i]), own_id(), (u16)(GTF_permit_access | (i % 3 ? 0 : GTF_readonly)));
	}
}

/* Some are refused, each for a reason of its own. */
static int expected(unsigned i)
{
	switch (i) {
	case 5: return GNTST_bad_gntref;
	case 17: return GNTST_bad_domain;
	case 11: case 13: case 33: return GNTST_general_error;
	default: return GNTST_okay;
	}
}

static void prepare(unsigned i)
{
	struct gnttab_map_grant_ref *m = &maps[i];

	*m = (struct gnttab_map_grant_ref){
		.host_addr = seen_at(i), .flags = GNTMAP_host_map | (i % 3 ? 0 : GNTMAP_readonly), .ref = FIRST_REF + i, .dom = (domid_t)own_id(), .status = 1,
	};
	if (i % 7 == 0) {
		m->host_addr = virt_to_maddr(pt_walk(seen_at(i), 1));
		m->flags |= GNTMAP_contains_pte;
	}
	switch (i) {
	case 5: m->ref = 1u << 20; break;
	case 11: m->host_addr = NOWHERE; break;
	case 13: m->host_addr += 8; break;
	case 17: m->dom = 4321; break;
	case 33: m->flags &= ~(u32)GNTMAP_readonly; break;
	}
}

static void check_mapped(unsigned i)
{
	u64 *seen = (u64 *)seen_at(i);
	u16 flags = READ_ONCE(table[FIRST_REF + i].flags);

	CHECK_EQ(maps[i].status, expected(i));
	if (expected(i)) {
		CHECK_EQ(flags & USED, 0);
		CHECK_TRAP(VEC_PF, READ_ONCE(*seen));
		return;
	}
	CHECK_EQ(flags & USED, i % 3 ? USED : GTF_reading);
	CHECK_EQ(READ_ONCE(*seen), 1000 + i);
	if (i % 3)
		CHECK_TRAP(VEC_NONE, WRITE_ONCE(*seen, 2000 + i));
	else
		CHECK_TRAP(VEC_PF, WRITE_ONCE(*seen, 2000 + i));
	CHECK_EQ(READ_ONCE(pages[i][0]), i % 3 ? 2000 + i : 1000 + i);
}

TEST(near_and_far)
{
	offer_all();
	for (unsigned i = 0; i < N; i++)
		prepare(i);
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_map_grant_ref, maps, N), 0);
	for (unsigned i = 0; i < N; i++) {
		check_mapped(i);
		unmaps[i] = (struct gnttab_unmap_grant_ref){ .host_addr = maps[i].host_addr, .handle = expected(i) ? ~0u : maps[i].handle, .status = 1 };
	}
	/* What was unmapped by an element before is no handle any more, though nobody has seen that yet. */
	unmaps[N] = unmaps[N - 1];
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_unmap_grant_ref, unmaps, N + 1), 0);
	for (unsigned i = 0; i < N; i++) {
		CHECK_EQ(unmaps[i].status, expected(i) ? GNTST_bad_handle : GNTST_okay);
		CHECK_EQ(READ_ONCE(table[FIRST_REF + i].flags) & USED, 0);
		CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)seen_at(i)));
	}
	CHECK_EQ(unmaps[N].status, GNTST_bad_handle);
}

/* A mapping for processor and devices, of which an array of two removes one each. */
TEST(one_kind_after_the_other)
{
	offer_all();
	for (unsigned first = 0; first < 2; first++) {
		prepare(1);
		maps[1].flags |= GNTMAP_device_map;
		CHECK_EQ(HCALL(grant_table_op, GNTTABOP_map_grant_ref, &maps[1], 1), 0);
		REQUIRE_EQ(maps[1].status, GNTST_okay);
		unmaps[first] = (struct gnttab_unmap_grant_ref){ .host_addr = maps[1].host_addr, .handle = maps[1].handle, .status = 1 };
		unmaps[!first] = (struct gnttab_unmap_grant_ref){ .dev_bus_addr = maps[1].dev_bus_addr, .handle = maps[1].handle, .status = 1 };
		CHECK_EQ(HCALL(grant_table_op, GNTTABOP_unmap_grant_ref, unmaps, 2), 0);
		CHECK_EQ(unmaps[0].status, GNTST_okay);
		CHECK_EQ(unmaps[1].status, GNTST_okay);
		CHECK_EQ(READ_ONCE(table[FIRST_REF + 1].flags) & USED, 0);
		CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)seen_at(1)));
	}
}

/* A page table that is gone after the array had to do with it, is one no more. */
TEST(table_is_free_afterwards)
{
	u64 *l1 = table_alloc(), maddr = virt_to_maddr(l1);
	struct gnttab_map_grant_ref m;

	offer_all();
	REQUIRE_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(l1), 0), 0);
	prepare(1);
	m = maps[1];
	m.host_addr = maddr + 64;
	m.flags |= GNTMAP_contains_pte;
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	REQUIRE_EQ(m.status, GNTST_okay);
	unmaps[0] = (struct gnttab_unmap_grant_ref){ .host_addr = maddr + 64, .handle = m.handle, .status = 1 };
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_unmap_grant_ref, unmaps, 1), 0);
	CHECK_EQ(unmaps[0].status, GNTST_okay);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l1), 0), 0);
	/* Makes it an ordinary page, which can be written to. */
	table_free(l1);
}

/* An array that leads out of the address space is refused as a whole. */
TEST(array_without_end)
{
	u64 top = -PAGE_SIZE;
	struct gnttab_map_grant_ref *last = (void *)top;

	offer_all();
	REQUIRE_EQ(map_new(top, MAKE_PTE(virt_to_mfn(page_alloc()), PTE_RW)), 0);
	prepare(1);
	*last = maps[1];
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_map_grant_ref, last, PAGE_SIZE / sizeof(*last) + 1), -XEN_EFAULT);
	CHECK_EQ(last->status, 1);
	CHECK_EQ(READ_ONCE(table[FIRST_REF + 1].flags) & USED, 0);
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_map_grant_ref, last, 0x7fffffff), -XEN_EFAULT);
	CHECK_EQ(READ_ONCE(table[FIRST_REF + 1].flags) & USED, 0);
}
