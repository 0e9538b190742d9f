/* SPDX-License-Identifier: MIT */
/*
 * Exceptions, from a guest or from the hypervisor itself.
 *
 * From the hypervisor there are five good reasons: an instruction that is allowed to fault (fix-up table), a guest's breakpoint or single
 * step that strikes late, an NMI, a descriptor in the window of a guest's LDT that is not mapped yet, and firmware that crashes in a service
 * which Domain 0 asked for. Anything else is a bug and the end.
 *
 * From the guest: what the guest did to its own page tables or privileged state is emulated, the rest is the guest kernel's.
 */
#include <core/console.h>
#include <core/nmi_watchdog.h>
#include <core/panic.h>
#include <core/percpu.h>
#include <core/smp.h>
#include <core/softirq.h>
#include <domain/efi_runtime.h>
#include <domain/guest_copy.h>
#include <pv/insn.h>
#include <pv/pagetable.h>
#include <pv/pv.h>
#include <x86/cr.h>
#include <x86/fixup.h>
#include <x86/io.h>
#include <xen/nmi.h>

/* NMI status: system control port B. */
#define PORT_B			0x61
#define PORT_B_PARITY		BIT(7)
#define PORT_B_IOCHECK		BIT(6)

/* Error code of #GP and its like. */
#define ERROR_EXT		BIT(0)
#define ERROR_IDT		BIT(1)

#define INSN_INT3		0xcc
#define DR6_DEFAULT		0xffff0ff0UL
#define VECTOR_INT80		0x80

static const char *const names[32] = {
	[X86_DE] = "divide error", [X86_DB] = "debug exception", [X86_NMI] = "NMI", [X86_BP] = "breakpoint", [X86_OF] = "overflow",
	[X86_BR] = "bound range exceeded", [X86_UD] = "invalid opcode", [X86_NM] = "FPU not available", [X86_DF] = "double fault",
	[X86_TS] = "invalid TSS", [X86_NP] = "segment not present", [X86_SS] = "stack fault", [X86_GP] = "general protection fault",
	[X86_PF] = "page fault", [X86_MF] = "x87 error", [X86_AC] = "alignment check", [X86_MC] = "machine check", [X86_XM] = "SIMD error",
};

/* --- NMI and machine check --- */

/* XEN_NMIREASON_* seen and not yet forwarded. */
static u64 nmi_reasons;

static void forward_nmi(void)
{
	u64 reasons = atomic_xchg(&nmi_reasons, 0UL);
	struct domain *d = hardware_domain;

	if (!reasons)
		return;
	log_warn("NMI, reason bits %#lx: %s\n", reasons, d ? "forwarded to Domain 0" : "ignored");
	if (!d)
		return;
	atomic_fetch_or(&d->shared_info->arch.nmi_reason, reasons);
	if (d->vcpus[0])
		pv_send_nmi(d->vcpus[0]);
}

static void handle_nmi(const struct cpu_user_regs *regs)
{
	u8 status;

	smp_nmi();
	status = inb(PORT_B);
	if (nmi_watchdog_nmi(regs, status & (PORT_B_PARITY | PORT_B_IOCHECK)))
		return;
	atomic_fetch_or(&nmi_reasons, status & PORT_B_PARITY ? XEN_NMIREASON_pci_serr :
				      status & PORT_B_IOCHECK ? XEN_NMIREASON_io_error : XEN_NMIREASON_unknown);
	if (regs_from_guest(regs)) {
		/* An exception like any other. */
		forward_nmi();
		return;
	}
	/* It may have interrupted anything: take no lock here. */
	softirq_register(SOFTIRQ_NMI, forward_nmi);
	softirq_raise(SOFTIRQ_NMI);
}

/* --- debug exceptions --- */

static u64 take_dr6(void)
{
	u64 dr6;

	__asm__ volatile("mov %%db6, %0" : "=r"(dr6));
	__asm__ volatile("mov %0, %%db6" :: "r"(DR6_DEFAULT));
	return dr6;
}

/*
 * In the hypervisor: a guest's data breakpoint on memory that we touched for it, one that a MOV SS postponed into our entry code, or a single
 * step that SYSENTER brought along. None of them is about us.
 */
static void hypervisor_debug(struct cpu_user_regs *regs)
{
	(void)take_dr6();
	regs->rflags &= ~(u64)RFLAGS_TF;
}

