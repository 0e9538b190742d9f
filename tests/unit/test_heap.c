/* SPDX-License-Identifier: MIT */
/* Unit tests: the page heap, region maps and small objects, against simple models. */
/* sources: memory/frame.c memory/heap.c memory/xmalloc.c memory/region_map.c memory/tlbflush.c lib/radix.c */
/* cflags: -include fake_machine.h -D__XEN_TOOLS__ -Wno-unused-parameter */
#include "test.h"
#include "fake_panic.h"

#include <core/console.h>
#include <core/smp.h>
#include <lib/errno.h>
#include <memory/heap.h>
#include <memory/region_map.h>
#include <memory/tlbflush.h>
#include <memory/xmalloc.h>
#include <sys/mman.h>

/* RAM: frames 0x21..0x7fd with a hole at 0x300..0x340, so that blocks of all shapes and several zones occur. */
#define FIRST		0x21
#define LAST		0x7fe
#define HOLE		0x300
#define HOLE_END	0x340
#define PAGES		(LAST - FIRST - (HOLE_END - HOLE))

struct vcpu *current;
unsigned fake_cpu;
cpumask_t cpu_online = { { 1 } };
unsigned nr_cpus = 1;
static unsigned flushes;
static struct { u8 order; bool used; } blocks[LAST];

void printk(enum log_level level, const char *fmt, ...) { }
void spin_lock(struct spinlock *l) { CHECK(!l->next); l->next = 1; }
void spin_unlock(struct spinlock *l) { l->next = 0; }
void smp_call(const cpumask_t *mask, void (*fn)(void *), void *data) { fn(data); }
void write_cr3(u64 v) { flushes++; }

static void map_at(u64 va, u64 bytes)
{
	void *p = mmap((void *)va, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);

	CHECK(p == (void *)va);
}

static void start(void)
{
	map_at(DIRECTMAP_START, (u64)LAST << PAGE_SHIFT);
	map_at(FRAMETABLE_START, ALIGN_UP(LAST * sizeof(frame_t), PAGE_SIZE));
	frame_table_end = LAST;
	heap_add_range(paddr((FIRST << PAGE_SHIFT) - 100), paddr((u64)HOLE << PAGE_SHIFT));
	heap_add_range(paddr((u64)HOLE_END << PAGE_SHIFT), paddr(((u64)LAST << PAGE_SHIFT) + 100));
	CHECK_EQ(heap_free_pages(), PAGES);
	CHECK_EQ(heap_total_pages(), PAGES);
}

static u64 allocate(unsigned order, unsigned bits)
{
	mfn_t m = heap_alloc(order, bits, HEAP_HYP_WORD);

	if (mfn_eq(m, MFN_INVALID))
		return 0;
	CHECK_EQ(m.v % (1UL << order), 0);
	CHECK(m.v >= FIRST && m.v + (1UL << order) <= LAST);
	CHECK(!bits || m.v + (1UL << order) <= 1UL << (bits - PAGE_SHIFT));
	for (u64 i = 0; i < 1UL << order; i++) {
		CHECK(m.v + i < HOLE || m.v + i >= HOLE_END);
		CHECK(!blocks[m.v + i].used);
		blocks[m.v + i].used = true;
		CHECK_EQ(frame_of(mfn(m.v + i))->v, HEAP_HYP_WORD);
	}
	blocks[m.v].order = (u8)order;
	memset(mfn_to_virt(m), 0x5a, PAGE_SIZE << order);
	return m.v;
}

static void give_back(u64 m)
{
	for (u64 i = 0; i < 1UL << blocks[m].order; i++)
		blocks[m + i].used = false;
	free_pages(mfn_to_virt(mfn(m)), blocks[m].order);
}

TEST(buddy)
{
	static u64 held[300];
	unsigned n = 0;
	u64 pages = 0;

	start();
	for (unsigned step = 0; step < 40000; step++) {
		if (n < ARRAY_SIZE(held) && test_below(2)) {
			unsigned order = (unsigned)test_below(test_below(4) ? 3 : 9), bits = test_below(4) ? 0 : 18 + (unsigned)test_below(6);
			u64 m = allocate(order, bits);

			if (m) {
				held[n++] = m;
				pages += 1UL << order;
			}
		} else if (n) {
			unsigned i = (unsigned)test_below(n);

			pages -= 1UL << blocks[held[i]].order;
			give_back(held[i]);
			held[i] = held[--n];
		}
		CHECK_EQ(heap_free_pages(), PAGES - pages);
	}
	while (n--)
		give_back(held[n]);
	/* All merged again: the largest blocks there can be. */
	CHECK(allocate(10, 23) == 0);
	CHECK(allocate(9, 0) != 0);
	CHECK(allocate(HEAP_MAX_ORDER + 1, 0) == 0);
}

