/* SPDX-License-Identifier: MIT */
/* The privilege matrix from the other side: an ordinary domain calls everything that is not for it, and aims at others. */
#include "lib/event.h"
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define MAX_CMD 100

static struct peer p, victim;
static struct xen_domctl op;

/* Ids that the unprivileged domain aims at: Domain 0, another guest, nobody, the special ones. */
static u32 others[8];

static void start(void)
{
	static const u32 special[] = { 0, 0, 4321, DOMID_IO, DOMID_XEN, DOMID_IDLE, DOMID_COW, DOMID_INVALID };

	if (p.dom.id)
		return;
	CHECK_EQ(peer_start(&p, 2), 0);
	CHECK_EQ(peer_start(&victim, 1), 0);
	memcpy(others, special, sizeof(others));
	others[1] = peer_id(&victim);
}

static void check_unharmed(void)
{
	CHECK_EQ(PEER_CALL(&victim, xen_version, XENVER_version, 0), 4 << 16 | 17);
	CHECK_EQ(dom_flags(peer_id(&victim)) & (XEN_DOMINF_dying | XEN_DOMINF_shutdown | XEN_DOMINF_paused), 0);
	CHECK_EQ(PEER_CALL(&p, xen_version, XENVER_version, 0), 4 << 16 | 17);
}

TEST(domctl)
{
	start();
	for (u32 cmd = 0; cmd < MAX_CMD; cmd++)
		for (unsigned i = 0; i <= ARRAY_SIZE(others); i++) {
			u32 id = i < ARRAY_SIZE(others) ? others[i] : peer_id(&p);
			long rc;

			memset(&op, 0, sizeof(op));
			op.cmd = cmd;
			op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
			op.domain = (domid_t)id;
			if (cmd == XEN_DOMCTL_createdomain)
				dom_config(&op, 1), op.cmd = cmd, op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
			memcpy(peer_box(&p, 0)->data, &op, sizeof(op));
			rc = PEER_CALL(&p, domctl, peer_data_va(&p, 0));
			if (rc >= 0 || rc == -XEN_EFAULT || memcmp(peer_box(&p, 0)->data, &op, sizeof(op)))
				test_fail(__FILE__, __LINE__, "domctl %u at %u: %ld", cmd, id, rc);
		}
	check_unharmed();
}

TEST(sysctl)
{
	static struct xen_sysctl s;

	start();
	for (u32 cmd = 0; cmd < MAX_CMD; cmd++) {
		long rc;

		memset(&s, 0, sizeof(s));
		s.cmd = cmd;
		s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
		memcpy(peer_box(&p, 0)->data, &s, sizeof(s));
		rc = PEER_CALL(&p, sysctl, peer_data_va(&p, 0));
		if (rc >= 0 || rc == -XEN_EFAULT || memcmp(peer_box(&p, 0)->data, &s, sizeof(s)))
			test_fail(__FILE__, __LINE__, "sysctl %u: %ld", cmd, rc);
	}
	check_unharmed();
}

TEST(platform_op)
{
	static struct xen_platform_op s;

	start();
	for (u32 cmd = 0; cmd < MAX_CMD; cmd++) {
		long rc;

		memset(&s, 0, sizeof(s));
		s.cmd = cmd;
		s.interface_version = XENPF_INTERFACE_VERSION;
		memcpy(peer_box(&p, 0)->data, &s, sizeof(s));
		rc = PEER_CALL(&p, platform_op, peer_data_va(&p, 0));
		if (rc >= 0)
			test_fail(__FILE__, __LINE__, "platform_op %u: %ld", cmd, rc);
	}
	check_unharmed();
}

/* Commands of physdev_op that ask or set what is the caller's own. */
static bool physdev_is_own(u32 cmd)
{
	return cmd == PHYSDEVOP_set_iopl || cmd == PHYSDEVOP_set_iobitmap || cmd == PHYSDEVOP_pirq_eoi_gmfn_v1 ||
	       cmd == PHYSDEVOP_pirq_eoi_gmfn_v2 || cmd == PHYSDEVOP_get_free_pirq || cmd == 4 /* old eoi */ ||
	       cmd == PHYSDEVOP_irq_status_query;
}

