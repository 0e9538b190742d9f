/* SPDX-License-Identifier: MIT */
/* sysctl: all domains, the scheduler, and the one pool of processors. */
#include <hypercall/domctl.h>
#include <hypercall/sched_id.h>
#include <hypercall/sysctl.h>

/* The list is not one moment's: each domain is as it was when it was looked at. */
int sysctl_getdomaininfolist(struct xen_sysctl *op)
{
	struct xen_sysctl_getdomaininfolist *list = &op->u.getdomaininfolist;
	struct domain *d;
	u32 n = 0;

	for (u32 id = list->first_domain; n < list->max_domains && (d = domain_next((u16)id)); n++) {
		struct xen_domctl_getdomaininfo info;

		domctl_fill_info(d, &info);
		id = d->id + 1u;
		domain_put(d);
		if (copy_to_guest_idx(list->buffer.p, n, &info, sizeof(info)))
			return -EFAULT;
	}
	list->num_domains = n;
	return 0;
}

int sysctl_sched_id(struct xen_sysctl *op)
{
	op->u.sched_id.sched_id = SCHED_ID;
	return 0;
}

/* The scheduler limits how often it switches by itself. */
#define RATELIMIT_US	1000

int sysctl_scheduler_op(struct xen_sysctl *op)
{
	struct xen_sysctl_scheduler_op *s = &op->u.scheduler_op;

	if (s->cpupool_id || s->sched_id != SCHED_ID)
		return -EINVAL;
	if (s->cmd != XEN_SYSCTL_SCHEDOP_getinfo)
		return -EOPNOTSUPP;
	s->u.sched_credit2.ratelimit_us = RATELIMIT_US;
	return 0;
}

static int pool_info(struct xen_sysctl_cpupool_op *p)
{
	/* The pool with this id, or the next one. */
	if (p->cpupool_id != 0 && p->cpupool_id != XEN_SYSCTL_CPUPOOL_PAR_ANY)
		return -ENOENT;
	p->cpupool_id = 0;
	p->sched_id = SCHED_ID;
	p->n_dom = domain_count();
	return cpumask_to_xenctl(&cpu_online, &p->cpumap);
}

int sysctl_cpupool_op(struct xen_sysctl *op)
{
	struct xen_sysctl_cpupool_op *p = &op->u.cpupool_op;
	cpumask_t none;

	switch (p->op) {
	case XEN_SYSCTL_CPUPOOL_OP_INFO:
		return pool_info(p);
	case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
		cpumask_zero(&none);
		return cpumask_to_xenctl(&none, &p->cpumap);
	case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN:
		return p->cpupool_id ? -ENOENT : 0;
	default:
		return -EOPNOTSUPP;
	}
}
