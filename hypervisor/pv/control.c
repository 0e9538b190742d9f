/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's control registers. CR0: only TS is its own. CR3: its base table, as a machine frame. CR4: PV_CR4_GUEST are its own, the others read as what
 * it can rely on; attempts to change those are ignored, as guests write back what native code would.
 */
#include <core/console.h>
#include <lib/errno.h>
#include <pv/pv.h>
#include <x86/cr.h>

u64 pv_guest_cr4(const struct vcpu *v)
{
	return v->pv->cr4 | (read_cr4() & (CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT));
}

static u64 cr4_allowed(void)
{
	u64 bits = CR4_TSD | CR4_DE;

	if (cpu_has(FEAT_FSGSBASE))
		bits |= CR4_FSGSBASE;
	if (cpu_has(FEAT_XSAVE))
		bits |= CR4_OSXSAVE;
	return bits;
}

void pv_set_cr4(struct vcpu *v, u64 val)
{
	v->pv->cr4 = val & cr4_allowed();
	if (v == current)
		pv_load_cr4(v);
}

bool pv_read_cr(unsigned cr, u64 *val)
{
	const struct vcpu *v = current;

	switch (cr) {
	case 0:
		*val = (read_cr0() & ~CR0_TS) | (v->pv->cr0_ts ? CR0_TS : 0);
		return true;
	case 2:
		*val = v->info->arch.cr2;
		return true;
	case 3:
		*val = mfn_to_paddr(v->pv->kernel_l4).v;
		return true;
	case 4:
		*val = pv_guest_cr4(v);
		return true;
	default:
		return false;
	}
}

static bool write_cr3_guest(u64 val, bool *again)
{
	int rc = pv_new_kernel_l4(current, mfn(val >> PAGE_SHIFT));

	*again = rc == -ERESTART;
	return !rc || *again;
}

bool pv_write_cr(unsigned cr, u64 val, bool *again)
{
	struct vcpu *v = current;

	switch (cr) {
	case 0:
		if ((val ^ read_cr0()) & ~CR0_TS) {
			guest_debug("attempt to change CR0 to %#lx\n", val);
			return false;
		}
		pv_set_ts(val & CR0_TS);
		return true;
	case 2:
		v->info->arch.cr2 = val;
		return true;
	case 3:
		return write_cr3_guest(val, again);
	case 4:
		pv_set_cr4(v, val);
		return true;
	default:
		return false;
	}
}

void pv_set_ts(bool set)
{
	current->pv->cr0_ts = set;
	pv_load_ts(current);
}

bool pv_xsetbv(u32 index, u64 val)
{
	struct vcpu *v = current;
	struct xstate *x = v->pv->xstate;
	u64 flags;
	int rc;

	if (index || !(v->pv->cr4 & CR4_OSXSAVE))
		return false;
	/* Saved under the old XCR0 and restored under the new one: components that become reachable are initialised. */
	flags = local_irq_save();
	clts();
	xstate_save(x);
	rc = xstate_set_xcr0(x, val);
	if (!rc)
		xstate_restore(x);
	pv_load_ts(v);
	local_irq_restore(flags);
	return !rc;
}
