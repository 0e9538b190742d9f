/* SPDX-License-Identifier: MIT */
/* Event channels in the two-level form: making, binding, sending, masks, delivery, and misuse. */
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

/* As Linux does: everything masked until it is bound. */
static void mask_all(void)
{
	memset(shared_info->evtchn_mask, 0xff, sizeof(shared_info->evtchn_mask));
}

TEST(alloc_and_close)
{
	struct evtchn_status st;
	long a, b;

	mask_all();
	a = event_alloc_unbound(DOMID_SELF, DOMID_SELF);
	REQUIRE(a > 0);
	b = event_alloc_unbound(DOMID_SELF, own_id() + 1000);
	REQUIRE(b > 0);
	CHECK_NE(a, b);
	CHECK_EQ(event_status((u32)b, &st), EVTCHNSTAT_unbound);
	CHECK_EQ(st.u.unbound.dom, own_id() + 1000);
	CHECK_EQ(st.vcpu, 0);
	CHECK_EQ(event_close((u32)a), 0);
	CHECK_EQ(event_status((u32)a, NULL), EVTCHNSTAT_closed);
	CHECK_EQ(event_close((u32)a), -XEN_EINVAL);
	CHECK_EQ(event_close((u32)b), 0);
}

TEST(alloc_refused)
{
	CHECK_LT(event_alloc_unbound(4321, DOMID_SELF), 0);
	CHECK_LT(event_alloc_unbound(DOMID_XEN, DOMID_SELF), 0);
}

TEST(interdomain_with_self)
{
	struct evtchn_status st;
	long a = event_alloc_unbound(DOMID_SELF, DOMID_SELF), b;

	REQUIRE(a > 0);
	b = event_bind_interdomain(DOMID_SELF, (u32)a);
	REQUIRE(b > 0);
	CHECK_NE(a, b);
	CHECK_EQ(event_status((u32)a, &st), EVTCHNSTAT_interdomain);
	CHECK_EQ(st.u.interdomain.port, b);
	CHECK_EQ(st.u.interdomain.dom, own_id());
	CHECK_EQ(event_status((u32)b, &st), EVTCHNSTAT_interdomain);
	CHECK_EQ(st.u.interdomain.port, a);
	event_clear((u32)a);
	event_clear((u32)b);
	/* Binding leaves the local end pending on purpose: an event may have been lost before. */
	CHECK_EQ(event_send((u32)a), 0);
	CHECK(event_pending((u32)b));
	CHECK(!event_pending((u32)a));
	event_clear((u32)b);
	CHECK_EQ(event_send((u32)b), 0);
	CHECK(event_pending((u32)a));
	event_clear((u32)a);
	/* A bound port cannot be bound again. */
	CHECK_LT(event_bind_interdomain(DOMID_SELF, (u32)a), 0);
	/* Closing one end makes the other unbound, to the same domain. */
	CHECK_EQ(event_close((u32)b), 0);
	CHECK_EQ(event_status((u32)a, &st), EVTCHNSTAT_unbound);
	CHECK_EQ(st.u.unbound.dom, own_id());
	/* Sending on an unbound port is silently dropped. */
	CHECK_EQ(event_send((u32)a), 0);
	CHECK(!event_pending((u32)a));
	CHECK_EQ(event_close((u32)a), 0);
}

TEST(interdomain_refused)
{
	long a = event_alloc_unbound(DOMID_SELF, own_id() + 1000);

	REQUIRE(a > 0);
	/* Meant for another domain, not for us; no such port; no such domain; far away. */
	CHECK_LT(event_bind_interdomain(DOMID_SELF, (u32)a), 0);
	CHECK_LT(event_bind_interdomain(DOMID_SELF, 0), 0);
	CHECK_LT(event_bind_interdomain(DOMID_SELF, 4000), 0);
	CHECK_LT(event_bind_interdomain(DOMID_SELF, 0xffffffff), 0);
	CHECK_EQ(event_bind_interdomain(4321, 1), -XEN_ESRCH);
	CHECK_EQ(event_close((u32)a), 0);
}