TEST(physdev_op)
{
	start();
	for (u32 cmd = 0; cmd < 48; cmd++) {
		u64 zero[12] = { 0 };
		long rc;

		if (physdev_is_own(cmd))
			continue;
		rc = PEER_OP(&p, physdev_op, cmd, &zero);
		if (rc >= 0)
			test_fail(__FILE__, __LINE__, "physdev_op %u: %ld", cmd, rc);
	}
	check_unharmed();
}

TEST(ports_and_msrs)
{
	/* I/O privilege of a domain without ports: the instructions still trap. */
	struct physdev_set_iopl iopl = { .iopl = 1 };

	start();
	PEER_OP(&p, physdev_op, PHYSDEVOP_set_iopl, &iopl);
	iopl.iopl = 3;
	PEER_OP(&p, physdev_op, PHYSDEVOP_set_iopl, &iopl);
	check_unharmed();
}

TEST(console_io)
{
	start();
	/* Input is Domain 0's. (Output may be kept in a log, or refused.) */
	CHECK_LT(PEER_CALL(&p, console_io, CONSOLEIO_read, 16, peer_data_va(&p, 0)), 0);
	CHECK_LT(PEER_CALL(&p, console_io, 77, 16, peer_data_va(&p, 0)), 0);
	check_unharmed();
}

TEST(rare_hypercalls)
{
	/* Tools' and machine's: errors all. */
	static const u32 nrs[] = {
		__HYPERVISOR_kexec_op, __HYPERVISOR_xsm_op, __HYPERVISOR_tmem_op, __HYPERVISOR_dm_op, __HYPERVISOR_hypfs_op,
		__HYPERVISOR_arch_0, __HYPERVISOR_arch_1, __HYPERVISOR_arch_2, __HYPERVISOR_arch_7, 63,
	};

	start();
	for (unsigned i = 0; i < ARRAY_SIZE(nrs); i++)
		for (u32 cmd = 0; cmd < 12; cmd++) {
			long rc;

			memset(peer_box(&p, 0)->data, 0, PEER_DATA);
			rc = peer_do(&p, PEER_HCALL, nrs[i], cmd, peer_data_va(&p, 0), peer_data_va(&p, 0), 0, 0);
			if (rc >= 0)
				test_fail(__FILE__, __LINE__, "hypercall %u, command %u: %ld", nrs[i], cmd, rc);
		}
	check_unharmed();
}

static long reservation_op(u32 cmd, u32 id, u64 frame)
{
	struct {
		struct xen_memory_reservation r;
		u64 frame;
	} a = { .r = { .nr_extents = 1, .domid = (domid_t)id }, .frame = frame };

	set_xen_guest_handle(a.r.extent_start, (u64 *)(peer_data_va(&p, 0) + offsetof(__typeof__(a), frame)));
	return PEER_OP(&p, memory_op, cmd, &a);
}

