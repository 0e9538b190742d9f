/* SPDX-License-Identifier: MIT */
/* domctl: where a domain's vCPUs run, and what share of the processors they get. */
#include <hypercall/domctl.h>
#include <hypercall/sched_id.h>
#include <sched/sched.h>

/* --- affinity ----------------------------------------------------------------------------------------------------------------- */

int domctl_setvcpuaffinity(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
	struct vcpu *v = domain_vcpu(d, a->vcpu);
	cpumask_t hard, soft;
	int rc;

	if (!v)
		return -ESRCH;
	if (!(a->flags & (XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT)) ||
	    a->flags & ~(XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT | XEN_VCPUAFFINITY_FORCE))
		return -EINVAL;
	if ((a->flags & XEN_VCPUAFFINITY_HARD && xenctl_to_cpumask(&a->cpumap_hard, &hard)) ||
	    (a->flags & XEN_VCPUAFFINITY_SOFT && xenctl_to_cpumask(&a->cpumap_soft, &soft)))
		return -EFAULT;
	if (a->flags & XEN_VCPUAFFINITY_FORCE)
		(void)!sched_pin_override(v, -1);
	rc = sched_set_affinity(v, a->flags & XEN_VCPUAFFINITY_HARD ? &hard : NULL, a->flags & XEN_VCPUAFFINITY_SOFT ? &soft : NULL);
	if (rc)
		return rc;
	/* The tools are told what is in effect. */
	sched_get_affinity(v, &hard, &soft);
	cpumask_and(&hard, &hard, &cpu_online);
	cpumask_and(&soft, &soft, &hard);
	if (a->flags & XEN_VCPUAFFINITY_HARD)
		rc = cpumask_to_xenctl(&hard, &a->cpumap_hard);
	if (!rc && a->flags & XEN_VCPUAFFINITY_SOFT)
		rc = cpumask_to_xenctl(&soft, &a->cpumap_soft);
	return rc;
}

int domctl_getvcpuaffinity(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
	struct vcpu *v = domain_vcpu(d, a->vcpu);
	cpumask_t hard, soft;
	int rc = 0;

	if (!v)
		return -ESRCH;
	sched_get_affinity(v, &hard, &soft);
	if (a->flags & XEN_VCPUAFFINITY_HARD)
		rc = cpumask_to_xenctl(&hard, &a->cpumap_hard);
	if (!rc && a->flags & XEN_VCPUAFFINITY_SOFT)
		rc = cpumask_to_xenctl(&soft, &a->cpumap_soft);
	return rc;
}

/* The machine is one node. */
int domctl_setnodeaffinity(struct domain *d, struct xen_domctl *op)
{
	cpumask_t nodes;
	int rc = xenctl_to_cpumask(&op->u.nodeaffinity.nodemap, &nodes);

	if (rc)
		return rc;
	return cpumask_test(0, &nodes) ? 0 : -EINVAL;
}

int domctl_getnodeaffinity(struct domain *d, struct xen_domctl *op)
{
	cpumask_t nodes;

	cpumask_zero(&nodes);
	cpumask_set(0, &nodes);
	return cpumask_to_xenctl(&nodes, &op->u.nodeaffinity.nodemap);
}

/* --- share -------------------------------------------------------------------------------------------------------------------- */

static int set_share(struct domain *d, const struct xen_domctl_sched_credit2 *want)
{
	int rc = sched_set_cap(d, want->cap);

	/* A weight of 0 leaves it alone. */
	return rc || !want->weight ? rc : sched_set_weight(d, want->weight);
}

int domctl_scheduler_op(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_scheduler_op *s = &op->u.scheduler_op;

	if (s->sched_id != SCHED_ID)
		return -EINVAL;
	switch (s->cmd) {
	case XEN_DOMCTL_SCHEDOP_putinfo:
		return set_share(d, &s->u.credit2);
	case XEN_DOMCTL_SCHEDOP_getinfo:
		s->u.credit2.weight = (u16)sched_get_weight(d);
		s->u.credit2.cap = (u16)sched_get_cap(d);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}
