/* SPDX-License-Identifier: MIT */
/* Event channels between domains: connecting, closing, reset, limits, FIFO queues that lie, and peers that die in the middle. */
#include "lib/audit.h"
#include "lib/event.h"
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

static struct peer p, q;
static struct shared_info *theirs;	/* p's */

static void start(void)
{
	if (theirs)
		return;
	CHECK_EQ(peer_start(&p, 2), 0);
	CHECK_EQ(peer_start(&q, 2), 0);
	theirs = foreign_map(peer_id(&p), p.dom.shared_mfn, true);
	if (!theirs) {
		print("no view of the peer's shared_info\n");
		test_die();
	}
}

static bool pending_there(u32 port)
{
	return READ_ONCE(theirs->evtchn_pending[port / 64]) >> (port % 64) & 1;
}

static void clear_there(u32 port)
{
	__atomic_fetch_and(&theirs->evtchn_pending[port / 64], ~(1ul << port % 64), __ATOMIC_SEQ_CST);
}

/* The peer's port, or -errno. */
static long peer_bind(struct peer *peer, u32 dom, u32 port)
{
	struct evtchn_bind_interdomain op = { .remote_dom = (domid_t)dom, .remote_port = port };
	long rc = PEER_OP(peer, event_channel_op, EVTCHNOP_bind_interdomain, &op);

	return rc ? rc : op.local_port;
}

static long peer_alloc_unbound(struct peer *peer, u32 remote)
{
	struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = (domid_t)remote };
	long rc = PEER_OP(peer, event_channel_op, EVTCHNOP_alloc_unbound, &op);

	return rc ? rc : op.port;
}

static long peer_send(struct peer *peer, u32 port)
{
	struct evtchn_send op = { .port = port };

	return PEER_OP(peer, event_channel_op, EVTCHNOP_send, &op);
}

static long peer_close(struct peer *peer, u32 port)
{
	struct evtchn_close op = { .port = port };

	return PEER_OP(peer, event_channel_op, EVTCHNOP_close, &op);
}

static long peer_reset(struct peer *peer)
{
	struct evtchn_reset op = { .dom = DOMID_SELF };

	return PEER_OP(peer, event_channel_op, EVTCHNOP_reset, &op);
}

TEST(both_ways)
{
	struct evtchn_status st;
	long ours, their;

	start();
	ours = event_alloc_unbound(DOMID_SELF, peer_id(&p));
	REQUIRE(ours > 0);
	their = peer_bind(&p, 0, (u32)ours);
	REQUIRE(their > 0);
	CHECK_EQ(event_status((u32)ours, &st), EVTCHNSTAT_interdomain);
	CHECK_EQ(st.u.interdomain.dom, peer_id(&p));
	CHECK_EQ(st.u.interdomain.port, their);
	st = (struct evtchn_status){ .dom = (domid_t)peer_id(&p), .port = (u32)their };
	CHECK_EQ(HCALL(event_channel_op, EVTCHNOP_status, &st), 0);
	CHECK_EQ(st.status, EVTCHNSTAT_interdomain);
	CHECK_EQ(st.u.interdomain.dom, 0);
	CHECK_EQ(st.u.interdomain.port, ours);
	/* Binding makes the binder's end pending. */
	CHECK(pending_there((u32)their));
	clear_there((u32)their);
	event_clear((u32)ours);
	CHECK_EQ(event_send((u32)ours), 0);
	CHECK(pending_there((u32)their));
	CHECK_EQ(peer_send(&p, (u32)their), 0);
	CHECK(event_pending((u32)ours));
	event_clear((u32)ours);
	/* The peer closes: ours waits for it again. */
	CHECK_EQ(peer_close(&p, (u32)their), 0);
	CHECK_EQ(event_status((u32)ours, &st), EVTCHNSTAT_unbound);
	CHECK_EQ(st.u.unbound.dom, peer_id(&p));
	CHECK_EQ(event_send((u32)ours), 0);
	their = peer_bind(&p, 0, (u32)ours);
	CHECK_GE(their, 1);
	CHECK_EQ(event_close((u32)ours), 0);
	CHECK_EQ(peer_send(&p, (u32)their), 0);
	CHECK_EQ(peer_close(&p, (u32)their), 0);
	CHECK_EQ(peer_close(&p, (u32)their), -XEN_EINVAL);
}

