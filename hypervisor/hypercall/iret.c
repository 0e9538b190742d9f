/* SPDX-License-Identifier: MIT */
/* iret: the guest kernel returns from an exception, event or system call (ABI: struct iret_context in <xen/arch-x86/xen-x86_64.h>). */
#include <hypercall/dispatch.h>
#include <pv/pv.h>
#include <x86/cr.h>

/* The frame as SYSRET would leave it. */
static void return_from_syscall(struct cpu_user_regs *regs, const struct iret_context *c)
{
	regs->cs = c->cs == FLAT_USER_CS32 ? FLAT_USER_CS32 : FLAT_USER_CS64;
	regs->ss = FLAT_USER_SS64;
	regs->rcx = c->rip;
	regs->r11 = regs->rflags;
	regs->entry_vector = PV_VECTOR_SYSCALL;
}

static void return_from_trap(struct cpu_user_regs *regs, const struct iret_context *c)
{
	regs->cs = (u16)(c->cs | 3);
	regs->ss = (u16)(c->ss | 3);
	regs->rcx = c->rcx;
	regs->r11 = c->r11;
	regs->entry_vector = 0;
}

/*
 * What the guest asks for need not be something that a processor can return to: it then refuses, and the guest gets that fault as if the
 * first instruction there had raised it (pv_iret_failed). Here it is only made harmless.
 */
void hypercall_iret(void)
{
	struct cpu_user_regs *regs = guest_regs();
	struct vcpu *v = current;
	struct pv_vcpu *pv = v->pv;
	const struct iret_context *frame = (const struct iret_context *)regs->rsp;
	struct iret_context c;
	bool to_user;

	if (unlikely(!guest_range_ok((u64)frame, sizeof(*frame))))
		goto fault;
	c.rax = guest_get(&frame->rax, fault);
	c.r11 = guest_get(&frame->r11, fault);
	c.rcx = guest_get(&frame->rcx, fault);
	c.flags = guest_get(&frame->flags, fault);
	c.rip = guest_get(&frame->rip, fault);
	c.cs = guest_get(&frame->cs, fault);
	c.rflags = guest_get(&frame->rflags, fault);
	c.rsp = guest_get(&frame->rsp, fault);
	c.ss = guest_get(&frame->ss, fault);
	to_user = (c.cs & 3) == 3;
	if (to_user && mfn_eq(pv->user_l4, MFN_INVALID)) {
		domain_crash(v->domain, "vCPU %u: iret to user mode, but no user page table has been set", v->id);
		return;
	}

	/* Commit. */
	if (v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl))
		pv->iopl = (u8)(c.rflags >> 12 & 3);
	regs->rip = c.rip;
	regs->rflags = (c.rflags & 0xffffffff & ~(u64)(RFLAGS_IOPL | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP)) | RFLAGS_IF | RFLAGS_MBS;
	regs->rsp = c.rsp;
	if (c.flags & VGCF_in_syscall)
		return_from_syscall(regs, &c);
	else
		return_from_trap(regs, &c);
	pv->nmi_masked = false;
	v->info->evtchn_upcall_mask = !(c.rflags & RFLAGS_IF);
	if (to_user)
		pv_set_mode(v, false);
	regs->rax = c.rax;
	return;
fault:
	domain_crash(v->domain, "vCPU %u: iret without a frame at %#lx", v->id, regs->rsp);
}
