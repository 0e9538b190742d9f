/* SPDX-License-Identifier: MIT */
/* The whole register context of a vCPU in ABI form: VCPUOP_initialise, Domain 0's builder, the tools (ABI: struct vcpu_guest_context). */
#include <lib/errno.h>
#include <lib/string.h>
#include <pv/pv.h>
#include <x86/cr.h>

/* No address may be such that using it faults in the hypervisor instead of the guest. Breakpoints are checked on their own. */
static bool addresses_ok(const struct vcpu_guest_context *c)
{
	for (unsigned i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++)
		if (!is_canonical(c->trap_ctxt[i].address))
			return false;
	return is_canonical(c->user_regs.rip) && is_canonical(c->user_regs.rsp) && is_canonical(c->kernel_sp) &&
	       is_canonical(c->event_callback_eip) && is_canonical(c->failsafe_callback_eip) && is_canonical(c->syscall_callback_eip) &&
	       is_canonical(c->fs_base) && is_canonical(c->gs_base_kernel) && is_canonical(c->gs_base_user);
}

/* Everything that can be refused without looking at memory. */
static int check(const struct vcpu_guest_context *c)
{
	if (!addresses_ok(c))
		return -EINVAL;
	if (c->gdt_ents > FIRST_RESERVED_GDT_ENTRY || !(c->ctrlreg[3] >> PAGE_SHIFT))
		return -EINVAL;
	/* User mode needs a user page table to be in. */
	if (!(c->flags & VGCF_in_kernel) && !(c->ctrlreg[1] >> PAGE_SHIFT))
		return -EINVAL;
	return 0;
}

static void set_entries(struct vcpu *v, const struct vcpu_guest_context *c)
{
	struct pv_vcpu *pv = v->pv;

	for (unsigned i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++)
		pv->traps[i] = (struct pv_trap){
			.address = c->trap_ctxt[i].address, .cs = pv_fixup_selector(c->trap_ctxt[i].cs), .flags = c->trap_ctxt[i].flags,
		};
	memset(pv->cb, 0, sizeof(pv->cb));
	pv->cb[PV_CB_EVENT].eip = c->event_callback_eip;
	pv->cb[PV_CB_FAILSAFE].eip = c->failsafe_callback_eip;
	pv->cb[PV_CB_FAILSAFE].masks_events = c->flags & VGCF_failsafe_disables_events;
	pv->cb[PV_CB_SYSCALL].eip = c->syscall_callback_eip;
	pv->cb[PV_CB_SYSCALL].masks_events = c->flags & VGCF_syscall_disables_events;
	pv->kernel_sp = c->kernel_sp;
	pv->kernel_ss = pv_fixup_selector((u16)c->kernel_ss);
}

static void set_registers(struct vcpu *v, const struct vcpu_guest_context *c)
{
	struct pv_vcpu *pv = v->pv;

	v->regs = c->user_regs;
	v->regs.cs |= 3;
	v->regs.ss |= 3;
	v->regs.entry_vector = 0;
	v->regs.error_code = 0;
	v->regs.rflags = (c->user_regs.rflags & ~(u64)(RFLAGS_IOPL | RFLAGS_VM | RFLAGS_NT | RFLAGS_VIF | RFLAGS_VIP)) | RFLAGS_IF | RFLAGS_MBS;
	v->regs.rflags &= 0xffffffff;

	pv->iopl = (u8)(c->user_regs.rflags >> 12 & 3);
	pv->sel_ds = pv_fixup_selector(c->user_regs.ds);
	pv->sel_es = pv_fixup_selector(c->user_regs.es);
	pv->sel_fs = pv_fixup_selector(c->user_regs.fs);
	pv->sel_gs = pv_fixup_selector(c->user_regs.gs);
	pv->fs_base = c->fs_base;
	pv->gs_base_kernel = c->gs_base_kernel;
	pv->gs_base_user = c->gs_base_user;

	pv->kernel_mode = c->flags & VGCF_in_kernel;
	pv->cr3 = mfn_to_paddr(pv->kernel_mode ? pv->kernel_l4 : pv->user_l4).v;
	pv->cr0_ts = c->ctrlreg[0] & CR0_TS;
	pv_set_cr4(v, c->ctrlreg[4]);
	v->pv_pending = 0;
	pv->nmi_masked = false;
}

static int set_debugregs(struct vcpu *v, const struct vcpu_guest_context *c)
{
	int rc = 0;

	pv_reset_debugregs(v);
	for (unsigned i = 0; !rc && i < 8; i++)
		if (i != 4 && i != 5)
			rc = pv_set_debugreg(v, i, c->debugreg[i]);
	return rc;
}

