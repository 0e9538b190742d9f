/* SPDX-License-Identifier: MIT */
/* Arguments: pointers to where they must not lead, and values that change while they are read. */
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/* Places that hold no argument. */
static const u64 places[] = {
	XEN_VA_M2P,		/* readable by the guest, but the hypervisor's */
	XEN_VA_INSIDE, 0xffff82d040200000, 0xffff82d080000000, 0xffff87fffffffff8, 0xffff804000000000,
	NONCANONICAL, 0x0000800000000000, 0xffff7fffffffffff, ~0ul, ~7ul,
	0x1000,			/* canonical, not mapped */
	0x00007ffffffffff8,	/* runs out of the lower half */
};

/* Every operation that reads or writes a structure named by a pointer: with each of the places it must fail. */
static const struct {
	const char *name;
	u32 nr, cmd;
	int arg;	/* which argument is the pointer */
	bool count;	/* argument after the pointer is a count of one */
} calls[] = {
	{ "mmu_update", __HYPERVISOR_mmu_update, 0, 0, true },
	{ "mmuext_op", __HYPERVISOR_mmuext_op, 0, 0, true },
	{ "set_trap_table", __HYPERVISOR_set_trap_table, 0, 0, false },
	{ "multicall", __HYPERVISOR_multicall, 0, 0, true },
	{ "version extra", __HYPERVISOR_xen_version, XENVER_extraversion, 1, false },
	{ "version features", __HYPERVISOR_xen_version, XENVER_get_features, 1, false },
	{ "version handle", __HYPERVISOR_xen_version, XENVER_guest_handle, 1, false },
	{ "memory exchange", __HYPERVISOR_memory_op, XENMEM_exchange, 1, false },
	{ "memory m2p", __HYPERVISOR_memory_op, XENMEM_machphys_mapping, 1, false },
	{ "memory e820", __HYPERVISOR_memory_op, XENMEM_machine_memory_map, 1, false },
	{ "memory current", __HYPERVISOR_memory_op, XENMEM_current_reservation, 1, false },
	{ "memory add", __HYPERVISOR_memory_op, XENMEM_add_to_physmap, 1, false },
	{ "vcpu runstate", __HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 2, false },
	{ "vcpu info", __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 2, false },
	{ "vcpu oneshot", __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 2, false },
	{ "vcpu periodic", __HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 2, false },
	{ "evtchn alloc", __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, 1, false },
	{ "evtchn virq", __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, 1, false },
	{ "evtchn ipi", __HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, 1, false },
	{ "evtchn status", __HYPERVISOR_event_channel_op, EVTCHNOP_status, 1, false },
	{ "evtchn send", __HYPERVISOR_event_channel_op, EVTCHNOP_send, 1, false },
	{ "sched poll", __HYPERVISOR_sched_op, SCHEDOP_poll, 1, false },
	{ "sched shutdown", __HYPERVISOR_sched_op, SCHEDOP_shutdown, 1, false },
	{ "callback", __HYPERVISOR_callback_op, 0, 1, false },
	{ "physdev iopl", __HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, 1, false },
	{ "physdev status", __HYPERVISOR_physdev_op, PHYSDEVOP_irq_status_query, 1, false },
	{ "physdev map", __HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, 1, false },
	{ "grant size", __HYPERVISOR_grant_table_op, GNTTABOP_query_size, 1, true },
	{ "grant copy", __HYPERVISOR_grant_table_op, GNTTABOP_copy, 1, true },
	{ "grant map", __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, 1, true },
	{ "grant version", __HYPERVISOR_grant_table_op, GNTTABOP_get_version, 1, true },
	{ "platform", __HYPERVISOR_platform_op, 0, 0, false },
	{ "sysctl", __HYPERVISOR_sysctl, 0, 0, false },
	{ "domctl", __HYPERVISOR_domctl, 0, 0, false },
};

static long call_with(unsigned i, u64 pointer)
{
	u64 a[5] = { 0 };

	if (calls[i].arg)
		a[0] = calls[i].cmd;
	a[calls[i].arg] = pointer;
	if (calls[i].count)
		a[calls[i].arg + 1] = 1;
	if (calls[i].nr == __HYPERVISOR_mmu_update || calls[i].nr == __HYPERVISOR_mmuext_op)
		a[3] = DOMID_SELF;
	return hypercall(calls[i].nr, a[0], a[1], a[2], a[3], a[4]);
}

TEST(pointers_to_bad_places)
{
	u64 first = machine_to_phys_mapping[0];

	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++)
		for (unsigned p = 0; p < ARRAY_SIZE(places); p++) {
			long rc = call_with(i, places[p]);

			if (rc >= 0)
				test_fail(__FILE__, __LINE__, "%s at %lx: %ld", calls[i].name, places[p], rc);
		}
	CHECK_EQ(machine_to_phys_mapping[0], first);
	trap_init_this();
}

