/* SPDX-License-Identifier: MIT */
/* Grants under pressure: versions that change under operations, references and handles that run out, thousands released at once. */
#include "lib/audit.h"
#include "lib/grant.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/memory.h>

#define IN_USE (GTF_reading | GTF_writing)
#define BATCH 64u

static struct peer p;
static struct grant_entry_v1 *own, *theirs;
static u64 page_mfn;

static void start(void)
{
	if (theirs)
		return;
	own = grant_own_table();
	CHECK_EQ(peer_start(&p, 3), 0);
	theirs = grant_table_of(&p);
	if (!theirs) {
		print("no view of the peer's table\n");
		test_die();
	}
	page_mfn = peer_mfn(&p, peer_alloc(&p, 0));
	CHECK_EQ(map_new(SCRATCH_VA, 0), 0);
	CHECK_EQ(map_new(SCRATCH_VA + PAGE_SIZE, 0), 0);
	CHECK_EQ(peer_map(&p, SCRATCH_VA, 0), 0);
}

static u32 done_maps, done_copies;

static void use_grants(void *arg)
{
	u64 va = SCRATCH_VA + (u64)arg * PAGE_SIZE;
	static u64 *page[2];
	u32 h;

	if (!page[(u64)arg])
		page[(u64)arg] = page_alloc();
	for (unsigned i = 0; i < 300; i++) {
		if (grant_map(va, peer_id(&p), FIRST_REF, GNTMAP_host_map, &h) == GNTST_okay) {
			__atomic_fetch_add(&done_maps, 1, __ATOMIC_SEQ_CST);
			if (grant_unmap(va, h) != GNTST_okay)
				test_fail(__FILE__, __LINE__, "a mapping cannot be undone");
		}
		if (grant_copy((struct copy_end){ true, peer_id(&p), FIRST_REF, 0 },
			       (struct copy_end){ false, DOMID_SELF, virt_to_mfn(page[(u64)arg]), 0 }, 256) == GNTST_okay)
			__atomic_fetch_add(&done_copies, 1, __ATOMIC_SEQ_CST);
		/* The entry is emptied by a change; in either version this is a grant to domain 0. */
		theirs[FIRST_REF].frame = (u32)page_mfn;
		((union grant_entry_v2 *)theirs)[FIRST_REF].full_page.frame = page_mfn;
		WRITE_ONCE(((union grant_entry_v2 *)theirs)[FIRST_REF].hdr.flags, GTF_permit_access);
		grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	}
}

TEST(version_changes_under_operations)
{
	/* Two vCPUs of the peer change the version to and fro while two of ours map and copy. */
	start();
	for (u32 v = 1; v < 3; v++) {
		struct gnttab_set_version sv = { .version = v };

		memcpy(peer_box(&p, v)->data, &sv, sizeof(sv));
		peer_post(&p, v, PEER_HAMMER, __HYPERVISOR_grant_table_op, GNTTABOP_set_version, peer_data_va(&p, v), 1, 0, 0);
	}
	if (cpu_count() > 1)
		cpu_run(1, use_grants, (void *)1);
	use_grants((void *)0);
	if (cpu_count() > 1)
		CHECK_EQ(cpu_wait(1), 0);
	CHECK_GE(peer_stop(&p, 1), 1);
	CHECK_GE(peer_stop(&p, 2), 1);
	print("  %u maps, %u copies\n", done_maps, done_copies);
	CHECK_EQ(peer_set_version(&p, 1), 0);
	memset(theirs + FIRST_REF, 0, 64 * sizeof(*theirs));
	/* All pins are gone: the version can be changed, and the page can become anything. */
	CHECK_EQ(peer_set_version(&p, 2), 0);
	CHECK_EQ(peer_set_version(&p, 1), 0);
	CHECK_LT(audit(), 1);
}

#define REFS 64u

/* Lets the peer map our references as often as it can, into the same slot. How often it could; the last status. */
static u32 map_many(s32 *status)
{
	u64 buffer_va = peer_alloc(&p, 0);
	struct gnttab_map_grant_ref *m = foreign_map(peer_id(&p), peer_mfn(&p, buffer_va), true);
	u32 n = 0;

	*status = 0;
	if (!CHECK(m != NULL))
		return 0;
	while (!*status && n < 100000) {
		for (u32 i = 0; i < BATCH; i++)
			m[i] = (struct gnttab_map_grant_ref){
				.host_addr = SCRATCH_VA, .flags = GNTMAP_host_map | GNTMAP_readonly, .ref = FIRST_REF + n / BATCH % REFS,
				.status = 1,
			};
		PEER_CALL(&p, grant_table_op, GNTTABOP_map_grant_ref, buffer_va, BATCH);
		for (u32 i = 0; i < BATCH && !*status; i++) {
			*status = m[i].status;
			n += !m[i].status;
		}
	}
	foreign_unmap(m);
	return n;
}

