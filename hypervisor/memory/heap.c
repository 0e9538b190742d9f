/* SPDX-License-Identifier: MIT */
/* The heap: a buddy allocator whose only per-frame state is the frame table. */

/*
 * A free block of 2^order frames starts at a multiple of its size. Its first frame's word holds order + 1; its first bytes, reached
 * through the direct map, link it into the list of its zone and order. All words of free frames have owner DOMID_INVALID
 * and the TLB epoch at which the frame was freed.
 *
 * Zone z holds the frames numbered 2^z .. 2^(z+1)-1. A block never crosses zones (frame 0 is never in the heap), and
 * memory below a power of two is exactly the lower zones. Allocation takes the highest zone it may, to keep low memory for
 * devices that need it.
 *
 * No TLB can have a writable translation of a frame when it is freed, since the lists are in the frames (frame.c, frames.c see to it).
 * Read-only ones are flushed when it is allocated, and only on CPUs that have not flushed since.
 *
 * Everything is guarded by heap_lock, except the words of frames that are allocated.
 */

#include <core/console.h>
#include <core/panic.h>
#include <core/spinlock.h>
#include <lib/errno.h>
#include <lib/list.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <memory/m2p.h>
#include <memory/tlbflush.h>
#include <x86/pte.h>

#define ZONES		40	/* 52-bit machine addresses */
#define ORDERS		(HEAP_MAX_ORDER + 1)

#define OWN_RESERVE	128	/* pages that cannot be claimed: for what the hypervisor keeps about the domains to be built */
#define FREE_FRAME	((u64)DOMID_INVALID << FRAME_OWNER_SHIFT)

/* At the start of each free block. */
struct free_block { struct list node; };

static DEFINE_SPINLOCK(heap_lock, LOCK_HEAP);
static struct list free_lists[ZONES][ORDERS];
static u32 free_orders[ZONES];		/* bit o: free_lists[z][o] is not empty */
static u64 free_pages_count, total_pages;
static u64 claimed_pages;		/* sum of all claims: never more than free_pages_count minus what the hypervisor took since */
static bool lists_ready;

mfn_t virt_to_mfn(const void *va)
{
	return paddr_to_mfn(virt_to_paddr(va));
}

paddr_t virt_to_paddr(const void *va)
{
	u64 a = (u64)va;

	if (a >= DIRECTMAP_START && a < DIRECTMAP_END)
		return paddr(a - DIRECTMAP_START);
	BUG_ON(a < IMAGE_START || a >= DIRECTMAP_START);
	return paddr(a - IMAGE_START + IMAGE_PHYS);
}

static unsigned zone_of(mfn_t m)
{
	return 63 - (unsigned)__builtin_clzl(m.v);
}

static struct free_block *block_at(mfn_t m)
{
	return mfn_to_virt(m);
}

static bool is_free_block(mfn_t m, unsigned order)
{
	frame_t f = frame_read(m);

	return frame_owner(f) == DOMID_INVALID && frame_count(f) == order + 1;
}

static void list_insert(mfn_t m, unsigned order)
{
	unsigned z = zone_of(m);

	frame_of(m)->v |= order + 1;
	list_add(&free_lists[z][order], &block_at(m)->node);
	free_orders[z] |= 1u << order;
}

static void list_remove(mfn_t m, unsigned order)
{
	unsigned z = zone_of(m);

	frame_of(m)->v &= ~FRAME_COUNT_MAX;
	list_del(&block_at(m)->node);
	if (list_empty(&free_lists[z][order]))
		free_orders[z] &= ~(1u << order);
}

/* All words of the block are FREE_FRAME plus epoch already. Heap lock held. */
static void insert_and_merge(mfn_t m, unsigned order)
{
	free_pages_count += 1UL << order;
	while (order < HEAP_MAX_ORDER) {
		mfn_t buddy = mfn(m.v ^ 1UL << order);

		/* Frame 0 is not in the heap, so merging never leaves the zone. */
		if (!is_free_block(buddy, order))
			break;
		list_remove(buddy, order);
		if (buddy.v < m.v)
			m = buddy;
		order++;
	}
	list_insert(m, order);
}

