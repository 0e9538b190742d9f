/* SPDX-License-Identifier: MIT */
/* XEN_DOMCTL_*: what each does, reports and refuses, from creation to destruction. */
#include "lib/event.h"
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/memory.h>
#include <xen/vcpu.h>

#define NOBODY 4321u

static struct peer p;
static struct dom d;
static struct xen_domctl op;
static struct vcpu_guest_context ctx;

static long create(u32 id)
{
	return domctl(XEN_DOMCTL_createdomain, id, &op);
}

static long info(u32 id)
{
	memset(&op, 0, sizeof(op));
	return domctl(XEN_DOMCTL_getdomaininfo, id, &op);
}

TEST(first)
{
	/* What the hypervisor keeps from the first time on is not lost memory. */
	REQUIRE_EQ(peer_start(&p, 2), 0);
	CHECK_EQ(peer_destroy(&p), 0);
}

TEST(create_and_destroy)
{
	long before = free_pages_stable();
	u32 id;

	dom_config(&op, 2);
	op.u.createdomain.handle[15] = 0x77;
	REQUIRE_EQ(create(0), 0);
	id = op.domain;
	CHECK(id > 0 && id < DOMID_FIRST_RESERVED);
	REQUIRE_EQ(info(id), 0);
	CHECK_EQ(op.domain, id);
	CHECK_EQ(op.u.getdomaininfo.domain, id);
	CHECK_EQ(op.u.getdomaininfo.tot_pages, 0);
	CHECK_EQ(op.u.getdomaininfo.nr_online_vcpus, 0);
	CHECK_EQ(op.u.getdomaininfo.max_vcpu_id, XEN_INVALID_MAX_VCPU_ID);
	CHECK_EQ(op.u.getdomaininfo.handle[0], 0x42);
	CHECK_EQ(op.u.getdomaininfo.handle[15], 0x77);
	CHECK_EQ(op.u.getdomaininfo.flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown | XEN_DOMINF_hvm_guest), 0);
	CHECK(op.u.getdomaininfo.flags & XEN_DOMINF_paused);
	/* Nobody else gets the number. */
	dom_config(&op, 1);
	CHECK_EQ(create(id), -XEN_EEXIST);
	CHECK_EQ(domctl_simple(XEN_DOMCTL_destroydomain, id), 0);
	CHECK(WAIT_FOR(!dom_flags(id), PATIENCE));
	CHECK_EQ(domctl_simple(XEN_DOMCTL_destroydomain, id), -XEN_ESRCH);
	check_no_loss(before);
}

TEST(chosen_number)
{
	dom_config(&op, 1);
	REQUIRE_EQ(create(777), 0);
	CHECK_EQ(op.domain, 777);
	dom_config(&op, 1);
	CHECK_EQ(create(777), -XEN_EEXIST);
	CHECK_EQ(domctl_simple(XEN_DOMCTL_destroydomain, 777), 0);
	/* The smallest above that exists; and none. */
	dom_config(&op, 1);
	CHECK_EQ(create(DOMID_FIRST_RESERVED - 1), 0);
	CHECK_EQ(op.domain, DOMID_FIRST_RESERVED - 1);
	CHECK_EQ(domctl_simple(XEN_DOMCTL_destroydomain, DOMID_FIRST_RESERVED - 1), 0);
}

TEST(create_refused)
{
	long before = free_pages_stable();

	dom_config(&op, 1);
	op.u.createdomain.max_vcpus = 0;
	CHECK_LT(create(0), 0);
	dom_config(&op, 1);
	op.u.createdomain.max_vcpus = 1 << 20;
	CHECK_LT(create(0), 0);
	dom_config(&op, 1);
	op.u.createdomain.flags = ~0u;
	CHECK_LT(create(0), 0);
	dom_config(&op, 1);
	op.u.createdomain.flags = XEN_DOMCTL_CDF_MAX << 1;
	CHECK_LT(create(0), 0);
	/* HAP is for HVM. */
	dom_config(&op, 1);
	op.u.createdomain.flags = XEN_DOMCTL_CDF_hap;
	CHECK_LT(create(0), 0);
	dom_config(&op, 1);
	op.u.createdomain.arch.emulation_flags = XEN_X86_EMU_ALL;
	CHECK_LT(create(0), 0);
	dom_config(&op, 1);
	op.u.createdomain.arch.misc_flags = ~0u;
	CHECK_LT(create(0), 0);
	dom_config(&op, 1);
	op.u.createdomain.grant_opts = 7;
	CHECK_LT(create(0), 0);
	dom_config(&op, 1);
	op.u.createdomain.iommu_opts = ~0u;
	CHECK_LT(create(0), 0);
	dom_config(&op, 1);
	op.u.createdomain.cpupool_id = 4711;
	CHECK_LT(create(0), 0);
	check_no_loss(before);
}

