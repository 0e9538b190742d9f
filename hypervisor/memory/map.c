/* SPDX-License-Identifier: MIT */
/* The hypervisor's page tables. */

/*
 * hyp_l4 and everything below it is guarded by map_lock. All address spaces share the level-3 tables of the hypervisor's
 * slots, so a mapping made here is at once visible everywhere; page-table pages are therefore never freed, and level-4
 * entries never change once guests exist.
 */

#include <core/panic.h>
#include <core/spinlock.h>
#include <lib/errno.h>
#include <lib/rangeset.h>
#include <lib/string.h>
#include <memory/early.h>
#include <memory/heap.h>
#include <memory/map.h>
#include <memory/tlbflush.h>
#include <memory/xmalloc.h>
#include <x86/cpuid.h>

pte_t *hyp_l4;
static DEFINE_SPINLOCK(map_lock, LOCK_IOMAP);

static DEFINE_SPINLOCK(iomap_lock, LOCK_RANGESET);
static struct rangeset iomap_free;	/* unused page numbers of the I/O area (iomap_lock) */

void map_fill_hyp_slots(pte_t *l4)
{
	for (unsigned i = HYP_SLOT_FIRST; i <= HYP_SLOT_LAST; i++)
		l4[i] = i == HYP_SLOT_PERDOMAIN ? (pte_t){ 0 } : hyp_l4[i];
}

static pte_t *new_table(void)
{
	pte_t *t = early_memory() ? early_alloc(PAGE_SIZE, PAGE_SIZE) : alloc_page();

	if (t)
		memset(t, 0, PAGE_SIZE);
	return t;
}

/* The guest-readable window needs the user bit on every level; its last-level entries alone decide. */
static u64 table_flags(u64 va)
{
	return PTE_HYP_TABLE | (PT_INDEX(va, 4) == PT_INDEX(M2P_GUEST_START, 4) ? PTE_US : 0);
}

/* The entry for va at a level, making tables on the way if asked to; NULL without memory or table. */
static pte_t *entry_of(u64 va, unsigned level, bool make)
{
	pte_t *e = &hyp_l4[PT_INDEX(va, 4)];

	for (unsigned l = 4; l > level; l--) {
		if (!pte_present(*e)) {
			pte_t *t = make ? new_table() : NULL;

			if (!t)
				return NULL;
			WRITE_ONCE(e->v, pte_make(virt_to_mfn(t), table_flags(va)).v);
		}
		BUG_ON(l < 4 && e->v & PTE_PSE);	/* large pages are for good */
		e = (pte_t *)mfn_to_virt(pte_mfn(*e)) + PT_INDEX(va, l - 1);
	}
	return e;
}

/* The largest page level that fits here. */
static unsigned fitting_level(u64 va, mfn_t m, u64 n)
{
	if (IS_ALIGNED(va, GiB(1)) && IS_ALIGNED(m.v, BIT(18)) && n >= BIT(18) && cpu_has(FEAT_PAGE1GB))
		return 3;
	return IS_ALIGNED(va, MiB(2)) && IS_ALIGNED(m.v, BIT(9)) && n >= BIT(9) ? 2 : 1;
}

int map_pages(u64 va, mfn_t m, u64 n, u64 flags)
{
	int rc = 0;

	spin_lock(&map_lock);
	while (n && !rc) {
		unsigned level = fitting_level(va, m, n);
		pte_t *e = entry_of(va, level, true);

		/* A table from an earlier mapping of this place stays: fill it. */
		while (e && level > 1 && pte_present(*e) && !(e->v & PTE_PSE))
			e = entry_of(va, --level, true);
		if (e) {
			u64 pages = 1UL << (9 * (level - 1));

			WRITE_ONCE(e->v, pte_make(m, flags | (level > 1 ? PTE_PSE : 0)).v);
			va += pages << PAGE_SHIFT;
			m.v += pages;
			n -= pages;
		} else {
			rc = -ENOMEM;
		}
	}
	spin_unlock(&map_lock);
	return rc;
}

void map_repeat(u64 va, mfn_t m, u64 flags)
{
	static pte_t *table;
	pte_t *e = entry_of(va, 2, true);

	if (!table) {
		table = new_table();
		for (unsigned i = 0; table && i < PT_ENTRIES; i++)
			table[i] = pte_make(m, flags);
	}
	if (!e || !table)
		panic("no memory for page tables");
	*e = pte_make(virt_to_mfn(table), table_flags(va));
}

mfn_t map_lookup(u64 va)
{
	pte_t e = hyp_l4[PT_INDEX(va, 4)];

	for (unsigned l = 3; pte_present(e); l--) {
		e = ((pte_t *)mfn_to_virt(pte_mfn(e)))[PT_INDEX(va, l)];
		if (pte_present(e) && (l == 1 || e.v & PTE_PSE))
			return mfn_add(pte_mfn(e), PFN_DOWN(va & (BIT(PT_SHIFT(l)) - 1)));
	}
	return mfn(0);
}

void unmap_pages(u64 va, u64 n)
{
	spin_lock(&map_lock);
	for (; n; n--, va += PAGE_SIZE) {
		pte_t *e = entry_of(va, 1, false);

		if (e)
			WRITE_ONCE(e->v, 0);
	}
	spin_unlock(&map_lock);
	tlb_flush_mask(&cpu_online);
}

/* Find n free pages of address space. 0 when there are none. */
static u64 iomap_reserve(u64 n)
{
	u64 first = 0, last = 0, va = 0;

	spin_lock(&iomap_lock);
	if (!iomap_free.alloc) {
		rangeset_init(&iomap_free, &xmalloc_allocator);
		if (rangeset_add(&iomap_free, PFN_DOWN(IOMAP_START), PFN_DOWN(IOMAP_END) - 1))
			iomap_free.alloc = NULL;
	}
	if (iomap_free.alloc) {
		rangeset_for_each(&iomap_free, first, last)
			if (last - first >= n - 1)
				break;
		if (last - first >= n - 1 && rangeset_contains(&iomap_free, first, first + n - 1) &&
		    !rangeset_remove(&iomap_free, first, first + n - 1))
			va = first << PAGE_SHIFT;
	}
	spin_unlock(&iomap_lock);
	return va;
}

static void iomap_unreserve(u64 va, u64 n)
{
	/* Without memory to note it, the address space is lost; there is plenty. */
	spin_lock(&iomap_lock);
	if (rangeset_add(&iomap_free, PFN_DOWN(va), PFN_DOWN(va) + n - 1))
		WARN_ON(true);
	spin_unlock(&iomap_lock);
}

void *ioremap(paddr_t p, size_t len)
{
	u64 first = PFN_DOWN(p.v), n = PFN_UP(p.v + len) - first, va;

	if (!len || p.v + len < p.v)
		return NULL;
	va = iomap_reserve(n);
	if (!va)
		return NULL;
	/* Page by page, so that iounmap() can take it apart. */
	for (u64 i = 0; i < n; i++) {
		if (map_pages(va + i * PAGE_SIZE, mfn(first + i), 1, PTE_HYP_UC)) {
			unmap_pages(va, i);
			iomap_unreserve(va, n);
			return NULL;
		}
	}
	return (char *)va + (p.v & ~PAGE_MASK);
}

void iounmap(void *va, size_t len)
{
	u64 first = (u64)va & PAGE_MASK, n = PFN_UP((u64)va + len) - PFN_DOWN(first);

	unmap_pages(first, n);
	iomap_unreserve(first, n);
}