/* Take a block of 2^order frames below 2^addr_bits. Heap lock held. */
static mfn_t take_block(unsigned order, unsigned addr_bits)
{
	unsigned zones = ZONES;

	if (addr_bits && addr_bits < ZONES + PAGE_SHIFT)
		zones = addr_bits <= PAGE_SHIFT ? 0 : addr_bits - PAGE_SHIFT;
	for (unsigned z = zones; z-- > 0;) {
		u32 fits = free_orders[z] >> order;
		unsigned have;
		mfn_t m;

		if (!fits)
			continue;
		have = order + (unsigned)__builtin_ctz(fits);
		m = virt_to_mfn(free_lists[z][have].next);
		list_remove(m, have);
		free_pages_count -= 1UL << order;
		while (have > order) {
			have--;
			list_insert(mfn_add(m, 1UL << have), have);
		}
		return m;
	}
	return MFN_INVALID;
}

/* Left of what others have claimed: may n pages be taken? Heap lock held. */
static bool unclaimed(const u64 *claim, u64 n)
{
	u64 others = claimed_pages - *claim;

	return free_pages_count >= others && free_pages_count - others >= n;
}

/* Heap lock held. */
static void set_claim(u64 *claim, u64 pages)
{
	claimed_pages = claimed_pages - *claim + pages;
	*claim = pages;
}

int heap_claim(u64 *claim, u64 pages)
{
	int rc = 0;

	spin_lock(&heap_lock);
	if (pages > *claim && !unclaimed(claim, pages + OWN_RESERVE))
		rc = -ENOMEM;
	else
		set_claim(claim, pages);
	spin_unlock(&heap_lock);
	return rc;
}

u64 heap_claimed_pages(void)
{
	return READ_ONCE(claimed_pages);
}

static mfn_t take_claimed(unsigned order, unsigned addr_bits, u64 *claim)
{
	u64 n = 1UL << order;
	mfn_t m;

	if (claim && !unclaimed(claim, n))
		return MFN_INVALID;
	m = take_block(order, addr_bits);
	if (claim && *claim && !mfn_eq(m, MFN_INVALID))
		set_claim(claim, *claim - min(*claim, n));
	return m;
}

/* Make the words of n frames just taken `word`, and make sure that no CPU has a translation of them left. */
static void hand_out(mfn_t m, u64 n, u64 word)
{
	u16 now = tlb_epoch(), age = 0xffff;

	for (u64 i = 0; i < n; i++) {
		frame_t *f = frame_of(mfn_add(m, i));

		age = min(age, (u16)(now - frame_epoch(*f)));
		atomic_store(&f->v, word);
	}
	tlb_flush_since(&cpu_online, now - age);
}

mfn_t heap_alloc_claimed(unsigned order, unsigned addr_bits, u64 word, u64 *claim)
{
	mfn_t m;

	if (order > HEAP_MAX_ORDER)
		return MFN_INVALID;
	spin_lock(&heap_lock);
	m = take_claimed(order, addr_bits, claim);
	spin_unlock(&heap_lock);
	if (!mfn_eq(m, MFN_INVALID))
		hand_out(m, 1UL << order, word);
	return m;
}

mfn_t heap_alloc(unsigned order, unsigned addr_bits, u64 word)
{
	return heap_alloc_claimed(order, addr_bits, word, NULL);
}

void heap_free(mfn_t m, unsigned order)
{
	u64 word = FREE_FRAME | (u64)tlb_epoch() << FRAME_TCOUNT_SHIFT;

	for (u64 i = 0; i < 1UL << order; i++)
		atomic_store(&frame_of(mfn_add(m, i))->v, word);
	spin_lock(&heap_lock);
	insert_and_merge(m, order);
	spin_unlock(&heap_lock);
}