TEST(odd_numbers)
{
	/* A number that is none: refused, or another is given. */
	static const u32 odd[] = { DOMID_FIRST_RESERVED, DOMID_SELF, DOMID_IO, DOMID_XEN, DOMID_IDLE, DOMID_INVALID, 0x8000, 0xffff };

	for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
		dom_config(&op, 1);
		if (create(odd[i]))
			continue;
		CHECK_NE(op.domain, odd[i]);
		CHECK_LT(op.domain, DOMID_FIRST_RESERVED);
		CHECK_EQ(domctl_simple(XEN_DOMCTL_destroydomain, op.domain), 0);
	}
}

TEST(nobody)
{
	/* Every command at a domain that does not exist, and at the special ones: an error, but for the few that look further. */
	static const u32 ids[] = { NOBODY, DOMID_XEN, DOMID_IO, DOMID_IDLE, DOMID_INVALID, DOMID_COW, 0x7fff };

	for (u32 cmd = 0; cmd < 100; cmd++)
		for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
			long rc;

			if (cmd == XEN_DOMCTL_createdomain)
				continue;
			memset(&op, 0, sizeof(op));
			rc = domctl(cmd, ids[i], &op);
			if (rc >= 0)
				test_fail(__FILE__, __LINE__, "command %u at domain %u: %ld", cmd, ids[i], rc);
		}
	for (u32 cmd = 1000; cmd < 1006; cmd++) {
		memset(&op, 0, sizeof(op));
		CHECK_LT(domctl(cmd, NOBODY, &op), 0);
	}
}

TEST(bad_arguments)
{
	static const u64 bad[] = { XEN_VA_INSIDE, XEN_VA_M2P, NONCANONICAL, 0x1000, 0xffffffffffffff00 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(HCALL(domctl, bad[i]), -XEN_EFAULT);
	memset(&op, 0, sizeof(op));
	op.cmd = XEN_DOMCTL_getdomaininfo;
	for (u32 v = 0; v < 0x20; v++) {
		op.interface_version = v;
		CHECK_EQ(HCALL(domctl, &op), v == XEN_DOMCTL_INTERFACE_VERSION ? 0 : -XEN_EACCES);
	}
	/* Two pages, of which the second is not there. */
	{
		u8 *page = page_alloc();
		struct xen_domctl *edge = (void *)(SCRATCH_VA + PAGE_SIZE - 16);

		CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
		CHECK_EQ(map_new(SCRATCH_VA + PAGE_SIZE, 0), 0);
		edge->cmd = XEN_DOMCTL_getdomaininfo;
		edge->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
		CHECK_EQ(HCALL(domctl, edge), -XEN_EFAULT);
		CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
		page_free(page);
	}
}

TEST(not_at_itself)
{
	CHECK_EQ(domctl_simple(XEN_DOMCTL_pausedomain, 0), -XEN_EINVAL);
	CHECK_EQ(domctl_simple(XEN_DOMCTL_destroydomain, 0), -XEN_EINVAL);
	memset(&op, 0, sizeof(op));
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &ctx);
	CHECK_EQ(domctl(XEN_DOMCTL_setvcpucontext, 0, &op), -XEN_EINVAL);
	CHECK_EQ(domctl(XEN_DOMCTL_getvcpucontext, 0, &op), -XEN_EINVAL);
	CHECK_LT(domctl_simple(XEN_DOMCTL_resumedomain, 0), 0);
}

TEST(domain_info_of_ourselves)
{
	REQUIRE_EQ(info(0), 0);
	CHECK_EQ(op.u.getdomaininfo.domain, 0);
	CHECK_EQ(op.u.getdomaininfo.tot_pages, HCALL(memory_op, XENMEM_current_reservation, &(domid_t){ DOMID_SELF }));
	CHECK_EQ(op.u.getdomaininfo.max_vcpu_id, cpu_count() - 1);
	CHECK(op.u.getdomaininfo.flags & XEN_DOMINF_running);
	CHECK_NE(op.u.getdomaininfo.cpu_time, 0);
}

