/* SPDX-License-Identifier: MIT */
/* Bitmaps in arrays of 64-bit words; plain (non-atomic) operations. */
#ifndef LIB_BITMAP_H
#define LIB_BITMAP_H

#include <lib/types.h>

/*
 * Bit n is bit n % 64 of word n / 64. @nbits is the size of the map; bits of the
 * last word beyond it are never looked at, and are zero after bitmap_fill(). The
 * caller provides locking and range checks of single bits.
 */

#define BITMAP_WORDS(nbits)	DIV_ROUND_UP((size_t)(nbits), (size_t)BITS_PER_LONG)
#define BITMAP_BYTES(nbits)	(BITMAP_WORDS(nbits) * sizeof(u64))
#define DECLARE_BITMAP(name, nbits)	u64 name[BITMAP_WORDS(nbits)]

static inline bool bitmap_test(const u64 *map, size_t bit)
{
	return map[bit / BITS_PER_LONG] >> (bit % BITS_PER_LONG) & 1;
}

static inline void bitmap_set(u64 *map, size_t bit)
{
	map[bit / BITS_PER_LONG] |= BIT(bit % BITS_PER_LONG);
}

static inline void bitmap_clear(u64 *map, size_t bit)
{
	map[bit / BITS_PER_LONG] &= ~BIT(bit % BITS_PER_LONG);
}

/* Set the bit; return what it was. */
static inline bool bitmap_test_and_set(u64 *map, size_t bit)
{
	bool was = bitmap_test(map, bit);

	bitmap_set(map, bit);
	return was;
}

static inline bool bitmap_test_and_clear(u64 *map, size_t bit)
{
	bool was = bitmap_test(map, bit);

	bitmap_clear(map, bit);
	return was;
}

void bitmap_zero(u64 *map, size_t nbits);
void bitmap_fill(u64 *map, size_t nbits);
void bitmap_copy(u64 *dst, const u64 *src, size_t nbits);

/* Change @count bits from @start on; the range must lie within the map. */
void bitmap_set_range(u64 *map, size_t start, size_t count);
void bitmap_clear_range(u64 *map, size_t start, size_t count);

/* First set (clear) bit at or after @from; @nbits when there is none. Any @from is allowed. */
size_t bitmap_find_next(const u64 *map, size_t nbits, size_t from);
size_t bitmap_find_next_zero(const u64 *map, size_t nbits, size_t from);

/* First of @count consecutive clear bits, beginning at or after @from; @nbits when there is none. */
size_t bitmap_find_zero_range(const u64 *map, size_t nbits, size_t from, size_t count);

static inline size_t bitmap_find_first(const u64 *map, size_t nbits)
{
	return bitmap_find_next(map, nbits, 0);
}

static inline size_t bitmap_find_first_zero(const u64 *map, size_t nbits)
{
	return bitmap_find_next_zero(map, nbits, 0);
}

/* Number of set bits. */
size_t bitmap_weight(const u64 *map, size_t nbits);

static inline bool bitmap_empty(const u64 *map, size_t nbits)
{
	return bitmap_find_first(map, nbits) == nbits;
}

static inline bool bitmap_full(const u64 *map, size_t nbits)
{
	return bitmap_find_first_zero(map, nbits) == nbits;
}

bool bitmap_equal(const u64 *a, const u64 *b, size_t nbits);
/* Have the two a common bit? Is every bit of @a in @b? */
bool bitmap_intersects(const u64 *a, const u64 *b, size_t nbits);
bool bitmap_subset(const u64 *a, const u64 *b, size_t nbits);

/* dst = a op b; @dst may be @a or @b. */
void bitmap_and(u64 *dst, const u64 *a, const u64 *b, size_t nbits);
void bitmap_or(u64 *dst, const u64 *a, const u64 *b, size_t nbits);
void bitmap_andnot(u64 *dst, const u64 *a, const u64 *b, size_t nbits);

/* Visit each set bit in ascending order; the body may change the map. */
#define bitmap_for_each(bit, map, nbits)					\
	for (bit = (__typeof__(bit))bitmap_find_next(map, nbits, 0);		\
	     bit < (nbits);							\
	     bit = (__typeof__(bit))bitmap_find_next(map, nbits, (size_t)bit + 1))

#endif