static void debug_trap(void)
{
	struct pv_vcpu *pv = current->pv;
	u64 dr6 = take_dr6();

	/* The bits that read as one by default are inverted: active low. */
	pv->dr[6] = (pv->dr[6] | (dr6 & ~DR6_DEFAULT)) & (dr6 | ~DR6_DEFAULT);
	local_irq_enable();
	pv_inject_trap(X86_DB, 0);
}

/*
 * QEMU's software emulation (before 8.1) can go on executing an INT3 that another processor has replaced: it had read the old byte for its
 * translation when the new one was written. Linux, which patches itself in this way, finds another instruction at the place and returns to
 * it, for ever. A write to the page, which changes nothing, makes QEMU translate it anew. To a processor this is nothing, and rare.
 */
static void refresh_code(u64 va)
{
	struct vcpu *v = current;
	mfn_t m;
	pte_t e;
	u8 byte;

	if (copy_from_guest(&byte, (const void *)va, 1) || byte == INSN_INT3)
		return;
	e = pt_lookup(paddr_to_mfn(paddr(v->pv->cr3)), va, 1);
	if (!pte_present(e))
		return;
	m = pte_mfn(e);
	if (!get_frame(m, v->domain))
		return;
	__asm__ volatile("lock orb $0, %0" : "+m"(*((u8 *)mfn_to_virt(m) + va % PAGE_SIZE)));
	put_frame(m);
}

static void breakpoint(const struct cpu_user_regs *regs)
{
	refresh_code(regs->rip - 1);
	pv_inject_soft_int(X86_BP, 1);
}

/* --- page faults --- */

static bool in_ldt_window(u64 va)
{
	return va - PV_LDT_VA(current) < 16 * PAGE_SIZE;
}

/* The processor read a descriptor for the guest. */
static void window_fault(u64 va, u32 error_code)
{
	struct vcpu *v = current;
	u64 offset = va - PV_LDT_VA(v);

	if (!in_ldt_window(va))
		domain_crash(v->domain, "vCPU %u: fault in the descriptor window at %#lx", v->id, va);
	else if (!pv_map_ldt_page(offset))
		pv_inject_page_fault(v->pv->ldt_base + offset, error_code);
}

static void guest_page_fault(struct cpu_user_regs *regs)
{
	struct vcpu *v = current;
	u64 va = read_cr2();
	u32 error_code = regs->error_code;

	local_irq_enable();
	if (unlikely(va >= PERDOMAIN_START && va < IOMAP_START && !(error_code & PF_USER))) {
		window_fault(va, error_code);
		return;
	}
	if (unlikely(error_code & PF_RSVD)) {
		domain_crash(v->domain, "vCPU %u: reserved bit in the page tables of %#lx (error code %#x)", v->id, va, error_code);
		return;
	}
	if (v->pv->kernel_mode && (error_code & (PF_WRITE | PF_PRESENT)) == (PF_WRITE | PF_PRESENT) && pv_emulate_pt_write(regs, va, error_code))
		return;
	pv_inject_page_fault(va, error_code);
}

/* Do the page tables allow now what faulted? Then the TLB had something older, and the fault has removed that. */
static bool access_allowed(u64 va, u32 error_code)
{
	mfn_t l4 = paddr_to_mfn(paddr(current->pv->cr3));

	for (unsigned level = 4; level >= 1; level--) {
		pte_t e = pt_lookup(l4, va, level);

		if (!pte_present(e) || (error_code & PF_WRITE && !(e.v & PTE_RW)))
			return false;
	}
	return true;
}

struct last_fault { u64 rip, va; };
static DEFINE_PER_CPU(struct last_fault, last_fault);

/* A fault of the hypervisor on guest memory that will not come back when the instruction is repeated. */
static bool spurious_fault(const struct cpu_user_regs *regs, u64 va)
{
	struct last_fault *last = &this_cpu(last_fault);
	bool repeated = last->rip == regs->rip && last->va == va;

	*last = (struct last_fault){ .rip = regs->rip, .va = va };
	if (repeated || regs->error_code & PF_RSVD || !current->pv)
		return false;
	return access_allowed(va, regs->error_code);
}

static bool hypervisor_page_fault(struct cpu_user_regs *regs, u64 va)
{
	/* Reading a descriptor for a guest. Mapping needs locks and TLB flushes, so not where interrupts were off. */
	if (regs->rflags & RFLAGS_IF && current->pv && in_ldt_window(va)) {
		local_irq_enable();
		return pv_map_ldt_page(va - PV_LDT_VA(current));
	}
	return spurious_fault(regs, va);
}

/* --- general protection --- */