TEST(max_vcpus)
{
	REQUIRE_EQ(dom_create(&d, 0, 0), 0);
	memset(&op, 0, sizeof(op));
	CHECK_EQ(domctl(XEN_DOMCTL_max_vcpus, d.id, &op), -XEN_EINVAL);
	op.u.max_vcpus.max = 2;	/* the limit at creation was 1 */
	CHECK_EQ(domctl(XEN_DOMCTL_max_vcpus, d.id, &op), -XEN_EINVAL);
	op.u.max_vcpus.max = ~0u;
	CHECK_EQ(domctl(XEN_DOMCTL_max_vcpus, d.id, &op), -XEN_EINVAL);
	op.u.max_vcpus.max = 1;
	CHECK_EQ(domctl(XEN_DOMCTL_max_vcpus, d.id, &op), 0);
	CHECK_EQ(domctl(XEN_DOMCTL_max_vcpus, d.id, &op), 0);
	REQUIRE_EQ(info(d.id), 0);
	CHECK_EQ(op.u.getdomaininfo.max_vcpu_id, 0);
	CHECK_EQ(op.u.getdomaininfo.nr_online_vcpus, 0);
	CHECK_EQ(dom_destroy(&d), 0);
}

static long populate(u32 id, u32 n, u64 first)
{
	static u64 list[64];
	struct xen_memory_reservation r = { .nr_extents = n, .domid = (domid_t)id };

	for (u32 i = 0; i < n; i++)
		list[i] = first + i;
	set_xen_guest_handle(r.extent_start, list);
	return HCALL(memory_op, XENMEM_populate_physmap, &r);
}

TEST(max_mem)
{
	long before = free_pages_stable();

	REQUIRE_EQ(dom_create(&d, 1, 0), 0);
	CHECK_EQ(populate(d.id, 1, 0), 0);
	memset(&op, 0, sizeof(op));
	op.u.max_mem.max_memkb = 16;
	CHECK_EQ(domctl(XEN_DOMCTL_max_mem, d.id, &op), 0);
	REQUIRE_EQ(info(d.id), 0);
	CHECK_EQ(op.u.getdomaininfo.max_pages, 4);
	CHECK_EQ(populate(d.id, 10, 0), 4);
	REQUIRE_EQ(info(d.id), 0);
	CHECK_EQ(op.u.getdomaininfo.tot_pages, 4);
	/* Below what it has: nothing is taken away, nothing more is given. */
	memset(&op, 0, sizeof(op));
	op.u.max_mem.max_memkb = 4;
	domctl(XEN_DOMCTL_max_mem, d.id, &op);
	CHECK_EQ(populate(d.id, 1, 8), 0);
	memset(&op, 0, sizeof(op));
	op.u.max_mem.max_memkb = ~0ul;
	domctl(XEN_DOMCTL_max_mem, d.id, &op);
	CHECK_EQ(populate(d.id, 1, 8), 1);
	/* More than the machine has ends cleanly. */
	{
		struct xen_memory_reservation r = { .nr_extents = 1, .extent_order = 18, .domid = (domid_t)d.id };
		u64 gpfn = 0;

		set_xen_guest_handle(r.extent_start, &gpfn);
		CHECK(HCALL(memory_op, XENMEM_populate_physmap, &r) <= 0);
	}
	CHECK_EQ(dom_destroy(&d), 0);
	check_no_loss(before);
}

TEST(pause_and_unpause)
{
	volatile u64 *count;
	u64 seen;

	REQUIRE_EQ(peer_start(&p, 1), 0);
	count = &peer_box(&p, 0)->count;
	peer_post(&p, 0, PEER_HAMMER, __HYPERVISOR_xen_version, 0, 0, 0, 0, 0);
	CHECK(WAIT_FOR(*count > 10, PATIENCE));
	CHECK_EQ(domctl_simple(XEN_DOMCTL_pausedomain, peer_id(&p)), 0);
	CHECK(dom_flags(peer_id(&p)) & XEN_DOMINF_paused);
	seen = *count;
	pause_for(20 * MSEC);
	CHECK_EQ(*count, seen);
	/* Pauses count. */
	CHECK_EQ(domctl_simple(XEN_DOMCTL_pausedomain, peer_id(&p)), 0);
	CHECK_EQ(domctl_simple(XEN_DOMCTL_unpausedomain, peer_id(&p)), 0);
	pause_for(20 * MSEC);
	CHECK_EQ(*count, seen);
	CHECK(dom_flags(peer_id(&p)) & XEN_DOMINF_paused);
	CHECK_EQ(domctl_simple(XEN_DOMCTL_unpausedomain, peer_id(&p)), 0);
	CHECK(WAIT_FOR(*count > seen, PATIENCE));
	CHECK_EQ(dom_flags(peer_id(&p)) & XEN_DOMINF_paused, 0);
	CHECK_EQ(domctl_simple(XEN_DOMCTL_unpausedomain, peer_id(&p)), -XEN_EINVAL);
	CHECK_GE(peer_stop(&p, 0), 1);
	CHECK_EQ(peer_destroy(&p), 0);
}

