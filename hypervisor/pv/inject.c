/* SPDX-License-Identifier: MIT */
/*
 * What the guest kernel sees of exceptions, events and system calls: frames on its stack, as the processor would have built them in ring 0.
 *
 * Frame (ABI; from the stack pointer up): rcx, r11, [ds, es, fs, gs: failsafe only], [error code], rip, cs, rflags, rsp, ss. It lies below a
 * 16-byte boundary, on the interrupted stack in kernel mode, else on the stack that stack_switch named. The guest kernel runs in ring 3 but expects
 * to see itself as ring 0: the saved cs of kernel mode has RPL 0. Bits 32..39 of the cs word hold the event mask, rflags.IF its opposite.
 *
 * A frame is built at once, in the address space of the guest kernel, and guest_regs() then describe the handler. When it cannot be
 * written the guest has no way on and is crashed.
 */
#include <core/console.h>
#include <domain/guest_copy.h>
#include <pv/pv.h>
#include <sched/sched.h>
#include <x86/cr.h>

/* How to build a frame. */
enum {
	BOUNCE_ERROR_CODE = 1,
	BOUNCE_MASK_EVENTS = 2,
	BOUNCE_SEGMENTS = 4,
	BOUNCE_FROM_USER = 8,	/* as is known */
	BOUNCE_UNMASKED = 16,	/* events were not masked, as is known */
};

#define RFLAGS_CLEARED	(RFLAGS_TF | RFLAGS_RF | RFLAGS_NT | RFLAGS_AC | RFLAGS_VM | RFLAGS_IOPL)

static u64 saved_rflags(const struct vcpu *v, u64 rflags, bool masked)
{
	u64 f = rflags & ~(u64)(RFLAGS_IF | RFLAGS_IOPL);

	if (!masked)
		f |= RFLAGS_IF;
	if (v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl))
		f |= (u64)v->pv->iopl << 12;
	return f;
}

static __noinline void no_stack(const struct cpu_user_regs *regs, u64 sp)
{
	domain_crash(current->domain, "vCPU %u: no kernel stack at %#lx for an exception frame (rip %#lx)", current->id, sp, regs->rip);
}

/* Inlined where it is used: every exception, system call and event of a guest comes this way, and each knows its flags. */
static __always_inline void bounce(struct vcpu *v, struct cpu_user_regs *regs, u64 eip, unsigned flags, u32 error_code)
{
	struct pv_vcpu *pv = v->pv;
	struct vcpu_info *info = v->info;
	u8 masked = flags & BOUNCE_UNMASKED ? 0 : info->evtchn_upcall_mask;
	u64 rflags = regs->rflags;
	size_t words = 7 + (flags & BOUNCE_ERROR_CODE ? 1 : 0) + (flags & BOUNCE_SEGMENTS ? 4 : 0);
	u64 sp, cs, *frame;

	if (!(flags & BOUNCE_FROM_USER) && pv->kernel_mode) {
		sp = regs->rsp;
		cs = regs->cs & ~3U;
	} else {
		sp = pv->kernel_sp;
		cs = regs->cs | 3;
		pv_set_mode(v, true);
	}
	sp = (sp & ~15UL) - words * sizeof(u64);
	if (unlikely(!guest_range_ok(sp, words * sizeof(u64))))
		goto fault;

	frame = (u64 *)sp;
	guest_put(frame++, regs->rcx, fault);
	guest_put(frame++, regs->r11, fault);
	if (flags & BOUNCE_SEGMENTS) {
		guest_put(frame++, pv->sel_ds, fault);
		guest_put(frame++, pv->sel_es, fault);
		guest_put(frame++, pv->sel_fs, fault);
		guest_put(frame++, pv->sel_gs, fault);
	}
	if (flags & BOUNCE_ERROR_CODE)
		guest_put(frame++, error_code, fault);
	guest_put(frame++, regs->rip, fault);
	guest_put(frame++, cs | (u64)masked << 32, fault);
	guest_put(frame++, saved_rflags(v, rflags, masked), fault);
	guest_put(frame++, regs->rsp, fault);
	guest_put(frame, regs->ss, fault);

	if (flags & BOUNCE_MASK_EVENTS)
		info->evtchn_upcall_mask = 1;
	regs->rip = eip;
	regs->cs = FLAT_KERNEL_CS64;
	regs->rflags = (rflags & ~(u64)RFLAGS_CLEARED) | RFLAGS_IF | RFLAGS_MBS;
	regs->rsp = sp;
	regs->ss = FLAT_KERNEL_SS64;
	regs->entry_vector = PV_VECTOR_SYSCALL;
	return;
fault:
	no_stack(regs, sp);
}

void pv_inject_trap(u8 vector, u32 error_code)
{
	struct vcpu *v = current;
	const struct pv_trap *t = &v->pv->traps[vector];
	unsigned flags = 0;

	if (!t->address) {
		domain_crash(v->domain, "vCPU %u: no handler for vector %u (error code %#x, rip %#lx)", v->id, vector, error_code,
			     guest_regs()->rip);
		return;
	}
	if (vector < 32 && X86_HAS_ERROR_CODE >> vector & 1)
		flags |= BOUNCE_ERROR_CODE;
	if (TI_GET_IF(t))
		flags |= BOUNCE_MASK_EVENTS;
	bounce(v, guest_regs(), t->address, flags, error_code);
}

