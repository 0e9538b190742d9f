/* SPDX-License-Identifier: MIT */
/* sched_op: yield, block, poll, watchdog, and what is refused. */
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

TEST(yield)
{
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(HCALL(sched_op, SCHEDOP_yield), 0);
	/* The compat call of old kernels (before interface version 0x00030101) may be missing. */
	long rc = HCALL(sched_op_compat, SCHEDOP_yield, 0);

	CHECK(rc == 0 || rc == -XEN_ENOSYS);
}

static volatile u32 upcalls;

static bool on_event(struct trap_frame *f)
{
	(void)f;
	upcalls++;
	this_cpu()->info->evtchn_upcall_pending = 0;
	this_cpu()->info->evtchn_pending_sel = 0;
	return true;
}

TEST(block)
{
	/* Blocking unmasks; the timer's event ends it and is delivered on the way out. */
	long port = event_bind_virq(VIRQ_TIMER, 0);
	u64 start;

	REQUIRE(port > 0);
	event_clear((u32)port);
	event_mask((u32)port, false);
	trap_set_hook(VEC_EVENT, on_event);
	upcalls = 0;
	this_cpu()->info->evtchn_upcall_pending = 0;
	start = now();
	CHECK_EQ(HCALL(set_timer_op, start + 30 * MSEC), 0);
	CHECK_EQ(HCALL(sched_op, SCHEDOP_block), 0);
	CHECK_GE(now() - start, 29 * MSEC);
	CHECK_LT(now() - start, PATIENCE);
	CHECK_EQ(upcalls, 1);
	CHECK(event_pending((u32)port));
	CHECK_EQ(READ_ONCE(this_cpu()->info->evtchn_upcall_mask), 0);
	/* With an event already pending it does not block at all. */
	event_clear((u32)port);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 1);
	CHECK_EQ(HCALL(set_timer_op, now()), 0);
	CHECK(WAIT_FOR(event_pending((u32)port), PATIENCE));
	CHECK_EQ(HCALL(sched_op, SCHEDOP_block), 0);
	CHECK_EQ(upcalls, 2);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 1);
	trap_set_hook(VEC_EVENT, NULL);
	CHECK_EQ(HCALL(set_timer_op, 0), 0);
	CHECK_EQ(event_close((u32)port), 0);
}

static long poll(u32 *ports, u32 n, u64 timeout)
{
	struct sched_poll p = { .nr_ports = n, .timeout = timeout };

	set_xen_guest_handle(p.ports, ports);
	return HCALL(sched_op, SCHEDOP_poll, &p);
}

TEST(poll_timeout)
{
	u32 port = (u32)event_bind_ipi(0);
	u64 start = now();

	event_mask(port, true);
	event_clear(port);
	CHECK_EQ(poll(&port, 1, start + 20 * MSEC), 0);
	CHECK_GE(now() - start, 19 * MSEC);
	CHECK_LT(now() - start, PATIENCE);
	/* Without ports only the time ends it; a time in the past does at once. */
	start = now();
	CHECK_EQ(poll(NULL, 0, start + 20 * MSEC), 0);
	CHECK_GE(now() - start, 19 * MSEC);
	start = now();
	CHECK_EQ(poll(&port, 1, 1), 0);
	CHECK_LT(now() - start, PATIENCE);
	CHECK_EQ(event_close(port), 0);
}

TEST(poll_pending)
{
	u32 ports[3], p;
	u64 start;

	for (unsigned i = 0; i < 3; i++) {
		ports[i] = (u32)event_bind_ipi(0);
		event_mask(ports[i], true);
		event_clear(ports[i]);
	}
	CHECK_EQ(event_send(ports[2]), 0);
	start = now();
	CHECK_EQ(poll(ports, 3, start + 2 * PATIENCE), 0);
	CHECK_LT(now() - start, PATIENCE);
	event_clear(ports[2]);
	p = ports[0];
	CHECK_EQ(event_send(p), 0);
	CHECK_EQ(poll(&p, 1, 0), 0);
	event_clear(p);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(event_close(ports[i]), 0);
}

static void send_later(void *arg)
{
	pause_for(20 * MSEC);
	event_send(*(u32 *)arg);
}

TEST(poll_woken)
{
	/* The port is masked: poll is the way to wait for it (as the kernel's spin locks do). */
	u32 port;
	u64 start;

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	port = (u32)event_bind_ipi(0);
	event_mask(port, true);
	event_clear(port);
	cpu_run(1, send_later, &port);
	start = now();
	CHECK_EQ(poll(&port, 1, 0), 0);
	CHECK(event_pending(port));
	CHECK_LT(now() - start, PATIENCE);
	CHECK_EQ(cpu_wait(1), 0);
	event_clear(port);
	CHECK_EQ(event_close(port), 0);
}