TEST(straddling_pointers)
{
	/* The structure starts in a good page and ends in an absent one. */
	u8 *page = (u8 *)page_alloc();

	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	CHECK_EQ(map_new(SCRATCH_VA + PAGE_SIZE, 0), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		long rc;

		memset(page, 0, PAGE_SIZE);
		/* Most structures are longer than one byte, the domid of memory_op is two. */
		rc = call_with(i, SCRATCH_VA + PAGE_SIZE - 1);
		if (rc >= 0 && calls[i].cmd != XENVER_guest_handle && calls[i].cmd != XENVER_extraversion)
			test_fail(__FILE__, __LINE__, "%s: %ld", calls[i].name, rc);
	}
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	page_free(page);
	trap_init_this();
}

TEST(read_only_results)
{
	/* Operations that answer in their argument, on a read-only page, and on one that is a page table. */
	u8 *page = (u8 *)table_alloc();
	struct xen_feature_info *fi = (void *)page;
	struct evtchn_alloc_unbound *alloc = (void *)page;
	struct xen_machphys_mapping *m = (void *)page;

	for (unsigned pass = 0; pass < 2; pass++) {
		CHECK_LT(HCALL(xen_version, XENVER_get_features, fi), 0);
		CHECK_LT(HCALL(xen_version, XENVER_extraversion, page), 0);
		CHECK_LT(HCALL(event_channel_op, EVTCHNOP_alloc_unbound, alloc), 0);
		CHECK_LT(HCALL(memory_op, XENMEM_machphys_mapping, m), 0);
		CHECK_LT(HCALL(vcpu_op, VCPUOP_get_runstate_info, 0, page), 0);
		for (unsigned i = 0; i < PAGE_SIZE; i++)
			if (READ_ONCE(page[i])) {
				CHECK_EQ(page[i], 0);
				break;
			}
		if (!pass)
			CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0);
	}
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0), 0);
	table_free((u64 *)page);
}

TEST(failed_result_leaves_nothing)
{
	/*
	 * The ports allocated by calls whose answer could not be stored: Xen leaves them to the domain, which does not know
	 * their numbers; to take them back is better. More than the calls made may not be gone.
	 */
	static u32 ports[4096];
	unsigned before = 0, after = 0;
	u8 *page = (u8 *)table_alloc();

	for (unsigned pass = 0; pass < 2; pass++) {
		unsigned n = 0;

		for (; n < ARRAY_SIZE(ports); n++) {
			long p = event_alloc_unbound(DOMID_SELF, DOMID_SELF);

			if (p < 0)
				break;
			ports[n] = (u32)p;
		}
		if (pass)
			after = n;
		else
			before = n;
		while (n)
			event_close(ports[--n]);
		if (!pass)
			for (unsigned i = 0; i < 50; i++)
				CHECK_LT(HCALL(event_channel_op, EVTCHNOP_alloc_unbound, page), 0);
	}
	CHECK(after == before || after == before - 50);
	table_free((u64 *)page);
}

/* Addresses in callbacks, bases and breakpoints are tested in iret.c, user.c and misc.c; here is the rest. */
TEST(non_canonical_addresses)
{
	static const u64 bad[] = { NONCANONICAL, 0x0000800000000000, 0xffff7fffffffffff, 0x00ff800000000000 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_LT(map_va(bad[i], 0), 0);
		CHECK_LT(mmuext(MMUEXT_SET_LDT, bad[i] & ~(PAGE_SIZE - 1), 8), 0);
		CHECK_EQ(mmuext(MMUEXT_INVLPG_LOCAL, bad[i], 0), 0);
		CHECK_EQ(mmuext(MMUEXT_INVLPG_ALL, bad[i], 0), 0);
		for (unsigned which = 0; which < 3; which++)
			CHECK_LT(HCALL(set_segment_base, which, bad[i]), 0);
	}
}

/* Double fetch. */

static volatile bool stop;
static volatile u64 *flip_at;
static u64 flip_a, flip_b;

static void flip(void *arg)
{
	(void)arg;
	while (!stop) {
		*flip_at = flip_a;
		*flip_at = flip_b;
	}
}

static bool flipping(void *where, u64 a, u64 b)
{
	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return false;
	}
	flip_at = where;
	flip_a = a;
	flip_b = b;
	stop = false;
	cpu_run(1, flip, NULL);
	return true;
}

static void settle(void)
{
	stop = true;
	CHECK_EQ(cpu_wait(1), 0);
}

TEST(flipped_entry_value)
{
	/* A mapping of a page of ours against a writable one of a page table: the latter must never get in. */
	u64 *page = page_alloc(), *e;
	struct mmu_update u;
	u64 end, accepted = 0, refused = 0;

	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	e = pt_walk(SCRATCH_VA, 1);
	u.ptr = virt_to_maddr(e);
	u.val = MAKE_PTE(virt_to_mfn(page), PTE_RW);
	if (!flipping(&u.val, MAKE_PTE(virt_to_mfn(page), PTE_RW), MAKE_PTE(virt_to_mfn(current_l4()), PTE_RW)))
		return;
	for (end = now() + SEC; now() < end;) {
		if (HCALL(mmu_update, &u, 1, NULL, DOMID_SELF))
			refused++;
		else
			accepted++;
		if (pte_mfn(READ_ONCE(*e)) != virt_to_mfn(page)) {
			CHECK_EQ(pte_mfn(READ_ONCE(*e)), virt_to_mfn(page));
			break;
		}
	}
	settle();
	print("  %lu accepted, %lu refused\n", accepted, refused);
	CHECK_NE(accepted, 0);
	CHECK_NE(refused, 0);
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	page_free(page);
}

