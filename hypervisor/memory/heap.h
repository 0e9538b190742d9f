/* SPDX-License-Identifier: MIT */
/*
 * The machine's memory: a buddy allocator over the frame table, and the two ways of using it: for the hypervisor
 * itself, and for a domain.
 */
#ifndef MEMORY_HEAP_H
#define MEMORY_HEAP_H

#include <memory/frame.h>
#include <xen/xen.h>

#define HEAP_MAX_ORDER	18	/* 1 GiB */
/* Word of a frame that the hypervisor uses. */
#define HEAP_HYP_WORD	((u64)DOMID_XEN << FRAME_OWNER_SHIFT | FRAME_ALLOCATED | 1)

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
/*
 * The same for n > 0 contiguous frames of any number, on no particular boundary: slow, for large buffers at boot. What alloc_pages() would round
 * up is what a small machine does not have.
 */
void *alloc_run(u64 n);
void free_run(void *va, u64 n);
static inline void *alloc_page(void) { return alloc_pages(0); }
static inline void free_page(void *va) { free_pages(va, 0); }

enum {
	/* Contents may be anything, also another domain's: only when the caller overwrites all of it, or the owner is privileged at boot. */
	MEMF_NO_ZERO = 1,
	MEMF_NO_ACCOUNT = 2,	/* do not check d->max_pages */
};
/*
 * 2^order contiguous frames owned by d, each with FRAME_ALLOCATED and one reference, zeroed, no type, machine address
 * below 2^addr_bits (0: no limit). MFN_INVALID when the machine or the domain's limit (d->max_pages) has none left.
 */
mfn_t domain_alloc_frames(struct domain *d, unsigned order, unsigned addr_bits, unsigned flags);
/* Set memory aside until d has `pages` pages in all; 0: no longer. 0, -ENOMEM, -EINVAL beyond its limit, or dying. */
int __must_check domain_claim(struct domain *d, u64 pages);
/*
 * Give a frame a new owner. Steal: the caller has one reference (get_frame), and FRAME_ALLOCATED has the only other, there
 * is no type: the frame leaves d's account and belongs to DOMID_XEN with the caller's reference only (put_frame would free
 * it). -EINVAL not d's, -EBUSY otherwise in use. Assign: a stolen frame becomes d's, with FRAME_ALLOCATED, and the
 * caller's reference is gone. -ENOMEM d is at its limit or there is no memory, -EINVAL dying.
 */
int __must_check domain_steal_frame(struct domain *d, mfn_t m);
int __must_check domain_assign_frame(struct domain *d, mfn_t m);
/* The same without regard to d's limit: in place of a frame that was stolen from d. */
int __must_check domain_replace_frame(struct domain *d, mfn_t m);
/*
 * Enter pfn in the machine-to-phys table for a frame of d. False, with nothing done, when it is not d's: a guest that is told of a frame, or
 * guesses it, can give it up at any time, and then the entry is its new owner's.
 */
bool domain_set_pfn(const struct domain *d, mfn_t m, u64 pfn);
/*
 * Show a hypervisor page (from alloc_page_zeroed) to d: FRAME_SHARED with owner d; a writable one carries a FRAME_WRITABLE
 * type so that it can never become a page table; a read-only one refuses writable mappings.
 */
void share_page_with_domain(void *va, struct domain *d, bool writable);
/* Undo it: fails with -EBUSY while the guest still has it mapped. */
int __must_check unshare_page(void *va);
/*
 * Undo it and free the page: at once, or when the last mapping of it goes. The caller must not touch it any more. A page
 * that was never shared is just freed.
 */
void unshare_free_page(void *va);

/*
 * The allocator itself, for domain/frames.c: 2^order frames below 2^addr_bits (0: anywhere) whose words become `word` and
 * of which no CPU has a translation left; contents undefined. MFN_INVALID when there are none. Interrupts on, no lock of
 * level >= LOCK_HEAP.
 */
mfn_t heap_alloc(unsigned order, unsigned addr_bits, u64 word);
void heap_free(mfn_t m, unsigned order);
/*
 * Claims: pages set aside before they are allocated. A claim is a counter of the caller's that the heap guards. heap_claim() makes it
 * `pages` more pages from now on: 0, or -ENOMEM with no change when so many are not free and unclaimed. heap_alloc_claimed() allocates
 * only what nobody else has claimed, and takes it off *claim. The hypervisor's own needs, which are small, are not held to claims.
 */
int __must_check heap_claim(u64 *claim, u64 pages);
mfn_t heap_alloc_claimed(unsigned order, unsigned addr_bits, u64 word, u64 *claim);
u64 heap_claimed_pages(void);

/* Free frames now, and the machine's total, in pages. */
u64 heap_free_pages(void);
u64 heap_total_pages(void);
/* Print the heap: debug key 'm'. */
void heap_dump(void);

/* Boot: hand a range of RAM to the heap; it need not be clean. */
void heap_add_range(paddr_t start, paddr_t end);

/*
 * Visit every frame that d owns (shared hypervisor pages excepted) and whose word has the bit `with` (FRAME_PINNED …; 0: all), in ascending order,
 * until fn returns non-zero (returned) or the end (0). fn is called with a reference held and no lock. *cursor (start at 0) makes it
 * resumable: the frame at which fn returned non-zero is visited again. With a bit, which may be rare, it also returns -ERESTART, when
 * something else waits for the CPU.
 */
int domain_for_each_frame(struct domain *d, u64 with, u64 *cursor, int (*fn)(struct domain *d, mfn_t m, void *arg), void *arg);

#endif
