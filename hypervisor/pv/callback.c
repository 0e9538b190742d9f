/* SPDX-License-Identifier: MIT */
/* Entry points that the guest kernel registers: callbacks and the trap table (ABI: <xen/callback.h>, struct trap_info). */
#include <lib/errno.h>
#include <pv/pv.h>
#include <x86/cr.h>

/* Index of a CALLBACKTYPE_*, or -EINVAL. */
static int callback_index(u16 type)
{
	switch (type) {
	case CALLBACKTYPE_event:
		return PV_CB_EVENT;
	case CALLBACKTYPE_failsafe:
		return PV_CB_FAILSAFE;
	case CALLBACKTYPE_syscall:
		return PV_CB_SYSCALL;
	case CALLBACKTYPE_sysenter:
		return PV_CB_SYSENTER;
	case CALLBACKTYPE_syscall32:
		return PV_CB_SYSCALL32;
	default:
		return -ENOSYS;
	}
}

int pv_set_callback(struct vcpu *v, u16 type, u16 flags, u64 address)
{
	int i = callback_index(type);

	if (!is_canonical(address))
		return -EINVAL;
	/* ABI: the NMI callback is the gate of vector 2 by another name. */
	if (type == CALLBACKTYPE_nmi) {
		v->pv->traps[X86_NMI] = (struct pv_trap){ .address = address, .cs = FLAT_KERNEL_CS64 };
		return 0;
	}
	if (i < 0)
		return i;
	v->pv->cb[i].eip = address;
	v->pv->cb[i].masks_events = flags & CALLBACKF_mask_events;
	return 0;
}

int pv_clear_callback(struct vcpu *v, u16 type)
{
	int i = callback_index(type);

	/* ABI: only this one can be taken back. */
	if (type == CALLBACKTYPE_nmi) {
		v->pv->traps[X86_NMI] = (struct pv_trap){ 0 };
		return 0;
	}
	return i < 0 ? i : -EINVAL;
}

int pv_set_trap(struct vcpu *v, const struct trap_info *t)
{
	if (!is_canonical(t->address))
		return -EINVAL;
	v->pv->traps[t->vector] = (struct pv_trap){ .address = t->address, .cs = pv_fixup_selector(t->cs), .flags = t->flags };
	return 0;
}