/* What is claimed others cannot have, whatever the order of things; what the hypervisor needs it gets. */
TEST(claims)
{
	u64 a = 0, b = 0, free;
	mfn_t m;

	start();
	free = heap_free_pages();
	CHECK_EQ(heap_claim(&a, free), -ENOMEM);	/* some is kept for the hypervisor */
	CHECK_EQ(heap_claim(&a, free / 2), 0);
	CHECK_EQ(heap_claim(&b, free / 2), -ENOMEM);
	CHECK_EQ(heap_claim(&b, free / 4), 0);
	CHECK_EQ(heap_claimed_pages(), free / 2 + free / 4);
	/* B's claim is used up, then what is free and unclaimed; A's stays. */
	while (!mfn_eq(heap_alloc_claimed(0, 0, HEAP_HYP_WORD, &b), MFN_INVALID))
		;
	CHECK_EQ(b, 0);
	CHECK_EQ(heap_free_pages(), free / 2);
	CHECK_EQ(heap_claimed_pages(), a);
	m = heap_alloc(0, 0, HEAP_HYP_WORD);
	CHECK(!mfn_eq(m, MFN_INVALID));
	heap_free(m, 0);
	/* Less is always possible, and gives the rest to others. */
	CHECK_EQ(heap_claim(&a, 10), 0);
	CHECK(!mfn_eq(heap_alloc_claimed(0, 0, HEAP_HYP_WORD, &b), MFN_INVALID));
	for (unsigned i = 0; i < 20; i++)
		CHECK(!mfn_eq(heap_alloc_claimed(0, 0, HEAP_HYP_WORD, &a), MFN_INVALID));
	CHECK_EQ(a, 0);
	CHECK_EQ(heap_claimed_pages(), 0);
}

TEST(low_memory_is_kept)
{
	start();
	for (unsigned i = 0; i < 100; i++)
		CHECK(allocate(0, 0) >= 0x400);
	CHECK(allocate(0, 18) != 0);
	CHECK_EQ(allocate(0, 17), 0);
	CHECK_EQ(allocate(0, 5), 0);
}

TEST(until_empty)
{
	start();
	for (unsigned i = 0; i < PAGES; i++)
		CHECK(allocate(0, 0) != 0);
	CHECK_EQ(allocate(0, 0), 0);
	CHECK(alloc_pages(0) == NULL);
	CHECK_EQ(heap_free_pages(), 0);
}

static bool run_is_ours(void *run, u64 n)
{
	u64 m = virt_to_mfn(run).v;

	memset(run, 0x5a, n << PAGE_SHIFT);
	for (u64 i = m; i < m + n; i++)
		if (blocks[i].used || frame_of(mfn(i))->v != HEAP_HYP_WORD || (i >= HOLE && i < HOLE_END))
			return false;
	return m >= FIRST && m + n <= LAST;
}

/* Runs of any length, wherever the free blocks lie side by side, and not a page more. */
TEST(runs)
{
	static u64 held[PAGES];
	unsigned n = 0;
	u64 m;

	start();
	/* The longest is on the other side of the hole: no power of two, and more than what lies below. */
	CHECK(alloc_run(LAST - HOLE_END + 1) == NULL);
	for (u64 length = 1; length <= LAST - HOLE_END; length += 1 + length / 7) {
		void *run = alloc_run(length), *other;

		CHECK(run && run_is_ours(run, length));
		CHECK_EQ(heap_free_pages(), PAGES - length);
		other = alloc_run(5);
		CHECK(other && run_is_ours(other, 5));
		free_run(run, length);
		free_run(other, 5);
		CHECK_EQ(heap_free_pages(), PAGES);
	}
	CHECK(allocate(10, 23) == 0);
	/* With every 20th page taken there are runs of 19. */
	while ((m = allocate(0, 0)))
		held[n++] = m;
	for (unsigned i = 0; i < n; i++)
		if (held[i] % 20)
			give_back(held[i]);
	CHECK(alloc_run(20) == NULL);
	for (unsigned i = 0; i < 10; i++) {
		void *run = alloc_run(19);

		CHECK(run && run_is_ours(run, 19));
	}
}

