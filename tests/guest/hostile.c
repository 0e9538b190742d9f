/* SPDX-License-Identifier: MIT */
/* Guests that flood and hog: events, the log, the processors, crashes. Everybody else goes on. */
#include "lib/audit.h"
#include "lib/event.h"
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/memory.h>
#include <xen/sysctl.h>
#include <xen/version.h>

static struct peer bad[2], good;

static void start(void)
{
	if (good.dom.id)
		return;
	CHECK_EQ(peer_start(&bad[0], 3), 0);
	CHECK_EQ(peer_start(&bad[1], 3), 0);
	CHECK_EQ(peer_start(&good, 1), 0);
}

/* Work of ours and of the well-behaved guest's, while the others do what they do. */
static void everyday_life(void)
{
	u64 va = peer_alloc(&good, 0), end = now() + 300 * MSEC;

	/* Long enough for each of the others to have had its turn. */
	for (unsigned i = 0; i < 30 || now() < end; i++) {
		void *page = page_alloc();

		CHECK_EQ(peer_write(&good, va, i), VEC_NONE);
		CHECK_EQ(peer_read(&good, va), i);
		CHECK_EQ(page_protect(page, false), 0);
		CHECK_EQ(page_protect(page, true), 0);
		page_free(page);
	}
	CHECK_EQ(PEER_CALL(&good, xen_version, XENVER_version, 0), 4 << 16 | 17);
}

/* All vCPUs of both bad guests repeat the hypercall, with this argument, for as long as we live everyday life. */
static void both_hammer(u64 nr, u64 cmd, const void *arg, size_t size)
{
	start();
	for (unsigned g = 0; g < 2; g++)
		for (u32 v = 0; v < 3; v++) {
			memcpy(peer_box(&bad[g], v)->data, arg, size);
			peer_post(&bad[g], v, PEER_HAMMER, nr, cmd, peer_data_va(&bad[g], v), 1, 0, 0);
		}
	everyday_life();
	for (unsigned g = 0; g < 2; g++)
		for (u32 v = 0; v < 3; v++)
			CHECK_GE(peer_stop(&bad[g], v), 0);
	CHECK_EQ(dom_flags(peer_id(&bad[0])) & XEN_DOMINF_shutdown, 0);
}

TEST(processors)
{
	start();
	for (unsigned g = 0; g < 2; g++)
		for (u32 v = 0; v < 3; v++)
			peer_post(&bad[g], v, PEER_STORE, peer_data_va(&bad[g], v), 0, 0, 0, 0, 0);
	everyday_life();
	for (unsigned g = 0; g < 2; g++)
		for (u32 v = 0; v < 3; v++)
			CHECK_GE(peer_stop(&bad[g], v), 1);
}

TEST(events)
{
	/* All their vCPUs send to us and to the good guest. */
	u32 ports[3];

	start();
	for (unsigned g = 0; g < 2; g++) {
		for (unsigned i = 0; i < 3; i++) {
			long port = event_alloc_unbound(DOMID_SELF, peer_id(&bad[g]));
			struct evtchn_bind_interdomain bi = { .remote_dom = 0, .remote_port = (u32)port };

			CHECK_EQ(PEER_OP(&bad[g], event_channel_op, EVTCHNOP_bind_interdomain, &bi), 0);
			ports[i] = bi.local_port;
		}
		for (u32 v = 0; v < 3; v++) {
			memcpy(peer_box(&bad[g], v)->data, &ports[v], sizeof(u32));
			peer_post(&bad[g], v, PEER_HAMMER, __HYPERVISOR_event_channel_op, EVTCHNOP_send, peer_data_va(&bad[g], v), 0, 0, 0);
		}
	}
	everyday_life();
	for (unsigned g = 0; g < 2; g++)
		for (u32 v = 0; v < 3; v++)
			CHECK_GE(peer_stop(&bad[g], v), 1);
}

TEST(ports_opened_and_closed)
{
	struct evtchn_reset re = { .dom = DOMID_SELF };

	both_hammer(__HYPERVISOR_event_channel_op, EVTCHNOP_reset, &re, sizeof(re));
}

TEST(tlb_flushes)
{
	struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_ALL };

	start();
	for (unsigned g = 0; g < 2; g++)
		for (u32 v = 0; v < 3; v++) {
			memcpy(peer_box(&bad[g], v)->data, &op, sizeof(op));
			peer_post(&bad[g], v, PEER_HAMMER, __HYPERVISOR_mmuext_op, peer_data_va(&bad[g], v), 1, 0, DOMID_SELF, 0);
		}
	everyday_life();
	for (unsigned g = 0; g < 2; g++)
		for (u32 v = 0; v < 3; v++)
			CHECK_GE(peer_stop(&bad[g], v), 1);
}

TEST(yields_and_timers)
{
	u64 past = 1;

	both_hammer(__HYPERVISOR_sched_op, SCHEDOP_yield, &past, sizeof(past));
}

