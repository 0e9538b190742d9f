/* SPDX-License-Identifier: MIT */
/* Grant mappings in PV page tables. */

/*
 * The entry holds references of its own, like any other level-1 entry, and loses them like any other: by pv_grant_unmap(),
 * by the guest overwriting it, or when its table is released. The grant table's mapping record holds another set. So
 * neither the guest nor the death of either domain can make the counts wrong, whichever goes first. A table with such an
 * entry cannot become valid again once it has been released: the entry names another domain's frame.
 */

#include <lib/errno.h>
#include <memory/tlbflush.h>
#include <pv/pagetable.h>
#include <xen/grant_table.h>

/* The level-1 entry at a host address: in *e, and its table, referenced, returned. MFN_INVALID: none. */
static mfn_t find_entry(struct vcpu *v, u64 host_addr, bool is_pte, pte_t **e)
{
	mfn_t table;

	if (is_pte) {
		table = paddr_to_mfn(paddr(host_addr));
		if (host_addr & 7 || frame_get_type(table, v->domain->id, FRAME_L1, NULL))
			return MFN_INVALID;
		*e = &pt_table(table)[(host_addr & ~PAGE_MASK) / sizeof(pte_t)];
	} else {
		if (host_addr & ~PAGE_MASK)
			return MFN_INVALID;
		table = pt_walk_l1(v, host_addr);
		if (!mfn_eq(table, MFN_INVALID))
			*e = &pt_table(table)[PT_INDEX(host_addr, 1)];
	}
	return table;
}

int pv_grant_map(struct vcpu *v, u64 host_addr, mfn_t m, u32 flags, u64 cache)
{
	struct domain *d = v->domain, *owner = domain_of_owner(frame_owner(frame_read(m)));
	u64 bits = PTE_P | PTE_US | PTE_A | PTE_D | (cache & (PTE_PAT | PTE_PCD | PTE_PWT));
	pte_t *e, new;
	mfn_t table = find_entry(v, host_addr, flags & GNTMAP_contains_pte, &e);
	u64 old;
	int rc;

	if (mfn_eq(table, MFN_INVALID))
		return -EINVAL;
	if (!(flags & GNTMAP_readonly))
		bits |= PTE_RW;
	/* Bits 16.. of the flags are the three that the architecture leaves to software, bits 9..11. */
	bits |= (u64)(flags >> _GNTMAP_guest_avail0) << 9 & PTE_AVAIL;
	new = pte_make(m, bits);
	rc = pt_get_l1e(d, frame_read(m).v ? owner : d, &new);
	if (!rc) {
		old = atomic_xchg(&e->v, new.v);
		pt_put_l1e(d, (pte_t){ old });
		if (pte_present((pte_t){ old }))
			tlb_flush_mask(&d->dirty_cpus);
	}
	pt_put_l1_table(d, table);
	return rc;
}

/* Take the entry at new_addr out of its place, to be put elsewhere with its references. */
static int take_entry(struct vcpu *v, u64 addr, u64 *val)
{
	pte_t *e;
	mfn_t table = find_entry(v, addr, false, &e);

	if (mfn_eq(table, MFN_INVALID))
		return -EINVAL;
	*val = atomic_xchg(&e->v, 0);
	pt_put_l1_table(v->domain, table);
	return 0;
}

int pv_grant_unmap(struct vcpu *v, u64 host_addr, mfn_t m, u32 flags, u64 new_addr)
{
	struct domain *d = v->domain;
	u64 old, new = 0;
	pte_t *e;
	mfn_t table;
	int rc = -EINVAL;

	if (new_addr && flags & GNTMAP_contains_pte)
		return -EINVAL;
	table = find_entry(v, host_addr, flags & GNTMAP_contains_pte, &e);
	if (mfn_eq(table, MFN_INVALID))
		return -EINVAL;
	old = READ_ONCE(e->v);
	if (!pte_present((pte_t){ old }) || !mfn_eq(pte_mfn((pte_t){ old }), m) || !(old & PTE_RW) != !!(flags & GNTMAP_readonly))
		goto out;
	rc = new_addr ? take_entry(v, new_addr, &new) : 0;
	if (rc)
		goto out;
	/* Commit. The guest may have changed its entry meanwhile: the references dropped are those of what is replaced. */
	old = atomic_xchg(&e->v, new);
	pt_put_l1e(d, (pte_t){ old });
out:
	pt_put_l1_table(d, table);
	return rc;
}
