/* SPDX-License-Identifier: MIT */
/* System time: scale, monotonicity on one and across vCPUs, wall clock, the one-shot timer hypercall. */
#include "lib/domain.h"
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/platform.h>
#include <xen/vcpu.h>

TEST(scale)
{
	/*
	 * The number of TSC ticks in 50 ms of system time is the one that the scale says, to within 1 %. The two clocks are
	 * not read at the same moment, so that a stall of the emulator spoils a measurement: the best of some counts.
	 */
	const volatile struct vcpu_time_info *t = &shared_info->vcpu_info[0].time;
	u64 hz = (SEC << 32) / t->tsc_to_system_mul, best = ~0ul;

	hz = t->tsc_shift < 0 ? hz << -t->tsc_shift : hz >> t->tsc_shift;
	print("  TSC %lu kHz\n", hz / 1000);
	CHECK_GE(hz, 100000000);
	for (unsigned i = 0; i < 20 && best > 100; i++) {
		u64 t0 = now(), c0 = rdtsc(), ticks, expected, error;

		pause_for(50 * MSEC);
		ticks = rdtsc() - c0;
		expected = hz / 1000 * ((now() - t0) / 1000) / 1000;
		error = (ticks > expected ? ticks - expected : expected - ticks) * 10000 / expected;
		best = error < best ? error : best;
	}
	CHECK_LT(best, 101);
}

TEST(monotonic)
{
	u64 last = now();

	for (unsigned i = 0; i < 200000; i++) {
		u64 n = now();

		if (n < last) {
			test_fail(__FILE__, __LINE__, "back by %lu ns", last - n);
			return;
		}
		last = n;
	}
}

static volatile u64 latest;
static volatile u64 worst;
static volatile bool stop;
static u64 samples;

/* Both vCPUs: no clock reading may be below one that was published before it was taken. */
static void chase(void *arg)
{
	u64 n;

	(void)arg;
	for (n = 0; !stop; n++) {
		u64 before = __atomic_load_n(&latest, __ATOMIC_ACQUIRE), t = now();

		if (t < before && before - t > worst)
			worst = before - t;
		while (before < t && !__atomic_compare_exchange_n(&latest, &before, t, false, __ATOMIC_SEQ_CST,
								  __ATOMIC_SEQ_CST))
			;
		if (this_cpu()->id == 0 && n > 200000)
			break;
	}
	__atomic_add_fetch(&samples, n, __ATOMIC_SEQ_CST);
}

TEST(monotonic_across_vcpus)
{
	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	stop = false;
	cpu_run(1, chase, NULL);
	chase(NULL);
	stop = true;
	CHECK_EQ(cpu_wait(1), 0);
	print("  %lu readings, worst step back %lu ns\n", samples, worst);
	/* The raw formula may differ by the reading noise of two calibrations; kernels clamp. A microsecond is too much. */
	CHECK_LT(worst, 1000);
}

TEST(wall_clock)
{
	u32 version;
	u64 sec, nsec;

	do {
		version = READ_ONCE(shared_info->wc_version);
		barrier();
		sec = (u64)shared_info->wc_sec_hi << 32 | shared_info->wc_sec;
		nsec = shared_info->wc_nsec;
		barrier();
	} while ((version & 1) || version != READ_ONCE(shared_info->wc_version));
	CHECK_LT(nsec, SEC);
	/* Wall clock at system time zero, so now is that plus system time: after 2020, before 2100. */
	sec += now() / SEC;
	CHECK_GE(sec, 1577836800);
	CHECK_LT(sec, 4102444800);
}

