/* SPDX-License-Identifier: MIT */
/* update_va_mapping: set the level-1 entry of a virtual address, and flush. ABI: <xen/xen.h>. */

#include <hypercall/mmu.h>
#include <memory/tlbflush.h>
#include <pv/pagetable.h>

/* The CPUs that UVMF_* asks to flush: NULL for this one alone. A bitmap is read before anything is changed, into *buffer. */
static int flush_set(u64 flags, cpumask_t *buffer, const cpumask_t **out)
{
	u64 who = flags & ~UVMF_FLUSHTYPE_MASK;

	*out = NULL;
	if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_NONE || who == UVMF_LOCAL)
		return 0;
	*out = who == UVMF_ALL ? &current->domain->dirty_cpus : buffer;
	return who == UVMF_ALL ? 0 : mmu_cpus_of_vcpus((const void *)who, buffer);
}

static void flush(u64 flags, const cpumask_t *cpus, u64 va)
{
	switch (flags & UVMF_FLUSHTYPE_MASK) {
	case UVMF_TLB_FLUSH:
		if (cpus)
			tlb_flush_mask(cpus);
		else
			tlb_flush_local();
		break;
	case UVMF_INVLPG:
		if (cpus)
			tlb_flush_page_mask(cpus, va);
		else
			tlb_flush_page_local(va);
	}
}

static long update(struct domain *pg_owner, u64 va, u64 val, u64 flags)
{
	struct vcpu *v = current;
	const cpumask_t *cpus;
	cpumask_t buffer;
	mfn_t table;
	long rc = flush_set(flags, &buffer, &cpus);

	if (rc)
		return rc;
	table = pt_walk_l1(v, va);
	if (mfn_eq(table, MFN_INVALID))
		return -EINVAL;
	rc = pt_update_l1(v->domain, pg_owner, table, (unsigned)PT_INDEX(va, 1), (pte_t){ val }, 0, NULL);
	pt_put_l1_table(v->domain, table);
	flush(flags, cpus, va);
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
