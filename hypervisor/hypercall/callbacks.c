/* SPDX-License-Identifier: MIT */
/* Where the guest kernel wants to be entered: trap table, callbacks, NMI handler, stack. */
#include <hypercall/dispatch.h>
#include <lib/string.h>
#include <pv/pv.h>
#include <xen/nmi.h>

HYPERCALL(do_set_trap_table)
{
	const struct trap_info *table = (const struct trap_info *)a1;
	struct vcpu *v = current;
	struct trap_info t;
	int rc;

	if (!table) {
		memset(v->pv->traps, 0, 256 * sizeof(*v->pv->traps));
		return 0;
	}
	/* Ends with an entry whose address is 0. */
	for (bool first = true;; table++, first = false) {
		if (!first && hypercall_preempt_check())
			return hypercall_continue(__HYPERVISOR_set_trap_table, 1, (u64)table);
		if (copy_from_guest(&t, table, sizeof(t)))
			return -EFAULT;
		if (!t.address)
			return 0;
		rc = pv_set_trap(v, &t);
		if (rc)
			return rc;
	}
}

HYPERCALL(do_set_callbacks)
{
	struct vcpu *v = current;
	int rc = pv_set_callback(v, CALLBACKTYPE_event, 0, a1);

	if (!rc)
		rc = pv_set_callback(v, CALLBACKTYPE_failsafe, 0, a2);
	if (!rc)
		rc = pv_set_callback(v, CALLBACKTYPE_syscall, 0, a3);
	return rc;
}

HYPERCALL(do_callback_op)
{
	struct callback_register reg;
	struct callback_unregister unreg;

	switch (a1) {
	case CALLBACKOP_register:
		if (copy_from_guest(&reg, (const void *)a2, sizeof(reg)))
			return -EFAULT;
		return pv_set_callback(current, reg.type, reg.flags, reg.address);
	case CALLBACKOP_unregister:
		if (copy_from_guest(&unreg, (const void *)a2, sizeof(unreg)))
			return -EFAULT;
		return pv_clear_callback(current, unreg.type);
	default:
		return -ENOSYS;
	}
}

static long register_nmi(struct vcpu *v, const void *arg)
{
	struct xennmi_callback cb;
	int rc;

	if (copy_from_guest(&cb, arg, sizeof(cb)))
		return -EFAULT;
	rc = pv_set_callback(v, CALLBACKTYPE_nmi, 0, cb.handler_address);
	/* One that came before there was anybody to tell. */
	if (!rc && !v->id && v->domain->shared_info->arch.nmi_reason)
		pv_send_nmi(v);
	return rc;
}

HYPERCALL(do_nmi_op)
{
	switch (a1) {
	case XENNMI_register_callback:
		return register_nmi(current, (const void *)a2);
	case XENNMI_unregister_callback:
		return pv_clear_callback(current, CALLBACKTYPE_nmi);
	default:
		return -ENOSYS;
	}
}

HYPERCALL(do_stack_switch)
{
	current->pv->kernel_ss = pv_fixup_selector((u16)a1);
	current->pv->kernel_sp = a2;
	return 0;
}
