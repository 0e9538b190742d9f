/* SPDX-License-Identifier: MIT */
/* The processor state that every CPU runs with. */
#include <boot/cpu.h>
#include <core/console.h>
#include <core/panic.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/msr.h>
#include <x86/xstate.h>

/* Memory types by PAT index, as guests of this ABI expect them: WB, WT, UC-, UC, WC, WP, UC, UC. */
#define PAT_VALUE	0x050100070406UL

static const struct { unsigned feat; const char *name; } needed[] = {
	{ FEAT_FPU, "FPU" }, { FEAT_PSE, "PSE" }, { FEAT_TSC, "TSC" }, { FEAT_MSR, "MSR" }, { FEAT_PAE, "PAE" }, { FEAT_CX8, "CMPXCHG8B" },
	{ FEAT_APIC, "local APIC" }, { FEAT_PGE, "PGE" }, { FEAT_PAT, "PAT" }, { FEAT_FXSR, "FXSR" }, { FEAT_SSE2, "SSE2" },
	{ FEAT_SYSCALL, "SYSCALL" }, { FEAT_NX, "NX" },
};

void cpu_check_features(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++)
		if (!cpu_has(needed[i].feat))
			boot_fail("this processor (%s) has no %s, which is needed", cpu_features.brand, needed[i].name);
}

/* Our barriers, and those of guests against speculation, rely on it. Intel processors do so anyway; AMD's are told (APM vol. 2: DE_CFG). */
static void make_lfence_serialise(void)
{
	u64 cfg;

	if (cpu_features.vendor != VENDOR_AMD || rdmsr_safe(MSR_AMD_DE_CFG, &cfg) || cfg & DE_CFG_LFENCE)
		return;
	if (wrmsr_safe(MSR_AMD_DE_CFG, cfg | DE_CFG_LFENCE))
		log_warn("LFENCE cannot be made serialising\n");
}

void cpu_setup(bool boot_cpu)
{
	u64 cr4 = CR4_DE | CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	if (cpu_has(FEAT_MCE))
		cr4 |= CR4_MCE;
	if (cpu_has(FEAT_FSGSBASE))
		cr4 |= CR4_FSGSBASE;
	if (cpu_has(FEAT_XSAVE))
		cr4 |= CR4_OSXSAVE;
	if (cpu_has(FEAT_SMEP))
		cr4 |= CR4_SMEP;
	write_cr4(cr4);
	write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
	wrmsr(MSR_PAT, PAT_VALUE);
	make_lfence_serialise();
	xstate_init_cpu(boot_cpu);
}