static long get_context(u32 id, u32 vcpu)
{
	memset(&op, 0, sizeof(op));
	op.u.vcpucontext.vcpu = vcpu;
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &ctx);
	return domctl(XEN_DOMCTL_getvcpucontext, id, &op);
}

static long set_context(u32 id, u32 vcpu)
{
	memset(&op, 0, sizeof(op));
	op.u.vcpucontext.vcpu = vcpu;
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &ctx);
	return domctl(XEN_DOMCTL_setvcpucontext, id, &op);
}

TEST(context)
{
	long before = free_pages_stable();

	REQUIRE_EQ(peer_build(&p, 2), 0);
	/* As it was set. */
	REQUIRE_EQ(get_context(peer_id(&p), 0), 0);
	CHECK_EQ(ctx.user_regs.rip, p.dom.entry_va);
	CHECK_EQ(ctx.user_regs.rsp, p.dom.stack_va);
	CHECK_EQ(ctx.user_regs.rsi, p.dom.start_va);
	CHECK_EQ(ctx.user_regs.cs, FLAT_KERNEL_CS);
	CHECK_EQ(xen_cr3_to_pfn(ctx.ctrlreg[3]), p.dom.p2m[p.dom.l4_pfn]);
	CHECK(ctx.flags & VGCF_in_kernel);
	/* vCPU 1 has none, there is no vCPU 2. */
	CHECK_EQ(get_context(peer_id(&p), 1), -XEN_ENODATA);
	CHECK_LT(get_context(peer_id(&p), 2), 0);
	CHECK_LT(get_context(peer_id(&p), ~0u), 0);
	CHECK_LT(set_context(peer_id(&p), 2), 0);
	/* Run it for a while, and look again. */
	CHECK_EQ(domctl_simple(XEN_DOMCTL_unpausedomain, peer_id(&p)), 0);
	CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
	REQUIRE_EQ(get_context(peer_id(&p), 0), 0);
	CHECK_GE(ctx.user_regs.rip, dom_va(0x100));
	CHECK_EQ(ctx.user_regs.cs & 3, 3);
	CHECK_NE(ctx.event_callback_eip, 0);
	/* A NULL context takes the vCPU's away. */
	CHECK_EQ(domctl_simple(XEN_DOMCTL_pausedomain, peer_id(&p)), 0);
	memset(&op, 0, sizeof(op));
	op.u.vcpucontext.vcpu = 1;
	CHECK_EQ(domctl(XEN_DOMCTL_setvcpucontext, peer_id(&p), &op), 0);
	CHECK_EQ(peer_destroy(&p), 0);
	check_no_loss(before);
}

