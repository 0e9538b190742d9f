/* SPDX-License-Identifier: MIT */
/* Domains that die: at every stage, with everything outstanding, while others use them, by two killers. All memory comes back. */
#include "lib/audit.h"
#include "lib/event.h"
#include "lib/grant.h"
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/memory.h>
#include <xen/vcpu.h>

static struct peer p, q;
static struct grant_entry_v1 *own;

static bool gone(u32 id)
{
	return WAIT_FOR(!dom_flags(id), PATIENCE);
}

TEST(first)
{
	own = grant_own_table();
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(map_new(SCRATCH_VA + i * PAGE_SIZE, 0), 0);
	REQUIRE_EQ(peer_start(&p, 2), 0);
	REQUIRE_EQ(peer_start(&q, 2), 0);
	CHECK_EQ(peer_destroy(&p), 0);
	CHECK_EQ(peer_destroy(&q), 0);
	foreign_map_error(0, 1, false);
}

TEST(at_every_stage)
{
	long before = free_pages_stable();

	for (unsigned stage = 0; stage < 6; stage++) {
		u32 vcpus = stage == 0 ? 0 : 2, pages = stage < 2 ? 0 : PEER_PAGES;
		int rc = stage < 3 ? dom_create(&p.dom, vcpus, pages) : stage < 5 ? peer_build(&p, 2) : peer_start(&p, 2);

		REQUIRE_EQ(rc, 0);
		if (stage == 4)
			CHECK_EQ(domctl_simple(XEN_DOMCTL_unpausedomain, peer_id(&p)), 0);
		CHECK_EQ(peer_destroy(&p), 0);
		CHECK(gone(peer_id(&p)));
		CHECK_LT(domctl_simple(XEN_DOMCTL_destroydomain, peer_id(&p)), 0);
		check_no_loss(before);
	}
}

/* What a peer may hold when it dies. */
static void outfit(struct peer *x)
{
	u64 page = peer_alloc(x, 0), table = peer_alloc(x, 0), desc = peer_alloc(x, 0), regs = peer_alloc(x, 0);
	struct vcpu_register_vcpu_info info = { .mfn = peer_mfn(x, regs), .offset = 64 };
	struct vcpu_set_singleshot_timer timer = { .timeout_abs_ns = now() + 3600 * SEC };
	struct vcpu_register_runstate_memory_area rs = { .addr.v = (void *)(regs + 512) };
	struct mmuext_op op[2] = {
		{ .cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = peer_mfn(x, table) },
		{ .cmd = MMUEXT_SET_LDT, .arg1.linear_addr = desc, .arg2.nr_ents = 100 },
	};
	u64 gdt[1] = { 0 };

	/* A pinned table that maps its own page twice; descriptor tables. */
	CHECK_EQ(peer_write(x, table, MAKE_PTE(peer_mfn(x, page), PTE_RW)), VEC_NONE);
	CHECK_EQ(peer_write(x, table + 8, MAKE_PTE(peer_mfn(x, page), PTE_RO)), VEC_NONE);
	CHECK_EQ(PEER_CALL(x, update_va_mapping, table, MAKE_PTE(peer_mfn(x, table), PTE_RO), UVMF_INVLPG | UVMF_ALL), 0);
	CHECK_EQ(PEER_CALL(x, update_va_mapping, desc, MAKE_PTE(peer_mfn(x, desc), PTE_RO), UVMF_INVLPG | UVMF_ALL), 0);
	memcpy(peer_box(x, 0)->data, op, sizeof(op));
	CHECK_EQ(PEER_CALL(x, mmuext_op, peer_data_va(x, 0), 2, 0, DOMID_SELF), 0);
	gdt[0] = peer_mfn(x, desc);
	memcpy(peer_box(x, 0)->data, gdt, sizeof(gdt));
	CHECK_EQ(PEER_CALL(x, set_gdt, peer_data_va(x, 0), 512), 0);
	/* Timers, areas, events. */
	memcpy(peer_box(x, 0)->data, &timer, sizeof(timer));
	CHECK_EQ(PEER_CALL(x, vcpu_op, VCPUOP_set_singleshot_timer, 0, peer_data_va(x, 0)), 0);
	memcpy(peer_box(x, 0)->data, &info, sizeof(info));
	CHECK_EQ(PEER_CALL(x, vcpu_op, VCPUOP_register_vcpu_info, 0, peer_data_va(x, 0)), 0);
	memcpy(peer_box(x, 0)->data, &rs, sizeof(rs));
	CHECK_EQ(PEER_CALL(x, vcpu_op, VCPUOP_register_runstate_memory_area, 1, peer_data_va(x, 0)), 0);
	for (unsigned i = 0; i < 20; i++) {
		struct evtchn_alloc_unbound au = { .dom = DOMID_SELF, .remote_dom = 0 };

		CHECK_EQ(PEER_OP(x, event_channel_op, EVTCHNOP_alloc_unbound, &au), 0);
		if (i & 1)
			CHECK_GE(event_bind_interdomain(peer_id(x), au.port), 1);
	}
	{
		struct evtchn_init_control ic = { .control_gfn = peer_mfn(x, peer_alloc(x, 0)) };
		struct evtchn_expand_array ea = { .array_gfn = peer_mfn(x, peer_alloc(x, 0)) };

		CHECK_EQ(PEER_OP(x, event_channel_op, EVTCHNOP_init_control, &ic), 0);
		CHECK_EQ(PEER_OP(x, event_channel_op, EVTCHNOP_expand_array, &ea), 0);
	}
}

