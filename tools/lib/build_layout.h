/* SPDX-License-Identifier: MIT */
/* Where everything lies in a new PV guest, and its first page tables. No hypervisor needed. Private to build*.c. */
#ifndef TOOLS_LIB_BUILD_LAYOUT_H
#define TOOLS_LIB_BUILD_LAYOUT_H

#include <lib/xennote.h>

/*
 * Virtual, from the base that the kernel's notes give (it maps pseudo-physical 0):
 *   kernel | RAM disk, unless it may stay unmapped | p2m, unless it has its own address | start_info | store ring | console ring |
 *   page tables | stack | padding to 4 MiB, as far as there is memory
 * Pseudo-physical behind that: the RAM disk and the p2m, when they are not in the first mapping; the p2m's page tables behind it.
 * (ABI: the bootstrap layout described at struct start_info in <xen/xen.h>.)
 */
struct build_layout {
	struct xennote note;
	struct xennote_layout k;
	u64 pages;			/* of the guest */
	u64 needed;			/* pages that it takes at least; all the rest is good only if there are as many */
	u64 ramdisk_va, ramdisk_pfn, ramdisk_pages;	/* va 0: not mapped; pages 0: none */
	u64 p2m_va, p2m_pfn, p2m_pages;	/* the list itself */
	u64 p2m_tables;			/* page tables behind it, if it has its own address */
	u64 info_va, store_va, console_va, pt_va, stack_va, end_va;
	u64 pt_pages;
};

static inline u64 build_pfn(const struct build_layout *l, u64 va)
{
	return PFN_DOWN(va - l->k.base);
}

/* Read the kernel's notes. NULL, or a message to follow "kernel PATH: ". */
const char *build_read_notes(struct build_layout *l, const struct elf *elf);
/* Place everything. NULL, or a message. Whether needed <= pages is the caller's question. */
const char *build_plan(struct build_layout *l, u64 pages, u64 ramdisk_size);

/*
 * All page tables: pt_pages, then p2m_tables, each a page of entries. p2m: machine frame of each of the guest's pages. tables is
 * zeroed.
 */
void build_tables(const struct build_layout *l, const u64 *p2m, u64 (*tables)[512]);

#endif