TEST(poll_refused)
{
	static u32 many[200];
	u32 bad[] = { 0xffffffff };

	CHECK_EQ(poll(many, 129, now() + MSEC), -XEN_EINVAL);
	CHECK_EQ(poll(many, 0xffffffff, now() + MSEC), -XEN_EINVAL);
	CHECK_EQ(poll(bad, 1, now() + MSEC), -XEN_EINVAL);
	CHECK_LT(poll((u32 *)XEN_VA_INSIDE, 1, now() + MSEC), 0);
	CHECK_LT(poll((u32 *)NONCANONICAL, 2, now() + MSEC), 0);
	CHECK_LT(HCALL(sched_op, SCHEDOP_poll, XEN_VA_INSIDE), 0);
	CHECK_LT(HCALL(sched_op, SCHEDOP_poll, NONCANONICAL), 0);
}

TEST(watchdog)
{
	struct sched_watchdog w = { .id = 0, .timeout = 100 };
	long a, b;

	a = HCALL(sched_op, SCHEDOP_watchdog, &w);
	CHECK_GE(a, 1);
	b = HCALL(sched_op, SCHEDOP_watchdog, &w);
	CHECK_GE(b, 1);
	CHECK_NE(a, b);
	/* There are two (Xen's error comes back as 32 bits); a third is one too many. */
	CHECK_EQ((int)HCALL(sched_op, SCHEDOP_watchdog, &w), -XEN_ENOSPC);
	/* Refresh, then cancel, then it is gone. */
	w.id = (u32)a;
	CHECK_EQ(HCALL(sched_op, SCHEDOP_watchdog, &w), 0);
	w.timeout = 0;
	CHECK_EQ(HCALL(sched_op, SCHEDOP_watchdog, &w), 0);
	/* Cancelling what does not run is an error, or nothing to do. */
	CHECK((int)HCALL(sched_op, SCHEDOP_watchdog, &w) <= 0);
	w.id = (u32)b;
	CHECK_EQ(HCALL(sched_op, SCHEDOP_watchdog, &w), 0);
	w.id = 77;
	w.timeout = 5;
	CHECK_EQ((int)HCALL(sched_op, SCHEDOP_watchdog, &w), -XEN_EINVAL);
	w.id = ~0u;
	CHECK_EQ((int)HCALL(sched_op, SCHEDOP_watchdog, &w), -XEN_EINVAL);
	CHECK_LT((int)HCALL(sched_op, SCHEDOP_watchdog, XEN_VA_INSIDE), 0);
}

TEST(shutdown_refused)
{
	struct sched_remote_shutdown r = { .domain_id = 4321, .reason = SHUTDOWN_poweroff };

	CHECK_LT(HCALL(sched_op, SCHEDOP_shutdown, XEN_VA_INSIDE), 0);
	CHECK_LT(HCALL(sched_op, SCHEDOP_shutdown, NONCANONICAL), 0);
	CHECK_EQ(HCALL(sched_op, SCHEDOP_remote_shutdown, &r), -XEN_ESRCH);
	r.reason = 99;
	CHECK_LT(HCALL(sched_op, SCHEDOP_remote_shutdown, &r), 0);
	CHECK_LT(HCALL(sched_op, SCHEDOP_remote_shutdown, XEN_VA_INSIDE), 0);
}

TEST(pin_override)
{
	struct sched_pin_override p = { .pcpu = 0 };

	CHECK_EQ(HCALL(sched_op, SCHEDOP_pin_override, &p), 0);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(HCALL(sched_op, SCHEDOP_yield), 0);
	p.pcpu = -1;
	CHECK_EQ(HCALL(sched_op, SCHEDOP_pin_override, &p), 0);
	p.pcpu = 5000;
	CHECK_LT(HCALL(sched_op, SCHEDOP_pin_override, &p), 0);
	p.pcpu = 0x7fffffff;
	CHECK_LT(HCALL(sched_op, SCHEDOP_pin_override, &p), 0);
	CHECK_LT(HCALL(sched_op, SCHEDOP_pin_override, XEN_VA_INSIDE), 0);
}

TEST(unknown_operations)
{
	CHECK_EQ(HCALL(sched_op, 8, NULL), -XEN_ENOSYS);
	CHECK_EQ(HCALL(sched_op, 0xffffffff, NULL), -XEN_ENOSYS);
	CHECK_EQ(HCALL(sched_op_compat, 99, 0), -XEN_ENOSYS);
}