TEST(only_for_the_one_named)
{
	long ours, bound;

	start();
	ours = event_alloc_unbound(DOMID_SELF, peer_id(&p));
	CHECK_LT(peer_bind(&q, 0, (u32)ours), 0);
	bound = peer_bind(&p, 0, (u32)ours);
	CHECK_GE(bound, 1);
	/* Taken; not there; nobody; itself. */
	CHECK_LT(peer_bind(&p, 0, (u32)ours), 0);
	CHECK_LT(peer_bind(&q, 0, (u32)ours), 0);
	CHECK_LT(peer_bind(&p, 0, 0), 0);
	CHECK_LT(peer_bind(&p, 0, 1000), 0);
	CHECK_LT(peer_bind(&p, 0, ~0u), 0);
	CHECK_LT(peer_bind(&p, 4321, 1), 0);
	CHECK_LT(peer_bind(&p, DOMID_XEN, 1), 0);
	CHECK_LT(peer_bind(&p, DOMID_SELF, (u32)bound), 0);
	CHECK_EQ(event_close((u32)ours), 0);
	CHECK_EQ(peer_close(&p, (u32)bound), 0);
	/* By Domain 0 for two others. */
	{
		struct evtchn_alloc_unbound au = { .dom = (domid_t)peer_id(&p), .remote_dom = (domid_t)peer_id(&q) };

		CHECK_EQ(HCALL(event_channel_op, EVTCHNOP_alloc_unbound, &au), 0);
		CHECK_LT(event_bind_interdomain(peer_id(&p), au.port), 0);
		bound = peer_bind(&q, peer_id(&p), au.port);
		CHECK_GE(bound, 1);
		clear_there(au.port);
		CHECK_EQ(peer_send(&q, (u32)bound), 0);
		CHECK(pending_there(au.port));
		CHECK_EQ(peer_close(&p, au.port), 0);
		CHECK_EQ(peer_close(&q, (u32)bound), 0);
	}
}

TEST(limit)
{
	/* max_evtchn_port is 1023: whoever allocates, there is an end, and afterwards all is well. */
	u32 n = 0;
	long rc;

	start();
	while ((rc = peer_alloc_unbound(&p, 0)) > 0 && n < 2000)
		n++;
	CHECK_EQ(rc, -XEN_ENOSPC);
	CHECK_GE(n, 1000);
	CHECK_LT(n, 1024);
	CHECK_EQ(event_alloc_unbound(peer_id(&p), 0), -XEN_ENOSPC);
	CHECK_EQ(peer_reset(&p), 0);
	rc = peer_alloc_unbound(&p, 0);
	CHECK_GE(rc, 1);
	CHECK_EQ(peer_close(&p, (u32)rc), 0);
}

TEST(reset_with_connections)
{
	long ours[8], their[8];

	start();
	for (unsigned i = 0; i < 8; i++) {
		ours[i] = event_alloc_unbound(DOMID_SELF, peer_id(&p));
		their[i] = peer_bind(&p, 0, (u32)ours[i]);
		CHECK_GE(their[i], 1);
	}
	CHECK_EQ(peer_reset(&p), 0);
	for (unsigned i = 0; i < 8; i++) {
		CHECK_EQ(event_status((u32)ours[i], NULL), EVTCHNSTAT_unbound);
		CHECK_LT(peer_send(&p, (u32)their[i]), 0);
	}
	/* By Domain 0 for the peer, which must be paused. */
	their[0] = peer_bind(&p, 0, (u32)ours[0]);
	CHECK_GE(their[0], 1);
	CHECK_EQ(domctl_simple(XEN_DOMCTL_pausedomain, peer_id(&p)), 0);
	CHECK_EQ(HCALL(event_channel_op, EVTCHNOP_reset, &(struct evtchn_reset){ .dom = (domid_t)peer_id(&p) }), 0);
	CHECK_EQ(domctl_simple(XEN_DOMCTL_unpausedomain, peer_id(&p)), 0);
	for (unsigned i = 0; i < 8; i++) {
		CHECK_EQ(event_status((u32)ours[i], NULL), EVTCHNSTAT_unbound);
		CHECK_EQ(event_close((u32)ours[i]), 0);
	}
}

