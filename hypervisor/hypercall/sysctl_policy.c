/* SPDX-License-Identifier: MIT */
/* sysctl: what the processor offers, and what of it guests can be given. */
#include <domain/policy.h>
#include <hypercall/sysctl.h>
#include <memory/xmalloc.h>

/* What CPUID says is decided in software: nothing about it can be set per processor. */
int sysctl_get_cpu_levelling_caps(struct xen_sysctl *op)
{
	op->u.cpu_levelling_caps.caps = 0;
	return 0;
}

/* The policy for one of XEN_SYSCTL_cpu_policy_*: the guests' default, or, in `host`, the machine's. NULL: there is none. */
static const struct cpu_policy *choose(u32 index, struct cpu_policy *host)
{
	switch (index) {
	case XEN_SYSCTL_cpu_policy_raw:
	case XEN_SYSCTL_cpu_policy_host:
		policy_host(host);
		return host;
	case XEN_SYSCTL_cpu_policy_pv_max:
	case XEN_SYSCTL_cpu_policy_pv_default:
		return policy_default();
	default:
		return NULL;
	}
}

/* The feature sets have numbers of their own. */
static u32 policy_of_featureset(u32 index)
{
	switch (index) {
	case XEN_SYSCTL_cpu_featureset_raw:
		return XEN_SYSCTL_cpu_policy_raw;
	case XEN_SYSCTL_cpu_featureset_host:
		return XEN_SYSCTL_cpu_policy_host;
	case XEN_SYSCTL_cpu_featureset_pv:
		return XEN_SYSCTL_cpu_policy_pv_default;
	case XEN_SYSCTL_cpu_featureset_pv_max:
		return XEN_SYSCTL_cpu_policy_pv_max;
	default:
		return ~0u;
	}
}

static int tell_features(struct xen_sysctl_cpu_featureset *f, const struct cpu_policy *p)
{
	u32 n = policy_feature_words();

	if (!p)
		return -EOPNOTSUPP;
	/* The rest of a longer array is for features that nobody here knows of. */
	for (u32 i = 0; i < f->nr_features; i++) {
		u32 word = i < n ? policy_feature_word(p, i) : 0;

		if (i == 64)
			break;
		if (copy_to_guest_idx(f->features.p, i, &word, sizeof(word)))
			return -EFAULT;
	}
	if (f->nr_features < n)
		return -ENOBUFS;
	f->nr_features = n;
	return 0;
}

int sysctl_get_cpu_featureset(struct xen_sysctl *op)
{
	struct xen_sysctl_cpu_featureset *f = &op->u.cpu_featureset;
	struct cpu_policy *host;
	int rc;

	if (!f->features.p) {
		f->nr_features = policy_feature_words();
		return 0;
	}
	host = xmalloc(sizeof(*host));
	if (!host)
		return -ENOMEM;
	rc = tell_features(f, choose(policy_of_featureset(f->index), host));
	xfree(host);
	return rc;
}

static int tell_leaves(struct xen_sysctl_cpu_policy *c, const struct cpu_policy *p)
{
	if (!p)
		return -EOPNOTSUPP;
	return tell_policy(p, c->leaves.p, &c->nr_leaves);
}

int sysctl_get_cpu_policy(struct xen_sysctl *op)
{
	struct xen_sysctl_cpu_policy *c = &op->u.cpu_policy;
	struct cpu_policy *host;
	int rc = 0;

	if (c->_rsvd)
		return -EINVAL;
	host = xmalloc(sizeof(*host));
	if (!host)
		return -ENOMEM;
	if (c->leaves.p)
		rc = tell_leaves(c, choose(c->index, host));
	else
		c->nr_leaves = POLICY_LIST_MAX;
	/* There are no MSRs in a policy; the tools insist on room for some. */
	c->nr_msrs = c->msrs.p ? 0 : 2;
	xfree(host);
	return rc;
}