TEST(flush_before_reuse)
{
	u64 m;

	start();
	tlb_flush_local();
	m = allocate(0, 0);
	give_back(m);
	flushes = 0;
	m = allocate(0, 0);
	CHECK_EQ(flushes, 1);
	/* Flushed between free and allocation: not again. */
	give_back(m);
	tlb_flush_local();
	flushes = 0;
	m = allocate(0, 0);
	CHECK_EQ(flushes, 0);
	give_back(m);
}

TEST(regions)
{
	static u16 count[64];
	struct region_map *r;

	start();
	r = region_map_create();
	for (unsigned step = 0; step < 20000; step++) {
		u64 m = test_below(64 * REGION_FRAMES), n = 1UL << test_below(11);

		if (test_below(2)) {
			CHECK_EQ(region_map_add(r, mfn(m), n), 0);
			for (u64 i = m; i < m + n; i++)
				if (i / REGION_FRAMES < 64)
					count[i / REGION_FRAMES]++;
				else
					region_map_remove(r, mfn(i), 1);
		} else {
			for (u64 i = 0; i < n && count[m / REGION_FRAMES]; i++) {
				count[m / REGION_FRAMES]--;
				region_map_remove(r, mfn(m), 1);
			}
		}
		if (step % 64 == 0) {
			mfn_t at = mfn(0);

			for (u64 region = 0; region < 64; region++)
				if (count[region]) {
					CHECK(region_map_next(r, &at));
					CHECK_EQ(at.v, region * REGION_FRAMES);
					at.v = (region + 1) * REGION_FRAMES;
				}
			CHECK(!region_map_next(r, &at));
		}
	}
	region_map_destroy(r);
}

TEST(small_objects)
{
	static struct { u8 *p; size_t size; u8 fill; } held[400];
	u64 before;

	start();
	before = heap_free_pages();
	for (unsigned step = 0; step < 60000; step++) {
		unsigned i = (unsigned)test_below(ARRAY_SIZE(held));

		if (held[i].p) {
			for (size_t k = 0; k < held[i].size; k++)
				if (held[i].p[k] != held[i].fill) {
					CHECK_EQ(held[i].p[k], held[i].fill);
					break;
				}
			xfree(held[i].p);
			held[i].p = NULL;
		} else {
			held[i].size = 1 + test_below(test_below(10) ? 600 : 20000);
			held[i].fill = (u8)step;
			held[i].p = test_below(2) ? xmalloc(held[i].size) : xzalloc(held[i].size);
			if (!held[i].p)
				continue;
			CHECK_EQ((u64)held[i].p % 16, 0);
			memset(held[i].p, held[i].fill, held[i].size);
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++)
		xfree(held[i].p);
	/* At most one empty page for each size stays. */
	CHECK(heap_free_pages() + 15 >= before);
	CHECK(xmalloc(0) == NULL);
	CHECK(xcalloc(1UL << 40, 1UL << 40) == NULL);
	CHECK(xmalloc(PAGES * PAGE_SIZE + 1) == NULL);
	xfree(NULL);
}

/* Counters that are full refuse one more and lose nothing: docs/design/002-one-word-per-frame.md. */
TEST(references_have_a_limit)
{
	const u16 owner = 5;
	frame_t *f;
	mfn_t m;

	start();
	m = mfn(allocate(0, 0));
	f = frame_of(m);
	f->v = (u64)owner << FRAME_OWNER_SHIFT | FRAME_ALLOCATED | 1;
	for (u64 i = 0; i < FRAME_TCOUNT_MAX; i++)
		if (frame_get_type(m, owner, FRAME_WRITABLE, &cpu_online))
			CHECK_EQ(i, FRAME_TCOUNT_MAX);
	CHECK_EQ(frame_get_type(m, owner, FRAME_WRITABLE, &cpu_online), -EBUSY);
	CHECK_EQ(frame_tcount(*f), FRAME_TCOUNT_MAX);
	CHECK_EQ(frame_type(*f), FRAME_WRITABLE);
	CHECK_EQ(frame_owner(*f), owner);
	for (u64 i = 0; i < FRAME_TCOUNT_MAX; i++)
		frame_put_writable(m);
	CHECK_EQ(frame_tcount(*f), 0);
	CHECK_EQ(frame_count(*f), 1);

	f->v += FRAME_COUNT_MAX - 2;
	CHECK(frame_get(m, owner));
	CHECK(!frame_get(m, owner));
	CHECK_EQ(frame_get_type(m, owner, FRAME_WRITABLE, &cpu_online), -EBUSY);
	CHECK_EQ(frame_count(*f), FRAME_COUNT_MAX);
	CHECK_EQ(frame_owner(*f), owner);
}
