/* SPDX-License-Identifier: MIT */
/*
 * Page tables of PV guests: the interface between the files pv/pt_*.c, pv/ptwrite.c and the MMU hypercalls. Theory:
 * pv/pagetable.c.
 */
#ifndef PV_PAGETABLE_H
#define PV_PAGETABLE_H

#include <memory/heap.h>
#include <pv/pv.h>

/* --- pv/pt_entry.c: references of single entries --- */
/*
 * Take the references for a present or absent level-1 entry in a table of d, naming a frame of pg_owner (d itself, a
 * domain that d may map, dom_io or dom_xen). *e is brought into the form in which it may be stored. 0; -EINVAL no such
 * frame of pg_owner, unsupported bits; -EPERM device memory that is not d's; -EBUSY the frame may not be mapped writable,
 * or has too many references.
 */
int __must_check pt_get_present_l1e(struct domain *d, struct domain *pg_owner, pte_t *e);
static inline int __must_check pt_get_l1e(struct domain *d, struct domain *pg_owner, pte_t *e)
{
	return pte_present(*e) ? pt_get_present_l1e(d, pg_owner, e) : 0;
}
/* Drop the references of a level-1 entry that was stored in a table of d. */
void pt_put_present_l1e(struct domain *d, pte_t e);
static inline void pt_put_l1e(struct domain *d, pte_t e)
{
	if (pte_present(e))
		pt_put_present_l1e(d, e);
}
/* May this be stored as an entry of an upper level (2..4)? Brings it into form. Takes no references. 0, -EINVAL. */
int __must_check pt_check_upper(pte_t *e, unsigned level);
/* Index i of a table of this level belongs to the hypervisor. */
static inline bool pt_hyp_slot(unsigned level, unsigned i)
{
	return level == 4 && i >= HYP_SLOT_FIRST && i <= HYP_SLOT_LAST;
}
static inline pte_t *pt_table(mfn_t m) { return mfn_to_virt(m); }

/* --- pv/pt_job.c: validation and release, with the domain's pt_lock --- */
/*
 * Take the lock, finishing first what is pending. -ERESTART: that takes longer, the lock is not held, the hypercall must
 * be restarted; -EINVAL: d has no page tables or is dying.
 */
int __must_check pt_lock(struct domain *d);
void pt_unlock(struct domain *d);
/*
 * Finish what is pending: 0, or -ERESTART when that takes longer. An operation on tables ends with this, so that a guest
 * which is told that a table is one no more finds it so.
 */
int __must_check pt_finish(struct domain *d);
/*
 * Lock held, nothing pending: pt_get_table(d, m, level) is about to be called; drop now what it would drop first: the
 * outcome of another request of this vCPU, and with it, perhaps, a whole tree. For callers that look at tables before they
 * call it. 0, -ERESTART.
 */
int __must_check pt_settle(struct domain *d, mfn_t m, unsigned level);
/*
 * Lock held, nothing pending: take a reference to m as a table of level 1..4, checking it if it is none yet. 0; -EINVAL;
 * -ERESTART: validation is pending: unlock and restart; the same request on the same vCPU then gets the result.
 */
int __must_check pt_get_table(struct domain *d, mfn_t m, unsigned level);
/* Lock held, nothing pending: drop one; may leave a release pending. */
void pt_put_table(struct domain *d, mfn_t m);
/* No lock held: drop a reference to a level-1 table of d, to the end. */
void pt_release_l1_table(struct domain *d, mfn_t m);
static inline void pt_put_l1_table(struct domain *d, mfn_t m)
{
	if (unlikely(!frame_put_type_again(m)))
		pt_release_l1_table(d, m);
}
/* Flush what might still treat m as anything else, then NONE -> t, not valid. Lock held. 0, -EINVAL, -EBUSY. */
int __must_check pt_begin_type(struct domain *d, mfn_t m, unsigned t);

/* --- pv/pt_update.c: changing entries of live tables --- */
enum { PT_PRESERVE_AD = 1 };
/*
 * Store `new` as entry `index` of the page-table frame of d, checked. A frame of d that is no page table is simply
 * written. With `expected`, only if the entry has that value (A and D bits included); else -EAGAIN and *expected is what
 * it has. Errors of pt_get_l1e() and pt_get_table().
 */
int __must_check pt_update(struct domain *d, struct domain *pg_owner, mfn_t table, unsigned index, pte_t new, unsigned flags,
			   u64 *expected);
/* The same for a level-1 table that the caller has a type reference to. */
int __must_check pt_update_l1(struct domain *d, struct domain *pg_owner, mfn_t table, unsigned index, pte_t new, unsigned flags,
			      u64 *expected);
/*
 * The entry of level `level` for va below l4, a base table of current. Not present when a level above is missing, and for the
 * hypervisor's addresses and those that are not canonical. It may be outdated already.
 */
pte_t pt_lookup(mfn_t l4, u64 va, unsigned level);

/* --- walks, for what happens all the time --- */

/* The table that an entry names; when the entry is not present, which the guest makes up, frame 0: also speculatively. */
static inline mfn_t pt_table_nospec(pte_t e)
{
	u64 mask;

	__asm__("bt %2, %1; sbb %0, %0" : "=r"(mask) : "r"(e.v), "i"(__builtin_ctzl(PTE_P)) : "cc");
	return pte_mfn((pte_t){ e.v & mask });
}

/* Without a look at what the frames on the way are, as the processor itself walks: see "TLBs" in pv/pagetable.c. Interrupts off. */
static inline pte_t pt_walk(mfn_t table, u64 va, unsigned level)
{
	pte_t e = { 0 };

	#pragma GCC unroll 4
	for (unsigned at = 4; at >= level; at--) {
		e.v = READ_ONCE(pt_table(table)[PT_INDEX(va, at)].v);
		if (!pte_present(e))
			break;
		table = pt_table_nospec(e);
	}
	return e;
}

/* pt_lookup(). */
static inline pte_t pt_find(mfn_t l4, u64 va, unsigned level)
{
	pte_t e;
	u64 flags;

	/* In slots of the hypervisor's are tables that are not the guest's. */
	if (unlikely(!is_canonical(va) || (va >= HYP_VIRT_START && va < HYP_VIRT_END)))
		return (pte_t){ 0 };
	flags = local_irq_save();
	e = pt_walk(l4, va, level);
	local_irq_restore(flags);
	return e;
}

/* A reference to the level-1 table that an entry of level 2 names; MFN_INVALID when there is none. */
mfn_t pt_hold_l1(struct domain *d, pte_t e);
/*
 * The level-1 table that maps va for the kernel of v, which is current: takes a reference (pt_put_l1_table). MFN_INVALID when
 * there is none.
 */
static inline mfn_t pt_walk_l1(struct vcpu *v, u64 va)
{
	pte_t e = pt_find(v->pv->kernel_l4, va, 2);

	if (likely(pte_present(e) && frame_get_type_again(pte_mfn(e), v->domain->id, FRAME_L1)))
		return pte_mfn(e);
	return pt_hold_l1(v->domain, e);
}

/* --- pv/pt_base.c --- */
int __must_check pt_pin(struct domain *d, mfn_t m, unsigned level);
int __must_check pt_unpin(struct domain *d, mfn_t m);

#endif
