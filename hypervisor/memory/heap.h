/* SPDX-License-Identifier: MIT */
/*
 * The machine's memory: a buddy allocator over the frame table, and the two ways of using it: for the hypervisor
 * itself, and for a domain.
 */
#ifndef MEMORY_HEAP_H
#define MEMORY_HEAP_H

#include <memory/frame.h>

#define HEAP_MAX_ORDER	18	/* 1 GiB */

struct domain;

static inline void *mfn_to_virt(mfn_t m) { return (void *)(DIRECTMAP_START + (m.v << PAGE_SHIFT)); }
static inline void *paddr_to_virt(paddr_t p) { return (void *)(DIRECTMAP_START + p.v); }
/* Of a direct-map or image address. */
mfn_t virt_to_mfn(const void *va);
paddr_t virt_to_paddr(const void *va);

/*
 * 2^order contiguous frames for the hypervisor, through the direct map. Contents undefined (alloc_page_zeroed: zero).
 * NULL when there is none. Any context without locks of level >= LOCK_HEAP.
 */
void *alloc_pages(unsigned order);
void *alloc_page_zeroed(void);
void free_pages(void *va, unsigned order);
static inline void *alloc_page(void) { return alloc_pages(0); }
static inline void free_page(void *va) { free_pages(va, 0); }

enum {
	MEMF_NO_ZERO = 1,	/* contents may be anything, also another domain's: only when the caller overwrites all of it, or the owner is privileged at boot */
	MEMF_NO_ACCOUNT = 2,	/* do not count towards or check d->max_pages */
};
/*
 * 2^order contiguous frames owned by d, each with FRAME_ALLOCATED and one reference, zeroed, no type, machine address
 * below 2^addr_bits (0: no limit). MFN_INVALID when the machine or the domain's limit (d->max_pages) has none left.
 */
mfn_t domain_alloc_frames(struct domain *d, unsigned order, unsigned addr_bits, unsigned flags);
/* Exchange support: give frames (owner d, only the caller's references left) a new owner. */
int __must_check domain_steal_frame(struct domain *d, mfn_t m);
int __must_check domain_assign_frame(struct domain *d, mfn_t m);
/*
 * Show a hypervisor page (from alloc_page_zeroed) to d: FRAME_SHARED with owner d; a writable one carries a FRAME_WRITABLE type so that
 * it can never become a page table; a read-only one refuses writable mappings.
 */
void share_page_with_domain(void *va, struct domain *d, bool writable);
/* Undo it: fails with -EBUSY while the guest still has it mapped. */
int __must_check unshare_page(void *va);

/* Free frames now, and the machine's total, in pages. */
u64 heap_free_pages(void);
u64 heap_total_pages(void);
/* Print the heap: debug key 'm'. */
void heap_dump(void);

/* Boot: hand a range of RAM to the heap; it need not be clean. */
void heap_add_range(paddr_t start, paddr_t end);

/* Visit every frame that d owns, in no particular order, until fn returns non-zero (returned) or the end (0). *cursor (start at 0) makes it resumable. */
int domain_for_each_frame(struct domain *d, u64 *cursor, int (*fn)(struct domain *d, mfn_t m, void *arg), void *arg);

#endif
