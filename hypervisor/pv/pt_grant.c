/* SPDX-License-Identifier: MIT */
/* Grant mappings in PV page tables. */

/*
 * The entry holds a reference of its own, like any other level-1 entry, and loses it like any other: by pv_grant_unmap(),
 * by the guest overwriting it, or when its table is released. The grant table's mapping record holds another one. So
 * neither the guest nor the death of either domain can make the counts wrong, whichever goes first. A table with such an
 * entry cannot become valid again once it has been released: the entry names another domain's frame.
 *
 * The entry's reference comes from the caller, who has just taken it together with his own (so it is one to RAM, of the right
 * type), and goes back to him, who drops both after the TLB flush. Therefore nothing remains for foreign_cpus to remember.
 */

#include <lib/errno.h>
#include <memory/tlbflush.h>
#include <pv/pagetable.h>
#include <xen/grant_table.h>

void pv_grant_end(struct vcpu *v, struct grant_near *near)
{
	if (likely(near->key))
		pt_put_l1_table(v->domain, near->table);
	near->key = 0;
}

/* What addresses with entries in the same table have in common; never 0. */
static u64 key_of_va(u64 va) { return va >> PT_SHIFT(2) | BIT(63); }
static u64 key_of_entry(u64 maddr) { return PFN_DOWN(maddr) | BIT(62); }

/* Have the table with the entry for va in *near. */
static __always_inline bool come_near(struct vcpu *v, struct grant_near *near, u64 va)
{
	mfn_t table;

	if (unlikely(near->key))
		pv_grant_end(v, near);
	table = pt_walk_l1(v, va);
	if (mfn_eq(table, MFN_INVALID))
		return false;
	*near = (struct grant_near){ key_of_va(va), table };
	return true;
}

/* The level-1 entry at a machine address, as below. */
static __noinline pte_t *find_entry_at(struct vcpu *v, struct grant_near *near, u64 maddr)
{
	mfn_t table = paddr_to_mfn(paddr(maddr));

	if (!IS_ALIGNED(maddr, sizeof(pte_t)))
		return NULL;
	if (near->key != key_of_entry(maddr)) {
		pv_grant_end(v, near);
		if (frame_get_type(table, v->domain->id, FRAME_L1, NULL))
			return NULL;
		*near = (struct grant_near){ key_of_entry(maddr), table };
	}
	return &pt_table(near->table)[(maddr & ~PAGE_MASK) / sizeof(pte_t)];
}

/* The level-1 entry at a host address, good as long as *near stays; or NULL. */
static __always_inline pte_t *find_entry(struct vcpu *v, struct grant_near *near, u64 host_addr, bool is_pte)
{
	if (unlikely(is_pte))
		return find_entry_at(v, near, host_addr);
	if (!IS_ALIGNED(host_addr, PAGE_SIZE) || (near->key != key_of_va(host_addr) && !come_near(v, near, host_addr)))
		return NULL;
	return &pt_table(near->table)[PT_INDEX(host_addr, 1)];
}

/* What was there before a mapping was made. */
static __noinline void replaced(struct domain *d, pte_t old)
{
	pt_put_l1e(d, old);
	tlb_flush_mask(&d->dirty_cpus);
}

int pv_grant_map(struct vcpu *v, struct grant_near *near, u64 host_addr, mfn_t m, u32 flags, u64 cache)
{
	struct domain *d = v->domain;
	u64 bits = PTE_P | PTE_US | PTE_A | PTE_D | (flags & GNTMAP_readonly ? 0 : PTE_RW);
	pte_t *e = find_entry(v, near, host_addr, flags & GNTMAP_contains_pte);
	pte_t old;

	if (!e)
		return -EINVAL;
	/* The cache attributes of RAM are the hypervisor's, but for the frames of whoever owns the devices. */
	if (unlikely(cache && d->hardware && frame_owner(frame_read(m)) == d->id))
		bits |= cache & (PTE_PAT | PTE_PCD | PTE_PWT);
	/* Bits 16.. of the flags are the three that the architecture leaves to software, bits 9..11. */
	bits |= (u64)(flags >> _GNTMAP_guest_avail0) << 9 & PTE_AVAIL;
	old.v = atomic_xchg(&e->v, pte_make(m, bits).v);
	if (unlikely(pte_present(old)))
		replaced(d, old);
	return 0;
}

/* Take the entry at new_addr out of its place, to be put elsewhere with its references. */
static __noinline int take_entry(struct vcpu *v, u64 addr, u64 *val)
{
	struct grant_near near = { 0 };
	pte_t *e = find_entry(v, &near, addr, false);

	if (e)
		*val = atomic_xchg(&e->v, 0);
	pv_grant_end(v, &near);
	return e ? 0 : -EINVAL;
}

/* Does an entry have a reference to m of the kind that a mapping with these flags has? */
static bool maps(u64 e, mfn_t m, u32 flags)
{
	return e & PTE_P && mfn_eq(pte_mfn((pte_t){ e }), m) && !(e & PTE_RW) == !!(flags & GNTMAP_readonly);
}

int pv_grant_unmap(struct vcpu *v, struct grant_near *near, u64 host_addr, mfn_t m, u32 flags, u64 new_addr)
{
	u64 old, new = 0;
	pte_t *e;

	if (new_addr && flags & GNTMAP_contains_pte)
		return -EINVAL;
	e = find_entry(v, near, host_addr, flags & GNTMAP_contains_pte);
	if (!e)
		return -EINVAL;
	old = READ_ONCE(e->v);
	if (!maps(old, m, flags) || (new_addr && take_entry(v, new_addr, &new)))
		return -EINVAL;
	/* Commit, unless the guest changes the entry at the same time, who then does not know what becomes of the other one either. */
	while (!atomic_try_cmpxchg(&e->v, &old, new))
		if (!maps(old, m, flags)) {
			pt_put_l1e(v->domain, (pte_t){ new });
			return -EINVAL;
		}
	return 0;
}