/* Bytes that the console ring has taken since index *at, at most a ring's worth. */
static u32 log_since(u32 *at)
{
	static char text[4096];
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_readconsole, .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
	u32 from = *at, n = 0;

	do {
		op.u.readconsole.incremental = 1;
		op.u.readconsole.index = *at;
		op.u.readconsole.count = sizeof(text);
		set_xen_guest_handle(op.u.readconsole.buffer, text);
		if (HCALL(sysctl, &op))
			return ~0u;
		*at = op.u.readconsole.index;
	} while (op.u.readconsole.count == sizeof(text) && ++n < 10000);
	return *at - from;
}

TEST(the_log)
{
	/* Text by console_io, and mistakes that the hypervisor reports: little of it reaches the log. */
	static const char text[] = "flood flood flood flood flood flood flood flood flood flood flood\n";
	u32 at = 0, grown;
	u64 calls = 0;

	start();
	log_since(&at);
	for (u32 v = 0; v < 3; v++) {
		memcpy(peer_box(&bad[0], v)->data, text, sizeof(text));
		peer_post(&bad[0], v, PEER_HAMMER, __HYPERVISOR_console_io, CONSOLEIO_write, sizeof(text) - 1,
			  peer_data_va(&bad[0], v), 0, 0);
		/* A table of frames that are not its own. */
		((struct mmu_update *)peer_box(&bad[1], v)->data)[0] = (struct mmu_update){
			bad[1].dom.p2m[bad[1].dom.l4_pfn + 3] << PAGE_SHIFT, MAKE_PTE(virt_to_mfn(current_l4()), PTE_RW),
		};
		peer_post(&bad[1], v, PEER_HAMMER, __HYPERVISOR_mmu_update, peer_data_va(&bad[1], v), 1, 0, DOMID_SELF, 0);
	}
	everyday_life();
	WAIT_FOR(READ_ONCE(peer_box(&bad[0], 0)->count) > 2000 && READ_ONCE(peer_box(&bad[1], 0)->count) > 2000, 10 * SEC);
	for (unsigned g = 0; g < 2; g++)
		for (u32 v = 0; v < 3; v++) {
			CHECK_GE(peer_stop(&bad[g], v), 0);
			calls += READ_ONCE(peer_box(&bad[g], v)->count);
		}
	grown = log_since(&at);
	print("  %lu calls, %u bytes of log\n", calls, grown);
	CHECK_LT(grown, 16384);
}

TEST(crashes)
{
	/* Guests without handlers, and others that shut themselves down as crashed, one after the other. */
	static struct peer p;
	long before;
	u32 at = 0, grown;

	start();
	before = free_pages_stable();
	log_since(&at);
	for (unsigned i = 0; i < 10; i++) {
		REQUIRE_EQ(peer_start(&p, 2), 0);
		if (i & 1) {
			peer_post(&p, 0, PEER_EXIT, SHUTDOWN_crash, 0, 0, 0, 0, 0);
		} else {
			/* No trap table, then a fault. */
			CHECK_EQ(PEER_CALL(&p, set_trap_table, 0), 0);
			peer_post(&p, 0, PEER_WRITE, 0x1000, 0, 0, 0, 0, 0);
		}
		CHECK_EQ(dom_wait_shutdown(&p.dom, PATIENCE), SHUTDOWN_crash);
		CHECK_EQ(peer_destroy(&p), 0);
	}
	grown = log_since(&at);
	print("  %u bytes of log for ten crashes\n", grown);
	check_no_loss(before);
	everyday_life();
}

TEST(memory)
{
	/* In and out again on all vCPUs, up to the limit and beyond. */
	struct {
		struct xen_memory_reservation r;
		u64 frames[16];
	} a = { .r = { .nr_extents = 16, .domid = DOMID_SELF } };

	start();
	for (unsigned g = 0; g < 2; g++)
		for (u32 v = 0; v < 3; v++) {
			set_xen_guest_handle(a.r.extent_start, (u64 *)(peer_data_va(&bad[g], v) + sizeof(a.r)));
			memcpy(peer_box(&bad[g], v)->data, &a, sizeof(a));
			peer_post(&bad[g], v, PEER_HAMMER, __HYPERVISOR_memory_op,
				  v ? XENMEM_increase_reservation : XENMEM_decrease_reservation, peer_data_va(&bad[g], v), 0, 0, 0);
		}
	everyday_life();
	for (unsigned g = 0; g < 2; g++)
		for (u32 v = 0; v < 3; v++)
			CHECK_GE(peer_stop(&bad[g], v), 0);
	CHECK_LT(audit(), 1);
}

TEST(end)
{
	start();
	CHECK_EQ(peer_destroy(&good), 0);
	CHECK_EQ(peer_destroy(&bad[0]), 0);
	CHECK_EQ(peer_destroy(&bad[1]), 0);
}