static void close_all(void)
{
	for (u32 port = 1; port < 200; port++)
		if (event_status(port, NULL) == EVTCHNSTAT_unbound)
			event_close(port);
}

static void die_with_everything(void)
{
	u64 *page = page_alloc();
	struct grant_entry_v1 *theirs;
	u64 va, mfn, *view;
	u32 h, h2, hq;

	REQUIRE_EQ(peer_start(&p, 2), 0);
	REQUIRE_EQ(peer_start(&q, 1), 0);
	outfit(&p);
	theirs = grant_table_of(&p);
	REQUIRE(theirs != NULL);
	va = peer_alloc(&p, 0);
	mfn = peer_mfn(&p, va);
	CHECK_EQ(peer_write(&p, va, 0x600d), VEC_NONE);
	/* We map its grant and its memory, another guest maps its grant, it maps ours. */
	grant_offer(theirs, FIRST_REF, mfn, 0, GTF_permit_access);
	grant_offer(theirs, FIRST_REF + 1, mfn, peer_id(&q), GTF_permit_access);
	grant_offer(own, FIRST_REF, virt_to_mfn(page), peer_id(&p), GTF_permit_access);
	CHECK_EQ(grant_map(SCRATCH_VA, peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
	CHECK_EQ(peer_map(&q, SCRATCH_VA, 0), 0);
	CHECK_EQ(peer_grant_map(&q, SCRATCH_VA, peer_id(&p), FIRST_REF + 1, GNTMAP_host_map, &hq), GNTST_okay);
	CHECK_EQ(peer_map(&p, SCRATCH_VA, 0), 0);
	CHECK_EQ(peer_grant_map(&p, SCRATCH_VA, 0, FIRST_REF, GNTMAP_host_map, &h2), GNTST_okay);
	view = foreign_map(peer_id(&p), p.dom.p2m[500], true);
	REQUIRE(view != NULL);

	CHECK_EQ(peer_destroy(&p), 0);
	/* What it had of ours is ours again. */
	CHECK_EQ(READ_ONCE(own[FIRST_REF].flags) & (GTF_reading | GTF_writing), 0);
	own[FIRST_REF].flags = 0;
	CHECK_EQ(page_protect(page, false), 0);
	CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(page), 0), 0);
	CHECK_EQ(page_protect(page, true), 0);
	/* What we and others have of it is still there, and says so. */
	CHECK(dom_flags(peer_id(&p)) & XEN_DOMINF_dying);
	CHECK_EQ(READ_ONCE(*(u64 *)SCRATCH_VA), 0x600d);
	CHECK_EQ(peer_read(&q, SCRATCH_VA), 0x600d);
	WRITE_ONCE(*view, 1);
	/* Nothing new can be had of it. */
	CHECK_LT(event_alloc_unbound(peer_id(&p), 0), 0);
	{
		u32 h3;
		struct xen_memory_reservation r = { .nr_extents = 1, .domid = (domid_t)peer_id(&p) };
		u64 gpfn = 1000;

		CHECK_LT(grant_map(SCRATCH_VA + PAGE_SIZE, peer_id(&p), FIRST_REF + 1, GNTMAP_host_map, &h3), 0);
		set_xen_guest_handle(r.extent_start, &gpfn);
		CHECK(HCALL(memory_op, XENMEM_populate_physmap, &r) <= 0);
	}
	CHECK_LT(audit(), 1);
	CHECK_EQ(grant_unmap(SCRATCH_VA, h), GNTST_okay);
	CHECK(dom_flags(peer_id(&p)) & XEN_DOMINF_dying);
	foreign_unmap(view);
	CHECK_EQ(peer_grant_unmap(&q, SCRATCH_VA, hq), GNTST_okay);
	foreign_unmap(theirs);
	CHECK(gone(peer_id(&p)));
	close_all();
	CHECK_EQ(peer_destroy(&q), 0);
	page_free(page);
}

