/* SPDX-License-Identifier: MIT */
/* The hypervisor's own page tables: making mappings in the slots of x86/layout.h. */
#ifndef MEMORY_MAP_H
#define MEMORY_MAP_H

#include <x86/pte.h>

/* Level-4 table of the hypervisor itself (idle vCPUs run on it). */
extern pte_t *hyp_l4;
/* The hypervisor's slots (except the per-domain one), to be copied into each new level-4 page. */
void map_fill_hyp_slots(pte_t *l4);

/*
 * Map [va, va + n pages) to m… with flags (PTE_HYP_*), using large pages where alignment allows; those cannot be taken
 * apart again. 0 or -ENOMEM. New mappings over old ones need a flush by the caller.
 */
int __must_check map_pages(u64 va, mfn_t m, u64 n, u64 flags);
/* Remove 4 KiB mappings; page-table pages stay. Flushes all CPUs. */
void unmap_pages(u64 va, u64 n);
/*
 * Map the 2 MiB at va, all 512 pages of it, to one frame. All callers must mean the same frame and flags: the table is
 * shared. Boot; panics without memory.
 */
void map_repeat(u64 va, mfn_t m, u64 flags);
/* The frame behind a hypervisor address outside the direct map, mfn 0 when there is none. */
mfn_t map_lookup(u64 va);
/* Map device memory uncached for good. paddr need not be aligned. NULL on failure. Boot and PCI set-up. */
void *ioremap(paddr_t p, size_t len);
/* Give an ioremap() back. */
void iounmap(void *va, size_t len);

#endif