TEST(set_wall_clock)
{
	struct xen_platform_op op = { .cmd = XENPF_settime64, .interface_version = XENPF_INTERFACE_VERSION };
	u32 version = READ_ONCE(shared_info->wc_version);
	u64 system = now(), base;

	op.u.settime64.secs = 2000000000;
	op.u.settime64.nsecs = 5;
	op.u.settime64.system_time = system;
	REQUIRE_EQ(HCALL(platform_op, &op), 0);
	CHECK_NE(READ_ONCE(shared_info->wc_version), version);
	CHECK_EQ(READ_ONCE(shared_info->wc_version) & 1, 0);
	base = ((u64)shared_info->wc_sec_hi << 32 | shared_info->wc_sec) * SEC + shared_info->wc_nsec;
	CHECK_EQ(base + system, 2000000000 * SEC + 5);
	/* An offset that is no fraction of a second, and a field that must be zero. */
	op.u.settime64.nsecs = 1000000000;
	CHECK(HCALL(platform_op, &op) <= 0);
	op.u.settime64.nsecs = 0;
	if (is_lodge()) {
		/* More nanoseconds than a word holds; system time zero before 1970. */
		op.u.settime64.secs = ~0ul / SEC + 1;
		CHECK_EQ(HCALL(platform_op, &op), -XEN_EINVAL);
		op.u.settime64.secs = 1;
		op.u.settime64.system_time = 2 * SEC;
		CHECK_EQ(HCALL(platform_op, &op), -XEN_EINVAL);
		CHECK_EQ(((u64)shared_info->wc_sec_hi << 32 | shared_info->wc_sec) * SEC + shared_info->wc_nsec, base);
	}
	op.u.settime64.secs = 2000000000;
	op.u.settime64.system_time = system;
	op.u.settime64.mbz = 1;
	CHECK_LT(HCALL(platform_op, &op), 0);
}

TEST(timer)
{
	long port = event_bind_virq(VIRQ_TIMER, 0);

	REQUIRE(port > 0);
	for (u64 delay = MSEC / 2; delay < 50 * MSEC; delay *= 3) {
		u64 start = now();

		event_clear((u32)port);
		CHECK_EQ(HCALL(set_timer_op, start + delay), 0);
		CHECK(WAIT_FOR(event_pending((u32)port), PATIENCE));
		CHECK(now() >= start + delay);
	}
	/* Replaced by a later one, and by none. */
	event_clear((u32)port);
	CHECK_EQ(HCALL(set_timer_op, now() + 400 * MSEC), 0);
	CHECK_EQ(HCALL(set_timer_op, now() + PATIENCE), 0);
	pause_for(500 * MSEC);
	CHECK(!event_pending((u32)port));
	CHECK_EQ(HCALL(set_timer_op, now() + 400 * MSEC), 0);
	CHECK_EQ(HCALL(set_timer_op, 0), 0);
	pause_for(500 * MSEC);
	CHECK(!event_pending((u32)port));
	/* The past: at once. */
	CHECK_EQ(HCALL(set_timer_op, 1), 0);
	CHECK(WAIT_FOR(event_pending((u32)port), PATIENCE));
	event_clear((u32)port);
	/* Negative, as an old kernel's overflow produces: far away or soon, not an error. */
	CHECK_EQ(HCALL(set_timer_op, ~0ul), 0);
	CHECK_EQ(HCALL(set_timer_op, 1ul << 63), 0);
	CHECK_EQ(HCALL(set_timer_op, 0), 0);
	CHECK_EQ(event_close((u32)port), 0);
}

static volatile u64 timer_count;

static bool count_timer(struct trap_frame *f)
{
	(void)f;
	this_cpu()->info->evtchn_upcall_pending = 0;
	this_cpu()->info->evtchn_pending_sel = 0;
	for (unsigned i = 0; i < 64; i++)
		shared_info->evtchn_pending[i] = 0;
	timer_count++;
	HCALL(set_timer_op, now() + MSEC);
	return true;
}

TEST(timer_while_computing)
{
	/* A thousand interrupts a second, re-armed from the upcall, do not disturb the code they interrupt. */
	long port = event_bind_virq(VIRQ_TIMER, 0);
	u64 a = 1, b = 1, end;

	REQUIRE(port > 0);
	event_clear((u32)port);
	event_mask((u32)port, false);
	trap_set_hook(VEC_EVENT, count_timer);
	HCALL(set_timer_op, now() + MSEC);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 0);
	for (end = now() + PATIENCE; now() < end && timer_count < 200;)
		for (unsigned i = 0; i < 1000; i++) {
			a = a * 6364136223846793005ul + 1;
			asm volatile("" : "+r"(a));
			b = b * 6364136223846793005ul + 1;
			asm volatile("" : "+r"(b));
		}
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 1);
	HCALL(set_timer_op, 0);
	trap_set_hook(VEC_EVENT, NULL);
	CHECK_EQ(a, b);
	print("  %lu interrupts\n", timer_count);
	CHECK_GE(timer_count, 200);
	CHECK_EQ(event_close((u32)port), 0);
}