/* Connects, sends and closes, whatever comes of it. */
static void churn(void *arg)
{
	u32 to = *(u32 *)arg;

	for (unsigned i = 0; i < 400; i++) {
		long port = event_alloc_unbound(DOMID_SELF, to), other = event_alloc_unbound(to, 0);

		if (port > 0)
			event_send((u32)port);
		if (other > 0) {
			long bound = event_bind_interdomain(to, (u32)other);

			for (unsigned k = 0; bound > 0 && k < 3; k++)
				event_send((u32)bound);
			if (bound > 0)
				event_close((u32)bound);
		}
		if (port > 0)
			event_close((u32)port);
	}
}

TEST(reset_race)
{
	/* Both vCPUs of the peer reset its channels without end while we connect and send to it. */
	struct evtchn_reset op = { .dom = DOMID_SELF };
	u32 to;

	start();
	to = peer_id(&p);
	for (u32 v = 0; v < 2; v++) {
		memcpy(peer_box(&p, v)->data, &op, sizeof(op));
		peer_post(&p, v, PEER_HAMMER, __HYPERVISOR_event_channel_op, EVTCHNOP_reset, peer_data_va(&p, v), 0, 0, 0);
	}
	if (cpu_count() > 1)
		cpu_run(1, churn, &to);
	churn(&to);
	if (cpu_count() > 1)
		CHECK_EQ(cpu_wait(1), 0);
	CHECK_GE(peer_stop(&p, 0) + peer_stop(&p, 1), 1);
	CHECK_EQ(peer_reset(&p), 0);
	CHECK_LT(audit(), 1);
}

/* --- FIFO --------------------------------------------------------------------------------------------------------------------- */

static long peer_init_control(u64 gfn, u32 vcpu)
{
	struct evtchn_init_control op = { .control_gfn = gfn, .vcpu = vcpu };

	return PEER_OP(&p, event_channel_op, EVTCHNOP_init_control, &op);
}

static long peer_expand(u64 gfn)
{
	struct evtchn_expand_array op = { .array_gfn = gfn };

	return PEER_OP(&p, event_channel_op, EVTCHNOP_expand_array, &op);
}

TEST(fifo_without_array)
{
	/* Events for ports whose words do not exist yet arrive when they do; no control block on vCPU 1 at all. */
	u64 control_va, words_va, words_mfn, *view;
	long ours, their;

	start();
	control_va = peer_alloc(&p, 0);
	words_va = peer_alloc(&p, 0);
	words_mfn = peer_mfn(&p, words_va);
	/* Foreign frames, tables, none. */
	CHECK_LT(peer_init_control(virt_to_mfn(current_l4()), 0), 0);
	CHECK_LT(peer_init_control(p.dom.p2m[p.dom.l4_pfn], 0), 0);
	CHECK_LT(peer_init_control(q.dom.p2m[500], 0), 0);
	CHECK_LT(peer_init_control(1ul << 40, 0), 0);
	CHECK_LT(peer_expand(words_mfn), 0);
	REQUIRE_EQ(peer_init_control(peer_mfn(&p, control_va), 0), 0);
	ours = event_alloc_unbound(DOMID_SELF, peer_id(&p));
	their = peer_bind(&p, 0, (u32)ours);
	REQUIRE(their > 0);
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQ(event_send((u32)ours), 0);
	CHECK_LT(peer_expand(q.dom.p2m[500]), 0);
	CHECK_LT(peer_expand(p.dom.p2m[p.dom.l4_pfn]), 0);
	REQUIRE_EQ(peer_expand(words_mfn), 0);
	view = foreign_map(peer_id(&p), words_mfn, true);
	REQUIRE(view != NULL);
	CHECK(((u32 *)view)[their] & 1u << EVTCHN_FIFO_PENDING);
	/* To a vCPU without a control block: pending, at most. */
	{
		struct evtchn_bind_vcpu bv = { .port = (u32)their, .vcpu = 1 };

		CHECK_EQ(PEER_OP(&p, event_channel_op, EVTCHNOP_bind_vcpu, &bv), 0);
		((u32 *)view)[their] = 0;
		for (unsigned i = 0; i < 100; i++)
			CHECK_EQ(event_send((u32)ours), 0);
	}
	foreign_unmap(view);
	/* Reset gives the pages back. */
	CHECK_EQ(peer_reset(&p), 0);
	CHECK_EQ(event_close((u32)ours), 0);
	CHECK_LT(audit(), 1);
}

