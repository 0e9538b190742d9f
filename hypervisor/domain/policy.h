/* SPDX-License-Identifier: MIT */
/*
 * CPU policy: what CPUID tells a domain's guests. At first that is the default for its kind, from what the machine has and what
 * such guests can use; the tools may take from it before the domain runs.
 */
#ifndef DOMAIN_POLICY_H
#define DOMAIN_POLICY_H

#include <domain/domain.h>
#include <x86/cpuid.h>

#define POLICY_MAX_LEAVES	80

/* Leaves with any bit set; all others read as zero. No sub-leaf dependence: XEN_CPUID_NO_SUBLEAF. */
struct cpu_policy {
	u32 n;
	struct xen_cpuid_leaf leaves[POLICY_MAX_LEAVES];
};

/*
 * CPUID for the domain, without what depends on a vCPU's present state (OSXSAVE, the size of the enabled extended state). Also the hypervisor's own
 * leaves, 0x40000000…: <xen/arch-x86/cpuid.h>. Any context.
 */
void policy_cpuid(const struct domain *d, u32 leaf, u32 subleaf, struct cpuid_regs *out);
/* Boot, before the first domain: compute the defaults. */
void policy_init(void);
/* The default of new domains; what the processor says, unfiltered. Leaves without any bit set are left out. */
const struct cpu_policy *policy_default(void);
void policy_host(struct cpu_policy *out);
/*
 * Change leaves of d's policy to what the tools want, as far as the machine and the hypervisor allow: features only if the default has them, too.
 * next(ctx, i, leaf) gives the i-th wanted leaf, 0 or -errno. d has not run. 0, -ENOMEM, next's errors: nothing has changed.
 */
int __must_check policy_change(struct domain *d, u32 n, int (*next)(void *ctx, u32 i, struct xen_cpuid_leaf *leaf), void *ctx);
/*
 * The policy as the tools exchange it: every leaf that exists, zero or not, in the order and number in which their library writes it, which has
 * no room for more than it was told. *n: room in `out`, then the number of leaves. 0, -ENOBUFS.
 */
#define POLICY_LIST_MAX	256
int __must_check policy_list(const struct cpu_policy *p, struct xen_cpuid_leaf *out, u32 *n);
/* The feature words, numbered as in <xen/arch-x86/cpufeatureset.h>: how many, and one of them in a policy. */
unsigned policy_feature_words(void);
u32 policy_feature_word(const struct cpu_policy *p, unsigned word);
/* Does the policy have a feature? XEN_X86_FEATURE_* of <xen/arch-x86/cpufeatureset.h>, of the words that are in CPUID. */
bool policy_has(const struct domain *d, unsigned feature);

#endif