static int set_base_tables(struct vcpu *v, mfn_t kernel, mfn_t user)
{
	bool mode = v->pv->kernel_mode;
	int rc;

	/* As seen from the kernel both may change. */
	v->pv->kernel_mode = true;
	rc = pv_new_kernel_l4(v, kernel);
	if (!rc)
		rc = pv_new_user_l4(v, user);
	v->pv->kernel_mode = mode;
	return rc;
}

/*
 * The steps that can fail are each undone by the next call, or by the domain's end: a vCPU without `initialised` is never run, so that what an
 * unsuccessful call leaves behind is not used.
 */
int pv_set_context(struct vcpu *v, const struct vcpu_guest_context *ctx)
{
	u64 user_l4 = ctx->ctrlreg[1] >> PAGE_SHIFT, frames[RESERVED_GDT_PAGE];
	int rc = check(ctx);

	if (rc)
		return rc;
	rc = set_debugregs(v, ctx);
	if (!rc && ctx->flags & VGCF_i387_valid)
		rc = xstate_from_fxsave(v->pv->xstate, ctx->fpu_ctxt.x);
	if (!rc)
		rc = pv_set_ldt(v, ctx->ldt_base, ctx->ldt_ents);
	if (rc)
		return rc;
	memcpy(frames, ctx->gdt_frames, sizeof(frames));
	rc = pv_set_gdt(v, frames, (unsigned)ctx->gdt_ents);
	if (!rc)
		rc = set_base_tables(v, mfn(ctx->ctrlreg[3] >> PAGE_SHIFT), user_l4 ? mfn(user_l4) : MFN_INVALID);
	if (rc)
		return rc;

	/* Commit. */
	set_entries(v, ctx);
	set_registers(v, ctx);
	if (!v->id)
		v->domain->vm_assist |= ctx->vm_assist & PV_VM_ASSIST;
	v->initialised = true;
	return 0;
}

static u64 cr3_of(mfn_t m)
{
	return mfn_eq(m, MFN_INVALID) ? 0 : mfn_to_paddr(m).v;
}

/* v does not run, and its state is in memory. */
void pv_get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
	const struct pv_vcpu *pv = v->pv;

	memset(c, 0, sizeof(*c));
	xstate_to_fxsave(pv->xstate, c->fpu_ctxt.x);
	c->flags = VGCF_i387_valid | (pv->kernel_mode ? VGCF_in_kernel : 0) | (v->pause_flags & VPF_DOWN ? 0 : VGCF_online) |
		   (pv->cb[PV_CB_FAILSAFE].masks_events ? VGCF_failsafe_disables_events : 0) |
		   (pv->cb[PV_CB_SYSCALL].masks_events ? VGCF_syscall_disables_events : 0);
	c->user_regs = v->regs;
	c->user_regs.ds = pv->sel_ds;
	c->user_regs.es = pv->sel_es;
	c->user_regs.fs = pv->sel_fs;
	c->user_regs.gs = pv->sel_gs;
	c->user_regs.rflags |= (u64)pv->iopl << 12;
	c->user_regs.saved_upcall_mask = v->info->evtchn_upcall_mask;
	for (unsigned i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++)
		c->trap_ctxt[i] = (struct trap_info){
			.vector = (u8)i, .flags = pv->traps[i].flags, .cs = pv->traps[i].cs, .address = pv->traps[i].address,
		};
	c->ldt_base = pv->ldt_base;
	c->ldt_ents = pv->ldt_ents;
	for (unsigned i = 0; i < DIV_ROUND_UP(pv->gdt_ents, PAGE_SIZE / sizeof(u64)); i++)
		c->gdt_frames[i] = pv->gdt_frames[i].v;
	c->gdt_ents = pv->gdt_ents;
	c->kernel_ss = pv->kernel_ss;
	c->kernel_sp = pv->kernel_sp;
	c->ctrlreg[0] = pv->cr0_ts ? CR0_TS : 0;
	c->ctrlreg[1] = cr3_of(pv->user_l4);
	c->ctrlreg[2] = v->info->arch.cr2;
	c->ctrlreg[3] = cr3_of(pv->kernel_l4);
	c->ctrlreg[4] = pv_guest_cr4(v);
	memcpy(c->debugreg, pv->dr, sizeof(c->debugreg));
	c->event_callback_eip = pv->cb[PV_CB_EVENT].eip;
	c->failsafe_callback_eip = pv->cb[PV_CB_FAILSAFE].eip;
	c->syscall_callback_eip = pv->cb[PV_CB_SYSCALL].eip;
	c->vm_assist = v->domain->vm_assist;
	c->fs_base = pv->fs_base;
	c->gs_base_kernel = pv->gs_base_kernel;
	c->gs_base_user = pv->gs_base_user;
}