void *alloc_pages(unsigned order)
{
	mfn_t m = heap_alloc(order, 0, HEAP_HYP_WORD);

	return mfn_eq(m, MFN_INVALID) ? NULL : mfn_to_virt(m);
}

void *alloc_page_zeroed(void)
{
	void *va = alloc_pages(0);

	if (va)
		memset(va, 0, PAGE_SIZE);
	return va;
}

void free_pages(void *va, unsigned order)
{
	mfn_t m = virt_to_mfn(va);

	for (u64 i = 0; i < 1UL << order; i++)
		BUG_ON(frame_owner(frame_read(mfn_add(m, i))) != DOMID_XEN);
	heap_free(m, order);
}

/* Free [m, last) in blocks as large as they come. */
static void free_range(u64 m, u64 last)
{
	while (m < last) {
		unsigned order = min((unsigned)__builtin_ctzl(m), (unsigned)HEAP_MAX_ORDER);

		while (m + (1UL << order) > last)
			order--;
		heap_free(mfn(m), order);
		m += 1UL << order;
	}
}

/* Take the lowest free blocks that lie side by side and are n frames together. *end: behind the last one. Heap lock held. */
static mfn_t take_run(u64 n, u64 *end)
{
	u64 first = 1, m = 1;

	while (m < frame_table_end && m - first < n) {
		frame_t f = frame_read(mfn(m));

		if (frame_owner(f) == DOMID_INVALID && frame_count(f))
			m += 1UL << (frame_count(f) - 1);
		else
			first = ++m;
	}
	if (m - first < n)
		return MFN_INVALID;
	*end = m;
	for (m = first; m < *end;) {
		unsigned order = (unsigned)frame_count(frame_read(mfn(m))) - 1;

		list_remove(mfn(m), order);
		m += 1UL << order;
	}
	free_pages_count -= *end - first;
	return mfn(first);
}

void *alloc_run(u64 n)
{
	u64 end = 0;
	mfn_t m;

	spin_lock(&heap_lock);
	m = take_run(n, &end);
	spin_unlock(&heap_lock);
	if (mfn_eq(m, MFN_INVALID))
		return NULL;
	hand_out(m, end - m.v, HEAP_HYP_WORD);
	free_range(m.v + n, end);
	return mfn_to_virt(m);
}

void free_run(void *va, u64 n)
{
	mfn_t m = virt_to_mfn(va);

	free_range(m.v, m.v + n);
}

static void init_lists(void)
{
	for (unsigned z = 0; z < ZONES; z++)
		for (unsigned o = 0; o < ORDERS; o++)
			list_init(&free_lists[z][o]);
	lists_ready = true;
}

void heap_add_range(paddr_t start, paddr_t end)
{
	u64 m = PFN_UP(start.v), last = PFN_DOWN(end.v);

	if (!lists_ready)
		init_lists();
	if (m == 0)
		m = 1;
	if (last > m)
		total_pages += last - m;
	free_range(m, last);
}

u64 heap_free_pages(void)
{
	return READ_ONCE(free_pages_count);
}

u64 heap_total_pages(void)
{
	return total_pages;
}

void heap_dump(void)
{
	log_info("heap: %lu of %lu pages free\n", heap_free_pages(), heap_total_pages());
	for (unsigned z = 0; z < ZONES; z++) {
		u64 pages = 0;
		unsigned largest = 0;

		spin_lock(&heap_lock);
		for (unsigned o = 0; lists_ready && o < ORDERS; o++) {
			struct free_block *b;

			list_for_each_entry(b, &free_lists[z][o], node) {
				pages += 1UL << o;
				largest = o;
			}
		}
		spin_unlock(&heap_lock);
		if (pages)
			log_info("  below 2^%u: %lu pages, largest block order %u\n", z + 1 + PAGE_SHIFT, pages, largest);
	}
}
