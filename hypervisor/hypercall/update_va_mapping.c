/* SPDX-License-Identifier: MIT */
/* update_va_mapping: set the level-1 entry of a virtual address, and flush. ABI: <xen/xen.h>. */

#include <hypercall/mmu.h>
#include <memory/tlbflush.h>
#include <pv/pagetable.h>

/* Which CPUs UVMF_* asks to flush; a bitmap is read before anything is changed. */
static int flush_set(u64 flags, cpumask_t *out)
{
	u64 who = flags & ~UVMF_FLUSHTYPE_MASK;

	cpumask_zero(out);
	if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_NONE)
		return 0;
	if (who == UVMF_LOCAL)
		cpumask_set(smp_processor_id(), out);
	else if (who == UVMF_ALL)
		*out = current->domain->dirty_cpus;
	else
		return mmu_cpus_of_vcpus((const void *)who, out);
	return 0;
}

static long update(struct domain *pg_owner, u64 va, u64 val, u64 flags)
{
	struct vcpu *v = current;
	cpumask_t mask;
	mfn_t table;
	long rc = flush_set(flags, &mask);

	if (rc)
		return rc;
	table = pt_walk_l1(v->domain, v->pv->kernel_l4, va);
	if (mfn_eq(table, MFN_INVALID))
		return -EINVAL;
	rc = pt_update(v->domain, pg_owner, table, (unsigned)PT_INDEX(va, 1), (pte_t){ val }, 0, NULL);
	pt_put_l1_table(v->domain, table);

	if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_TLB_FLUSH)
		tlb_flush_mask(&mask);
	else if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_INVLPG)
		tlb_flush_page_mask(&mask, va);
	return rc;
}

HYPERCALL(do_update_va_mapping)
{
	long rc = update(current->domain, a1, a2, a3);

	return rc == -ERESTART ? hypercall_continue(__HYPERVISOR_update_va_mapping, 3, a1, a2, a3) : rc;
}

HYPERCALL(do_update_va_mapping_otherdomain)
{
	struct domain *pg_owner;
	long rc = mmu_get_owner((u16)a4, &pg_owner);

	if (rc)
		return rc;
	rc = update(pg_owner, a1, a2, a3);
	mmu_put_owner(pg_owner);
	return rc == -ERESTART ? hypercall_continue(__HYPERVISOR_update_va_mapping_otherdomain, 4, a1, a2, a3, a4) : rc;
}
