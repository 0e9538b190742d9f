/* SPDX-License-Identifier: MIT */
/*
 * A PV vCPU's processor state that is not in its frame: address space, descriptor tables, segments, FPU, control and debug registers.
 *
 * Extended state is switched eagerly: leaving another guest's values in the registers and trapping the first use
 * leaks them to speculation. CR0.TS is set only when the guest itself asked for it.
 *
 * GS: the processor's GS base belongs to the mode that the guest is in, MSR_KERNEL_GS_BASE to the other; changing mode is SWAPGS.
 */
#include <core/percpu.h>
#include <lib/errno.h>
#include <memory/tlbflush.h>
#include <pv/pv.h>
#include <sched/sched.h>
#include <x86/cr.h>
#include <x86/fixup.h>
#include <x86/msr.h>

static u64 read_fs_base(void)
{
	u64 base;

	if (!cpu_has(FEAT_FSGSBASE))
		return rdmsr(MSR_FS_BASE);
	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static void write_fs_base(u64 base)
{
	if (cpu_has(FEAT_FSGSBASE))
		__asm__ volatile("wrfsbase %0" :: "r"(base));
	else
		wrmsr(MSR_FS_BASE, base);
}

static u64 read_gs_base(void)
{
	u64 base;

	if (!cpu_has(FEAT_FSGSBASE))
		return rdmsr(MSR_GS_BASE);
	__asm__ volatile("rdgsbase %0" : "=r"(base));
	return base;
}

static void write_gs_base(u64 base)
{
	if (cpu_has(FEAT_FSGSBASE))
		__asm__ volatile("wrgsbase %0" :: "r"(base));
	else
		wrmsr(MSR_GS_BASE, base);
}

/* The base of the mode that the guest is not in. Interrupts may be on: nothing in the hypervisor uses GS. */
static u64 read_shadow_gs_base(void)
{
	u64 base;

	swapgs();
	base = read_gs_base();
	swapgs();
	return base;
}

static void write_shadow_gs_base(u64 base)
{
	swapgs();
	write_gs_base(base);
	swapgs();
}

/* Load a data segment register. False, with a null selector loaded, when the processor refuses. */
#define LOAD_SEGMENT(reg, sel) ({					\
	bool _ok;							\
	u32 _sel = (sel);						\
	__asm__ volatile("1: mov %1, %%" reg "\n"			\
			 "mov $1, %k0\n"				\
			 "jmp 3f\n"					\
			 "2: xor %k0, %k0\n"				\
			 "mov %k0, %%" reg "\n"				\
			 "3:\n"						\
			 FIXUP(1b, 2b)					\
			 : "=&q"(_ok) : "r"(_sel) : "memory");		\
	_ok; })

static void save_segments(struct pv_vcpu *pv)
{
	u64 gs = read_gs_base(), shadow = read_shadow_gs_base();

	__asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
			 : "=r"(pv->sel_ds), "=r"(pv->sel_es), "=r"(pv->sel_fs), "=r"(pv->sel_gs));
	pv->fs_base = read_fs_base();
	pv->gs_base_kernel = pv->kernel_mode ? gs : shadow;
	pv->gs_base_user = pv->kernel_mode ? shadow : gs;
}

/* Loading a selector sets the base from its descriptor, so bases come second. */
static void load_segments(struct vcpu *v)
{
	struct pv_vcpu *pv = v->pv;
	bool ok = true;

	ok &= LOAD_SEGMENT("ds", pv->sel_ds);
	ok &= LOAD_SEGMENT("es", pv->sel_es);
	ok &= LOAD_SEGMENT("fs", pv->sel_fs);
	ok &= LOAD_SEGMENT("gs", pv->sel_gs);
	if (!ok)
		atomic_fetch_or(&v->pv_pending, (u8)PV_PENDING_FAILSAFE);
	write_fs_base(pv->fs_base);
	write_gs_base(pv->kernel_mode ? pv->gs_base_kernel : pv->gs_base_user);
	write_shadow_gs_base(pv->kernel_mode ? pv->gs_base_user : pv->gs_base_kernel);
}