void pv_inject_page_fault(u64 cr2, u32 error_code)
{
	struct vcpu *v = current;
	const struct pv_trap *t = &v->pv->traps[X86_PF];

	v->info->arch.cr2 = cr2;
	error_code &= ~(u32)PF_USER;
	if (!v->pv->kernel_mode)
		error_code |= PF_USER;
	if (unlikely(!t->address))
		pv_inject_trap(X86_PF, error_code);
	else
		bounce(v, guest_regs(), t->address, BOUNCE_ERROR_CODE | (TI_GET_IF(t) ? BOUNCE_MASK_EVENTS : 0), error_code);
}

void pv_inject_soft_int(u8 vector, unsigned len)
{
	const struct pv_vcpu *pv = current->pv;
	const struct pv_trap *t = &pv->traps[vector];

	/* ABI: the guest kernel counts as ring 1 here. */
	if (t->address && TI_GET_DPL(t) >= (pv->kernel_mode ? 1 : 3)) {
		pv_inject_trap(vector, 0);
		return;
	}
	guest_regs()->rip -= len;
	pv_inject_trap(X86_GP, (u32)vector << 3 | 2);
}

static __always_inline void callback(struct vcpu *v, struct cpu_user_regs *regs, enum pv_callback which, unsigned flags)
{
	const struct pv_vcpu *pv = v->pv;

	if (pv->cb[which].masks_events)
		flags |= BOUNCE_MASK_EVENTS;
	bounce(v, regs, pv->cb[which].eip, flags, 0);
}

static void deliver_failsafe(struct cpu_user_regs *regs)
{
	struct vcpu *v = current;

	if (!v->pv->cb[PV_CB_FAILSAFE].eip) {
		domain_crash(v->domain, "vCPU %u: bad context (cs:rip %#x:%#lx, ss:rsp %#x:%#lx) and no failsafe callback", v->id, regs->cs, regs->rip,
			     regs->ss, regs->rsp);
		return;
	}
	callback(v, regs, PV_CB_FAILSAFE, BOUNCE_SEGMENTS);
}

static __noinline void deliver_others(struct vcpu *v, struct cpu_user_regs *regs)
{
	struct pv_vcpu *pv = v->pv;
	u8 pending = READ_ONCE(v->pv_pending);

	if (pending & PV_PENDING_FAILSAFE) {
		atomic_fetch_and(&v->pv_pending, (u8)~PV_PENDING_FAILSAFE);
		deliver_failsafe(regs);
	}
	if (pending & PV_PENDING_NMI && !pv->nmi_masked && pv->traps[X86_NMI].address) {
		atomic_fetch_and(&v->pv_pending, (u8)~PV_PENDING_NMI);
		pv->nmi_masked = true;
		bounce(v, regs, pv->traps[X86_NMI].address, BOUNCE_MASK_EVENTS, 0);
	}
}

void pv_deliver_pending(struct cpu_user_regs *regs)
{
	struct vcpu *v = current;
	const struct pv_vcpu *pv = v->pv;

	if (unlikely(READ_ONCE(v->pv_pending)))
		deliver_others(v, regs);
	if (v->info->evtchn_upcall_pending && !v->info->evtchn_upcall_mask) {
		if (pv->cb[PV_CB_EVENT].eip)
			callback(v, regs, PV_CB_EVENT, BOUNCE_MASK_EVENTS | BOUNCE_UNMASKED);
		else
			domain_crash(v->domain, "vCPU %u: an event and no callback for it", v->id);
	}
	/* What waits for the kernel's address space. */
	if (unlikely(v->areas_due) && pv->kernel_mode)
		guest_areas_write(v);
}

void pv_syscall(struct cpu_user_regs *regs)
{
	struct vcpu *v = current;

	if (v->pv->cb[PV_CB_SYSCALL].eip) {
		callback(v, regs, PV_CB_SYSCALL, BOUNCE_FROM_USER);
		return;
	}
	regs->rip -= 2;
	pv_inject_trap(X86_UD, 0);
}

void pv_syscall32(struct cpu_user_regs *regs)
{
	const struct pv_vcpu *pv = current->pv;

	if (!pv->kernel_mode && pv->cb[PV_CB_SYSCALL32].eip) {
		callback(current, regs, PV_CB_SYSCALL32, 0);
		return;
	}
	regs->rip -= 2;
	pv_inject_trap(X86_UD, 0);
}

void pv_sysenter(struct cpu_user_regs *regs)
{
	const struct pv_vcpu *pv = current->pv;

	/* SYSENTER clears IF and leaves TF and NT as they were. */
	regs->rflags = (regs->rflags | RFLAGS_IF | RFLAGS_MBS) & ~(u64)(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_IOPL);
	if (!pv->kernel_mode && pv->cb[PV_CB_SYSENTER].eip)
		callback(current, regs, PV_CB_SYSENTER, 0);
	else
		pv_inject_trap(X86_GP, 0);
}

void pv_send_nmi(struct vcpu *v)
{
	if (!v->pv)
		return;
	atomic_fetch_or(&v->pv_pending, (u8)PV_PENDING_NMI);
	vcpu_kick(v);
}