TEST(context_refused)
{
	/* Contexts that would break the rules for PV guests are errors, or are made harmless; the domain can still be run or killed. */
	static const u64 noncanonical = 0x8000000000000000;
	long before = free_pages_stable();

	REQUIRE_EQ(peer_build(&p, 1), 0);
	for (unsigned i = 0; i < 12; i++) {
		long rc;

		REQUIRE_EQ(get_context(peer_id(&p), 0), 0);
		switch (i) {
		case 0: ctx.ctrlreg[3] = xen_pfn_to_cr3(0x12345); break;		/* no memory */
		case 1: ctx.ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(current_l4())); break;	/* ours */
		case 2: ctx.ctrlreg[3] = xen_pfn_to_cr3(p.dom.p2m[3]); break;		/* no table */
		case 3: ctx.ctrlreg[1] = xen_pfn_to_cr3(virt_to_mfn(current_l4())) | 1; break;
		case 4: ctx.user_regs.rip = noncanonical; break;
		case 5: ctx.fs_base = noncanonical; break;
		case 6: ctx.gs_base_kernel = noncanonical; break;
		case 7: ctx.kernel_sp = noncanonical; break;
		case 8: ctx.event_callback_eip = noncanonical; break;
		case 9: ctx.gdt_ents = 8192; break;
		case 10: ctx.ldt_ents = 70000; break;
		case 11: ctx.gdt_ents = 512; ctx.gdt_frames[0] = virt_to_mfn(current_l4()); break;
		}
		rc = set_context(peer_id(&p), 0);
		if (rc >= 0)
			test_fail(__FILE__, __LINE__, "case %u accepted", i);
	}
	/* A ring below 3 is not given. */
	REQUIRE_EQ(get_context(peer_id(&p), 0), 0);
	ctx.user_regs.cs = 0x08;
	ctx.user_regs.ss = 0x10;
	ctx.user_regs.rflags |= FLAG_NT;
	if (!set_context(peer_id(&p), 0)) {
		REQUIRE_EQ(get_context(peer_id(&p), 0), 0);
		CHECK_EQ(ctx.user_regs.cs & 3, 3);
		CHECK_EQ(ctx.user_regs.ss & 3, 3);
	}
	CHECK_EQ(peer_destroy(&p), 0);
	check_no_loss(before);
}

static long vcpu_info(u32 vcpu)
{
	memset(&op, 0, sizeof(op));
	op.u.getvcpuinfo.vcpu = vcpu;
	return domctl(XEN_DOMCTL_getvcpuinfo, peer_id(&p), &op);
}

TEST(vcpu_info)
{
	REQUIRE_EQ(peer_start(&p, 2), 0);
	for (u32 i = 0; i < 2; i++) {
		REQUIRE_EQ(vcpu_info(i), 0);
		CHECK_EQ(op.u.getvcpuinfo.online, 1);
		CHECK_LT(op.u.getvcpuinfo.cpu, 8);
		/* It may have to wait for its first turn. */
		CHECK(WAIT_FOR(!vcpu_info(i) && op.u.getvcpuinfo.cpu_time, PATIENCE));
	}
	CHECK_LT(vcpu_info(2), 0);
	CHECK_LT(vcpu_info(~0u), 0);
	REQUIRE_EQ(info(peer_id(&p)), 0);
	CHECK_EQ(op.u.getdomaininfo.nr_online_vcpus, 2);
	CHECK_EQ(op.u.getdomaininfo.max_vcpu_id, 1);
	CHECK_EQ(op.u.getdomaininfo.tot_pages, PEER_PAGES);
	CHECK_EQ(peer_destroy(&p), 0);
}

static long affinity(u32 cmd, u32 id, u32 vcpu, u64 *hard, u64 *soft, u32 bits)
{
	memset(&op, 0, sizeof(op));
	op.u.vcpuaffinity.vcpu = vcpu;
	op.u.vcpuaffinity.flags = (hard ? XEN_VCPUAFFINITY_HARD : 0) | (soft ? XEN_VCPUAFFINITY_SOFT : 0);
	set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, (u8 *)hard);
	op.u.vcpuaffinity.cpumap_hard.nr_bits = bits;
	set_xen_guest_handle(op.u.vcpuaffinity.cpumap_soft.bitmap, (u8 *)soft);
	op.u.vcpuaffinity.cpumap_soft.nr_bits = bits;
	return domctl(cmd, id, &op);
}

