/* SPDX-License-Identifier: MIT */
/* Early memory, the frame table, the M2P, and the hand-over to the heap. */

/*
 * The frame table and the M2P have 8 bytes per frame: a 2 MiB page of each describes a gigabyte of machine addresses (a
 * chunk). A chunk has pages only if there is RAM in it. Where there is none, below the highest RAM, the frame table reads
 * as zero ("not RAM") by sharing one zero page; the M2P is not mapped there.
 *
 * Every frame of RAM has a word from the beginning: it belongs to DOMID_XEN until it is handed to the heap. So nothing
 * that is RAM can be mistaken for a device's memory.
 */

#include <core/console.h>
#include <core/e820.h>
#include <core/panic.h>
#include <lib/string.h>
#include <memory/early.h>
#include <memory/heap.h>
#include <memory/init.h>
#include <memory/m2p.h>
#include <memory/map.h>
#include <x86/cr.h>
#include <x86/pte.h>
#include <xen/xen.h>

#define CHUNK_FRAMES	(MiB(2) / sizeof(frame_t))
#define MAX_EARLY	160

/* Free RAM not given out yet. */
static struct ram_range early[MAX_EARLY];
static unsigned early_count;
static bool early_active;
static u64 early_taken;

bool early_memory(void)
{
	return early_active;
}

/* Take [start, end) out of range i; what is left of it stays, in one or two pieces. */
static void early_cut(unsigned i, u64 start, u64 end)
{
	paddr_t old_end = early[i].end;

	early[i].end = paddr(start);
	if (end < old_end.v) {
		if (early_count == MAX_EARLY)
			return;		/* the piece above is lost: pages, not safety */
		early[early_count++] = (struct ram_range){ paddr(end), old_end };
	}
}

/* Where an allocation in range i would start, 0 when it does not fit. */
static u64 early_fit(unsigned i, u64 bytes, u64 align)
{
	u64 end = min(early[i].end.v, GiB(4)), start = end < bytes ? 0 : ALIGN_DOWN(end - bytes, align);

	return start >= early[i].start.v ? start : 0;
}

void *early_alloc(u64 bytes, u64 align)
{
	unsigned best = 0;
	u64 at = 0;

	/* From the top, to keep low memory for devices, but in what the boot page tables map. */
	for (unsigned i = 0; i < early_count; i++) {
		u64 start = early_fit(i, bytes, align);

		if (start > at) {
			at = start;
			best = i;
		}
	}
	if (!at)
		panic("not enough memory below 4 GiB for the frame table (%lu KiB)", bytes >> 10);
	early_cut(best, at, at + bytes);
	early_taken += bytes;
	return paddr_to_virt(paddr(at));
}

static void must_map(u64 va, mfn_t m, u64 n, u64 flags)
{
	if (map_pages(va, m, n, flags))
		panic("no memory for page tables");
}

/* A level-3 table behind every slot that may ever be used, since level-4 entries are copied into guests' tables. */
static void make_level3_tables(u64 top)
{
	unsigned last = (unsigned)PT_INDEX(DIRECTMAP_START + top - 1, 4);

	for (unsigned i = HYP_SLOT_FIRST; i <= last; i++) {
		u64 user = i == HYP_SLOT_FIRST ? PTE_US : 0;
		void *l3;

		if (i == HYP_SLOT_PERDOMAIN || pte_present(hyp_l4[i]))
			continue;
		l3 = early_alloc(PAGE_SIZE, PAGE_SIZE);
		memset(l3, 0, PAGE_SIZE);
		hyp_l4[i] = pte_make(virt_to_mfn(l3), PTE_HYP_TABLE | user);
	}
}

static void map_high_ram(void)
{
	const struct e820entry *map;
	unsigned n = e820_get(&map);

	for (unsigned i = 0; i < n; i++) {
		u64 start = max(ALIGN_UP(map[i].addr, PAGE_SIZE), GiB(4)), end = ALIGN_DOWN(map[i].addr + map[i].size, PAGE_SIZE);

		if (map[i].type == E820_RAM && start < end)
			must_map(DIRECTMAP_START + start, paddr_to_mfn(paddr(start)), (end - start) >> PAGE_SHIFT, PTE_HYP_RW);
	}
}

