/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers of PV guests. A table row = range of numbers, what reading and writing does; no function means #GP, as
 * does a number without a row. Kernels of this ABI probe MSRs freely and survive #GP, so a register is here only when it means something to
 * a guest or when a kernel needs it to exist.
 */
#include <core/console.h>
#include <domain/policy.h>
#include <lib/errno.h>
#include <memory/heap.h>
#include <pv/pv.h>
#include <x86/cr.h>
#include <x86/msr.h>
#include <xen/arch-x86/cpufeatureset.h>

#define MSR_P5_MC_ADDR		0x00000000
#define MSR_P5_MC_TYPE		0x00000001
#define MSR_MC0_CTL2		0x00000280
#define MSR_MC0_CTL		0x00000400
#define MSR_PERF_CAPABILITIES	0x00000345
#define MSR_HYPERCALL_PAGE	0x40000000
#define MSR_K7_PERF_FIRST	0xc0010000
#define MSR_K7_PERF_LAST	0xc0010007
#define MSR_K8_TOP_MEM1		0xc001001a
#define MSR_K8_TOP_MEM2		0xc001001d
#define MSR_AMD_NB_CFG		0xc001001f
#define MSR_AMD_PSTATE_FIRST	0xc0010061
#define MSR_AMD_PSTATE_LAST	0xc0010064

#define APIC_DEFAULT_BASE	0xfee00000UL
#define VMCE_BANKS		2
/* Branch trace store, PEBS unavailable. */
#define MISC_ENABLE_BTS_UNAVAIL	BIT(11)
#define MISC_ENABLE_PEBS_UNAVAIL BIT(12)
#define MISC_ENABLE_XTPR_OFF	BIT(23)
#define MISC_ENABLE_PERF	BIT(7)
#define MISC_ENABLE_MONITOR	BIT(18)

struct msr_row {
	u32 first, last;
	bool (*read)(u32 msr, u64 *val);
	bool (*write)(u32 msr, u64 val);
};

/* --- what several registers do --- */

static bool read_zero(u32 msr, u64 *val)
{
	*val = 0;
	return true;
}

static bool read_machine(u32 msr, u64 *val)
{
	return !rdmsr_safe(msr, val);
}

static bool write_ignored(u32 msr, u64 val)
{
	return true;
}

/* The only value that it can have. */
static bool write_zero(u32 msr, u64 val)
{
	return !val;
}

static bool read_zero_amd(u32 msr, u64 *val)
{
	*val = 0;
	return cpu_features.vendor == VENDOR_AMD;
}

static bool write_ignored_amd(u32 msr, u64 val)
{
	return cpu_features.vendor == VENDOR_AMD;
}

/* --- segment bases --- */

static unsigned segment_base_of(u32 msr)
{
	if (msr == MSR_FS_BASE)
		return SEGBASE_FS;
	/* GS base is that of the mode the guest is in; MSRs are accessed in kernel mode. */
	return msr == MSR_GS_BASE ? SEGBASE_GS_KERNEL : SEGBASE_GS_USER;
}

static bool read_segment_base(u32 msr, u64 *val)
{
	*val = pv_get_segment_base(segment_base_of(msr));
	return true;
}

static bool write_segment_base(u32 msr, u64 val)
{
	return !pv_set_segment_base(segment_base_of(msr), val);
}

/* --- single registers --- */

static bool read_tsc(u32 msr, u64 *val)
{
	*val = rdtsc();
	return true;
}

static bool read_apic_base(u32 msr, u64 *val)
{
	*val = APIC_DEFAULT_BASE | APIC_BASE_ENABLE | (current->id ? 0 : APIC_BASE_BSP);
	return true;
}

static bool read_efer(u32 msr, u64 *val)
{
	*val = rdmsr(MSR_EFER) & (EFER_SCE | EFER_LME | EFER_LMA | EFER_NX | EFER_FFXSR);
	return true;
}

static bool write_efer(u32 msr, u64 val)
{
	u64 now;

	return read_efer(msr, &now) && now == val;
}

static bool read_tsc_aux(u32 msr, u64 *val)
{
	*val = current->pv->tsc_aux;
	return cpu_has(FEAT_RDTSCP);
}

static bool write_tsc_aux(u32 msr, u64 val)
{
	if (!cpu_has(FEAT_RDTSCP) || val != (u32)val)
		return false;
	current->pv->tsc_aux = (u32)val;
	wrmsr(MSR_TSC_AUX, val);
	return true;
}

static bool read_misc_enable(u32 msr, u64 *val)
{
	if (rdmsr_safe(MSR_MISC_ENABLE, val))
		return false;
	*val &= ~(MISC_ENABLE_PERF | MISC_ENABLE_MONITOR);
	*val |= MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL | MISC_ENABLE_XTPR_OFF;
	return true;
}

/* A barrier against branch predictions made in another program: only an action. */
static bool write_pred_cmd(u32 msr, u64 val)
{
	if (!policy_has(current->domain, XEN_X86_FEATURE_IBPB) || val & ~1UL)
		return false;
	return !val || !wrmsr_safe(MSR_PRED_CMD, val);
}

