/* SPDX-License-Identifier: MIT */
/* domctl: a domain's memory: limit, what its frames are, the hypercall page. */
#include <hypercall/domctl.h>
#include <memory/heap.h>
#include <pv/pv.h>

int domctl_max_mem(struct domain *d, struct xen_domctl *op)
{
	WRITE_ONCE(d->max_pages, op->u.max_mem.max_memkb >> (PAGE_SHIFT - 10));
	return 0;
}

/* --- what frames are ---------------------------------------------------------------------------------------------------------- */

#define FRAMES_MAX	1024	/* per call */

static u32 frame_info(const struct domain *d, mfn_t m)
{
	frame_t f = frame_read(m);
	u32 pinned = f.v & FRAME_PINNED ? XEN_DOMCTL_PFINFO_LPINTAB : 0;

	if (frame_owner(f) != d->id || !frame_count(f))
		return XEN_DOMCTL_PFINFO_XTAB;
	if (frame_type(f) < FRAME_L1 || frame_type(f) > FRAME_L4)
		return XEN_DOMCTL_PFINFO_NOTAB;
	return (u32)frame_type(f) << XEN_DOMCTL_PFINFO_LTAB_SHIFT | pinned;
}

int domctl_getpageframeinfo3(struct domain *d, struct xen_domctl *op)
{
	u64 n = op->u.getpageframeinfo3.num;

	if (n > FRAMES_MAX)
		return -E2BIG;
	for (u64 i = 0; i < n; i++) {
		xen_pfn_t m;

		if (copy_from_guest_idx(&m, op->u.getpageframeinfo3.array.p, i, sizeof(m)))
			return -EFAULT;
		m = frame_info(d, mfn(m));
		if (copy_to_guest_idx(op->u.getpageframeinfo3.array.p, i, &m, sizeof(m)))
			return -EFAULT;
	}
	return 0;
}

/* --- others ------------------------------------------------------------------------------------------------------------------- */

int domctl_hypercall_init(struct domain *d, struct xen_domctl *op)
{
	mfn_t m = mfn(op->u.hypercall_init.gmfn);
	int rc;

	if (!d->pv)
		return -EOPNOTSUPP;
	rc = frame_get_writable(m, d);
	if (rc)
		return -EACCES;
	pv_fill_hypercall_page(mfn_to_virt(m));
	frame_put_writable(m);
	return 0;
}

/* There are no shadow page tables, hence no log of what a PV guest writes, and no memory for them. */
int domctl_shadow_op(struct domain *d, struct xen_domctl *op)
{
	switch (op->u.shadow_op.op) {
	case XEN_DOMCTL_SHADOW_OP_OFF:
		return 0;
	case XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION:
		op->u.shadow_op.mb = 0;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

int domctl_set_address_size(struct domain *d, struct xen_domctl *op)
{
	return op->u.address_size.size == 64 ? 0 : -EINVAL;
}

int domctl_get_address_size(struct domain *d, struct xen_domctl *op)
{
	op->u.address_size.size = 64;
	return 0;
}
