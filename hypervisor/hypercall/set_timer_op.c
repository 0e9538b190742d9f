/* SPDX-License-Identifier: MIT */
/* The set_timer_op hypercall, and the timers of a vCPU (ABI: <xen/xen.h>, <xen/vcpu.h>). */
#include <core/timer.h>
#include <hypercall/dispatch.h>
#include <hypercall/vcpu_timer.h>
#include <ipc/evtchn.h>
#include <sched/sched.h>

/*
 * The single-shot timer wakes a sleeping vCPU by its event. The periodic one ticks only while the vCPU runs: the scheduler stops it when the
 * vCPU leaves its CPU and starts it again, for a tick at once if one is overdue, when it comes back. Its period is the vCPU's, of which
 * missed ticks are left out.
 */

#define PERIOD_DEFAULT	MILLISECS(10)	/* the 100-Hz ticker that a PV guest finds running */
#define PERIOD_MIN	MILLISECS(1)
#define PERIOD_MAX	(NS_PER_SEC * 1000000)

static void singleshot_expired(void *data)
{
	virq_send_vcpu(data, VIRQ_TIMER);
}

static void periodic_expired(void *data)
{
	struct vcpu *v = data;
	u64 now = (u64)time_now(), period = READ_ONCE(v->periodic_period_ns);

	if (!period || !v->running)
		return;
	if (now >= v->periodic_due_ns) {
		v->periodic_due_ns += period * ((now - v->periodic_due_ns) / period + 1);
		virq_send_vcpu(v, VIRQ_TIMER);
	}
	timer_set(&v->periodic_timer, (s_time_t)v->periodic_due_ns);
}

int vcpu_singleshot_set(struct vcpu *v, u64 when, bool future)
{
	if (future && when < (u64)time_now())
		return -ETIME;
	timer_set(&v->singleshot_timer, (s_time_t)min(when, (u64)STIME_MAX));
	return 0;
}

void vcpu_singleshot_stop(struct vcpu *v)
{
	timer_stop(&v->singleshot_timer);
}

int vcpu_periodic_set(struct vcpu *v, u64 period_ns)
{
	if (period_ns < (u64)PERIOD_MIN || period_ns > (u64)PERIOD_MAX)
		return -EINVAL;
	WRITE_ONCE(v->periodic_period_ns, period_ns);
	v->periodic_due_ns = (u64)time_now() + period_ns;
	timer_set(&v->periodic_timer, (s_time_t)v->periodic_due_ns);
	return 0;
}

void vcpu_periodic_stop(struct vcpu *v)
{
	WRITE_ONCE(v->periodic_period_ns, 0);
	timer_stop(&v->periodic_timer);
}

HYPERCALL(do_set_timer_op)
{
	if (a1 == 0)
		vcpu_singleshot_stop(current);
	else
		return vcpu_singleshot_set(current, a1, false);
	return 0;
}

/* --- life cycle: gone before the event channels that they use ----------------------------------------------------------------- */

static int timers_create(struct vcpu *v)
{
	timer_init(&v->singleshot_timer, singleshot_expired, v, v->processor);
	timer_init(&v->periodic_timer, periodic_expired, v, v->processor);
	timer_init(&v->poll_timer, sched_op_poll_timeout, v, v->processor);
	v->periodic_period_ns = PERIOD_DEFAULT;
	return 0;
}

static int timers_relinquish(struct domain *d)
{
	for_each_vcpu(d, v) {
		timer_kill(&v->singleshot_timer);
		timer_kill(&v->periodic_timer);
		timer_kill(&v->poll_timer);
	}
	return 0;
}

static void timers_vcpu_destroy(struct vcpu *v)
{
	if (!v->singleshot_timer.fn)
		return;
	timer_kill(&v->singleshot_timer);
	timer_kill(&v->periodic_timer);
	timer_kill(&v->poll_timer);
}

DOMAIN_MODULE(vcpu_timer_module) = {
	.name = "vcpu timers",
	.order = MODULE_VCPU_TIMER,
	.vcpu_create = timers_create,
	.relinquish = timers_relinquish,
	.vcpu_destroy = timers_vcpu_destroy,
};