/* Machine-check banks that never have anything to report. */
static bool read_mcg_cap(u32 msr, u64 *val)
{
	*val = VMCE_BANKS;
	return true;
}

static bool read_mc_bank(u32 msr, u64 *val)
{
	*val = msr % 4 == MSR_MC0_CTL % 4 ? ~0UL : 0;
	return true;
}

static bool write_mc_bank(u32 msr, u64 val)
{
	return msr % 4 == MSR_MC0_CTL % 4 || !val;
}

static bool read_de_cfg(u32 msr, u64 *val)
{
	u64 real;

	if (cpu_features.vendor != VENDOR_AMD || rdmsr_safe(msr, &real))
		return false;
	*val = real & DE_CFG_LFENCE;
	return true;
}

/* The guest names a page of its own to be filled with hypercall entries; the low bits are the page's index, of which there is one. */
static bool write_hypercall_page(u32 msr, u64 val)
{
	struct domain *d = current->domain;
	mfn_t m = mfn(val >> PAGE_SHIFT);

	if (val & ~PAGE_MASK || frame_get_writable(m, d))
		return false;
	pv_fill_hypercall_page(mfn_to_virt(m));
	frame_put_writable(m);
	return true;
}

static const struct msr_row rows[] = {
	/* First what Linux reads at each change of a process. */
	{ MSR_FS_BASE, MSR_KERNEL_GS_BASE, read_segment_base, write_segment_base },
	{ MSR_P5_MC_ADDR, MSR_P5_MC_TYPE, read_zero, NULL },
	{ MSR_TSC, MSR_TSC, read_tsc, NULL },
	{ MSR_APIC_BASE, MSR_APIC_BASE, read_apic_base, NULL },
	{ MSR_PRED_CMD, MSR_PRED_CMD, NULL, write_pred_cmd },
	{ MSR_UCODE_REV, MSR_UCODE_REV, read_machine, write_zero },
	{ MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, read_zero, NULL },
	{ MSR_MISC_FEATURES, MSR_MISC_FEATURES, read_zero, write_zero },
	{ MSR_MCG_CAP, MSR_MCG_CAP, read_mcg_cap, write_ignored },
	{ MSR_MCG_STATUS, MSR_MCG_STATUS + 1, read_zero, write_ignored },
	{ MSR_MISC_ENABLE, MSR_MISC_ENABLE, read_misc_enable, write_ignored },
	{ MSR_PAT, MSR_PAT, read_machine, NULL },
	{ MSR_MC0_CTL2, MSR_MC0_CTL2 + VMCE_BANKS - 1, read_zero, write_ignored },
	{ MSR_PERF_CAPABILITIES, MSR_PERF_CAPABILITIES, read_zero, NULL },
	{ MSR_MC0_CTL, MSR_MC0_CTL + 4 * VMCE_BANKS - 1, read_mc_bank, write_mc_bank },
	{ MSR_HYPERCALL_PAGE, MSR_HYPERCALL_PAGE, read_zero, write_hypercall_page },
	{ MSR_EFER, MSR_EFER, read_efer, write_efer },
	{ MSR_TSC_AUX, MSR_TSC_AUX, read_tsc_aux, write_tsc_aux },
	{ MSR_K7_PERF_FIRST, MSR_K7_PERF_LAST, read_zero_amd, write_ignored_amd },
	{ MSR_K8_SYSCFG, MSR_K8_SYSCFG, read_zero_amd, NULL },
	{ MSR_K8_HWCR, MSR_K8_HWCR, read_zero_amd, write_ignored_amd },
	{ MSR_K8_TOP_MEM1, MSR_K8_TOP_MEM1, read_zero_amd, NULL },
	{ MSR_K8_TOP_MEM2, MSR_K8_TOP_MEM2, read_zero_amd, NULL },
	{ MSR_AMD_NB_CFG, MSR_AMD_NB_CFG, read_zero_amd, write_ignored_amd },
	{ MSR_AMD_PSTATE_FIRST, MSR_AMD_PSTATE_LAST, read_zero_amd, write_ignored_amd },
	{ MSR_AMD_DE_CFG, MSR_AMD_DE_CFG, read_de_cfg, write_ignored_amd },
};

static const struct msr_row *find_row(u32 msr)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		if (msr >= rows[i].first && msr <= rows[i].last)
			return &rows[i];
	return NULL;
}

bool pv_rdmsr(u32 msr, u64 *val)
{
	const struct msr_row *row = find_row(msr);

	if (row && row->read && row->read(msr, val))
		return true;
	guest_debug("RDMSR %#x refused\n", msr);
	return false;
}

bool pv_wrmsr(u32 msr, u64 val)
{
	const struct msr_row *row = find_row(msr);

	if (row && row->write && row->write(msr, val))
		return true;
	guest_debug("WRMSR %#x to %#lx refused\n", msr, val);
	return false;
}
