/* SPDX-License-Identifier: MIT */
/* Who holds page tables from outside: pins, and the base tables of vCPUs. */

#include <core/panic.h>
#include <lib/errno.h>
#include <pv/pagetable.h>
#include <sched/sched.h>

int pt_pin(struct domain *d, mfn_t m, unsigned level)
{
	int rc = pt_lock(d);

	if (rc)
		return rc;
	rc = pt_get_table(d, m, level);
	if (!rc && !frame_set_pinned(m, true)) {
		pt_put_table(d, m);
		rc = -EINVAL;
	}
	pt_unlock(d);
	return rc;
}

int pt_unpin(struct domain *d, mfn_t m)
{
	int rc = pt_lock(d);

	if (rc)
		return rc;
	rc = -EINVAL;
	if (get_frame(m, d)) {
		if (frame_set_pinned(m, false)) {
			pt_put_table(d, m);
			rc = 0;
		}
		put_frame(m);
	}
	pt_unlock(d);
	return rc;
}

/* Replace a base table of a vCPU. loaded: it is what CR3 has, or will have, in the vCPU's present mode. */
static int new_base(struct vcpu *v, mfn_t *base, mfn_t m, bool loaded)
{
	struct domain *d = v->domain;
	mfn_t old;
	int rc;

	/* A CPU that idles may still have the old one in CR3. */
	if (v != current)
		vcpu_sync_state(v);
	rc = pt_lock(d);
	if (rc)
		return rc;
	old = *base;
	if (!mfn_eq(m, old) && !mfn_eq(m, MFN_INVALID))
		rc = pt_get_table(d, m, 4);
	if (!rc) {
		*base = m;
		if (loaded) {
			v->pv->cr3 = mfn_to_paddr(m).v;
			if (v == current)
				pv_write_cr3(v);
		}
		if (!mfn_eq(m, old) && !mfn_eq(old, MFN_INVALID))
			pt_put_table(d, old);
	}
	pt_unlock(d);
	return rc;
}

int pv_new_kernel_l4(struct vcpu *v, mfn_t m)
{
	if (mfn_eq(m, MFN_INVALID))
		return -EINVAL;
	return new_base(v, &v->pv->kernel_l4, m, v->pv->kernel_mode);
}

int pv_new_user_l4(struct vcpu *v, mfn_t m)
{
	if (mfn_eq(m, MFN_INVALID) && !v->pv->kernel_mode)
		return -EINVAL;
	return new_base(v, &v->pv->user_l4, m, !v->pv->kernel_mode);
}