TEST(virq)
{
	struct evtchn_status st;
	long port = event_bind_virq(VIRQ_TIMER, 0);

	REQUIRE(port > 0);
	CHECK_EQ(event_status((u32)port, &st), EVTCHNSTAT_virq);
	CHECK_EQ(st.u.virq, VIRQ_TIMER);
	CHECK_EQ(event_bind_virq(VIRQ_TIMER, 0), -XEN_EEXIST);
	CHECK_LT(event_send((u32)port), 0);
	event_clear((u32)port);
	CHECK_EQ(HCALL(set_timer_op, now() + 5 * MSEC), 0);
	CHECK(WAIT_FOR(event_pending((u32)port), PATIENCE));
	CHECK_EQ(HCALL(set_timer_op, 0), 0);
	CHECK_EQ(event_close((u32)port), 0);
	/* After closing it can be bound once more. */
	port = event_bind_virq(VIRQ_TIMER, 0);
	CHECK(port > 0);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(virq_refused)
{
	CHECK_EQ(event_bind_virq(NR_VIRQS, 0), -XEN_EINVAL);
	CHECK_EQ(event_bind_virq(0xffffffff, 0), -XEN_EINVAL);
	CHECK_LT(event_bind_virq(VIRQ_TIMER, 4000), 0);
	CHECK_LT(event_bind_virq(VIRQ_TIMER, 0xffffffff), 0);
	/* A global one belongs to vCPU 0 at first. */
	CHECK_LT(event_bind_virq(VIRQ_CONSOLE, 1), 0);
}

TEST(virqs_of_domain_0)
{
	static const u32 list[] = { VIRQ_DEBUG, VIRQ_CONSOLE, VIRQ_DOM_EXC, VIRQ_TBUF, VIRQ_CON_RING, VIRQ_PCPU_STATE, VIRQ_ENOMEM };

	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		long port = event_bind_virq(list[i], 0);

		if (port <= 0)
			test_fail(__FILE__, __LINE__, "virq %u: %ld", list[i], port);
		else
			CHECK_EQ(event_close((u32)port), 0);
	}
}

TEST(ipi)
{
	struct evtchn_status st;
	long port = event_bind_ipi(0);

	REQUIRE(port > 0);
	CHECK_EQ(event_status((u32)port, &st), EVTCHNSTAT_ipi);
	CHECK_EQ(st.vcpu, 0);
	event_clear((u32)port);
	CHECK_EQ(event_send((u32)port), 0);
	CHECK(event_pending((u32)port));
	event_clear((u32)port);
	CHECK_LT(event_bind_vcpu((u32)port, 0), 0);
	CHECK_EQ(event_close((u32)port), 0);
	CHECK_LT(event_bind_ipi(4000), 0);
	CHECK_LT(event_bind_ipi(0xffffffff), 0);
}

TEST(bad_ports)
{
	static const u32 ports[] = { 0, 1000, 4095, 4096, 0x1ffff, 0x20000, 0x7fffffff, 0x80000000, 0xffffffff };

	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		CHECK_LT(event_close(ports[i]), 0);
		CHECK_LT(event_send(ports[i]), 0);
		CHECK_LT(event_bind_vcpu(ports[i], 0), 0);
		/* Port 0 and closed ports have a status; ports that cannot be do not. */
		CHECK(event_status(ports[i], NULL) <= 0);
		CHECK(event_unmask(ports[i]) <= 0);
	}
	/* Unmasking what is beyond the bitmaps would be a write outside them. */
	CHECK_LT(event_unmask(4096), 0);
	CHECK_LT(event_unmask(0xffffffff), 0);
}

TEST(status_of_others)
{
	struct evtchn_status st = { .dom = 4321, .port = 1 };

	CHECK_EQ(HCALL(event_channel_op, EVTCHNOP_status, &st), -XEN_ESRCH);
	st.dom = (domid_t)own_id();
	CHECK_EQ(HCALL(event_channel_op, EVTCHNOP_status, &st), 0);
}

static u32 upcalls;
static u32 upcall_port;

static bool on_event(struct trap_frame *f)
{
	(void)f;
	upcalls++;
	CHECK_EQ(this_cpu()->info->evtchn_upcall_mask, 1);
	this_cpu()->info->evtchn_upcall_pending = 0;
	this_cpu()->info->evtchn_pending_sel = 0;
	event_clear(upcall_port);
	return true;
}

/* Puts the vCPU into the state before any event, with the port the only one that is not masked. */
static void ready(u32 port)
{
	mask_all();
	event_clear(port);
	this_cpu()->info->evtchn_pending_sel = 0;
	this_cpu()->info->evtchn_upcall_pending = 0;
	event_mask(port, false);
	upcalls = 0;
	upcall_port = port;
	trap_set_hook(VEC_EVENT, on_event);
}