/* The next range of RAM frames from 1 MiB up, as the firmware sees it. False at the end. */
static bool next_ram(unsigned *i, u64 *first, u64 *last)
{
	const struct e820entry *map;
	unsigned n = e820_get(&map);

	for (; *i < n; (*i)++) {
		*first = PFN_UP(max(map[*i].addr, MiB(1)));
		*last = PFN_DOWN(map[*i].addr + map[*i].size);
		if (map[*i].type == E820_RAM && *first < *last) {
			(*i)++;
			return true;
		}
	}
	return false;
}

static bool chunk_has_ram(u64 chunk)
{
	u64 first, last;

	for (unsigned i = 0; next_ram(&i, &first, &last);)
		if (first < (chunk + 1) * CHUNK_FRAMES && last > chunk * CHUNK_FRAMES)
			return true;
	return false;
}

static void map_chunk(u64 chunk)
{
	void *frames = early_alloc(MiB(2), MiB(2)), *m2p = early_alloc(MiB(2), MiB(2));
	u64 offset = chunk * MiB(2);

	memset(frames, 0, MiB(2));
	memset(m2p, 0xff, MiB(2));
	must_map(FRAMETABLE_START + offset, virt_to_mfn(frames), 512, PTE_HYP_RW);
	must_map(M2P_START + offset, virt_to_mfn(m2p), 512, PTE_HYP_RW);
	must_map(M2P_GUEST_START + offset, virt_to_mfn(m2p), 512, PTE_HYP_RO | PTE_US);
}

/* One shared level-1 table of a zero page stands for every chunk without RAM. */
static void map_hole(u64 chunk)
{
	static mfn_t zero_page = { 0 };

	if (!zero_page.v) {
		void *page = early_alloc(PAGE_SIZE, PAGE_SIZE);

		memset(page, 0, PAGE_SIZE);
		zero_page = virt_to_mfn(page);
	}
	map_repeat(FRAMETABLE_START + chunk * MiB(2), zero_page, PTE_HYP_RO);
}

static void mark_ram(void)
{
	u64 first, last;

	for (unsigned i = 0; next_ram(&i, &first, &last);)
		for (u64 m = first; m < min(last, frame_table_end); m++)
			frame_of(mfn(m))->v = HEAP_HYP_WORD;
}

/* The tools may map the M2P's own frames. */
static void mark_m2p(void)
{
	for (u64 chunk = 0; chunk * CHUNK_FRAMES < frame_table_end; chunk++) {
		mfn_t m = m2p_chunk(chunk);

		for (u64 i = 0; m.v && i < 512; i++)
			frame_of(mfn_add(m, i))->v = HEAP_HYP_WORD | FRAME_SHARED;
	}
}

mfn_t m2p_chunk(u64 chunk)
{
	return map_lookup(M2P_START + chunk * MiB(2));
}

void memory_init(struct ram_range *ranges, unsigned n, paddr_t max_paddr)
{
	BUG_ON(n > MAX_EARLY / 2);
	memcpy(early, ranges, n * sizeof(*ranges));
	early_count = n;
	early_active = true;

	make_level3_tables(max_paddr.v);
	map_high_ram();
	frame_table_end = PFN_UP(max_paddr.v);
	for (u64 chunk = 0; chunk * CHUNK_FRAMES < frame_table_end; chunk++) {
		if (chunk_has_ram(chunk))
			map_chunk(chunk);
		else
			map_hole(chunk);
	}
	mark_ram();
	mark_m2p();

	early_active = false;
	for (unsigned i = 0; i < early_count; i++)
		heap_add_range(early[i].start, early[i].end);
	log_info("memory: %lu MiB for use, %lu KiB for the frame table and M2P\n", heap_free_pages() >> 8, early_taken >> 10);
}

void memory_add(paddr_t start, paddr_t end)
{
	BUG_ON(PFN_UP(end.v) > frame_table_end);
	heap_add_range(start, end);
}