TEST(memory_of_others)
{
	u64 theirs;

	start();
	theirs = peer_mfn(&victim, peer_alloc(&victim, 0));
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		domid_t id = (domid_t)others[i];
		struct xen_add_to_physmap atp = { .domid = id, .space = XENMAPSPACE_shared_info, .gpfn = 5 };
		struct xen_remove_from_physmap rfp = { .domid = id, .gpfn = theirs };
		struct xen_mem_acquire_resource res = { .domid = id, .type = XENMEM_resource_grant_table, .nr_frames = 1 };
		struct xen_foreign_memory_map map = { .domid = id };

		CHECK_LT(reservation_op(XENMEM_increase_reservation, id, 0), 1);
		CHECK_LT(reservation_op(XENMEM_decrease_reservation, id, theirs), 1);
		CHECK_LT(reservation_op(XENMEM_populate_physmap, id, 5), 1);
		CHECK_LT(PEER_OP(&p, memory_op, XENMEM_current_reservation, &id), 0);
		CHECK_LT(PEER_OP(&p, memory_op, XENMEM_maximum_reservation, &id), 0);
		CHECK_LT(PEER_OP(&p, memory_op, XENMEM_maximum_gpfn, &id), 0);
		CHECK_LT(PEER_OP(&p, memory_op, XENMEM_add_to_physmap, &atp), 0);
		CHECK_LT(PEER_OP(&p, memory_op, XENMEM_remove_from_physmap, &rfp), 0);
		set_xen_guest_handle(res.frame_list, (xen_pfn_t *)(peer_data_va(&p, 0) + 200));
		CHECK_LT(PEER_OP(&p, memory_op, XENMEM_acquire_resource, &res), 0);
		CHECK_LT(PEER_OP(&p, memory_op, XENMEM_set_memory_map, &map), 0);
	}
	/* The victim's frame given back under the caller's own name. */
	CHECK_LT(reservation_op(XENMEM_decrease_reservation, DOMID_SELF, theirs), 1);
	CHECK_LT(reservation_op(XENMEM_decrease_reservation, DOMID_SELF, virt_to_mfn(current_l4())), 1);
	/* The machine's map, and claims, are the tools'. */
	memset(peer_box(&p, 0)->data, 0, PEER_DATA);
	CHECK_LT(PEER_CALL(&p, memory_op, XENMEM_machine_memory_map, peer_data_va(&p, 0)), 0);
	CHECK_LT(reservation_op(XENMEM_claim_pages, DOMID_SELF, 0), 0);
	check_unharmed();
}

TEST(more_memory_than_allowed)
{
	/* The limit is the tools': a guest gets its maximum and not a page more. */
	domid_t self = DOMID_SELF;
	u64 got = 0;

	start();
	while (got < 1000 && reservation_op(XENMEM_increase_reservation, DOMID_SELF, 0) == 1)
		got++;
	CHECK_EQ(PEER_OP(&p, memory_op, XENMEM_current_reservation, &self), PEER_PAGES + got);
	/* lib/domain.c allows 64 KiB more. */
	CHECK_EQ(got, 16);
	check_unharmed();
}

static int peer_update(u64 ptr, u64 val, u64 dom)
{
	struct mmu_update u = { ptr, val };

	memcpy(peer_box(&p, 0)->data, &u, sizeof(u));
	return (int)PEER_CALL(&p, mmu_update, peer_data_va(&p, 0), 1, 0, dom);
}

