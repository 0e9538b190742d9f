/* SPDX-License-Identifier: MIT */
/* Bitmaps in arrays of 64-bit words. */

#include <lib/bitmap.h>
#include <lib/string.h>

/* Bits [0, n) of a word, n in 1..64. */
static u64 low_mask(size_t n)
{
	return ~0UL >> (BITS_PER_LONG - n);
}

/* The part of word @w that belongs to a map of @nbits. */
static u64 word_mask(size_t nbits, size_t w)
{
	size_t left = nbits - w * BITS_PER_LONG;

	return left >= BITS_PER_LONG ? ~0UL : low_mask(left);
}

void bitmap_zero(u64 *map, size_t nbits)
{
	memset(map, 0, BITMAP_BYTES(nbits));
}

void bitmap_fill(u64 *map, size_t nbits)
{
	for (size_t w = 0; w < BITMAP_WORDS(nbits); w++)
		map[w] = word_mask(nbits, w);
}

void bitmap_copy(u64 *dst, const u64 *src, size_t nbits)
{
	memcpy(dst, src, BITMAP_BYTES(nbits));
}

static void change_range(u64 *map, size_t start, size_t count, bool set)
{
	while (count) {
		size_t offset = start % BITS_PER_LONG;
		size_t n = min(count, BITS_PER_LONG - offset);
		u64 mask = low_mask(n) << offset;

		if (set)
			map[start / BITS_PER_LONG] |= mask;
		else
			map[start / BITS_PER_LONG] &= ~mask;
		start += n;
		count -= n;
	}
}

void bitmap_set_range(u64 *map, size_t start, size_t count)
{
	change_range(map, start, count, true);
}

void bitmap_clear_range(u64 *map, size_t start, size_t count)
{
	change_range(map, start, count, false);
}

/* First bit at or after @from that is set once every word was xor-ed with @flip. */
static size_t find_next(const u64 *map, size_t nbits, size_t from, u64 flip)
{
	if (from >= nbits)
		return nbits;

	size_t w = from / BITS_PER_LONG;
	u64 word = (map[w] ^ flip) & (~0UL << (from % BITS_PER_LONG));

	while (!word) {
		if (++w >= BITMAP_WORDS(nbits))
			return nbits;
		word = map[w] ^ flip;
	}

	size_t bit = w * BITS_PER_LONG + (size_t)__builtin_ctzl(word);

	return min(bit, nbits);
}

size_t bitmap_find_next(const u64 *map, size_t nbits, size_t from)
{
	return find_next(map, nbits, from, 0);
}

size_t bitmap_find_next_zero(const u64 *map, size_t nbits, size_t from)
{
	return find_next(map, nbits, from, ~0UL);
}

size_t bitmap_find_zero_range(const u64 *map, size_t nbits, size_t from, size_t count)
{
	for (;;) {
		size_t start = bitmap_find_next_zero(map, nbits, from);

		if (start >= nbits || count > nbits - start)
			return nbits;
		from = bitmap_find_next(map, start + count, start);
		if (from == start + count)
			return start;
	}
}

/* Bits set in a word without relying on the POPCNT instruction, which the build may not assume. */
static size_t weight(u64 x)
{
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return x * 0x0101010101010101 >> 56;
}

size_t bitmap_weight(const u64 *map, size_t nbits)
{
	size_t sum = 0;

	for (size_t w = 0; w < BITMAP_WORDS(nbits); w++)
		sum += weight(map[w] & word_mask(nbits, w));
	return sum;
}

bool bitmap_equal(const u64 *a, const u64 *b, size_t nbits)
{
	for (size_t w = 0; w < BITMAP_WORDS(nbits); w++)
		if ((a[w] ^ b[w]) & word_mask(nbits, w))
			return false;
	return true;
}

bool bitmap_intersects(const u64 *a, const u64 *b, size_t nbits)
{
	for (size_t w = 0; w < BITMAP_WORDS(nbits); w++)
		if (a[w] & b[w] & word_mask(nbits, w))
			return true;
	return false;
}

bool bitmap_subset(const u64 *a, const u64 *b, size_t nbits)
{
	for (size_t w = 0; w < BITMAP_WORDS(nbits); w++)
		if (a[w] & ~b[w] & word_mask(nbits, w))
			return false;
	return true;
}

void bitmap_and(u64 *dst, const u64 *a, const u64 *b, size_t nbits)
{
	for (size_t w = 0; w < BITMAP_WORDS(nbits); w++)
		dst[w] = a[w] & b[w];
}

void bitmap_or(u64 *dst, const u64 *a, const u64 *b, size_t nbits)
{
	for (size_t w = 0; w < BITMAP_WORDS(nbits); w++)
		dst[w] = a[w] | b[w];
}

void bitmap_andnot(u64 *dst, const u64 *a, const u64 *b, size_t nbits)
{
	for (size_t w = 0; w < BITMAP_WORDS(nbits); w++)
		dst[w] = a[w] & ~b[w];
}
