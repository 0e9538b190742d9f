/* SPDX-License-Identifier: MIT */
/* SCHEDOP_*: a guest's wishes about its own running, and its end (ABI: <xen/sched.h>). */
#include <core/softirq.h>
#include <core/timer.h>
#include <hypercall/dispatch.h>
#include <hypercall/vcpu_timer.h>
#include <ipc/evtchn.h>
#include <sched/sched.h>
#include <x86/atomic.h>

#define POLL_MAX_PORTS	128

/* v->poll_timer: the time is over. Set up in vcpu_timer.c. */
void sched_op_poll_timeout(void *data)
{
	vcpu_clear_pause_flag(data, VPF_POLL);
}

/*
 * Sleep until one of the ports is pending, masked or not, or the time comes. The flag is set before the ports are looked at, so an event that comes
 * meanwhile clears it again; any other event that the guest would be told about ends the sleep as well.
 */
static long poll(const void *arg)
{
	struct vcpu *v = current;
	u32 ports[POLL_MAX_PORTS];
	struct sched_poll op;

	if (copy_from_guest(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.nr_ports > POLL_MAX_PORTS)
		return -EINVAL;
	if (copy_from_guest(ports, op.ports.p, op.nr_ports * sizeof(ports[0])))
		return -EFAULT;

	timer_stop(&v->poll_timer);
	evtchn_poll_port(v, op.nr_ports == 1 ? ports[0] : 0);
	sched_poll_begin();
	if (vcpu_event_pending(v)) {
		sched_poll_cancel();
		return 0;
	}
	for (u32 i = 0; i < op.nr_ports; i++) {
		int rc = evtchn_port_is_pending(v->domain, ports[i]);

		if (rc) {
			sched_poll_cancel();
			return rc < 0 ? rc : 0;
		}
	}
	if (op.timeout)
		timer_set(&v->poll_timer, (s_time_t)min(op.timeout, (u64)STIME_MAX));
	softirq_raise(SOFTIRQ_SCHEDULE);
	return 0;
}

static long shutdown(const void *arg, bool only_code)
{
	struct domain *d = current->domain;
	struct sched_shutdown op;

	if (copy_from_guest(&op, arg, sizeof(op)))
		return -EFAULT;
	if (only_code)
		d->shutdown_code = (u16)(u8)op.reason + 1;
	else
		domain_shutdown(d, (u8)op.reason);
	return 0;
}

static long remote_shutdown(const void *arg)
{
	struct sched_remote_shutdown op;
	struct domain *d;

	if (copy_from_guest(&op, arg, sizeof(op)))
		return -EFAULT;
	if (!current->domain->privileged || op.domain_id == DOMID_SELF || op.domain_id == current->domain->id)
		return -EPERM;
	d = domain_get(op.domain_id);
	if (!d)
		return -ESRCH;
	domain_shutdown(d, (u8)op.reason);
	domain_put(d);
	return 0;
}

static long watchdog(const void *arg)
{
	struct sched_watchdog op;

	return copy_from_guest(&op, arg, sizeof(op)) ? -EFAULT : watchdog_op(current->domain, op.id, op.timeout);
}

static long pin_override(const void *arg)
{
	struct sched_pin_override op;

	if (!current->domain->hardware)
		return -EPERM;
	return copy_from_guest(&op, arg, sizeof(op)) ? -EFAULT : sched_pin_override(current, op.pcpu);
}

HYPERCALL(do_sched_op)
{
	const void *arg = (const void *)a2;

	switch ((u32)a1) {
	case SCHEDOP_yield:
		sched_yield();
		return 0;
	case SCHEDOP_block:
		sched_block();
		return 0;
	case SCHEDOP_shutdown:
		return shutdown(arg, false);
	case SCHEDOP_poll:
		return poll(arg);
	case SCHEDOP_remote_shutdown:
		return remote_shutdown(arg);
	case SCHEDOP_shutdown_code:
		return shutdown(arg, true);
	case SCHEDOP_watchdog:
		return watchdog(arg);
	case SCHEDOP_pin_override:
		return pin_override(arg);
	default:
		return -ENOSYS;
	}
}