static volatile bool scribbling;
static u32 *scribble_at;

static void scribble(void *unused)
{
	u32 x = 12345;

	(void)unused;
	while (scribbling) {
		x = x * 1664525 + 1013904223;
		WRITE_ONCE(scribble_at[(x >> 8) % 1024], x >> 4 & 1 ? x : 1u << EVTCHN_FIFO_LINKED | (x >> 12 & 1023));
	}
}

TEST(fifo_words_that_lie)
{
	/* The event words and the control block change under the hypervisor's hands: every send ends, and nobody is harmed. */
	u64 control_va, words_va;
	long ours[16], their[16];
	u64 begin;

	start();
	control_va = peer_alloc(&p, 0);
	words_va = peer_alloc(&p, 0);
	REQUIRE_EQ(peer_init_control(peer_mfn(&p, control_va), 0), 0);
	REQUIRE_EQ(peer_expand(peer_mfn(&p, words_va)), 0);
	for (unsigned i = 0; i < 16; i++) {
		ours[i] = event_alloc_unbound(DOMID_SELF, peer_id(&p));
		their[i] = peer_bind(&p, 0, (u32)ours[i]);
		CHECK_GE(their[i], 1);
	}
	scribble_at = foreign_map(peer_id(&p), peer_mfn(&p, words_va), true);
	REQUIRE(scribble_at != NULL);
	scribbling = true;
	if (cpu_count() > 1)
		cpu_run(1, scribble, NULL);
	/* The peer itself wipes its control block. */
	peer_post(&p, 1, PEER_STORE, control_va, 0, 0, 0, 0, 0);
	begin = now();
	for (unsigned i = 0; i < 3000 && now() - begin < 10 * SEC; i++)
		CHECK_EQ(event_send((u32)ours[i % 16]), 0);
	scribbling = false;
	if (cpu_count() > 1)
		CHECK_EQ(cpu_wait(1), 0);
	CHECK_GE(peer_stop(&p, 1), 1);
	foreign_unmap(scribble_at);
	/* A port whose words say that it is still queued can be closed, and all of them reset. */
	CHECK_EQ(peer_close(&p, (u32)their[0]), 0);
	CHECK_EQ(peer_reset(&p), 0);
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(event_close((u32)ours[i]), 0);
	CHECK_LT(audit(), 1);
}

/* --- death -------------------------------------------------------------------------------------------------------------------- */

TEST(peer_dies)
{
	struct evtchn_status st;
	long ours[4], to_q, before;
	u32 q_port;

	start();
	for (unsigned i = 0; i < 4; i++) {
		ours[i] = event_alloc_unbound(DOMID_SELF, peer_id(&q));
		CHECK_GE(peer_bind(&q, 0, (u32)ours[i]), 1);
	}
	to_q = peer_alloc_unbound(&p, peer_id(&q));
	REQUIRE(to_q > 0);
	q_port = (u32)peer_bind(&q, peer_id(&p), (u32)to_q);
	CHECK_GE((long)q_port, 1);
	before = free_pages_stable();
	CHECK_EQ(peer_destroy(&q), 0);
	for (unsigned i = 0; i < 4; i++) {
		/* Nobody listens, nobody minds. */
		CHECK_EQ(event_status((u32)ours[i], &st), EVTCHNSTAT_unbound);
		CHECK_EQ(event_send((u32)ours[i]), 0);
		CHECK_EQ(event_close((u32)ours[i]), 0);
	}
	CHECK_EQ(peer_send(&p, (u32)to_q), 0);
	CHECK_EQ(peer_close(&p, (u32)to_q), 0);
	CHECK_GE(free_pages_settle(before + PEER_PAGES), before + (long)PEER_PAGES);
	CHECK_EQ(peer_start(&q, 2), 0);
}