TEST(flipped_entry_pointer)
{
	/* The place of the update flips between an entry and the hypervisor's slot of the top level. */
	u64 *page = page_alloc(), *slot = &current_l4()[256], old = *slot;
	struct mmu_update u;
	u64 end;

	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	u.val = 0;
	u.ptr = virt_to_maddr(pt_walk(SCRATCH_VA, 1));
	if (!flipping(&u.ptr, virt_to_maddr(pt_walk(SCRATCH_VA, 1)), virt_to_maddr(slot)))
		return;
	for (end = now() + SEC / 2; now() < end;)
		HCALL(mmu_update, &u, 1, NULL, DOMID_SELF);
	settle();
	CHECK_EQ(READ_ONCE(*slot), old);
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	page_free(page);
}

TEST(flipped_descriptor_frame)
{
	/* set_gdt's list: a good frame and a page table by turns. */
	u64 *gdt = table_alloc(), frame[1] = { virt_to_mfn(gdt) };
	u64 end;

	if (!flipping(&frame[0], virt_to_mfn(gdt), virt_to_mfn(current_l4())))
		return;
	for (end = now() + SEC / 2; now() < end;)
		HCALL(set_gdt, frame, 512);
	settle();
	CHECK_EQ(HCALL(set_gdt, frame, 0), 0);
	CHECK_EQ(page_protect(gdt, true), 0);
	CHECK_TRAP(VEC_NONE, WRITE_ONCE(gdt[0], 0));
	page_free(gdt);
}

TEST(flipped_copy_length)
{
	/* A grant copy whose length grows past the page while it is looked at. */
	static struct gnttab_copy c;
	u64 *from = page_alloc(), *to = pages_alloc(1), end;

	c.source.u.gmfn = virt_to_mfn(from);
	c.dest.u.gmfn = virt_to_mfn(to);
	c.source.domid = c.dest.domid = DOMID_SELF;
	c.source.offset = c.dest.offset = 2048;
	memset(from, 0x66, PAGE_SIZE);
	if (!flipping((u8 *)&c + offsetof(struct gnttab_copy, len) / 8 * 8,
		      (u64)64 << offsetof(struct gnttab_copy, len) % 8 * 8,
		      (u64)0x8000 << offsetof(struct gnttab_copy, len) % 8 * 8))
		return;
	for (end = now() + SEC / 2; now() < end;)
		HCALL(grant_table_op, GNTTABOP_copy, &c, 1);
	settle();
	for (unsigned i = 0; i < 512; i++)
		if (READ_ONCE(to[512 + i])) {
			CHECK_EQ(to[512 + i], 0);
			break;
		}
	page_free(from);
}

TEST(flipped_reservation)
{
	/* The count of extents flips between nothing and far too many. */
	static struct xen_memory_reservation r;
	static const domid_t self = DOMID_SELF;
	static u64 list[4] = { ~0ul, ~0ul, ~0ul, ~0ul };
	u64 end;

	set_xen_guest_handle(r.extent_start, list);
	r.domid = DOMID_SELF;
	if (!flipping(&r.nr_extents, 0, 1ul << 60))
		return;
	for (end = now() + SEC / 2; now() < end;)
		HCALL(memory_op, XENMEM_decrease_reservation, &r);
	settle();
	CHECK_EQ(HCALL(memory_op, XENMEM_current_reservation, &self), start_info->nr_pages);
}

TEST(flipped_mapping_of_the_argument)
{
	/* The page of the argument goes away and comes back while hypercalls use it. */
	u64 *page = page_alloc(), *e, pte = MAKE_PTE(virt_to_mfn(page), PTE_RW), end, good = 0;
	struct xen_feature_info *fi = (void *)SCRATCH_VA;

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	CHECK_EQ(HCALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
	CHECK_EQ(map_new(SCRATCH_VA, pte), 0);
	e = pt_walk(SCRATCH_VA, 1);
	if (!flipping(e, pte, 0))
		return;
	for (end = now() + SEC; now() < end;) {
		long rc = HCALL(xen_version, XENVER_get_features, fi);

		if (rc && rc != -XEN_EFAULT) {
			CHECK_EQ(rc, -XEN_EFAULT);
			break;
		}
		good += !rc;
		mmuext(MMUEXT_INVLPG_LOCAL, SCRATCH_VA, 0);
	}
	settle();
	print("  %lu calls succeeded\n", good);
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	page_free(page);
}
