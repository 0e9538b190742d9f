/* SPDX-License-Identifier: MIT */
/*
 * CPU policy: what CPUID tells a domain's guests. Computed when the domain is created, from what the machine has and what
 * its kind of guest can use; never changed while it runs.
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
/* Does the policy have a feature? XEN_X86_FEATURE_* of <xen/arch-x86/cpufeatureset.h>, of the words that are in CPUID. */
bool policy_has(const struct domain *d, unsigned feature);

#endif