TEST(dies_while_others_send)
{
	/* p sends to q without end, and so do we, while q is killed; eight times. */
	start();
	for (unsigned i = 0; i < 8; i++) {
		long to_q = peer_alloc_unbound(&p, peer_id(&q)), ours = event_alloc_unbound(DOMID_SELF, peer_id(&q));
		struct evtchn_send op = { .port = (u32)to_q };
		u32 to = peer_id(&q);

		REQUIRE(to_q > 0 && ours > 0);
		CHECK_GE(peer_bind(&q, peer_id(&p), (u32)to_q), 1);
		CHECK_GE(peer_bind(&q, 0, (u32)ours), 1);
		memcpy(peer_box(&p, 1)->data, &op, sizeof(op));
		peer_post(&p, 1, PEER_HAMMER, __HYPERVISOR_event_channel_op, EVTCHNOP_send, peer_data_va(&p, 1), 0, 0, 0);
		if (cpu_count() > 1)
			cpu_run(1, churn, &to);
		pause_for(i * MSEC);
		CHECK_EQ(peer_destroy(&q), 0);
		if (cpu_count() > 1)
			CHECK_EQ(cpu_wait(1), 0);
		CHECK_GE(peer_stop(&p, 1), 0);
		CHECK_EQ(event_close((u32)ours), 0);
		CHECK_EQ(peer_close(&p, (u32)to_q), 0);
		REQUIRE_EQ(peer_start(&q, 2), 0);
	}
	CHECK_LT(audit(), 1);
}

TEST(virq_handler)
{
	/* A global VIRQ may be another domain's; it comes back when that dies. */
	struct xen_domctl op = { .u.set_virq_handler.virq = VIRQ_CON_RING };

	start();
	CHECK_EQ(domctl(XEN_DOMCTL_set_virq_handler, peer_id(&q), &op), 0);
	op.u.set_virq_handler.virq = VIRQ_TIMER;	/* not global */
	CHECK_LT(domctl(XEN_DOMCTL_set_virq_handler, peer_id(&q), &op), 0);
	op.u.set_virq_handler.virq = NR_VIRQS;
	CHECK_LT(domctl(XEN_DOMCTL_set_virq_handler, peer_id(&q), &op), 0);
	op.u.set_virq_handler.virq = ~0u;
	CHECK_LT(domctl(XEN_DOMCTL_set_virq_handler, peer_id(&q), &op), 0);
}

TEST(end)
{
	start();
	foreign_unmap(theirs);
	CHECK_EQ(peer_destroy(&p), 0);
	CHECK_EQ(peer_destroy(&q), 0);
	CHECK_EQ(dom_flags(peer_id(&p)), 0);
	CHECK(WAIT_FOR(!dom_flags(peer_id(&q)), PATIENCE));
}

TEST(death_is_told)
{
	/* VIRQ_DOM_EXC: when a domain shuts down, and when it is gone. */
	long port = event_bind_virq(VIRQ_DOM_EXC, 0);

	REQUIRE(port > 0);
	event_clear((u32)port);
	REQUIRE_EQ(peer_start(&p, 1), 0);
	peer_post(&p, 0, PEER_EXIT, SHUTDOWN_poweroff, 0, 0, 0, 0, 0);
	CHECK(WAIT_FOR(event_pending((u32)port), PATIENCE));
	event_clear((u32)port);
	CHECK_EQ(dom_wait_shutdown(&p.dom, PATIENCE), SHUTDOWN_poweroff);
	event_clear((u32)port);
	CHECK_EQ(peer_destroy(&p), 0);
	CHECK(WAIT_FOR(event_pending((u32)port), PATIENCE));
	CHECK_EQ(event_close((u32)port), 0);
}
