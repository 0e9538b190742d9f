/* SPDX-License-Identifier: MIT */
/* Where everything lies in a new PV guest. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/features.h>

#include <lib/build_layout.h>

#define ADDRESS_LIMIT	(1UL << 46)	/* bytes of virtual addresses: any sum of sizes below it is far from wrapping around */
#define STACK_ROOM	KiB(512)	/* the ABI's padding behind the last element */

const char *build_read_notes(struct build_layout *l, const struct elf *elf)
{
	const char *error = NULL;
	static _Thread_local char text[96];

	if (xennote_parse(&l->note, elf, &error) || xennote_pv_layout(&l->note, elf, &l->k, &error))
		return error;
	if (l->note.unknown_feature[0]) {
		snprintf(text, sizeof(text), "it needs the feature \"%s\", which is unknown", l->note.unknown_feature);
		return text;
	}
	if (l->note.required_features >> XENFEAT_dom0 & 1)
		return "it runs as Domain 0 only";
	if (l->note.required_features >> XENFEAT_auto_translated_physmap & 1)
		return "it is not for paravirtual guests: type = \"pvh\" is what it needs";
	return NULL;
}

/* Page tables of one level (1: of the lowest) that [start, end) needs. */
static u64 tables_at(unsigned level, u64 start, u64 end)
{
	unsigned shift = 12 + 9 * level;

	return ((end - 1) >> shift) - (start >> shift) + 1;
}

static u64 tables_for(u64 start, u64 end)
{
	return tables_at(1, start, end) + tables_at(2, start, end) + tables_at(3, start, end);
}

/*
 * Page tables, stack and end depend on each other. The padding is given up where there is no memory: beyond the guest's first
 * `limit` pages.
 */
static void place_tables(struct build_layout *l, u64 limit)
{
	l->pt_pages = 1;
	for (;;) {
		u64 need;

		l->stack_va = l->pt_va + l->pt_pages * PAGE_SIZE;
		l->end_va = ALIGN_UP(l->stack_va + PAGE_SIZE + STACK_ROOM, MiB(4));
		if (build_pfn(l, l->end_va) > limit)
			l->end_va = max(l->k.base + limit * PAGE_SIZE, l->stack_va + PAGE_SIZE);
		need = 1 + tables_for(l->k.base, l->end_va);
		if (need <= l->pt_pages)
			return;
		l->pt_pages = need;
	}
}

/* May a guest use [start, end)? It neither wraps around, nor touches the hole, nor the hypervisor's part. */
static bool address_good(u64 start, u64 end)
{
	const u64 low_end = 1UL << 47;

	if (end <= start && end)
		return false;
	return (end && end <= low_end) || start >= HYPERVISOR_VIRT_END;
}

static const char *check_addresses(const struct build_layout *l)
{
	u64 list_end = l->p2m_va + l->p2m_pages * PAGE_SIZE;

	if (!address_good(l->k.base, l->end_va))
		return "its addresses (VIRT_BASE) are not those that a guest may use";
	if (!l->p2m_tables)
		return NULL;
	if (l->p2m_va % PAGE_SIZE || !address_good(l->p2m_va, list_end))
		return "its INIT_P2M address is not one that a guest may use";
	if ((l->p2m_va >> 39) <= ((l->end_va - 1) >> 39) && ((list_end - 1) >> 39) >= (l->k.base >> 39))
		return "its INIT_P2M address is too near to its image (within 512 GiB)";
	return NULL;
}