/*
 * INT n from ring 3, refused by the IDT's DPL. The instruction is believed rather than the error code, in which some processors (QEMU's
 * TCG) name another vector.
 */
static bool software_interrupt(struct cpu_user_regs *regs)
{
	struct insn insn;

	if (!insn_fetch(regs, &insn) || insn.map != INSN_MAP_1 || insn.opcode != 0xcd)
		return false;
	regs->rip += insn.len;
	pv_inject_soft_int((u8)insn.imm, insn.len);
	return true;
}

static void guest_general_protection(struct cpu_user_regs *regs)
{
	u32 error_code = regs->error_code;

	local_irq_enable();
	if ((error_code & (ERROR_EXT | ERROR_IDT)) == ERROR_IDT && software_interrupt(regs))
		return;
	if (!error_code && pv_emulate_privileged(regs))
		return;
	pv_inject_trap(X86_GP, error_code);
}

/* --- dispatch --- */

static void guest_no_fpu(void)
{
	struct pv_vcpu *pv = current->pv;

	clts();
	if (!pv->cr0_ts)
		return;
	/* ABI: delivery clears the virtual CR0.TS. */
	pv->cr0_ts = false;
	local_irq_enable();
	pv_inject_trap(X86_NM, 0);
}

static void guest_trap(struct cpu_user_regs *regs)
{
	u32 vector = regs->entry_vector;

	if (likely(vector == X86_PF)) {
		guest_page_fault(regs);
		return;
	}
	switch (vector) {
	case X86_GP:
		guest_general_protection(regs);
		return;
	case X86_NM:
		guest_no_fpu();
		return;
	case X86_DB:
		debug_trap();
		return;
	case X86_NMI:
		handle_nmi(regs);
		return;
	case X86_DF:
	case X86_MC:
		panic_regs(regs, "%s while a guest ran", names[vector]);
	}
	local_irq_enable();
	switch (vector) {
	case X86_UD:
		if (!pv_emulate_forced_cpuid(regs))
			pv_inject_trap(X86_UD, 0);
		break;
	case X86_BP:
		breakpoint(regs);
		break;
	case X86_OF:
		pv_inject_soft_int(X86_OF, 1);
		break;
	case VECTOR_INT80:
		pv_inject_soft_int(VECTOR_INT80, 2);
		break;
	default:
		pv_inject_trap((u8)vector, regs->error_code);
	}
}

/* The fault that the fix-up table resolved last. */
struct fixed_fault { u32 vector, error_code; u64 cr2; };
static DEFINE_PER_CPU(struct fixed_fault, fixed_fault);

void pv_iret_failed(struct cpu_user_regs *regs)
{
	struct fixed_fault f = this_cpu(fixed_fault);

	regs->entry_vector = f.vector;
	local_irq_enable();
	/* As if the first instruction there had faulted. */
	if (f.vector != X86_PF)
		pv_inject_trap((u8)f.vector, f.error_code);
	else
		window_fault(f.cr2, f.error_code);
}

/* An exception that its instruction caused, and with which the interrupted code has a sound stack. */
static bool is_fault(u32 vector)
{
	return vector != X86_NMI && vector != X86_DB && vector != X86_MC && vector != X86_DF;
}

static void hypervisor_trap(struct cpu_user_regs *regs)
{
	u32 vector = regs->entry_vector;
	u64 cr2 = vector == X86_PF ? read_cr2() : 0, fixup;

	if (is_fault(vector) && efi_runtime_fault(regs, cr2))
		return;
	switch (vector) {
	case X86_NMI:
		handle_nmi(regs);
		return;
	case X86_DB:
		hypervisor_debug(regs);
		return;
	case X86_MC:
	case X86_DF:
		break;
	case X86_PF:
		if (hypervisor_page_fault(regs, cr2))
			return;
		/* fall through */
	default:
		fixup = fixup_find(regs->rip);
		if (fixup) {
			this_cpu(fixed_fault) = (struct fixed_fault){ vector, regs->error_code, cr2 };
			regs->rip = fixup;
			return;
		}
	}
	if (vector == X86_PF)
		panic_regs(regs, "page fault at %#lx, error code %#x", cr2, regs->error_code);
	panic_regs(regs, "%s (vector %u), error code %#x", vector < 32 && names[vector] ? names[vector] : "exception", vector, regs->error_code);
}

void trap_dispatch(struct cpu_user_regs *regs)
{
	if (regs_from_guest(regs))
		guest_trap(regs);
	else
		hypervisor_trap(regs);
}
