/* SPDX-License-Identifier: MIT */
/* domctl: what CPUID tells a domain, and its clock. */
#include <core/time.h>
#include <domain/policy.h>
#include <hypercall/domctl.h>
#include <hypercall/sysctl.h>
#include <memory/xmalloc.h>

int tell_policy(const struct cpu_policy *p, void *guest, u32 *n)
{
	struct xen_cpuid_leaf *list = xcalloc(POLICY_LIST_MAX, sizeof(*list));
	u32 have = POLICY_LIST_MAX;
	int rc = list ? policy_list(p, list, &have) : -ENOMEM;

	if (!rc && have > *n)
		rc = -ENOBUFS;
	if (!rc)
		rc = copy_to_guest(guest, list, have * sizeof(*list));
	*n = have;
	xfree(list);
	return rc;
}

/* There are no MSRs in the policy: what a guest reads there is the same for all. */
int domctl_get_cpu_policy(struct domain *d, struct xen_domctl *op)
{
	op->u.cpu_policy.nr_msrs = 0;
	return tell_policy(d->policy, op->u.cpu_policy.leaves.p, &op->u.cpu_policy.nr_leaves);
}

#define LEAVES_MAX	1024	/* that anybody may want to set */
#define MSR_PLATFORM_INFO	0xceU
#define MSR_ARCH_CAPABILITIES	0x10aU

static int next_leaf(void *guest, u32 i, struct xen_cpuid_leaf *leaf)
{
	return copy_from_guest_idx(leaf, guest, i, sizeof(*leaf));
}

/*
 * The tools' library sends two read-only MSRs along with every policy. What they say about the processor, guests are not told by them: what is
 * wanted there does not matter. Others are refused.
 */
static int check_msrs(const struct xen_domctl_cpu_policy *p, u32 *bad)
{
	for (u32 i = 0; i < p->nr_msrs; i++) {
		struct xen_msr_entry e;

		if (copy_from_guest_idx(&e, p->msrs.p, i, sizeof(e)))
			return -EFAULT;
		if ((e.idx != MSR_PLATFORM_INFO && e.idx != MSR_ARCH_CAPABILITIES) || e.flags) {
			*bad = e.idx;
			return -EINVAL;
		}
	}
	return 0;
}

int domctl_set_cpu_policy(struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_cpu_policy *p = &op->u.cpu_policy;
	int rc;

	if (p->nr_leaves > LEAVES_MAX || p->nr_msrs > LEAVES_MAX)
		return -E2BIG;
	for_each_vcpu(d, v)
		if (v->initialised)
			return -EEXIST;
	p->err_leaf = p->err_subleaf = p->err_msr = ~0u;
	rc = check_msrs(p, &p->err_msr);
	if (rc)
		return rc;
	return policy_change(d, p->nr_leaves, next_leaf, p->leaves.p);
}

/* Guests see the processor's time stamp counter as it is. */
#define TSC_MODE_DEFAULT	0
#define TSC_MODE_ALWAYS_EMULATE	1
#define TSC_MODE_NEVER_EMULATE	2

int domctl_gettscinfo(struct domain *d, struct xen_domctl *op)
{
	op->u.tsc_info = (struct xen_domctl_tsc_info){
		.tsc_mode = TSC_MODE_DEFAULT, .gtsc_khz = (u32)time_tsc_khz(), .elapsed_nsec = (u64)time_now(),
	};
	return 0;
}

int domctl_settscinfo(struct domain *d, struct xen_domctl *op)
{
	switch (op->u.tsc_info.tsc_mode) {
	case TSC_MODE_DEFAULT:
	case TSC_MODE_NEVER_EMULATE:
		return 0;
	case TSC_MODE_ALWAYS_EMULATE:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}
