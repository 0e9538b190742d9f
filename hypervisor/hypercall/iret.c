/* SPDX-License-Identifier: MIT */
/* iret: the guest kernel returns from an exception, event or system call (ABI: struct iret_context in <xen/arch-x86/xen-x86_64.h>). */
#include <hypercall/dispatch.h>
#include <pv/pv.h>
#include <x86/cr.h>

/*
 * What the guest asks for need not be something that a processor can return to: it then refuses, and the guest gets that fault as if the
 * first instruction there had raised it (pv_iret_failed). Here it is only made harmless. A frame that cannot be read is the domain's end, so that it does
 * not matter what of it has been taken over by then.
 */
void hypercall_iret(void)
{
	struct cpu_user_regs *regs = guest_regs();
	struct vcpu *v = current;
	struct pv_vcpu *pv = v->pv;
	const struct iret_context *frame = (const struct iret_context *)regs->rsp;
	u64 flags, cs, rflags;
	bool to_user;

	if (unlikely(!guest_range_ok((u64)frame, sizeof(*frame))))
		goto fault;
	cs = guest_get(&frame->cs, fault);
	to_user = (cs & 3) == 3;
	if (unlikely(to_user && mfn_eq(pv->user_l4, MFN_INVALID))) {
		domain_crash(v->domain, "vCPU %u: iret to user mode, but no user page table has been set", v->id);
		return;
	}
	flags = guest_get(&frame->flags, fault);
	rflags = guest_get(&frame->rflags, fault);
	regs->rip = guest_get(&frame->rip, fault);
	regs->rflags = (rflags & 0xffffffff & ~(u64)(RFLAGS_IOPL | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP)) | RFLAGS_IF | RFLAGS_MBS;
	if (flags & VGCF_in_syscall) {
		/* As SYSRET leaves it, which in 64-bit mode can do it. */
		regs->rcx = regs->rip;
		regs->r11 = regs->rflags;
		regs->cs = cs == FLAT_USER_CS32 ? FLAT_USER_CS32 : FLAT_USER_CS64;
		regs->ss = FLAT_USER_SS64;
		regs->entry_vector = cs == FLAT_USER_CS32 ? 0 : PV_VECTOR_SYSCALL;
	} else {
		regs->rcx = guest_get(&frame->rcx, fault);
		regs->r11 = guest_get(&frame->r11, fault);
		regs->cs = (u16)(cs | 3);
		regs->ss = (u16)(guest_get(&frame->ss, fault) | 3);
		regs->entry_vector = 0;
	}
	regs->rax = guest_get(&frame->rax, fault);
	regs->rsp = guest_get(&frame->rsp, fault);
	if (unlikely(v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl)))
		pv->iopl = (u8)(rflags >> 12 & 3);
	pv->nmi_masked = false;
	v->info->evtchn_upcall_mask = !(rflags & RFLAGS_IF);
	if (to_user)
		pv_set_mode(v, false);
	return;
fault:
	domain_crash(v->domain, "vCPU %u: iret without a frame at %#lx", v->id, (u64)frame);
}