void pv_load_ts(const struct vcpu *v)
{
	bool is = read_cr0() & CR0_TS;

	if (v->pv->cr0_ts && !is)
		stts();
	else if (!v->pv->cr0_ts && is)
		clts();
}

void pv_load_cr4(const struct vcpu *v)
{
	u64 cr4 = read_cr4(), want = (cr4 & ~(u64)(CR4_TSD | CR4_DE)) | (v->pv->cr4 & (CR4_TSD | CR4_DE));

	if (want != cr4)
		write_cr4(want);
}

/* Domain whose guest ran last on this CPU; none: DOMID_INVALID. */
static DEFINE_PER_CPU(u16, last_domain) = DOMID_INVALID;

/* What one domain has taught the branch predictors must not steer another (Intel SDM vol. 4, AMD APM vol. 2: PRED_CMD). */
static void separate_predictions(const struct domain *d)
{
	if (this_cpu(last_domain) == d->id)
		return;
	if (cpu_has(FEAT_IBPB) && this_cpu(last_domain) != DOMID_INVALID)
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
	this_cpu(last_domain) = d->id;
}

static void load_tables(struct vcpu *v)
{
	struct pv_vcpu *pv = v->pv;
	pte_t *window = pv_window(v), page14 = pte_make(segments_gdt_page(smp_processor_id()), PTE_HYP_RW);

	/* From here to the load of the new window the table must not depend on either domain's mappings: an NMI may come. */
	segments_load_boot_gdt();
	if (window[RESERVED_GDT_PAGE].v != page14.v)
		WRITE_ONCE(window[RESERVED_GDT_PAGE].v, page14.v);
	pv_write_cr3(v);
	segments_load_gdt(PV_GDT_VA(v));
	segments_load_ldt(PV_LDT_VA(v), pv->ldt_ents);
}

void pv_switch_to(struct vcpu *v)
{
	struct pv_vcpu *pv = v->pv;

	separate_predictions(v->domain);
	load_tables(v);
	load_segments(v);
	pv_load_cr4(v);
	clts();
	xstate_restore(pv->xstate);
	if (pv->cr0_ts)
		stts();
	pv_load_debugregs(v);
	if (cpu_has(FEAT_RDTSCP))
		wrmsr(MSR_TSC_AUX, pv->tsc_aux);
}

void pv_switch_from(struct vcpu *v)
{
	save_segments(v->pv);
	if (v->pv->cr0_ts)
		clts();
	xstate_save(v->pv->xstate);
	pv_unload_debugregs(v);
}

/* Is a GS base, by its SEGBASE_* name, the one in the processor's GS base now? */
static bool gs_is_active(unsigned which)
{
	return (which == SEGBASE_GS_KERNEL) == current->pv->kernel_mode;
}

u64 pv_get_segment_base(unsigned which)
{
	if (which == SEGBASE_FS)
		return read_fs_base();
	return gs_is_active(which) ? read_gs_base() : read_shadow_gs_base();
}

int pv_set_segment_base(unsigned which, u64 base)
{
	if (!is_canonical(base))
		return -EINVAL;
	switch (which) {
	case SEGBASE_FS:
		write_fs_base(base);
		return 0;
	case SEGBASE_GS_USER:
	case SEGBASE_GS_KERNEL:
		if (gs_is_active(which))
			write_gs_base(base);
		else
			write_shadow_gs_base(base);
		return 0;
	default:
		return -EINVAL;
	}
}

void pv_load_user_gs_selector(u16 sel)
{
	if (current->pv->kernel_mode)
		swapgs();
	(void)LOAD_SEGMENT("gs", pv_fixup_selector(sel));
	if (current->pv->kernel_mode)
		swapgs();
}