TEST(page_tables_of_others)
{
	u64 va, pte_addr, theirs, table;

	start();
	va = SCRATCH_VA;
	CHECK_EQ(peer_map(&p, va, 0), 0);
	theirs = peer_mfn(&victim, peer_alloc(&victim, 0));
	table = victim.dom.p2m[victim.dom.l4_pfn];
	/* Through update_va_mapping, mmu_update with and without the other's name, and as the owner of the table. */
	CHECK_LT(PEER_CALL(&p, update_va_mapping, va, MAKE_PTE(theirs, PTE_RO), 0), 0);
	CHECK_LT(PEER_CALL(&p, update_va_mapping, va, MAKE_PTE(virt_to_mfn(current_l4()), PTE_RO), 0), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		CHECK_LT(PEER_CALL(&p, update_va_mapping_otherdomain, va, MAKE_PTE(theirs, PTE_RO), 0, others[i]), 0);
		pte_addr = p.dom.p2m[p.dom.l4_pfn + 3] << PAGE_SHIFT | 8 * 3;
		CHECK_LT(peer_update(pte_addr, MAKE_PTE(theirs, PTE_RO), others[i]), 0);
		CHECK_LT(peer_update(table << PAGE_SHIFT | 8, MAKE_PTE(theirs, PTE_RO), DOMID_SELF | (u64)(others[i] + 1) << 16), 0);
		CHECK_LT(peer_update(theirs << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 7, others[i]), 0);
		{
			struct mmuext_op unpin = { .cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = table };

			memcpy(peer_box(&p, 0)->data, &unpin, sizeof(unpin));
			CHECK_LT(PEER_CALL(&p, mmuext_op, peer_data_va(&p, 0), 1, 0, others[i]), 0);
		}
	}
	CHECK_LT(peer_update(theirs << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 7, DOMID_SELF), 0);
	for (u32 cmd = 0; cmd < 24; cmd++) {
		struct mmuext_op m = { .cmd = cmd, .arg1.mfn = theirs, .arg2.src_mfn = theirs };

		/* Those that take a frame. */
		if (cmd > MMUEXT_NEW_BASEPTR && cmd != MMUEXT_NEW_USER_BASEPTR && cmd != MMUEXT_CLEAR_PAGE && cmd != MMUEXT_COPY_PAGE &&
		    cmd != MMUEXT_MARK_SUPER && cmd != MMUEXT_UNMARK_SUPER)
			continue;
		memcpy(peer_box(&p, 0)->data, &m, sizeof(m));
		CHECK_LT(PEER_CALL(&p, mmuext_op, peer_data_va(&p, 0), 1, 0, DOMID_SELF), 0);
	}
	CHECK_LT(peer_read(&p, va), 0);
	check_unharmed();
}

TEST(device_memory)
{
	/* Of devices and holes, only what was granted. */
	static const u64 frames[] = { 0xb8, 0xf0, 0xfee00, 0xfec00, 0xfd000, 0xfffff, 1 << 24 };

	start();
	for (unsigned i = 0; i < ARRAY_SIZE(frames); i++) {
		CHECK_LT(PEER_CALL(&p, update_va_mapping, SCRATCH_VA, MAKE_PTE(frames[i], PTE_RO), 0), 0);
		CHECK_LT(peer_update(p.dom.p2m[p.dom.l4_pfn + 3] << PAGE_SHIFT | 24, MAKE_PTE(frames[i], PTE_RO), DOMID_IO), 0);
	}
	check_unharmed();
}

TEST(events_of_others)
{
	start();
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		struct evtchn_alloc_unbound au = { .dom = (domid_t)others[i], .remote_dom = (domid_t)peer_id(&p) };
		struct evtchn_status st = { .dom = (domid_t)others[i], .port = 1 };
		struct evtchn_reset re = { .dom = (domid_t)others[i] };
		struct evtchn_bind_interdomain bi = { .remote_dom = (domid_t)others[i], .remote_port = 1 };

		CHECK_LT(PEER_OP(&p, event_channel_op, EVTCHNOP_alloc_unbound, &au), 0);
		CHECK_LT(PEER_OP(&p, event_channel_op, EVTCHNOP_status, &st), 0);
		CHECK_LT(PEER_OP(&p, event_channel_op, EVTCHNOP_reset, &re), 0);
		for (bi.remote_port = 0; bi.remote_port < 20; bi.remote_port++) {
			/* Domain 0 and the victim have ports, none of them for the peer. */
			CHECK_LT(PEER_OP(&p, event_channel_op, EVTCHNOP_bind_interdomain, &bi), 0);
		}
	}
	for (u32 virq = 0; virq < NR_VIRQS; virq++) {
		struct evtchn_bind_virq bv = { .virq = virq };
		long rc = PEER_OP(&p, event_channel_op, EVTCHNOP_bind_virq, &bv);

		if (!rc)
			PEER_OP(&p, event_channel_op, EVTCHNOP_close, &(struct evtchn_close){ .port = bv.port });
	}
	for (u32 pirq = 0; pirq < 20; pirq++) {
		struct evtchn_bind_pirq bp = { .pirq = pirq };

		CHECK_LT(PEER_OP(&p, event_channel_op, EVTCHNOP_bind_pirq, &bp), 0);
	}
	check_unharmed();
}