TEST(handles_run_out)
{
	/* The peer may have 8 frames of handles. What does not fit is refused; what it took is released with it. */
	u64 *page = page_alloc();
	s32 status;
	u32 n;

	start();
	for (u32 i = 0; i < REFS; i++)
		grant_offer(own, FIRST_REF + i, virt_to_mfn(page), peer_id(&p), GTF_permit_access);
	n = map_many(&status);
	print("  %u mappings\n", n);
	CHECK_EQ(status, GNTST_no_space);
	CHECK_GE(n, 1000);
	CHECK_LT(n, 5000);
	CHECK_EQ(READ_ONCE(own[FIRST_REF].flags) & IN_USE, GTF_reading);
	/* Everybody else goes on. */
	grant_offer(theirs, FIRST_REF, page_mfn, 0, GTF_permit_access);
	{
		u32 h;

		CHECK_EQ(grant_map(SCRATCH_VA, peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
		CHECK_EQ(grant_unmap(SCRATCH_VA, h), GNTST_okay);
	}
	foreign_unmap(theirs);
	theirs = NULL;
	CHECK_EQ(peer_destroy(&p), 0);
	for (u32 i = 0; i < REFS; i++) {
		CHECK_EQ(READ_ONCE(own[FIRST_REF + i].flags) & IN_USE, 0);
		own[FIRST_REF + i].flags = 0;
	}
	CHECK_EQ(page_protect(page, false), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_EQ(page_protect(page, true), 0);
	page_free(page);
	CHECK_LT(audit(), 1);
}

TEST(table_runs_out)
{
	/* The table grows to its limit of 8 frames, and not further; entries beyond it do not exist. */
	struct gnttab_query_size qs = { .status = 1 };
	struct gnttab_setup_table st = { .dom = DOMID_SELF, .nr_frames = 9, .status = 1 };
	u32 h;

	start();
	qs.dom = (domid_t)peer_id(&p);
	CHECK_EQ(HCALL(grant_table_op, GNTTABOP_query_size, &qs, 1), 0);
	CHECK_EQ(qs.status, GNTST_okay);
	CHECK_EQ(qs.max_nr_frames, 8);
	set_xen_guest_handle(st.frame_list, (xen_pfn_t *)(peer_data_va(&p, 0) + 128));
	CHECK_EQ(PEER_OP(&p, grant_table_op, GNTTABOP_setup_table, &st), 0);
	CHECK_LT(st.status, 0);
	st.nr_frames = 8;
	st.status = 1;
	CHECK_EQ(PEER_OP(&p, grant_table_op, GNTTABOP_setup_table, &st), 0);
	CHECK_EQ(st.status, GNTST_okay);
	CHECK_EQ(grant_map(SCRATCH_VA, peer_id(&p), 8 * REFS_V1, GNTMAP_host_map, &h), GNTST_bad_gntref);
	CHECK_LT(grant_map(SCRATCH_VA, peer_id(&p), 8 * REFS_V1 - 1, GNTMAP_host_map, &h), 0);
	/* In version 2 with all its status frames. */
	CHECK_EQ(peer_set_version(&p, 2), 0);
	CHECK_EQ(grant_map(SCRATCH_VA, peer_id(&p), 8 * REFS_V2, GNTMAP_host_map, &h), GNTST_bad_gntref);
	CHECK_LT(grant_map(SCRATCH_VA, peer_id(&p), 8 * REFS_V2 - 1, GNTMAP_host_map, &h), 0);
	CHECK_EQ(peer_set_version(&p, 1), 0);
}

TEST(status_frames_stay)
{
	/* The peer maps its status frame, and goes back to version 1: the frame is not reused while it is mapped. */
	struct {
		struct gnttab_get_status_frames op;
		u64 frames[2];
	} a = { .op = { .nr_frames = 1, .dom = DOMID_SELF, .status = 1 } };
	u64 va = SCRATCH_VA;

	start();
	CHECK_EQ(peer_set_version(&p, 2), 0);
	set_xen_guest_handle(a.op.frame_list, (uint64_t *)(peer_data_va(&p, 0) + offsetof(__typeof__(a), frames)));
	CHECK_EQ(PEER_OP(&p, grant_table_op, GNTTABOP_get_status_frames, &a), 0);
	REQUIRE_EQ(a.op.status, GNTST_okay);
	CHECK_EQ(peer_map(&p, va, MAKE_PTE(a.frames[0], PTE_RW)), 0);
	CHECK_LT(peer_set_version(&p, 1), 1);
	CHECK_EQ(peer_write(&p, va, 0x1234), VEC_NONE);
	CHECK_EQ(peer_map(&p, va, 0), 0);
	CHECK_EQ(peer_set_version(&p, 1), 0);
	CHECK_LT(audit(), 1);
}

TEST(end)
{
	start();
	foreign_unmap(theirs);
	CHECK_EQ(peer_destroy(&p), 0);
}
