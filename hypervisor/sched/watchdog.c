/* SPDX-License-Identifier: MIT */
/* SCHEDOP_watchdog: a domain that does not come back in time is shut down (ABI: <xen/sched.h>). */
#include <core/console.h>
#include <lib/errno.h>
#include <sched/sched.h>
#include <x86/cr.h>

#define WATCHDOGS	ARRAY_SIZE(((struct domain *)0)->watchdog_timer)

/* d->watchdog_inuse is a bit per timer, protected by d->lock. */

static void expired(void *data)
{
	struct domain *d = data;

	if (d->is_shut_down || d->is_dying)
		return;
	log_err("domain %u: watchdog expired\n", d->id);
	domain_shutdown(d, SHUTDOWN_watchdog);
}

static void arm(struct domain *d, unsigned i, u32 seconds)
{
	timer_set(&d->watchdog_timer[i], time_now() + (s_time_t)seconds * NS_PER_SEC);
}

long watchdog_op(struct domain *d, u32 id, u32 seconds)
{
	long rc = -EINVAL;
	unsigned i;

	if (id > WATCHDOGS)
		return -EINVAL;
	spin_lock(&d->lock);
	if (id == 0) {
		for (i = 0; i < WATCHDOGS && (d->watchdog_inuse & BIT(i)); i++)
			;
		if (seconds && i < WATCHDOGS) {
			d->watchdog_inuse |= (u32)BIT(i);
			arm(d, i, seconds);
			rc = i + 1;
		} else if (seconds) {
			rc = -ENOSPC;
		}
	} else if (d->watchdog_inuse & BIT(id - 1)) {
		if (seconds) {
			arm(d, id - 1, seconds);
		} else {
			timer_stop(&d->watchdog_timer[id - 1]);
			d->watchdog_inuse &= ~(u32)BIT(id - 1);
		}
		rc = 0;
	}
	spin_unlock(&d->lock);
	return rc;
}

static int watchdog_create(struct domain *d)
{
	for (unsigned i = 0; i < WATCHDOGS; i++)
		timer_init(&d->watchdog_timer[i], expired, d, 0);
	return 0;
}

/* For good: a call that comes later arms nothing. */
static int watchdog_relinquish(struct domain *d)
{
	for (unsigned i = 0; i < WATCHDOGS; i++)
		timer_kill(&d->watchdog_timer[i]);
	return 0;
}

static void watchdog_destroy(struct domain *d)
{
	if (d->watchdog_timer[0].fn)
		watchdog_relinquish(d);
}

DOMAIN_MODULE(watchdog_module) = {
	.name = "watchdog",
	.order = MODULE_WATCHDOG,
	.create = watchdog_create,
	.relinquish = watchdog_relinquish,
	.destroy = watchdog_destroy,
};
