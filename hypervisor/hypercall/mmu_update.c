/* SPDX-License-Identifier: MIT */
/* mmu_update: checked writes of page-table entries, and of the M2P. ABI: <xen/xen.h>. */

#include <hypercall/mmu.h>
#include <pv/pagetable.h>

static int machphys_update(struct domain *pg_owner, mfn_t m, u64 pfn)
{
	return domain_set_pfn(pg_owner, m, pfn) ? 0 : -EINVAL;
}

/* The level-1 table that the update before was in, referenced, or MFN_INVALID: a kernel changes neighbours. */
struct held_table {
	struct domain *owner;
	mfn_t m;
};

static void drop(const struct held_table *h)
{
	if (!mfn_eq(h->m, MFN_INVALID))
		pt_put_l1_table(h->owner, h->m);
}

/* No other update finds a reference of ours in its way. */
static void hold(struct held_table *h, mfn_t m)
{
	drop(h);
	h->m = frame_get_type_again(m, h->owner->id, FRAME_L1) ? m : MFN_INVALID;
}

static int one_update(struct held_table *held, struct domain *pg_owner, const mmu_update_t *req)
{
	mfn_t m = paddr_to_mfn(paddr(req->ptr));
	unsigned index = (unsigned)(req->ptr & ~PAGE_MASK) / sizeof(pte_t), cmd = req->ptr & (sizeof(pte_t) - 1);
	unsigned flags = cmd == MMU_PT_UPDATE_PRESERVE_AD ? PT_PRESERVE_AD : 0;

	if (cmd == MMU_MACHPHYS_UPDATE)
		return machphys_update(pg_owner, m, req->val);
	if (cmd > MMU_PT_UPDATE_NO_TRANSLATE)
		return -ENOSYS;
	if (!mfn_eq(m, held->m))
		hold(held, m);
	if (mfn_eq(m, held->m))
		return pt_update_l1(held->owner, pg_owner, m, index, (pte_t){ req->val }, flags, NULL);
	return pt_update(held->owner, pg_owner, m, index, (pte_t){ req->val }, flags, NULL);
}

/* The high half of the foreign-domain argument: 0 the caller's own page tables, else a domain id + 1. */
static int get_table_owner(u64 foreigndom, struct domain **out)
{
	u32 x = (u32)foreigndom >> 16;

	if (x == 0 || x - 1 == current->domain->id) {
		*out = current->domain;
		return 0;
	}
	if (x - 1 >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	return mmu_get_owner((u16)(x - 1), out);
}

/* Updates copied in at a time. */
#define CHUNK	16

/*
 * Copy in updates from number i on; how many, at least one, or -EFAULT. Where the array ends in an unmapped page, its last
 * ones come singly.
 */
static int fetch(const struct mmu_batch *b, u32 i, mmu_update_t *req)
{
	const mmu_update_t *from = (const mmu_update_t *)b->uops + i;
	u32 n = min(b->count - i, (u32)CHUNK);

	if (!copy_from_guest(req, from, n * sizeof(*req)))
		return (int)n;
	return copy_from_guest(req, from, sizeof(*req)) ? -EFAULT : 1;
}

static long run_updates(struct held_table *held, struct domain *pg_owner, const struct mmu_batch *b, u32 *done)
{
	mmu_update_t req[CHUNK];

	while (*done < b->count) {
		int n;

		if (*done && hypercall_preempt_check())
			return -ERESTART;
		n = fetch(b, *done, req);
		if (n < 0)
			return n;
		for (int i = 0; i < n; i++, ++*done) {
			long rc = one_update(held, pg_owner, &req[i]);

			if (rc)
				return rc;
		}
	}
	return 0;
}

static long run_batch(struct domain *pt_owner, struct domain *pg_owner, const struct mmu_batch *b, u32 *done)
{
	struct held_table held = { pt_owner, MFN_INVALID };
	long rc = run_updates(&held, pg_owner, b, done);

	drop(&held);
	return rc ? rc : pt_finish(pt_owner);
}

HYPERCALL(do_mmu_update)
{
	struct domain *pt_owner, *pg_owner;
	struct mmu_batch b;
	u32 done = 0;
	long rc = mmu_batch_begin(&b, a1, a2, a3, a4);

	if (rc)
		return rc;
	rc = get_table_owner(a4, &pt_owner);
	if (rc)
		return rc;
	rc = mmu_get_owner((u16)a4, &pg_owner);
	if (!rc) {
		rc = run_batch(pt_owner, pg_owner, &b, &done);
		mmu_put_owner(pg_owner);
	}
	mmu_put_owner(pt_owner);
	return mmu_batch_end(&b, done, rc, __HYPERVISOR_mmu_update, sizeof(mmu_update_t));
}