static const char *place(struct build_layout *l, u64 pages, u64 ramdisk_size)
{
	bool own_p2m = xennote_has(&l->note, XEN_ELFNOTE_INIT_P2M);
	u64 va = ALIGN_UP(l->k.end, PAGE_SIZE), pfn, behind = 0;

	if (va - l->k.base > ADDRESS_LIMIT || ramdisk_size > ADDRESS_LIMIT || pages > ADDRESS_LIMIT / PAGE_SIZE)
		return "it is too large";
	l->ramdisk_va = l->p2m_tables = 0;
	l->ramdisk_pages = PFN_UP(ramdisk_size);
	if (l->note.mod_start_pfn) {
		behind += l->ramdisk_pages;
	} else if (l->ramdisk_pages) {
		l->ramdisk_va = va;
		l->ramdisk_pfn = build_pfn(l, va);
		va += l->ramdisk_pages * PAGE_SIZE;
	}
	l->p2m_pages = PFN_UP(pages * sizeof(u64));
	if (own_p2m) {
		l->p2m_va = l->note.init_p2m;
		l->p2m_tables = tables_for(l->p2m_va, l->p2m_va + l->p2m_pages * PAGE_SIZE);
		behind += l->p2m_pages + l->p2m_tables;
	} else {
		l->p2m_va = va;
		l->p2m_pfn = build_pfn(l, va);
		va += l->p2m_pages * PAGE_SIZE;
	}
	l->info_va = va;
	l->store_va = va + PAGE_SIZE;
	l->console_va = va + 2 * PAGE_SIZE;
	l->pt_va = va + 3 * PAGE_SIZE;
	place_tables(l, pages > behind ? pages - behind : 0);
	l->needed = build_pfn(l, l->stack_va) + 1 + behind;

	pfn = build_pfn(l, l->end_va);
	if (l->ramdisk_pages && !l->ramdisk_va) {
		l->ramdisk_pfn = pfn;
		pfn += l->ramdisk_pages;
	}
	if (own_p2m)
		l->p2m_pfn = pfn;
	return check_addresses(l);
}

/* The p2m grows with the memory, so what is needed at least is found in steps. */
const char *build_plan(struct build_layout *l, u64 pages, u64 ramdisk_size)
{
	const char *error = place(l, pages, ramdisk_size);
	u64 enough = pages;

	while (!error && l->needed > enough) {
		enough = l->needed;
		error = place(l, enough, ramdisk_size);
		if (l->needed <= enough)
			l->needed = enough;
	}
	l->pages = pages;
	return error;
}

/* --- page tables --- */

#define PRESENT	0x001UL
#define WRITE	0x002UL
#define USER	0x004UL
#define ACCESSED 0x020UL
#define DIRTY	0x040UL
#define TABLE	(PRESENT | WRITE | USER | ACCESSED)
#define LEAF	(TABLE | DIRTY)

/* Machine frame of a table: pt_pages lie together, and p2m_tables elsewhere. */
static u64 table_frame(const struct build_layout *l, const u64 *p2m, u64 table)
{
	u64 pfn = table < l->pt_pages ? build_pfn(l, l->pt_va) + table : l->p2m_pfn + l->p2m_pages + table - l->pt_pages;

	return p2m[pfn];
}

/*
 * Map [start, end) to the pages from pfn on. The tables of each level lie one after the other from `first` on, those of level 3
 * first, so their entries for the range are one array, too.
 */
static void map_range(const struct build_layout *l, const u64 *p2m, u64 (*tables)[512], u64 first, u64 start, u64 end, u64 pfn)
{
	u64 *parents = tables[0], parent_slot = start >> 39 & 511;

	for (unsigned level = 3; level; level--) {
		u64 n = tables_at(level, start, end);

		for (u64 i = 0; i < n; i++)
			parents[parent_slot + i] = table_frame(l, p2m, first + i) << PAGE_SHIFT | TABLE;
		parents = tables[first];
		parent_slot = start >> (3 + 9 * level) & 511;
		first += n;
	}
	for (u64 i = 0; i < (end - start) >> PAGE_SHIFT; i++)
		parents[parent_slot + i] = p2m[pfn + i] << PAGE_SHIFT | LEAF;
}

/* The guest may read its page tables where they are mapped, and no more. Level 1 comes last. */
static void protect_tables(const struct build_layout *l, u64 (*tables)[512])
{
	u64 level1 = l->pt_pages - tables_at(1, l->k.base, l->end_va);
	u64 *entry = tables[level1] + (l->k.base >> PAGE_SHIFT & 511) + build_pfn(l, l->pt_va);

	for (u64 i = 0; i < l->pt_pages; i++)
		entry[i] &= ~WRITE;
}

void build_tables(const struct build_layout *l, const u64 *p2m, u64 (*tables)[512])
{
	map_range(l, p2m, tables, 1, l->k.base, l->end_va, 0);
	protect_tables(l, tables);
	if (l->p2m_tables)
		map_range(l, p2m, tables, l->pt_pages, l->p2m_va, l->p2m_va + l->p2m_pages * PAGE_SIZE, l->p2m_pfn);
}