TEST(affinity)
{
	u64 hard = 0, soft = 0;

	REQUIRE_EQ(peer_start(&p, 1), 0);
	CHECK_EQ(affinity(XEN_DOMCTL_getvcpuaffinity, peer_id(&p), 0, &hard, &soft, 64), 0);
	CHECK_EQ(hard & 3, 3);
	for (u64 cpu = 0; cpu < 2; cpu++) {
		hard = 1ul << cpu;
		CHECK_EQ(affinity(XEN_DOMCTL_setvcpuaffinity, peer_id(&p), 0, &hard, NULL, 64), 0);
		hard = 0;
		CHECK_EQ(affinity(XEN_DOMCTL_getvcpuaffinity, peer_id(&p), 0, &hard, NULL, 64), 0);
		CHECK_EQ(hard, 1ul << cpu);
		CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
		op.u.getvcpuinfo.vcpu = 0;
		CHECK_EQ(domctl(XEN_DOMCTL_getvcpuinfo, peer_id(&p), &op), 0);
		CHECK_EQ(op.u.getvcpuinfo.cpu, cpu);
	}
	hard = 0;
	CHECK_EQ(affinity(XEN_DOMCTL_setvcpuaffinity, peer_id(&p), 0, &hard, NULL, 64), -XEN_EINVAL);
	hard = ~3ul;	/* no processor that there is */
	CHECK_LT(affinity(XEN_DOMCTL_setvcpuaffinity, peer_id(&p), 0, &hard, NULL, 64), 0);
	hard = 3;
	CHECK_LT(affinity(XEN_DOMCTL_setvcpuaffinity, peer_id(&p), 5, &hard, NULL, 64), 0);
	CHECK_EQ(affinity(XEN_DOMCTL_setvcpuaffinity, peer_id(&p), 0, NULL, NULL, 64), -XEN_EINVAL);
	CHECK_EQ(affinity(XEN_DOMCTL_setvcpuaffinity, peer_id(&p), 0, &hard, NULL, 64), 0);
	CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
	CHECK_EQ(peer_destroy(&p), 0);
}

TEST(handle_and_time)
{
	REQUIRE_EQ(dom_create(&d, 1, 0), 0);
	memset(&op, 0, sizeof(op));
	for (unsigned i = 0; i < 16; i++)
		op.u.setdomainhandle.handle[i] = (u8)(0xa0 + i);
	CHECK_EQ(domctl(XEN_DOMCTL_setdomainhandle, d.id, &op), 0);
	REQUIRE_EQ(info(d.id), 0);
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(op.u.getdomaininfo.handle[i], 0xa0 + i);
	memset(&op, 0, sizeof(op));
	op.u.settimeoffset.time_offset_seconds = 3600;
	CHECK_EQ(domctl(XEN_DOMCTL_settimeoffset, d.id, &op), 0);
	CHECK_EQ(dom_destroy(&d), 0);
}

TEST(address_size)
{
	REQUIRE_EQ(dom_create(&d, 1, 0), 0);
	memset(&op, 0, sizeof(op));
	CHECK_EQ(domctl(XEN_DOMCTL_get_address_size, d.id, &op), 0);
	CHECK_EQ(op.u.address_size.size, 64);
	CHECK_EQ(domctl(XEN_DOMCTL_set_address_size, d.id, &op), 0);
	op.u.address_size.size = 16;
	CHECK_EQ(domctl(XEN_DOMCTL_set_address_size, d.id, &op), -XEN_EINVAL);
	CHECK_EQ(dom_destroy(&d), 0);
}

TEST(hypercall_page_refused)
{
	REQUIRE_EQ(dom_create(&d, 1, 8), 0);
	memset(&op, 0, sizeof(op));
	op.u.hypercall_init.gmfn = virt_to_mfn(current_l4());
	CHECK_LT(domctl(XEN_DOMCTL_hypercall_init, d.id, &op), 0);
	op.u.hypercall_init.gmfn = 0xffffffffff;
	CHECK_LT(domctl(XEN_DOMCTL_hypercall_init, d.id, &op), 0);
	op.u.hypercall_init.gmfn = d.p2m[2];
	CHECK_EQ(domctl(XEN_DOMCTL_hypercall_init, d.id, &op), 0);
	{
		u8 *page = foreign_map(d.id, d.p2m[2], false);

		if (CHECK(page != NULL)) {
			CHECK(!memcmp(page, hypercall_page, 32));
			foreign_unmap(page);
		}
	}
	CHECK_EQ(dom_destroy(&d), 0);
}

