/* SPDX-License-Identifier: MIT */
/* Set of unsigned 64-bit numbers, kept as disjoint inclusive ranges. */

/* Invariant: ranges are disjoint and never adjacent (a gap of at least one number between them). */

#include <lib/errno.h>
#include <lib/rangeset.h>

struct range {
	struct tree_node node;
	u64 first, last;
};

static struct range *to_range(struct tree_node *n)
{
	return n ? tree_entry(n, struct range, node) : NULL;
}

static int cmp_ranges(const struct tree_node *a, const struct tree_node *b)
{
	u64 x = tree_entry(a, struct range, node)->first;
	u64 y = tree_entry(b, struct range, node)->first;

	return x < y ? -1 : x > y;
}

/* Orders a range with the key by its end: lower_bound finds the first range with last >= key. */
static int cmp_last(const void *key, const struct tree_node *n)
{
	u64 k = *(const u64 *)key, last = tree_entry(n, struct range, node)->last;

	return k < last ? -1 : k > last;
}

static struct range *first_ending_at(const struct rangeset *rs, u64 from)
{
	return to_range(tree_lower_bound(&rs->ranges, &from, cmp_last));
}

static int insert(struct rangeset *rs, u64 first, u64 last)
{
	struct range *r = rs->alloc->alloc(rs->alloc->ctx, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->first = first;
	r->last = last;
	tree_insert(&rs->ranges, &r->node, cmp_ranges);
	rs->count++;
	return 0;
}

static void drop(struct rangeset *rs, struct range *r)
{
	tree_erase(&rs->ranges, &r->node);
	rs->alloc->free(rs->alloc->ctx, r, sizeof(*r));
	rs->count--;
}

void rangeset_init(struct rangeset *rs, const struct allocator *alloc)
{
	*rs = (struct rangeset){ .alloc = alloc };
}

void rangeset_clear(struct rangeset *rs)
{
	while (!tree_empty(&rs->ranges))
		drop(rs, to_range(rs->ranges.root));
}

int rangeset_add(struct rangeset *rs, u64 first, u64 last)
{
	if (first > last)
		return -EINVAL;

	/* The first range that overlaps or touches the new one grows to cover it … */
	struct range *r = first_ending_at(rs, first ? first - 1 : 0);

	if (!r || (last != ~0UL && r->first > last + 1))
		return insert(rs, first, last);
	r->first = min(r->first, first);
	if (r->last >= last)
		return 0;
	r->last = last;

	/* … and swallows the following ones it has reached. */
	for (;;) {
		struct range *next = to_range(tree_next(&r->node));

		if (!next || (last != ~0UL && next->first > last + 1))
			return 0;
		r->last = max(last, next->last);
		drop(rs, next);
	}
}

int rangeset_remove(struct rangeset *rs, u64 first, u64 last)
{
	if (first > last)
		return -EINVAL;

	struct range *r = first_ending_at(rs, first);

	/* A hole inside one range is the only case that needs memory. */
	if (r && r->first < first && r->last > last) {
		u64 end = r->last;

		r->last = first - 1;
		int rc = insert(rs, last + 1, end);

		if (rc)
			r->last = end;
		return rc;
	}

	while (r && r->first <= last) {
		struct range *next = to_range(tree_next(&r->node));

		if (r->first < first)
			r->last = first - 1;
		else if (r->last > last)
			r->first = last + 1;
		else
			drop(rs, r);
		r = next;
	}
	return 0;
}

bool rangeset_contains(const struct rangeset *rs, u64 first, u64 last)
{
	const struct range *r = first_ending_at(rs, first);

	return first <= last && r && r->first <= first && r->last >= last;
}

bool rangeset_overlaps(const struct rangeset *rs, u64 first, u64 last)
{
	const struct range *r = first_ending_at(rs, first);

	return first <= last && r && r->first <= last;
}

bool rangeset_next(const struct rangeset *rs, u64 from, u64 *first, u64 *last)
{
	const struct range *r = first_ending_at(rs, from);

	if (!r)
		return false;
	*first = r->first;
	*last = r->last;
	return true;
}