TEST(delivery)
{
	long port = event_bind_ipi(0);

	REQUIRE(port > 0);
	ready((u32)port);
	CHECK_EQ(event_send((u32)port), 0);
	/* Held back by the mask, seen in every level of the bitmap. */
	CHECK_EQ(upcalls, 0);
	CHECK_EQ(this_cpu()->info->evtchn_upcall_pending, 1);
	CHECK_EQ(READ_ONCE(this_cpu()->info->evtchn_pending_sel), 1ul << port / 64);
	CHECK(event_pending((u32)port));
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 0);
	/* Any way into the hypervisor delivers it on the way out. */
	HCALL(xen_version, 0, NULL);
	CHECK_EQ(READ_ONCE(upcalls), 1);
	/* Unmasked it comes before the next instruction. */
	CHECK_EQ(event_send((u32)port), 0);
	CHECK_EQ(READ_ONCE(upcalls), 2);
	CHECK_EQ(READ_ONCE(this_cpu()->info->evtchn_upcall_mask), 0);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 1);
	trap_set_hook(VEC_EVENT, NULL);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(masked_port)
{
	long port = event_bind_ipi(0);

	REQUIRE(port > 0);
	ready((u32)port);
	event_mask((u32)port, true);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 0);
	CHECK_EQ(event_send((u32)port), 0);
	HCALL(xen_version, 0, NULL);
	CHECK_EQ(READ_ONCE(upcalls), 0);
	CHECK(event_pending((u32)port));
	CHECK_EQ(this_cpu()->info->evtchn_upcall_pending, 0);
	/* The hypercall that unmasks delivers what was pending. */
	CHECK_EQ(event_unmask((u32)port), 0);
	CHECK_EQ(READ_ONCE(upcalls), 1);
	/* Pending already: a second send is no second upcall. */
	event_mask((u32)port, true);
	CHECK_EQ(event_send((u32)port), 0);
	CHECK_EQ(event_send((u32)port), 0);
	CHECK_EQ(event_unmask((u32)port), 0);
	CHECK_EQ(READ_ONCE(upcalls), 2);
	CHECK_EQ(event_unmask((u32)port), 0);
	CHECK_EQ(READ_ONCE(upcalls), 2);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 1);
	trap_set_hook(VEC_EVENT, NULL);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(delivery_resumes_where_it_was)
{
	/* The upcall comes out of the hypercall with the registers and flags of the caller. */
	long port = event_bind_ipi(0);
	struct evtchn_send op = { .port = (u32)port };
	u64 nr = __HYPERVISOR_event_channel_op, cmd = EVTCHNOP_send, arg = (u64)&op, flags, rbx = 0x1b1b;

	REQUIRE(port > 0);
	ready((u32)port);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 0);
	asm volatile("stc; syscall; pushfq; pop %2"
		     : "+a"(nr), "+D"(cmd), "=r"(flags), "+S"(arg), "+b"(rbx) :: "rcx", "r11", "memory", "cc");
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 1);
	trap_set_hook(VEC_EVENT, NULL);
	CHECK_EQ(nr, 0);
	CHECK_EQ(READ_ONCE(upcalls), 1);
	CHECK(flags & FLAG_CF);
	CHECK_EQ(rbx, 0x1b1b);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(bind_vcpu)
{
	struct evtchn_status st;
	long a = event_alloc_unbound(DOMID_SELF, DOMID_SELF), b, v;

	REQUIRE(a > 0);
	b = event_bind_interdomain(DOMID_SELF, (u32)a);
	REQUIRE(b > 0);
	CHECK_LT(event_bind_vcpu((u32)a, 4000), 0);
	CHECK_LT(event_bind_vcpu((u32)a, 0xffffffff), 0);
	CHECK_EQ(event_bind_vcpu((u32)a, 0), 0);
	if (cpu_count() > 1) {
		CHECK_EQ(event_bind_vcpu((u32)a, 1), 0);
		CHECK_EQ(event_status((u32)a, &st), EVTCHNSTAT_interdomain);
		CHECK_EQ(st.vcpu, 1);
		/* The event now sets the other vCPU's selector. */
		mask_all();
		event_clear((u32)a);
		event_mask((u32)a, false);
		shared_info->vcpu_info[1].evtchn_pending_sel = 0;
		shared_info->vcpu_info[1].evtchn_upcall_pending = 0;
		CHECK_EQ(event_send((u32)b), 0);
		CHECK_EQ(shared_info->vcpu_info[1].evtchn_upcall_pending, 1);
		CHECK_EQ(READ_ONCE(shared_info->vcpu_info[1].evtchn_pending_sel), 1ul << a / 64);
		event_clear((u32)a);
		shared_info->vcpu_info[1].evtchn_pending_sel = 0;
		shared_info->vcpu_info[1].evtchn_upcall_pending = 0;
	}
	/* A per-vCPU VIRQ stays where it is. */
	v = event_bind_virq(VIRQ_TIMER, 0);
	CHECK(v > 0);
	CHECK_LT(event_bind_vcpu((u32)v, 0), 0);
	CHECK_EQ(event_close((u32)v), 0);
	v = event_bind_virq(VIRQ_CON_RING, 0);
	CHECK_EQ(event_bind_vcpu((u32)v, 0), 0);
	CHECK_EQ(event_close((u32)v), 0);
	CHECK_EQ(event_close((u32)a), 0);
	CHECK_EQ(event_close((u32)b), 0);
}

static volatile u64 remote_upcalls;
static u32 ipi_port;

