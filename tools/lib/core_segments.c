/* SPDX-License-Identifier: MIT */
/*
 * Core dumps: a guest's memory by virtual addresses, from its page tables.
 *
 * The tables are the guest's, and it may have made them so that a walk never ends: one table of zeroes under all 2^27 entries of
 * the levels above is enough. So each is looked at in a few of its places only. Linux has its image and the beginning of its map of
 * all memory in the same tables, each of which it must be possible to read; and one that fills a gigabyte with one page.
 */
#include <errno.h>
#include <lib/core_parts.h>
#include <stdlib.h>

#define ENTRIES		512
#define PRESENT		1UL
#define LARGE		0x80UL		/* PV guests have none */
#define FRAME_MASK	0xffffffffff000UL
#define PLACES_MAX	4		/* in which a table counts */

struct walk {
	const struct core_pages *p;
	int (*read_page)(size_t index, uint64_t *table, void *ctx);
	void *ctx;
	struct core_segments *out;
	size_t room;
	uint8_t *places;		/* of each page: as how many tables it has been looked at */
};

static int add(struct walk *w, uint64_t va, size_t index)
{
	struct core_segments *o = w->out;
	struct core_segment *last = o->n ? &o->s[o->n - 1] : NULL;

	if (last && va == last->va + last->n * HV_PAGE_SIZE && index == last->first + last->n) {
		last->n++;
		return 0;
	}
	if (o->n == CORE_SEGMENTS_MAX) {
		o->incomplete = true;
		return 0;
	}
	if (o->n == w->room) {
		size_t room = w->room ? w->room * 2 : 256;
		struct core_segment *grown = realloc(o->s, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		o->s = grown;
		w->room = room;
	}
	o->s[o->n++] = (struct core_segment){ va, index, 1 };
	return 0;
}

static int walk_table(struct walk *w, uint64_t mfn, int level, uint64_t base);

static int walk_entries(struct walk *w, const uint64_t *table, int level, uint64_t base, unsigned first, unsigned end)
{
	int rc = 0;

	for (unsigned i = first; i < end && !rc && !w->out->incomplete; i++) {
		uint64_t va = base | (uint64_t)i << (3 + 9 * level), mfn = (table[i] & FRAME_MASK) / HV_PAGE_SIZE;
		long index;

		if (!(table[i] & PRESENT))
			continue;
		if (level == 4 && i >= ENTRIES / 2)
			va |= 0xffff000000000000;
		if (level > 1) {
			if (!(table[i] & LARGE))
				rc = walk_table(w, mfn, level - 1, va);
			continue;
		}
		index = core_pages_index(w->p, mfn);
		if (index >= 0)
			rc = add(w, va, (size_t)index);
	}
	return rc;
}

static int walk_table(struct walk *w, uint64_t mfn, int level, uint64_t base)
{
	uint64_t table[ENTRIES];
	long index = core_pages_index(w->p, mfn);
	int rc;

	if (index < 0)
		return 0;		/* the hypervisor's, or somebody else's */
	if (w->places[index] == PLACES_MAX)
		return 0;
	w->places[index]++;
	rc = w->read_page((size_t)index, table, w->ctx);
	if (rc)
		return rc;
	if (level < 4)
		return walk_entries(w, table, level, base, 0, ENTRIES);
	/* The kernel's image first, then the rest of its half: should there be too much. */
	rc = walk_entries(w, table, level, base, ENTRIES - 1, ENTRIES);
	if (!rc)
		rc = walk_entries(w, table, level, base, ENTRIES / 2, ENTRIES - 1);
	return rc ? rc : walk_entries(w, table, level, base, 0, ENTRIES / 2);
}

static int compare_va(const void *a, const void *b)
{
	const struct core_segment *x = a, *y = b;

	return (x->va > y->va) - (x->va < y->va);
}

int core_segments_find(const struct core_pages *p, uint64_t l4_mfn, int (*read_page)(size_t index, uint64_t *table, void *ctx),
		       void *ctx, struct core_segments *out)
{
	struct walk w = { .p = p, .read_page = read_page, .ctx = ctx, .out = out, .places = calloc(p->n + 1, 1) };
	int rc;

	*out = (struct core_segments){ 0 };
	if (!w.places)
		return -ENOMEM;
	rc = walk_table(&w, l4_mfn, 4, 0);
	free(w.places);
	if (out->n)
		qsort(out->s, out->n, sizeof(*out->s), compare_va);
	return rc;
}