TEST(page_frame_info)
{
	static xen_pfn_t list[8];

	REQUIRE_EQ(peer_build(&p, 1), 0);
	list[0] = p.dom.p2m[p.dom.l4_pfn];
	list[1] = p.dom.p2m[p.dom.l4_pfn + 1];
	list[2] = p.dom.p2m[p.dom.l4_pfn + 2];
	list[3] = p.dom.p2m[p.dom.l4_pfn + 3];
	list[4] = p.dom.p2m[5];
	list[5] = virt_to_mfn(current_l4());
	list[6] = 0xfffffffffffff;
	memset(&op, 0, sizeof(op));
	op.u.getpageframeinfo3.num = 7;
	set_xen_guest_handle(op.u.getpageframeinfo3.array, list);
	REQUIRE_EQ(domctl(XEN_DOMCTL_getpageframeinfo3, peer_id(&p), &op), 0);
	CHECK_EQ(list[0], XEN_DOMCTL_PFINFO_L4TAB | XEN_DOMCTL_PFINFO_LPINTAB);
	CHECK_EQ(list[1], XEN_DOMCTL_PFINFO_L3TAB);
	CHECK_EQ(list[2], XEN_DOMCTL_PFINFO_L2TAB);
	CHECK_EQ(list[3], XEN_DOMCTL_PFINFO_L1TAB);
	CHECK_EQ(list[4], XEN_DOMCTL_PFINFO_NOTAB);
	CHECK_EQ(list[5], XEN_DOMCTL_PFINFO_XTAB);
	CHECK_EQ(list[6], XEN_DOMCTL_PFINFO_XTAB);
	op.u.getpageframeinfo3.num = 1ul << 40;
	CHECK_LT(domctl(XEN_DOMCTL_getpageframeinfo3, peer_id(&p), &op), 0);
	CHECK_EQ(peer_destroy(&p), 0);
}

TEST(permissions)
{
	/* Ranges: granted, withdrawn, and what is none. */
	REQUIRE_EQ(dom_create(&d, 1, 0), 0);
	memset(&op, 0, sizeof(op));
	op.u.iomem_permission.first_mfn = 0xb8;
	op.u.iomem_permission.nr_mfns = 8;
	op.u.iomem_permission.allow_access = 1;
	CHECK_EQ(domctl(XEN_DOMCTL_iomem_permission, d.id, &op), 0);
	op.u.iomem_permission.allow_access = 0;
	CHECK_EQ(domctl(XEN_DOMCTL_iomem_permission, d.id, &op), 0);
	op.u.iomem_permission.first_mfn = ~0ul - 3;
	op.u.iomem_permission.allow_access = 1;
	CHECK_EQ(domctl(XEN_DOMCTL_iomem_permission, d.id, &op), -XEN_EINVAL);
	op.u.iomem_permission.first_mfn = 1ul << 52;
	CHECK_LT(domctl(XEN_DOMCTL_iomem_permission, d.id, &op), 0);
	memset(&op, 0, sizeof(op));
	op.u.ioport_permission.first_port = 0x3b0;
	op.u.ioport_permission.nr_ports = 16;
	op.u.ioport_permission.allow_access = 1;
	CHECK_EQ(domctl(XEN_DOMCTL_ioport_permission, d.id, &op), 0);
	op.u.ioport_permission.first_port = 0xfff8;
	CHECK_LT(domctl(XEN_DOMCTL_ioport_permission, d.id, &op), 0);
	op.u.ioport_permission.first_port = ~0u;
	CHECK_LT(domctl(XEN_DOMCTL_ioport_permission, d.id, &op), 0);
	memset(&op, 0, sizeof(op));
	op.u.irq_permission.pirq = 1 << 20;
	op.u.irq_permission.allow_access = 1;
	CHECK_LT(domctl(XEN_DOMCTL_irq_permission, d.id, &op), 0);
	op.u.irq_permission.pirq = ~0u;
	CHECK_LT(domctl(XEN_DOMCTL_irq_permission, d.id, &op), 0);
	CHECK_EQ(dom_destroy(&d), 0);
}

TEST(no_memory_of_the_hypervisor)
{
	/* What no domain may see cannot be given either: the hypervisor's frames, the local APIC. */
	REQUIRE_EQ(dom_create(&d, 1, 0), 0);
	memset(&op, 0, sizeof(op));
	op.u.iomem_permission.first_mfn = 0xfee00;
	op.u.iomem_permission.nr_mfns = 1;
	op.u.iomem_permission.allow_access = 1;
	CHECK_EQ(domctl(XEN_DOMCTL_iomem_permission, d.id, &op), -XEN_EPERM);
	op.u.iomem_permission.first_mfn = 0;
	op.u.iomem_permission.nr_mfns = 1ul << 30;
	CHECK_LT(domctl(XEN_DOMCTL_iomem_permission, d.id, &op), 0);
	CHECK_EQ(dom_destroy(&d), 0);
}

