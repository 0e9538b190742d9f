/* SPDX-License-Identifier: MIT */
/* Pages and page tables: all pseudo-physical memory (up to MAP_LIMIT) is mapped at VIRT_BASE. */
#ifndef GUEST_MEMORY_H
#define GUEST_MEMORY_H

#include "lib/hypercall.h"
#include "lib/types.h"

#define PTE_P 0x1ul
#define PTE_W 0x2ul
#define PTE_U 0x4ul
#define PTE_PWT 0x8ul
#define PTE_PCD 0x10ul
#define PTE_A 0x20ul
#define PTE_D 0x40ul
#define PTE_PSE 0x80ul
#define PTE_G 0x100ul
#define PTE_PAT_LARGE 0x1000ul
#define PTE_NX (1ul << 63)
#define PTE_MFN_MASK 0x000ffffffffff000ul
#define PTE_FLAGS_MASK (~PTE_MFN_MASK)

#define PTE_TABLE (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)
#define PTE_RW (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)
#define PTE_RO (PTE_P | PTE_U | PTE_A | PTE_D)

/* Guest addresses for tests that want their own tables: an otherwise empty top-level slot. */
#define SCRATCH_VA 0xffff900000000000ul
/* Addresses that belong to the hypervisor: readable machine-to-physical table, and the inside. */
#define XEN_VA_M2P 0xffff800000000000ul
#define XEN_VA_INSIDE 0xffff830000000000ul
#define NONCANONICAL 0x8000000000000000ul

#define MAP_LIMIT_PAGES 16384ul

#define MAKE_PTE(mfn, flags) (((u64)(mfn) << PAGE_SHIFT) | (flags))

/* The frame that an entry names; the hypervisor may keep marks of its own in bits 52 to 62. */
static inline u64 pte_mfn(u64 pte)
{
	return (pte & PTE_MFN_MASK) >> PAGE_SHIFT;
}

static inline unsigned pt_index(u64 va, int level)
{
	return (unsigned)(va >> (PAGE_SHIFT + 9 * (level - 1))) & 511;
}

void memory_init(void);
extern struct shared_info *shared_info;
extern start_info_t *start_info;

/* Is this Domain 0's place? A test kernel may run as an ordinary domain, too (domu.c), where some things are refused. */
static inline bool privileged(void)
{
	return start_info->flags & SIF_PRIVILEGED;
}

/* Our domain id: 0, or what "domid=" on the command line says. */
u32 own_id(void);

/* Pages that the runtime may use and has mapped: number of pseudo-physical frames. */
u64 memory_pages(void);

/* A zeroed, writable page; never NULL (the kernel dies when memory runs out). page_free takes it back, writable again. */
void *page_alloc(void);
void page_free(void *page);
/* As page_alloc, 2^order pages consecutive in pseudo-physical memory, from the part that page_alloc has not used. */
void *pages_alloc(unsigned order);

u64 virt_to_pfn(const void *va);
u64 virt_to_mfn(const void *va);
u64 virt_to_maddr(const void *va);
u64 pfn_to_mfn(u64 pfn);
u64 mfn_to_pfn(u64 mfn);
void *mfn_to_virt(u64 mfn);
/* Records in the p2m that pfn is now backed by mfn. */
void set_p2m(u64 pfn, u64 mfn);

/* The entry that maps va at level 1…4 in the running kernel page table, through the linear map; NULL if there is none. */
u64 *pt_walk(u64 va, int level);
u64 *current_l4(void);

/* A zeroed page that is mapped read-only, fit to become a page table; table_free makes it an ordinary page again. */
u64 *table_alloc(void);
void table_free(u64 *table);
/* Writes table[index] by mmu_update; 0 or -errno. */
int table_set(u64 *table, unsigned index, u64 value);

/* mmu_update of one entry: maddr may carry the MMU_* command in its low bits. */
int mmu_update(u64 maddr, u64 value);
int mmu_update_foreign(u64 maddr, u64 value, u32 domain);
/* One mmuext_op: arg1 is an mfn or linear address, arg2 a count, mfn or pointer. */
int mmuext(unsigned cmd, u64 arg1, u64 arg2);
/* update_va_mapping with a local invlpg. */
int map_va(u64 va, u64 pte);
/* As map_va, after making the tables that va needs. */
int map_new(u64 va, u64 pte);
/* Makes the linear mapping of a page read-only or writable; 0 or -errno. */
int page_protect(const void *page, bool writable);

#endif
