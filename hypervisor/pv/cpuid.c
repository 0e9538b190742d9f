/* SPDX-License-Identifier: MIT */
/* CPUID for PV guests: the domain's policy, and what depends on the vCPU. */
#include <domain/policy.h>
#include <pv/pv.h>
#include <xen/arch-x86/cpufeatureset.h>

void pv_cpuid(const struct vcpu *v, u32 leaf, u32 subleaf, struct cpuid_regs *out)
{
	policy_cpuid(v->domain, leaf, subleaf, out);
	/* Guests execute CPUID natively too, and see the hypervisor's OSXSAVE there: be consistent with that. */
	if (leaf == 1 && out->c >> XEN_X86_FEATURE_XSAVE % 32 & 1)
		out->c |= 1U << XEN_X86_FEATURE_OSXSAVE % 32;
	if (leaf == 0xd && subleaf == 0 && out->a)
		out->b = xstate_size_for(xstate_get_xcr0(v->pv->xstate), false);
	if (leaf == 0xd && subleaf == 1 && out->a >> XEN_X86_FEATURE_XSAVEC % 32 & 1)
		out->b = xstate_size_for(xstate_get_xcr0(v->pv->xstate), true);
}
