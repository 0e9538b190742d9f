/* SPDX-License-Identifier: MIT */
/*
 * domctl: how the tools make, look at and destroy domains (ABI: <xen/domctl.h>). One row per command in domctl.c; the handlers of one
 * noun are in domctl_*.c.
 */
#ifndef HYPERCALL_DOMCTL_H
#define HYPERCALL_DOMCTL_H

#include <hypercall/dispatch.h>
#include <xen/domctl.h>

/*
 * d: the domain that op names, referenced, with ctl_lock held; NULL for a command without DC_DOMAIN. Returns 0, -errno, or -ERESTART:
 * nothing has changed, or what has changed makes the same call do the rest.
 */
typedef int (*domctl_fn)(struct domain *d, struct xen_domctl *op);

enum {
	DC_DOMAIN = 1,	/* concerns one domain, which must exist */
	DC_OTHER = 2,	/* … and which is not the caller's own */
	DC_OUT = 4,	/* op is copied back after success */
	DC_ALIVE = 8,	/* … and is not dying */
};

/*
 * Stop a domain's vCPUs, until domctl_resume(), so that their state can be looked at or replaced. -ERESTART: one is still on its way
 * out, and nothing has changed. d is not current's domain.
 */
int __must_check domctl_stop(struct domain *d);
void domctl_resume(struct domain *d);

/* What getdomaininfo tells: also for sysctl. Any domain, no lock needed. */
void domctl_fill_info(struct domain *d, struct xen_domctl_getdomaininfo *info);

/* A bitmap of the tools to and from a set of CPUs: bits that they have no room for are lost, those without a CPU are not looked at. -EFAULT, -EINVAL. */
int __must_check xenctl_to_cpumask(const struct xenctl_bitmap *map, cpumask_t *out);
int __must_check cpumask_to_xenctl(const cpumask_t *mask, const struct xenctl_bitmap *map);

/* --- domctl_life.c --- */
int domctl_createdomain(struct domain *d, struct xen_domctl *op);
int domctl_destroydomain(struct domain *d, struct xen_domctl *op);
int domctl_pausedomain(struct domain *d, struct xen_domctl *op);
int domctl_unpausedomain(struct domain *d, struct xen_domctl *op);
int domctl_resumedomain(struct domain *d, struct xen_domctl *op);
int domctl_getdomaininfo(struct domain *d, struct xen_domctl *op);
int domctl_setdomainhandle(struct domain *d, struct xen_domctl *op);
int domctl_settimeoffset(struct domain *d, struct xen_domctl *op);
int domctl_subscribe(struct domain *d, struct xen_domctl *op);
int domctl_set_virq_handler(struct domain *d, struct xen_domctl *op);
int domctl_sendtrigger(struct domain *d, struct xen_domctl *op);
/* --- domctl_vcpu.c --- */
int domctl_max_vcpus(struct domain *d, struct xen_domctl *op);
int domctl_setvcpucontext(struct domain *d, struct xen_domctl *op);
int domctl_getvcpucontext(struct domain *d, struct xen_domctl *op);
int domctl_getvcpuinfo(struct domain *d, struct xen_domctl *op);
int domctl_set_ext_vcpucontext(struct domain *d, struct xen_domctl *op);
int domctl_get_ext_vcpucontext(struct domain *d, struct xen_domctl *op);
int domctl_setvcpuextstate(struct domain *d, struct xen_domctl *op);
int domctl_getvcpuextstate(struct domain *d, struct xen_domctl *op);
int domctl_get_vcpu_msrs(struct domain *d, struct xen_domctl *op);
int domctl_set_vcpu_msrs(struct domain *d, struct xen_domctl *op);
/* --- domctl_memory.c --- */
int domctl_max_mem(struct domain *d, struct xen_domctl *op);
int domctl_getpageframeinfo3(struct domain *d, struct xen_domctl *op);
int domctl_hypercall_init(struct domain *d, struct xen_domctl *op);
int domctl_shadow_op(struct domain *d, struct xen_domctl *op);
int domctl_set_address_size(struct domain *d, struct xen_domctl *op);
int domctl_get_address_size(struct domain *d, struct xen_domctl *op);
/* --- domctl_permission.c --- */
int domctl_irq_permission(struct domain *d, struct xen_domctl *op);
int domctl_iomem_permission(struct domain *d, struct xen_domctl *op);
int domctl_ioport_permission(struct domain *d, struct xen_domctl *op);
/* --- domctl_sched.c --- */
int domctl_setvcpuaffinity(struct domain *d, struct xen_domctl *op);
int domctl_getvcpuaffinity(struct domain *d, struct xen_domctl *op);
int domctl_setnodeaffinity(struct domain *d, struct xen_domctl *op);
int domctl_getnodeaffinity(struct domain *d, struct xen_domctl *op);
int domctl_scheduler_op(struct domain *d, struct xen_domctl *op);
/* --- domctl_policy.c --- */
int domctl_get_cpu_policy(struct domain *d, struct xen_domctl *op);
int domctl_set_cpu_policy(struct domain *d, struct xen_domctl *op);
int domctl_gettscinfo(struct domain *d, struct xen_domctl *op);
int domctl_settscinfo(struct domain *d, struct xen_domctl *op);

#endif
