/* SPDX-License-Identifier: MIT */
/* Caps: a domain that may use only so much of the processors, even when they have nothing else to do. */

/*
 * A capped domain has a budget of CPU time, in nanoseconds, that grows with time at the rate of its cap, up to BURST of it, and
 * shrinks by what its vCPUs run. When it is used up the domain is parked: its vCPUs are not runnable until the timer finds the budget
 * large enough for a turn again. vCPUs that run on several processors may overdraw it by a little; that is paid back by a longer pause.
 *
 * The lock is taken with a run queue locked, and by the timer with nothing locked. `parked` is looked at without it: who changes it makes
 * the scheduler look again afterwards, as with every other reason not to run (sched.c).
 */

#include <core/softirq.h>
#include <lib/errno.h>
#include <memory/xmalloc.h>
#include <sched/ops.h>

#define BURST		MILLISECS(20)	/* it can save up what it gets in so long */
#define PERIOD		MILLISECS(10)	/* after a pause it has what it gets in so long, … */
#define MIN_TURN	MILLISECS(1)	/* … or this, if that is more */

struct sched_cap {
	struct spinlock lock;
	u32 percent;		/* of one processor; 0: no cap */
	s64 budget;
	s_time_t counted;	/* up to here the budget has grown */
	struct timer timer;	/* end of parking */
};

static s64 turn_of(const struct sched_cap *c)
{
	return max((s64)MIN_TURN, PERIOD * c->percent / 100);
}

/* Lock held. */
static void grow(struct sched_cap *c, s_time_t now)
{
	if (now > c->counted) {
		s64 most = max(BURST * c->percent / 100, turn_of(c));

		/* A pause so long that the product could overflow fills any budget. */
		c->budget = now - c->counted > 100 * BURST ? most : min(most, c->budget + (now - c->counted) * c->percent / 100);
		c->counted = now;
	}
}

/* What runs of the domain has to be looked at: it must pause, or has another budget. */
static void look_again(const struct domain *d)
{
	for_each_vcpu(d, v)
		if (v->running)
			softirq_raise_cpu(v->processor, SOFTIRQ_SCHEDULE);
}

void sched_cap_charge(struct domain *d, s_time_t ran, s_time_t now)
{
	struct sched_cap *c = d->cap;
	u64 flags = spin_lock_irqsave(&c->lock);
	if (c->percent) {
		grow(c, now);
		c->budget -= ran;
		if (c->budget <= 0 && !d->cap_parked) {
			WRITE_ONCE(d->cap_parked, true);
			timer_set(&c->timer, now + (turn_of(c) - c->budget) * 100 / c->percent);
			look_again(d);
		}
	}
	spin_unlock_irqrestore(&c->lock, flags);
}

s_time_t sched_cap_left(const struct domain *d)
{
	const struct sched_cap *c = d->cap;

	if (!READ_ONCE(c->percent))
		return STIME_MAX;
	return max(READ_ONCE(c->budget), (s64)MICROSECS(100));
}

static void unpark(struct domain *d)
{
	WRITE_ONCE(d->cap_parked, false);
	for_each_vcpu(d, v)
		vcpu_wake(v);
}

static void parking_ends(void *data)
{
	struct domain *d = data;
	u64 flags = spin_lock_irqsave(&d->cap->lock);

	grow(d->cap, time_now());
	spin_unlock_irqrestore(&d->cap->lock, flags);
	unpark(d);
}

int sched_set_cap(struct domain *d, u32 percent)
{
	struct sched_cap *c = d->cap;
	u64 flags;

	if (percent > 100 * d->max_vcpus)
		return -EINVAL;
	if (!c) {
		if (!percent)
			return 0;
		c = xnew(struct sched_cap);
		if (!c)
			return -ENOMEM;
		spinlock_init(&c->lock, LOCK_SCHED_CAP, "cap");
		timer_init(&c->timer, parking_ends, d, smp_processor_id());
		c->counted = time_now();
		atomic_store(&d->cap, c);
	}
	flags = spin_lock_irqsave(&c->lock);
	grow(c, time_now());
	WRITE_ONCE(c->percent, percent);
	c->budget = percent ? min(c->budget, turn_of(c)) : 0;
	timer_stop(&c->timer);
	spin_unlock_irqrestore(&c->lock, flags);
	unpark(d);
	look_again(d);
	return 0;
}

u32 sched_get_cap(const struct domain *d)
{
	return d->cap ? READ_ONCE(d->cap->percent) : 0;
}

void sched_cap_stop(struct domain *d)
{
	if (d->cap)
		timer_kill(&d->cap->timer);
}

void sched_cap_destroy(struct domain *d)
{
	sched_cap_stop(d);
	xfree(d->cap);
	d->cap = NULL;
}
