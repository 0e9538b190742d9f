/* SPDX-License-Identifier: MIT */
/* Pages and page tables: see memory.h. */
#include "lib/memory.h"
#include "lib/print.h"
#include "lib/test.h"

static u64 *l4;
static u64 *p2m;
static u64 next_pfn;		/* first page never handed out */
static u64 mapped_pfns;		/* pages below are in the linear map */
static void *free_list;

u32 own_id(void)
{
	u32 id = 0;

	const char *p = (const char *)start_info->cmd_line;

	while (*p && strncmp(p, "domid=", 6))
		p++;
	for (p += *p ? 6 : 0; *p >= '0' && *p <= '9'; p++)
		id = id * 10 + (u32)(*p - '0');
	return id;
}

u64 memory_pages(void)
{
	return mapped_pfns;
}

u64 virt_to_pfn(const void *va)
{
	return ((u64)va - VIRT_BASE) >> PAGE_SHIFT;
}

u64 pfn_to_mfn(u64 pfn)
{
	return p2m[pfn];
}

u64 virt_to_mfn(const void *va)
{
	return p2m[virt_to_pfn(va)];
}

u64 virt_to_maddr(const void *va)
{
	return (virt_to_mfn(va) << PAGE_SHIFT) | ((u64)va & (PAGE_SIZE - 1));
}

u64 mfn_to_pfn(u64 mfn)
{
	return machine_to_phys_mapping[mfn];
}

void *mfn_to_virt(u64 mfn)
{
	return (void *)(VIRT_BASE + (mfn_to_pfn(mfn) << PAGE_SHIFT));
}

void set_p2m(u64 pfn, u64 mfn)
{
	p2m[pfn] = mfn;
}

u64 *current_l4(void)
{
	return l4;
}

u64 *pt_walk(u64 va, int level)
{
	u64 *table = l4;

	for (int l = 4; l > level; l--) {
		u64 e = table[pt_index(va, l)];

		if (!(e & PTE_P) || (l < 4 && (e & PTE_PSE)))
			return NULL;
		table = mfn_to_virt((e & PTE_MFN_MASK) >> PAGE_SHIFT);
	}
	return &table[pt_index(va, level)];
}

int mmu_update_foreign(u64 maddr, u64 value, u32 domain)
{
	struct mmu_update u = { maddr, value };

	return (int)HCALL(mmu_update, &u, 1, NULL, domain);
}

int mmu_update(u64 maddr, u64 value)
{
	return mmu_update_foreign(maddr, value, DOMID_SELF);
}

int mmuext(unsigned cmd, u64 arg1, u64 arg2)
{
	struct mmuext_op op = { .cmd = cmd, .arg1.linear_addr = arg1, .arg2.src_mfn = arg2 };

	return (int)HCALL(mmuext_op, &op, 1, NULL, DOMID_SELF);
}

int map_va(u64 va, u64 pte)
{
	return (int)HCALL(update_va_mapping, va, pte, UVMF_INVLPG | UVMF_LOCAL);
}

int page_protect(const void *page, bool writable)
{
	u64 va = (u64)page & ~(PAGE_SIZE - 1);

	return (int)HCALL(update_va_mapping, va, MAKE_PTE(virt_to_mfn(page), writable ? PTE_RW : PTE_RO),
			  UVMF_INVLPG | UVMF_ALL);
}

void *page_alloc(void)
{
	void *page = free_list;

	if (page) {
		free_list = *(void **)page;
	} else {
		if (next_pfn >= mapped_pfns) {
			print("out of memory\n");
			test_die();
		}
		page = (void *)(VIRT_BASE + (next_pfn++ << PAGE_SHIFT));
	}
	memset(page, 0, PAGE_SIZE);
	return page;
}

void *pages_alloc(unsigned order)
{
	u64 n = 1ul << order, pfn = (next_pfn + n - 1) & ~(n - 1);

	if (pfn + n > mapped_pfns) {
		print("out of memory\n");
		test_die();
	}
	next_pfn = pfn + n;
	memset((void *)(VIRT_BASE + (pfn << PAGE_SHIFT)), 0, n << PAGE_SHIFT);
	return (void *)(VIRT_BASE + (pfn << PAGE_SHIFT));
}

void page_free(void *page)
{
	*(void **)page = free_list;
	free_list = page;
}

u64 *table_alloc(void)
{
	void *page = page_alloc();

	if (page_protect(page, false)) {
		print("table_alloc: page stays writable\n");
		test_die();
	}
	return page;
}

void table_free(u64 *table)
{
	int rc = page_protect(table, true);

	if (rc) {
		print("table_free: %d\n", rc);
		test_die();
	}
	page_free(table);
}

int table_set(u64 *table, unsigned index, u64 value)
{
	return mmu_update(virt_to_maddr(&table[index]), value);
}

int map_new(u64 va, u64 pte)
{
	for (int level = 4; level > 1; level--) {
		u64 *e = pt_walk(va, level);

		if (!(*e & PTE_P)) {
			int rc = mmu_update(virt_to_maddr(e), MAKE_PTE(virt_to_mfn(table_alloc()), PTE_TABLE));

			if (rc)
				return rc;
		}
	}
	return map_va(va, pte);
}

/* Extends the linear map of the domain builder to all memory, or MAP_LIMIT_PAGES of it. */
static void map_rest(u64 nr_pages)
{
	u64 limit = nr_pages < MAP_LIMIT_PAGES ? nr_pages : MAP_LIMIT_PAGES;

	/* Tables for the rest come from the part that is mapped. */
	for (mapped_pfns = next_pfn; mapped_pfns < limit; mapped_pfns++) {
		u64 va = VIRT_BASE + (mapped_pfns << PAGE_SHIFT);
		u64 *e = pt_walk(va, 1);
		int rc;

		if (e && (*e & PTE_P))
			continue;
		rc = map_new(va, MAKE_PTE(p2m[mapped_pfns], PTE_RW));
		if (rc) {
			print("cannot map page %lx: %d\n", mapped_pfns, rc);
			test_die();
		}
	}
}

static u64 max_end(u64 a, u64 start, u64 len)
{
	u64 end = start >= VIRT_BASE ? start + len : 0;

	return a > end ? a : end;
}

void memory_init(void)
{
	static char shared_window[PAGE_SIZE] __attribute__((aligned(4096)));
	extern char _end[];
	extern u64 boot_rsp;
	u64 end = (u64)_end;

	p2m = (u64 *)start_info->mfn_list;
	l4 = (u64 *)start_info->pt_base;
	end = max_end(end, start_info->mfn_list, start_info->nr_pages * 8);
	end = max_end(end, start_info->pt_base, start_info->nr_pt_frames * PAGE_SIZE);
	end = max_end(end, (u64)start_info, PAGE_SIZE);
	if (!(start_info->flags & SIF_MOD_START_PFN))
		end = max_end(end, start_info->mod_start, start_info->mod_len);
	end = max_end(end, boot_rsp, 0);
	next_pfn = (end - VIRT_BASE + PAGE_SIZE - 1) >> PAGE_SHIFT;

	/* The page that held the window's zeroes is lost from view, not from the domain. */
	if (map_va((u64)shared_window, start_info->shared_info | PTE_RW)) {
		print("cannot map shared_info\n");
		test_die();
	}
	shared_info = (struct shared_info *)shared_window;
	map_rest(start_info->nr_pages);
}

struct shared_info *shared_info;