TEST(memory_mapping)
{
	REQUIRE_EQ(dom_create(&d, 1, 0), 0);
	memset(&op, 0, sizeof(op));
	op.u.memory_mapping.nr_mfns = 1;
	op.u.memory_mapping.first_mfn = 0xb8;
	op.u.memory_mapping.first_gfn = 0xb8;
	op.u.memory_mapping.add_mapping = 1;
	/* Only with the permission; for PV it does nothing else. */
	CHECK_LT(domctl(XEN_DOMCTL_memory_mapping, d.id, &op), 1);
	op.u.memory_mapping.first_mfn = ~0ul;
	CHECK_LT(domctl(XEN_DOMCTL_memory_mapping, d.id, &op), 0);
	CHECK_EQ(dom_destroy(&d), 0);
}

TEST(scheduling)
{
	REQUIRE_EQ(dom_create(&d, 1, 0), 0);
	/* Domain 0 serves all the others. */
	memset(&op, 0, sizeof(op));
	op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
	op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	CHECK_EQ(domctl(XEN_DOMCTL_scheduler_op, 0, &op), 0);
	CHECK_EQ(op.u.scheduler_op.u.credit2.weight, is_lodge() ? 2048 : 256);
	memset(&op, 0, sizeof(op));
	op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
	op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
	op.u.scheduler_op.u.credit2.weight = 512;
	CHECK_EQ(domctl(XEN_DOMCTL_scheduler_op, d.id, &op), 0);
	memset(&op, 0, sizeof(op));
	op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
	op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	CHECK_EQ(domctl(XEN_DOMCTL_scheduler_op, d.id, &op), 0);
	CHECK_EQ(op.u.scheduler_op.u.credit2.weight, 512);
	op.u.scheduler_op.cmd = 77;
	CHECK_LT(domctl(XEN_DOMCTL_scheduler_op, d.id, &op), 0);
	op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	op.u.scheduler_op.sched_id = XEN_SCHEDULER_RTDS;
	CHECK_LT(domctl(XEN_DOMCTL_scheduler_op, d.id, &op), 0);
	CHECK_EQ(dom_destroy(&d), 0);
}

TEST(shutdown_and_resume)
{
	REQUIRE_EQ(peer_start(&p, 1), 0);
	CHECK_EQ(domctl_simple(XEN_DOMCTL_resumedomain, peer_id(&p)), 0);
	peer_post(&p, 0, PEER_EXIT, SHUTDOWN_suspend, 0, 0, 0, 0, 0);
	CHECK_EQ(dom_wait_shutdown(&p.dom, PATIENCE), SHUTDOWN_suspend);
	CHECK_EQ(domctl_simple(XEN_DOMCTL_resumedomain, peer_id(&p)), 0);
	CHECK_EQ(dom_flags(peer_id(&p)) & XEN_DOMINF_shutdown, 0);
	CHECK_EQ(peer_wait(&p, 0), 0);
	CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
	CHECK_EQ(peer_destroy(&p), 0);
}

TEST(remote_shutdown)
{
	struct sched_remote_shutdown rs = { .domain_id = NOBODY, .reason = SHUTDOWN_crash };

	REQUIRE_EQ(peer_start(&p, 1), 0);
	CHECK_EQ(HCALL(sched_op, SCHEDOP_remote_shutdown, &rs), -XEN_ESRCH);
	rs.domain_id = (domid_t)peer_id(&p);
	CHECK_EQ(HCALL(sched_op, SCHEDOP_remote_shutdown, &rs), 0);
	CHECK_EQ(dom_wait_shutdown(&p.dom, PATIENCE), SHUTDOWN_crash);
	CHECK_EQ(peer_destroy(&p), 0);
}

TEST(hundred)
{
	/* Many at once, and all go. */
	static u32 ids[100];
	long before = free_pages_stable();
	unsigned n = 0;

	for (; n < ARRAY_SIZE(ids); n++) {
		dom_config(&op, 2);
		if (!CHECK_EQ(create(0), 0))
			break;
		ids[n] = op.domain;
		op.u.max_vcpus.max = 2;
		CHECK_EQ(domctl(XEN_DOMCTL_max_vcpus, ids[n], &op), 0);
		CHECK_EQ(info(ids[n]), 0);
		for (unsigned i = 0; i < n; i++)
			if (ids[i] == ids[n])
				CHECK_NE(ids[i], ids[n]);
	}
	while (n--)
		CHECK_EQ(domctl_simple(XEN_DOMCTL_destroydomain, ids[n]), 0);
	check_no_loss(before);
}
