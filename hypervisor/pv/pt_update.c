/* SPDX-License-Identifier: MIT */
/* Looking up and changing entries of live page tables. */

#include <core/panic.h>
#include <lib/errno.h>
#include <pv/pagetable.h>

/* Bits by which two level-1 entries for the same frame hold different references, or need a check of their own. */
#define REF_BITS	(PTE_ADDR_MASK | PTE_P | PTE_RW | PTE_PAT | PTE_PCD | PTE_PWT)
#define AD_BITS		(PTE_A | PTE_D)

pte_t pt_lookup(mfn_t l4, u64 va, unsigned level)
{
	return pt_find(l4, va, level);
}

mfn_t pt_hold_l1(struct domain *d, pte_t e)
{
	return pte_present(e) && !frame_get_type(pte_mfn(e), d->id, FRAME_L1, NULL) ? pte_mfn(e) : MFN_INVALID;
}

/* What to store for `new` in place of `old`. */
static u64 merged(pte_t new, u64 old, unsigned flags)
{
	return flags & PT_PRESERVE_AD ? new.v | (old & AD_BITS) : new.v;
}

/* A table whose release is pending still refuses to be mapped writable: see that it is finished, and try again. */
static __noinline int get_l1e_again(struct domain *d, struct domain *pg_owner, pte_t *new)
{
	int rc = pt_lock(d);

	if (rc)
		return rc;
	pt_unlock(d);
	return pt_get_l1e(d, pg_owner, new);
}

int pt_update_l1(struct domain *d, struct domain *pg_owner, mfn_t table, unsigned index, pte_t new, unsigned flags, u64 *expected)
{
	pte_t *e = &pt_table(table)[index];
	u64 old = READ_ONCE(e->v);
	int rc;

	for (;;) {
		pte_t want = new;

		if (expected && old != *expected) {
			*expected = old;
			return -EAGAIN;
		}
		/* The same frame in the same way: the references stay. */
		if (!pte_present(want) || (old ^ want.v) & REF_BITS)
			break;
		want.v = (want.v | PTE_US) & ~PTE_G;
		if (atomic_try_cmpxchg(&e->v, &old, merged(want, old, flags)))
			return 0;
	}

	rc = pt_get_l1e(d, pg_owner, &new);
	if (unlikely(rc == -EBUSY) && d->pv)
		rc = get_l1e_again(d, pg_owner, &new);
	if (rc)
		return rc;
	/* Commit: whatever value is replaced, its references are ours to drop. */
	while (!atomic_try_cmpxchg(&e->v, &old, merged(new, old, flags))) {
		if (expected && old != *expected) {
			*expected = old;
			pt_put_l1e(d, new);
			return -EAGAIN;
		}
	}
	pt_put_l1e(d, (pte_t){ old });
	return 0;
}

/* Lock held, nothing pending, the table is valid. */
static int update_upper(struct domain *d, mfn_t table, unsigned level, unsigned index, pte_t new, unsigned flags, const u64 *expected)
{
	pte_t *e = &pt_table(table)[index];
	u64 old = READ_ONCE(e->v);
	bool same_target;
	int rc;

	if (pt_hyp_slot(level, index))
		return -EINVAL;
	if (expected && old != *expected)
		return -EAGAIN;
	rc = pt_check_upper(&new, level);
	if (rc)
		return rc;
	same_target = pte_present(new) && old & PTE_P && !((old ^ new.v) & PTE_ADDR_MASK);
	if (pte_present(new) && !same_target) {
		rc = pt_get_table(d, pte_mfn(new), level - 1);
		if (rc)
			return rc;
	}
	/* Commit. Only the processor's accessed bit may still change. */
	while (!atomic_try_cmpxchg(&e->v, &old, merged(new, old, flags)))
		;
	if (old & PTE_P && !same_target)
		pt_put_table(d, pte_mfn((pte_t){ old }));
	return 0;
}

/* A frame that is no table: an ordinary write. */
static int write_plain(struct domain *d, mfn_t m, unsigned index, u64 val, u64 *expected)
{
	u64 *p = (u64 *)mfn_to_virt(m) + index, old;
	int rc = frame_get_writable(m, d);

	if (rc)
		return rc;
	if (expected) {
		old = atomic_cmpxchg(p, *expected, val);
		if (old != *expected) {
			*expected = old;
			rc = -EAGAIN;
		}
	} else {
		WRITE_ONCE(*p, val);
	}
	frame_put_writable(m);
	return rc;
}

static int update_locked(struct domain *d, mfn_t table, unsigned index, pte_t new, unsigned flags, u64 *expected, bool *retry)
{
	frame_t f;
	int rc = pt_lock(d);

	if (rc)
		return rc;
	/* Before looking at the table, which may be in the tree that this drops. */
	rc = pt_settle(d, pte_mfn(new), frame_type(frame_read(table)) - 1u);
	if (rc)
		goto out;
	f = frame_read(table);
	if (frame_owner(f) == d->id && frame_type(f) >= FRAME_L2 && frame_type(f) <= FRAME_L4 && f.v & FRAME_VALID)
		rc = update_upper(d, table, frame_type(f), index, new, flags, expected);
	else
		*retry = true;
out:
	pt_unlock(d);
	return rc;
}

/* In a level-1 table, to which there is a type reference that goes with this. */
static inline int update_held(struct domain *d, struct domain *pg_owner, mfn_t table, unsigned index, pte_t new, unsigned flags, u64 *expected)
{
	int rc = pt_update_l1(d, pg_owner, table, index, new, flags, expected);

	pt_put_l1_table(d, table);
	return rc;
}

int pt_update(struct domain *d, struct domain *pg_owner, mfn_t table, unsigned index, pte_t new, unsigned flags, u64 *expected)
{
	if (likely(frame_get_type_again(table, d->id, FRAME_L1)))
		return update_held(d, pg_owner, table, index, new, flags, expected);
	/* The type may change while we decide; a guest that makes it do so again and again restarts its hypercall. */
	for (unsigned attempt = 0; attempt < 4; attempt++) {
		frame_t f = frame_read(table);
		bool retry = false;
		int rc;

		if (frame_owner(f) != d->id || !frame_count(f))
			return -EINVAL;
		switch (frame_type(f)) {
		case FRAME_L1:
			rc = frame_get_type(table, d->id, FRAME_L1, NULL);
			if (!rc)
				return update_held(d, pg_owner, table, index, new, flags, expected);
			if (rc != -EAGAIN)
				return rc;
			/* On the stack of a pending job: finish that. */
			rc = pt_lock(d);
			if (rc)
				return rc;
			pt_unlock(d);
			break;
		case FRAME_L2 ... FRAME_L4:
			rc = update_locked(d, table, index, new, flags, expected, &retry);
			if (!retry)
				return rc;
			break;
		case FRAME_NONE:
		case FRAME_WRITABLE:
			rc = write_plain(d, table, index, new.v, expected);
			/* Has it become a table meanwhile? */
			if (rc != -EBUSY || frame_type(frame_read(table)) == frame_type(f))
				return rc;
			break;
		default:
			return -EINVAL;
		}
	}
	return -ERESTART;
}
