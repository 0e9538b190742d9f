/* SPDX-License-Identifier: MIT */
/* Set of unsigned 64-bit numbers, kept as disjoint inclusive ranges. */
#ifndef LIB_RANGESET_H
#define LIB_RANGESET_H

#include <lib/allocator.h>
#include <lib/tree.h>

/* For permissions on I/O memory frames, ports and interrupts. The caller provides the locking. */
struct rangeset {
	struct tree ranges;
	const struct allocator *alloc;	/* must outlive the set */
	size_t count;			/* number of disjoint ranges: the memory in use */
};

void rangeset_init(struct rangeset *rs, const struct allocator *alloc);

/* Empty the set and give back its memory. */
void rangeset_clear(struct rangeset *rs);

/*
 * Add or remove the numbers @first .. @last, both inclusive. Those already in, or
 * already out, do not matter. -EINVAL if @first > @last; -ENOMEM, with the set
 * unchanged.
 */
int __must_check rangeset_add(struct rangeset *rs, u64 first, u64 last);
int __must_check rangeset_remove(struct rangeset *rs, u64 first, u64 last);

/* Is all, or any, of @first .. @last in the set? False for an empty interval. O(log n). */
bool rangeset_contains(const struct rangeset *rs, u64 first, u64 last);
bool rangeset_overlaps(const struct rangeset *rs, u64 first, u64 last);

static inline bool rangeset_empty(const struct rangeset *rs)
{
	return rs->count == 0;
}

/*
 * The first range that ends at or after @from; returns false when there is none.
 * A walk: for (u64 f = 0, l = 0; rangeset_next(rs, f, &f, &l); f = l + 1) { …; if (l == ~0UL) break; }
 * or, shorter, rangeset_for_each(). Resumable after any change to the set.
 */
bool rangeset_next(const struct rangeset *rs, u64 from, u64 *first, u64 *last);

/* @f and @l are u64 variables, set to each range in ascending order. */
#define rangeset_for_each(rs, f, l)						\
	for (bool _more = rangeset_next(rs, 0, &(f), &(l)); _more;		\
	     _more = (l) != ~0UL && rangeset_next(rs, (l) + 1, &(f), &(l)))

#endif
