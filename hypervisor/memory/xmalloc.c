/* SPDX-License-Identifier: MIT */
/* Small objects: one-page slabs of equal objects; whole pages above. */

/*
 * A slab is a page that starts with struct slab; objects follow, so an object's address is never page-aligned. Whole-page
 * allocations are page-aligned and keep their length in pages in the frame word, where a type count would be (hypervisor
 * frames have none).
 *
 * A slab is on its class's list while it has a free object. An empty one is given back at once, so that what is freed is free memory, exactly.
 */

#include <core/panic.h>
#include <core/spinlock.h>
#include <lib/list.h>
#include <lib/string.h>
#include <memory/heap.h>
#include <memory/xmalloc.h>

struct slab {
	struct list node;
	void *free;		/* first free object; each holds the next one's address */
	u16 class, used;
	u32 magic;
	u64 pad[4];		/* keeps objects on 64-byte lines */
};
#define SLAB_MAGIC	0x51ab51ab

/* Multiples of 16; 4032 bytes are left in a page. */
static const u16 class_size[] = { 16, 32, 48, 64, 96, 128, 192, 256, 320, 448, 576, 800, 1008, 1344, 2016 };
#define CLASSES		ARRAY_SIZE(class_size)

static DEFINE_SPINLOCK(xmalloc_lock, LOCK_SMALL);
static struct list partial[CLASSES];

static unsigned class_of(size_t size)
{
	unsigned c = 0;

	while (c < CLASSES && class_size[c] < size)
		c++;
	return c;
}

static struct slab *slab_create(unsigned class)
{
	struct slab *s = alloc_page();
	unsigned size = class_size[class];

	if (!s)
		return NULL;
	*s = (struct slab){ .class = (u16)class, .magic = SLAB_MAGIC };
	for (char *o = (char *)s + PAGE_SIZE - size; o >= (char *)(s + 1); o -= size) {
		*(void **)o = s->free;
		s->free = o;
	}
	return s;
}

static void *take_object(struct slab *s)
{
	void **o = s->free;

	s->free = *o;
	s->used++;
	if (!s->free)
		list_del(&s->node);
	return o;
}

static void *alloc_object(unsigned class)
{
	struct slab *s;
	void *o = NULL;

	spin_lock(&xmalloc_lock);
	if (!partial[class].next)
		list_init(&partial[class]);
	s = list_first_entry(&partial[class], struct slab, node);
	if (s)
		o = take_object(s);
	spin_unlock(&xmalloc_lock);
	if (o)
		return o;

	s = slab_create(class);		/* takes the heap lock, hence outside ours */
	if (!s)
		return NULL;
	spin_lock(&xmalloc_lock);
	list_add(&partial[class], &s->node);
	o = take_object(s);
	spin_unlock(&xmalloc_lock);
	return o;
}

static void free_object(void *p)
{
	struct slab *s = (struct slab *)((u64)p & PAGE_MASK);
	bool empty;

	BUG_ON(s->magic != SLAB_MAGIC || s->used == 0);
	spin_lock(&xmalloc_lock);
	if (!s->free)
		list_add(&partial[s->class], &s->node);
	*(void **)p = s->free;
	s->free = p;
	empty = --s->used == 0;
	if (empty)
		list_del(&s->node);
	spin_unlock(&xmalloc_lock);
	if (empty) {
		s->magic = 0;
		free_page(s);
	}
}

/* n contiguous pages: a power of two, whose unneeded rest goes back at once. */
static void *alloc_whole_pages(u64 n)
{
	unsigned order = 0;
	char *va;

	while (order < HEAP_MAX_ORDER && 1UL << order < n)
		order++;
	if (1UL << order < n || n > FRAME_TCOUNT_MAX)
		return NULL;
	va = alloc_pages(order);
	if (!va)
		return NULL;
	for (u64 i = n; i < 1UL << order; i++)
		free_page(va + i * PAGE_SIZE);
	frame_of(virt_to_mfn(va))->v |= n << FRAME_TCOUNT_SHIFT;
	return va;
}

static void free_whole_pages(char *va)
{
	u64 n = frame_of(virt_to_mfn(va))->v >> FRAME_TCOUNT_SHIFT & FRAME_TCOUNT_MAX;

	BUG_ON(n == 0);
	for (u64 i = 0; i < n; i++)
		free_page(va + i * PAGE_SIZE);
}

void *xmalloc(size_t size)
{
	unsigned class = class_of(size);

	if (size == 0)
		return NULL;
	return class < CLASSES ? alloc_object(class) : alloc_whole_pages(PFN_UP(size));
}

void *xzalloc(size_t size)
{
	void *p = xmalloc(size);

	if (p)
		memset(p, 0, size);
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : xzalloc(bytes);
}

void xfree(void *p)
{
	if (!p)
		return;
	if ((u64)p & ~PAGE_MASK)
		free_object(p);
	else
		free_whole_pages(p);
}

static void *container_alloc(void *ctx, size_t size)
{
	return xmalloc(size);
}

static void container_free(void *ctx, void *block, size_t size)
{
	xfree(block);
}

const struct allocator xmalloc_allocator = { .alloc = container_alloc, .free = container_free };
