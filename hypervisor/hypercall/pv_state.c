/* SPDX-License-Identifier: MIT */
/* Small pieces of a PV vCPU's processor state: segment bases, debug registers, CR0.TS; and the domain's VM assists. */
#include <hypercall/dispatch.h>
#include <pv/pv.h>

HYPERCALL(do_fpu_taskswitch)
{
	pv_set_ts(a1);
	return 0;
}

HYPERCALL(do_set_debugreg)
{
	return a1 > 7 ? -EINVAL : pv_set_debugreg(current, (unsigned)a1, a2);
}

HYPERCALL(do_get_debugreg)
{
	u64 val;

	if (a1 > 7 || pv_get_debugreg(current, (unsigned)a1, &val))
		return -EINVAL;
	return (long)val;
}

HYPERCALL(do_set_segment_base)
{
	if (a1 == SEGBASE_GS_USER_SEL) {
		pv_load_user_gs_selector((u16)a2);
		return 0;
	}
	return a1 > SEGBASE_GS_USER_SEL ? -EINVAL : pv_set_segment_base((unsigned)a1, a2);
}

HYPERCALL(do_vm_assist)
{
	struct domain *d = current->domain;

	if (a2 >= BITS_PER_LONG || !(PV_VM_ASSIST & BIT(a2)))
		return -EINVAL;
	switch (a1) {
	case VMASST_CMD_enable:
		atomic_fetch_or(&d->vm_assist, BIT(a2));
		return 0;
	case VMASST_CMD_disable:
		atomic_fetch_and(&d->vm_assist, ~BIT(a2));
		return 0;
	default:
		return -ENOSYS;
	}
}