TEST(scheduling_of_others)
{
	start();
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		struct sched_remote_shutdown rs = { .domain_id = (domid_t)others[i], .reason = SHUTDOWN_crash };

		CHECK_LT(PEER_OP(&p, sched_op, SCHEDOP_remote_shutdown, &rs), 0);
	}
	{
		struct sched_pin_override po = { .pcpu = 0 };

		CHECK_LT(PEER_OP(&p, sched_op, SCHEDOP_pin_override, &po), 0);
	}
	check_unharmed();
}

TEST(grants_of_others)
{
	start();
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		struct gnttab_query_size qs = { .dom = (domid_t)others[i], .status = 1 };
		struct gnttab_get_version gv = { .dom = (domid_t)others[i] };
		struct gnttab_setup_table st = { .dom = (domid_t)others[i], .nr_frames = 1, .status = 1 };
		struct gnttab_get_status_frames gs = { .dom = (domid_t)others[i], .nr_frames = 1, .status = 1 };
		struct gnttab_dump_table dt = { .dom = (domid_t)others[i], .status = 1 };

		CHECK(PEER_OP(&p, grant_table_op, GNTTABOP_query_size, &qs) < 0 || qs.status < 0);
		CHECK_LT(PEER_OP(&p, grant_table_op, GNTTABOP_get_version, &gv), 0);
		set_xen_guest_handle(st.frame_list, (xen_pfn_t *)(peer_data_va(&p, 0) + 200));
		CHECK(PEER_OP(&p, grant_table_op, GNTTABOP_setup_table, &st) < 0 || st.status < 0);
		set_xen_guest_handle(gs.frame_list, (uint64_t *)(peer_data_va(&p, 0) + 200));
		CHECK(PEER_OP(&p, grant_table_op, GNTTABOP_get_status_frames, &gs) < 0 || gs.status < 0);
		CHECK(PEER_OP(&p, grant_table_op, GNTTABOP_dump_table, &dt) < 0 || dt.status < 0);
	}
	/* Nothing was granted to it. */
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		struct gnttab_map_grant_ref m = { .host_addr = SCRATCH_VA, .flags = GNTMAP_host_map, .ref = 8, .dom = (domid_t)others[i] };
		struct gnttab_copy c = { .len = 8, .flags = GNTCOPY_source_gref };
		struct gnttab_transfer t = { .mfn = p.dom.p2m[900], .domid = (domid_t)others[i], .ref = 8 };

		CHECK_EQ(PEER_OP(&p, grant_table_op, GNTTABOP_map_grant_ref, &m), 0);
		CHECK_LT(m.status, 0);
		c.source.u.ref = 8;
		c.source.domid = (domid_t)others[i];
		c.dest.domid = DOMID_SELF;
		c.dest.u.gmfn = p.dom.p2m[900];
		CHECK_EQ(PEER_OP(&p, grant_table_op, GNTTABOP_copy, &c), 0);
		CHECK_LT(c.status, 0);
		/* By frame number, as only the owner may. */
		c.flags = 0;
		c.source.u.gmfn = victim.dom.p2m[700];
		CHECK_EQ(PEER_OP(&p, grant_table_op, GNTTABOP_copy, &c), 0);
		CHECK_LT(c.status, 0);
		PEER_OP(&p, grant_table_op, GNTTABOP_transfer, &t);
		CHECK_LT(t.status, 0);
	}
	check_unharmed();
}

TEST(features_do_not_lie)
{
	struct xen_feature_info fi = { .submap_idx = 0 };

	start();
	CHECK_EQ(PEER_OP(&p, xen_version, XENVER_get_features, &fi), 0);
	CHECK_EQ(fi.submap & 1u << XENFEAT_dom0, 0);
	check_unharmed();
}

TEST(end)
{
	start();
	CHECK_EQ(peer_destroy(&p), 0);
	CHECK_EQ(peer_destroy(&victim), 0);
}
