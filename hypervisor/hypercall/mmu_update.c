/* SPDX-License-Identifier: MIT */
/* mmu_update: checked writes of page-table entries, and of the M2P. ABI: <xen/xen.h>. */

#include <hypercall/mmu.h>
#include <pv/pagetable.h>

static int machphys_update(struct domain *pg_owner, mfn_t m, u64 pfn)
{
	return domain_set_pfn(pg_owner, m, pfn) ? 0 : -EINVAL;
}

static int one_update(struct domain *pt_owner, struct domain *pg_owner, const mmu_update_t *req)
{
	mfn_t m = paddr_to_mfn(paddr(req->ptr));
	unsigned index = (unsigned)(req->ptr & ~PAGE_MASK) / sizeof(pte_t), cmd = req->ptr & (sizeof(pte_t) - 1);

	if (cmd == MMU_MACHPHYS_UPDATE)
		return machphys_update(pg_owner, m, req->val);
	if (cmd > MMU_PT_UPDATE_NO_TRANSLATE)
		return -ENOSYS;
	return pt_update(pt_owner, pg_owner, m, index, (pte_t){ req->val }, cmd == MMU_PT_UPDATE_PRESERVE_AD ? PT_PRESERVE_AD : 0, NULL);
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

static long run_batch(struct domain *pt_owner, struct domain *pg_owner, const struct mmu_batch *b, u32 *done)
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
			long rc = one_update(pt_owner, pg_owner, &req[i]);

			if (rc)
				return rc;
		}
	}
	return pt_finish(pt_owner);
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