static bool on_remote_event(struct trap_frame *f)
{
	(void)f;
	this_cpu()->info->evtchn_upcall_pending = 0;
	this_cpu()->info->evtchn_pending_sel = 0;
	event_clear(ipi_port);
	if (this_cpu()->id == 1)
		remote_upcalls++;
	return true;
}

static volatile bool remote_stop;

static void remote_wait(void *arg)
{
	(void)arg;
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 0);
	while (!remote_stop)
		cpu_relax();
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 1);
}

static void remote_block(void *arg)
{
	(void)arg;
	while (!remote_stop)
		HCALL(sched_op, SCHEDOP_block);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 1);
}

static void ipi_rounds(void (*waiter)(void *))
{
	long port;

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	port = event_bind_ipi(1);
	REQUIRE(port > 0);
	ipi_port = (u32)port;
	mask_all();
	event_clear(ipi_port);
	event_mask(ipi_port, false);
	trap_set_hook(VEC_EVENT, on_remote_event);
	remote_stop = false;
	remote_upcalls = 0;
	cpu_run(1, waiter, NULL);
	for (u64 i = 0; i < 50; i++) {
		CHECK_EQ(event_send(ipi_port), 0);
		if (!WAIT_FOR(remote_upcalls > i, PATIENCE)) {
			CHECK_EQ(remote_upcalls, i + 1);
			break;
		}
	}
	remote_stop = true;
	event_send(ipi_port);
	CHECK_EQ(cpu_wait(1), 0);
	trap_set_hook(VEC_EVENT, NULL);
	CHECK_EQ(event_close(ipi_port), 0);
}

TEST(ipi_to_running_vcpu)
{
	ipi_rounds(remote_wait);
}

TEST(ipi_to_blocked_vcpu)
{
	ipi_rounds(remote_block);
}

TEST(many_ports)
{
	/* To the limit of the two-level form; every one is given back. */
	static u32 ports[4096];
	unsigned n = 0;

	for (;;) {
		long p = event_alloc_unbound(DOMID_SELF, DOMID_SELF);

		if (p < 0) {
			CHECK_EQ(p, -XEN_ENOSPC);
			break;
		}
		if (n == ARRAY_SIZE(ports)) {
			CHECK_LT(n, 4096);
			break;
		}
		CHECK_LT(p, 4096);
		ports[n++] = (u32)p;
	}
	CHECK_GE(n, 4000);
	for (unsigned i = 0; i < n; i++)
		if (event_close(ports[i]))
			CHECK_EQ(i, n);
}

static void closer(void *arg)
{
	u32 port = *(u32 *)arg;

	while (!remote_stop) {
		event_close(port);
		cpu_relax();
	}
}

TEST(close_against_send)
{
	/* One vCPU closes a port over and over, the other binds and sends. */
	long a;
	u32 target;
	u64 end, rounds = 0;

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	mask_all();
	a = event_alloc_unbound(DOMID_SELF, DOMID_SELF);
	REQUIRE(a > 0);
	target = (u32)a;
	remote_stop = false;
	cpu_run(1, closer, &target);
	for (end = now() + SEC; now() < end; rounds++) {
		long b = event_bind_interdomain(DOMID_SELF, target);

		if (b > 0) {
			event_send((u32)b);
			event_send(target);
			event_close((u32)b);
		}
		event_alloc_unbound(DOMID_SELF, DOMID_SELF);
	}
	remote_stop = true;
	CHECK_EQ(cpu_wait(1), 0);
	CHECK_NE(rounds, 0);
}

TEST(reset)
{
	struct evtchn_reset op = { .dom = 4321 };

	CHECK_EQ(HCALL(event_channel_op, EVTCHNOP_reset, &op), -XEN_ESRCH);
	op.dom = DOMID_SELF;
	CHECK_EQ(HCALL(event_channel_op, EVTCHNOP_reset, &op), 0);
	for (u32 p = 1; p < 4096; p++) {
		long st = event_status(p, NULL);

		/* Ports never allocated may not even have a status. */
		if (st > 0) {
			CHECK_EQ(st, EVTCHNSTAT_closed);
			break;
		}
	}
	{
		long port = event_alloc_unbound(DOMID_SELF, DOMID_SELF);

		CHECK_GE(port, 1);
		CHECK_EQ(event_close((u32)port), 0);
	}
}

TEST(unknown_operations)
{
	CHECK_LT(HCALL(event_channel_op, 15, NULL), 0);
	CHECK_LT(HCALL(event_channel_op, 0xffffffff, NULL), 0);
	for (unsigned op = 0; op < 16; op++)
		CHECK_LT(HCALL(event_channel_op, op, XEN_VA_INSIDE), 0);
	CHECK_LT(HCALL(event_channel_op, EVTCHNOP_send, NONCANONICAL), 0);
}