TEST(with_everything)
{
	long before;

	/* The first time our own tables of ports and mappings grow. */
	die_with_everything();
	before = free_pages_stable();
	die_with_everything();
	check_no_loss(before);
}

TEST(mapper_dies)
{
	/* q has p's page mapped, and dies; p's entry is free again, p lives. */
	long before = free_pages_stable();
	struct grant_entry_v1 *theirs;
	u32 h;

	REQUIRE_EQ(peer_start(&p, 1), 0);
	REQUIRE_EQ(peer_start(&q, 1), 0);
	theirs = grant_table_of(&p);
	REQUIRE(theirs != NULL);
	grant_offer(theirs, FIRST_REF, peer_mfn(&p, peer_alloc(&p, 0)), peer_id(&q), GTF_permit_access);
	CHECK_EQ(peer_map(&q, SCRATCH_VA, 0), 0);
	CHECK_EQ(peer_grant_map(&q, SCRATCH_VA, peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
	CHECK_EQ(peer_destroy(&q), 0);
	CHECK(gone(peer_id(&q)));
	CHECK_EQ(READ_ONCE(theirs[FIRST_REF].flags) & (GTF_reading | GTF_writing), 0);
	CHECK_EQ(peer_do(&p, PEER_NOTHING, 0, 0, 0, 0, 0, 0), 0);
	foreign_unmap(theirs);
	CHECK_EQ(peer_destroy(&p), 0);
	check_no_loss(before);
}

/* --- killers ------------------------------------------------------------------------------------------------------------------ */

static volatile long killed[2];
static volatile u32 victim;

static void kill(void *arg)
{
	long i = (long)arg;

	while (!victim)
		cpu_relax();
	killed[i] = domctl_simple(XEN_DOMCTL_destroydomain, victim);
}

TEST(two_killers)
{
	long before = free_pages_stable();

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	for (unsigned i = 0; i < 8; i++) {
		REQUIRE_EQ(peer_start(&p, 2), 0);
		outfit(&p);
		dom_forget(&p.dom);
		victim = 0;
		cpu_run(1, kill, (void *)1);
		pause_for(i * MSEC / 4);
		victim = peer_id(&p);
		kill((void *)0);
		CHECK_EQ(cpu_wait(1), 0);
		/* One has done it; the other has helped, or came too late. */
		CHECK(killed[0] == 0 || killed[1] == 0);
		for (unsigned k = 0; k < 2; k++)
			CHECK(killed[k] == 0 || killed[k] == -XEN_EINVAL || killed[k] == -XEN_ESRCH);
		CHECK(gone(victim));
		close_all();
		check_no_loss(before);
	}
}

static volatile bool watching;

static void watch(void *unused)
{
	(void)unused;
	while (watching) {
		struct xen_domctl op = { 0 };
		static struct vcpu_guest_context ctx;

		domctl(XEN_DOMCTL_getdomaininfo, victim, &op);
		op.u.getvcpuinfo.vcpu = 0;
		domctl(XEN_DOMCTL_getvcpuinfo, victim, &op);
		op.u.vcpucontext.vcpu = 0;
		set_xen_guest_handle(op.u.vcpucontext.ctxt, &ctx);
		domctl(XEN_DOMCTL_getvcpucontext, victim, &op);
		domctl_simple(XEN_DOMCTL_pausedomain, victim);
		domctl_simple(XEN_DOMCTL_unpausedomain, victim);
		op.u.max_mem.max_memkb = 5000;
		domctl(XEN_DOMCTL_max_mem, victim, &op);
		event_alloc_unbound(victim, 0);
	}
}

TEST(asked_while_it_dies)
{
	/* One vCPU kills, the other asks and changes all the time. */
	long before = free_pages_stable();

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	for (unsigned i = 0; i < 8; i++) {
		REQUIRE_EQ(peer_start(&p, 2), 0);
		victim = peer_id(&p);
		watching = true;
		cpu_run(1, watch, NULL);
		pause_for(i * MSEC);
		CHECK_EQ(peer_destroy(&p), 0);
		watching = false;
		CHECK_EQ(cpu_wait(1), 0);
		CHECK(gone(victim));
		check_no_loss(before);
	}
}

static struct xen_memory_reservation feed_arg;
static u64 feed_list[2048];
static volatile long fed;

static void feed(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < ARRAY_SIZE(feed_list); i++)
		feed_list[i] = PEER_PAGES + i;
	fed = HCALL(memory_op, XENMEM_populate_physmap, &feed_arg);
}

TEST(killed_while_it_gets_memory)
{
	long before = free_pages_stable();

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	for (unsigned i = 0; i < 8; i++) {
		struct xen_domctl op = { .u.max_mem.max_memkb = 16384 };

		REQUIRE_EQ(peer_start(&p, 1), 0);
		CHECK_EQ(domctl(XEN_DOMCTL_max_mem, peer_id(&p), &op), 0);
		feed_arg = (struct xen_memory_reservation){ .nr_extents = ARRAY_SIZE(feed_list), .domid = (domid_t)peer_id(&p) };
		set_xen_guest_handle(feed_arg.extent_start, feed_list);
		cpu_run(1, feed, NULL);
		pause_for(i * MSEC / 3);
		CHECK_EQ(peer_destroy(&p), 0);
		CHECK_EQ(cpu_wait(1), 0);
		CHECK(gone(peer_id(&p)));
		check_no_loss(before);
	}
}

/* --- in the middle of its own work -------------------------------------------------------------------------------------------- */

/* Has vCPU 1 of the peer repeat something long, with its arguments in the mailbox. */
static void busy_peer(unsigned what)
{
	struct {
		struct xen_memory_reservation r;
		u64 frames[40];
	} mem = { .r = { .nr_extents = 16, .domid = DOMID_SELF } };
	struct mmuext_op pin[2] = { { .cmd = MMUEXT_UNPIN_TABLE }, { .cmd = MMUEXT_PIN_L4_TABLE } };
	u8 *data = peer_box(&p, 1)->data;
	u64 data_va = peer_data_va(&p, 1);

	switch (what) {
	case 0:	/* memory in */
		set_xen_guest_handle(mem.r.extent_start, (u64 *)(data_va + sizeof(mem.r)));
		memcpy(data, &mem, sizeof(mem));
		peer_post(&p, 1, PEER_HAMMER, __HYPERVISOR_memory_op, XENMEM_increase_reservation, data_va, 0, 0, 0);
		break;
	case 1:	/* its page tables unpinned and pinned: they are in use, so they stay tables */
		pin[0].arg1.mfn = pin[1].arg1.mfn = p.dom.p2m[p.dom.l4_pfn];
		memcpy(data, pin, sizeof(pin));
		peer_post(&p, 1, PEER_HAMMER, __HYPERVISOR_mmuext_op, data_va, 2, 0, DOMID_SELF, 0);
		break;
	case 2:	/* events closed and opened */
		memcpy(data, &(struct evtchn_reset){ .dom = DOMID_SELF }, sizeof(struct evtchn_reset));
		peer_post(&p, 1, PEER_HAMMER, __HYPERVISOR_event_channel_op, EVTCHNOP_reset, data_va, 0, 0, 0);
		break;
	case 3:	/* TLB flushes of all its vCPUs */
		pin[0].cmd = pin[1].cmd = MMUEXT_TLB_FLUSH_ALL;
		memcpy(data, pin, sizeof(pin));
		peer_post(&p, 1, PEER_HAMMER, __HYPERVISOR_mmuext_op, data_va, 2, 0, DOMID_SELF, 0);
		break;
	case 4:	/* the grant table changes its version */
		memcpy(data, &(struct gnttab_set_version){ .version = 2 }, sizeof(struct gnttab_set_version));
		peer_post(&p, 1, PEER_HAMMER, __HYPERVISOR_grant_table_op, GNTTABOP_set_version, data_va, 1, 0, 0);
		break;
	case 5:	/* it stops itself at that very moment */
		peer_post(&p, 1, PEER_EXIT, SHUTDOWN_crash, 0, 0, 0, 0, 0);
		break;
	}
}

TEST(in_the_middle_of_work)
{
	long before = free_pages_stable();

	for (unsigned i = 0; i < 18; i++) {
		REQUIRE_EQ(peer_start(&p, 2), 0);
		busy_peer(i % 6);
		pause_for(i / 6 * MSEC);
		CHECK_EQ(peer_destroy(&p), 0);
		CHECK(gone(peer_id(&p)));
		check_no_loss(before);
	}
	CHECK_LT(audit(), 1);
}

static volatile bool copying;

static void copy_from_peer(void *page)
{
	while (copying) {
		u32 h;

		grant_copy((struct copy_end){ true, peer_id(&p), FIRST_REF, 0 },
			   (struct copy_end){ false, DOMID_SELF, virt_to_mfn(page), 0 }, PAGE_SIZE);
		if (grant_map(SCRATCH_VA + 2 * PAGE_SIZE, peer_id(&p), FIRST_REF, GNTMAP_host_map, &h) == GNTST_okay &&
		    grant_unmap(SCRATCH_VA + 2 * PAGE_SIZE, h) != GNTST_okay)
			test_fail(__FILE__, __LINE__, "a mapping cannot be undone");
	}
}

TEST(granter_dies_during_copies)
{
	u64 *page = page_alloc();
	long before = free_pages_stable();

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	for (unsigned i = 0; i < 8; i++) {
		struct grant_entry_v1 *theirs;

		REQUIRE_EQ(peer_start(&p, 1), 0);
		theirs = grant_table_of(&p);
		REQUIRE(theirs != NULL);
		grant_offer(theirs, FIRST_REF, peer_mfn(&p, peer_alloc(&p, 0)), 0, GTF_permit_access);
		foreign_unmap(theirs);
		copying = true;
		cpu_run(1, copy_from_peer, page);
		pause_for(i * MSEC / 2);
		CHECK_EQ(peer_destroy(&p), 0);
		copying = false;
		CHECK_EQ(cpu_wait(1), 0);
		CHECK(gone(peer_id(&p)));
		check_no_loss(before);
	}
	page_free(page);
	CHECK_LT(audit(), 1);
}

/* --- stale translations ------------------------------------------------------------------------------------------------------- */

TEST(freed_page_is_not_written)
{
	/*
	 * vCPU 1 of the peer writes to a page all the time. vCPU 0 takes the mapping away without a flush and gives the page back. Whoever
	 * has it next must not see it change.
	 */
	static u64 list[256];
	struct xen_memory_reservation r = { .domid = DOMID_SELF };
	struct {
		struct xen_memory_reservation r;
		u64 frame;
	} a = { .r = { .nr_extents = 1, .domid = DOMID_SELF } };
	u32 found = 0;

	REQUIRE_EQ(peer_start(&p, 2), 0);
	REQUIRE_EQ(dom_create(&q.dom, 1, 0), 0);
	for (unsigned round = 0; round < 8; round++) {
		u64 va = peer_alloc(&p, 0), mfn = peer_mfn(&p, va);
		u64 *view = NULL;
		struct xen_domctl op = { .u.max_mem.max_memkb = 1024 * (round + 2) };
		long n;

		peer_post(&p, 1, PEER_STORE, va, 0, 0, 0, 0, 0);
		CHECK_EQ(PEER_CALL(&p, update_va_mapping, va, 0, 0), 0);
		a.frame = mfn;
		set_xen_guest_handle(a.r.extent_start, (u64 *)(peer_data_va(&p, 0) + offsetof(__typeof__(a), frame)));
		CHECK_EQ(PEER_OP(&p, memory_op, XENMEM_decrease_reservation, &a), 1);
		/* Another domain gets it, with luck. */
		CHECK_EQ(domctl(XEN_DOMCTL_max_mem, q.dom.id, &op), 0);
		r.domid = (domid_t)q.dom.id;
		r.nr_extents = ARRAY_SIZE(list);
		for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
			list[i] = round * ARRAY_SIZE(list) + i;
		set_xen_guest_handle(r.extent_start, list);
		n = HCALL(memory_op, XENMEM_populate_physmap, &r);
		CHECK_EQ(n, ARRAY_SIZE(list));
		for (long i = 0; i < n; i++)
			if (list[i] == mfn)
				view = foreign_map(q.dom.id, mfn, true);
		if (view) {
			found++;
			CHECK(!is_lodge() || READ_ONCE(*view) == 0);	/* Xen leaves it to the builder */
			WRITE_ONCE(*view, 0xabcdef);
			pause_for(5 * MSEC);
			CHECK_EQ(READ_ONCE(*view), 0xabcdef);
			foreign_unmap(view);
		}
		/* The writer has met its page fault, or does now. */
		CHECK_EQ(peer_wait(&p, 1), -XEN_EFAULT);
		CHECK_EQ(peer_box(&p, 1)->vector, VEC_PF);
	}
	if (!found)
		test_note("the page was never found again");
	CHECK_EQ(dom_destroy(&q.dom), 0);
	CHECK_EQ(peer_destroy(&p), 0);
}

TEST(ungranted_page_is_not_written)
{
	/* The same with a grant mapping: once the unmap has returned, the granter has its page for itself. */
	u64 *page = page_alloc();

	REQUIRE_EQ(peer_start(&p, 2), 0);
	CHECK_EQ(peer_map(&p, SCRATCH_VA, 0), 0);
	for (unsigned round = 0; round < 10; round++) {
		u32 h;

		grant_offer(own, FIRST_REF, virt_to_mfn(page), peer_id(&p), GTF_permit_access);
		CHECK_EQ(peer_grant_map(&p, SCRATCH_VA, 0, FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
		peer_post(&p, 1, PEER_STORE, SCRATCH_VA, 0, 0, 0, 0, 0);
		CHECK(WAIT_FOR(READ_ONCE(*page) > 10, PATIENCE));
		CHECK_EQ(peer_grant_unmap(&p, SCRATCH_VA, h), GNTST_okay);
		CHECK_EQ(READ_ONCE(own[FIRST_REF].flags) & (GTF_reading | GTF_writing), 0);
		WRITE_ONCE(*page, 0);
		pause_for(2 * MSEC);
		CHECK_EQ(READ_ONCE(*page), 0);
		CHECK_EQ(peer_wait(&p, 1), -XEN_EFAULT);
		own[FIRST_REF].flags = 0;
	}
	CHECK_EQ(peer_destroy(&p), 0);
	page_free(page);
}

TEST(again_and_again)
{
	long before = free_pages_stable();

	for (unsigned i = 0; i < 12; i++) {
		REQUIRE_EQ(peer_start(&p, 1), 0);
		CHECK_EQ(peer_destroy(&p), 0);
	}
	check_no_loss(before);
}
