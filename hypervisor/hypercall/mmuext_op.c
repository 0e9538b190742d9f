/* SPDX-License-Identifier: MIT */
/* mmuext_op: pinning, base tables, TLB and cache flushes, page clearing and copying. ABI: <xen/xen.h>. */

#include <core/smp.h>
#include <domain/permission.h>
#include <hypercall/mmu.h>
#include <lib/string.h>
#include <memory/tlbflush.h>
#include <pv/pagetable.h>

static int clear_frame(struct domain *d, mfn_t m)
{
	int rc = frame_get_writable(m, d);

	if (rc)
		return rc;
	memset(mfn_to_virt(m), 0, PAGE_SIZE);
	frame_put_writable(m);
	return 0;
}

static int copy_frame(struct domain *d, mfn_t dst, mfn_t src)
{
	int rc;

	if (!get_frame(src, d))
		return -EINVAL;
	rc = frame_get_writable(dst, d);
	if (!rc) {
		memmove(mfn_to_virt(dst), mfn_to_virt(src), PAGE_SIZE);
		frame_put_writable(dst);
	}
	put_frame(src);
	return rc;
}

static void wbinvd_here(void *unused)
{
	wbinvd();
}

/* Only who has devices may slow the machine down like this. */
static int flush_cache(const struct domain *d, bool global)
{
	if (!domain_has_devices(d))
		return -EACCES;
	if (global)
		smp_call(&cpu_online, wbinvd_here, NULL);
	else
		wbinvd();
	return 0;
}

/* Flushes concern the caller's own address space. */
static int flush_op(const mmuext_op_t *op)
{
	struct domain *d = current->domain;
	cpumask_t mask;
	int rc = 0;

	switch (op->cmd) {
	case MMUEXT_TLB_FLUSH_LOCAL:
		tlb_flush_local();
		break;
	case MMUEXT_INVLPG_LOCAL:
		tlb_flush_page_local(op->arg1.linear_addr);
		break;
	case MMUEXT_TLB_FLUSH_MULTI:
	case MMUEXT_INVLPG_MULTI:
		rc = mmu_cpus_of_vcpus(op->arg2.vcpumask.p, &mask);
		if (rc)
			return rc;
		if (op->cmd == MMUEXT_TLB_FLUSH_MULTI)
			tlb_flush_mask(&mask);
		else
			tlb_flush_page_mask(&mask, op->arg1.linear_addr);
		break;
	case MMUEXT_TLB_FLUSH_ALL:
		tlb_flush_mask(&d->dirty_cpus);
		break;
	case MMUEXT_INVLPG_ALL:
		tlb_flush_page_mask(&d->dirty_cpus, op->arg1.linear_addr);
		break;
	}
	return rc;
}

static int one_op(struct domain *pg_owner, const mmuext_op_t *op)
{
	struct vcpu *v = current;
	mfn_t m = mfn(op->arg1.mfn);

	switch (op->cmd) {
	case MMUEXT_PIN_L1_TABLE ... MMUEXT_PIN_L4_TABLE:
		return pt_pin(pg_owner, m, op->cmd - MMUEXT_PIN_L1_TABLE + 1);
	case MMUEXT_UNPIN_TABLE:
		return pt_unpin(pg_owner, m);
	case MMUEXT_CLEAR_PAGE:
		return clear_frame(pg_owner, m);
	case MMUEXT_COPY_PAGE:
		return copy_frame(pg_owner, m, mfn(op->arg2.src_mfn));
	case MMUEXT_MARK_SUPER:
	case MMUEXT_UNMARK_SUPER:
		return -EOPNOTSUPP;
	}

	/* The rest acts on the calling vCPU or its domain. */
	if (pg_owner != v->domain)
		return -EPERM;
	switch (op->cmd) {
	case MMUEXT_NEW_BASEPTR:
		return pv_new_kernel_l4(v, m);
	case MMUEXT_NEW_USER_BASEPTR:
		/* Frame 0, which cannot be a guest's, means none. */
		if (mfn_eq(m, MFN_INVALID))
			return -EINVAL;
		return pv_new_user_l4(v, m.v ? m : MFN_INVALID);
	case MMUEXT_TLB_FLUSH_LOCAL ... MMUEXT_INVLPG_ALL:
		return flush_op(op);
	case MMUEXT_FLUSH_CACHE:
	case MMUEXT_FLUSH_CACHE_GLOBAL:
		return flush_cache(v->domain, op->cmd == MMUEXT_FLUSH_CACHE_GLOBAL);
	case MMUEXT_SET_LDT:
		return pv_set_ldt(v, op->arg1.linear_addr, op->arg2.nr_ents);
	default:
		return -ENOSYS;
	}
}

static int get_op(mmuext_op_t *op, u64 array, u32 i)
{
	u64 from = array + (u64)i * sizeof(*op);

	_Static_assert(sizeof(*op) == 3 * sizeof(u64), "words");
	if (unlikely(from < array || !guest_range_ok(from, sizeof(*op))))
		return -EFAULT;
	return guest_get_words((u64 *)op, (const u64 *)from, 3);
}

HYPERCALL(do_mmuext_op)
{
	struct domain *pg_owner;
	struct mmu_batch b;
	u32 i = 0;
	long rc = mmu_batch_begin(&b, a1, a2, a3, a4);

	if (rc)
		return rc;
	rc = mmu_get_owner((u16)a4, &pg_owner);
	if (rc)
		return rc;
	for (; i < b.count; i++) {
		mmuext_op_t op;

		if (i && hypercall_preempt_check())
			rc = -ERESTART;
		else
			rc = get_op(&op, b.uops, i);
		if (!rc)
			rc = one_op(pg_owner, &op);
		if (rc)
			break;
	}
	if (!rc)
		rc = pt_finish(pg_owner);
	mmu_put_owner(pg_owner);
	return mmu_batch_end(&b, i, rc, __HYPERVISOR_mmuext_op, sizeof(mmuext_op_t));
}
