/* SPDX-License-Identifier: MIT */
/* Pages for Domain 0: <xen/grant_table.h>, version 1. */
#include "tiny/tiny.h"
#include "lib/hypercall.h"

#include <xen/grant_table.h>

#define ENTRIES (PAGE_SIZE / sizeof(struct grant_entry_v1))

static char window[PAGE_SIZE] __attribute__((aligned(4096)));
static struct grant_entry_v1 *const table = (void *)window;

static void setup(void)
{
	static bool done;
	xen_pfn_t frame = 0;
	struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 1 };

	if (done)
		return;
	set_xen_guest_handle(s.frame_list, &frame);
	if (HCALL(grant_table_op, GNTTABOP_setup_table, &s, 1) || s.status)
		die();
	map_frame(window, frame);
	done = true;
}

void grant(u32 ref, const void *page)
{
	setup();
	table[ref].frame = (u32)frame_of(page);
	table[ref].domid = 0;
	barrier();
	WRITE_ONCE(table[ref].flags, GTF_permit_access);
}

void grant_mischief(void)
{
	struct gnttab_set_version version = { .version = 1 + noise() % 3 };
	xen_pfn_t frames[64];
	struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 1 + noise() % 80 };
	struct gnttab_get_status_frames status = { .dom = DOMID_SELF, .nr_frames = noise() % 4 };
	struct gnttab_swap_grant_ref swap = { .ref_a = noise() % ENTRIES, .ref_b = noise() % ENTRIES };

	setup();
	for (u32 i = 0; i < 8; i++) {
		u32 ref = noise() % ENTRIES;

		WRITE_ONCE(table[ref].frame, noise());
		WRITE_ONCE(table[ref].domid, (domid_t)(noise() % 3));
		WRITE_ONCE(table[ref].flags, (u16)noise());
	}
	HCALL(grant_table_op, GNTTABOP_set_version, &version, 1);
	set_xen_guest_handle(s.frame_list, frames);
	HCALL(grant_table_op, GNTTABOP_setup_table, &s, 1);
	set_xen_guest_handle(status.frame_list, (u64 *)frames);
	HCALL(grant_table_op, GNTTABOP_get_status_frames, &status, 1);
	HCALL(grant_table_op, GNTTABOP_swap_grant_ref, &swap, 1);
	version.version = 1;
	HCALL(grant_table_op, GNTTABOP_set_version, &version, 1);
}
