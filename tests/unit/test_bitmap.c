/* SPDX-License-Identifier: MIT */
/* Unit tests: bitmaps, against arrays of bool. */
/* sources: lib/bitmap.c */
#include "test.h"

#include <lib/bitmap.h>

#define MAX	300

/* Sizes around the word boundaries. */
static const size_t sizes[] = { 1, 2, 63, 64, 65, 127, 128, 129, 255, 256, 257, MAX };

/* Exactly as many words as needed, on the heap, so that ASan sees the ends. */
static u64 *new_map(size_t nbits)
{
	u64 *map = malloc(BITMAP_BYTES(nbits));

	memset(map, 0xa5, BITMAP_BYTES(nbits));
	return map;
}

static void compare(const u64 *map, const bool *model, size_t nbits)
{
	size_t weight = 0, it, next = nbits, next_zero = nbits;

	for (size_t i = nbits; i-- > 0; ) {
		CHECK_EQ(bitmap_test(map, i), model[i]);
		weight += model[i];
		if (model[i])
			next = i;
		else
			next_zero = i;
		CHECK_EQ(bitmap_find_next(map, nbits, i), next);
		CHECK_EQ(bitmap_find_next_zero(map, nbits, i), next_zero);
	}
	CHECK_EQ(bitmap_weight(map, nbits), weight);
	CHECK_EQ(bitmap_find_first(map, nbits), next);
	CHECK_EQ(bitmap_find_first_zero(map, nbits), next_zero);
	CHECK_EQ(bitmap_empty(map, nbits), weight == 0);
	CHECK_EQ(bitmap_full(map, nbits), weight == nbits);
	CHECK_EQ(bitmap_find_next(map, nbits, nbits), nbits);
	CHECK_EQ(bitmap_find_next(map, nbits, SIZE_MAX), nbits);
	bitmap_for_each(it, map, nbits) {
		CHECK(model[it]);
		weight--;
	}
	CHECK_EQ(weight, 0);
}

static size_t model_zero_range(const bool *model, size_t nbits, size_t from, size_t count)
{
	for (size_t i = from; i + count <= nbits; i++) {
		size_t n = 0;

		while (n < count && !model[i + n])
			n++;
		if (n == count)
			return i;
	}
	return nbits;
}

TEST(random_against_bool_array)
{
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		size_t nbits = sizes[s];
		u64 *map = new_map(nbits);
		bool model[MAX] = { };

		bitmap_zero(map, nbits);
		for (int step = 0; step < 400; step++) {
			size_t bit = test_below(nbits), n = test_below(nbits - bit + 1);

			switch (test_below(6)) {
			case 0:
				bitmap_set(map, bit);
				model[bit] = true;
				break;
			case 1:
				bitmap_clear(map, bit);
				model[bit] = false;
				break;
			case 2:
				CHECK_EQ(bitmap_test_and_set(map, bit), model[bit]);
				model[bit] = true;
				break;
			case 3:
				CHECK_EQ(bitmap_test_and_clear(map, bit), model[bit]);
				model[bit] = false;
				break;
			case 4:
				bitmap_set_range(map, bit, n);
				memset(model + bit, 1, n);
				break;
			case 5:
				bitmap_clear_range(map, bit, n);
				memset(model + bit, 0, n);
				break;
			}
			compare(map, model, nbits);
			n = 1 + test_below(5);
			CHECK_EQ(bitmap_find_zero_range(map, nbits, bit, n),
				 model_zero_range(model, nbits, bit, n));
		}
		bitmap_fill(map, nbits);
		memset(model, 1, nbits);
		compare(map, model, nbits);
		free(map);
	}
}

TEST(two_maps)
{
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		size_t nbits = sizes[s];
		u64 *a = new_map(nbits), *b = new_map(nbits), *c = new_map(nbits);

		for (int step = 0; step < 200; step++) {
			bool equal = true, common = false, subset = true;

			/* Garbage beyond the end must not matter. */
			for (size_t w = 0; w < BITMAP_WORDS(nbits); w++) {
				a[w] = test_random() & (step % 3 ? test_random() & test_random() : ~0UL);
				b[w] = step % 4 == 0 ? a[w] : step % 4 == 1 ? test_random() | a[w] :
				       step % 4 == 2 ? test_random() : a[w] ^ BIT(test_below(64));
			}
			for (size_t i = 0; i < nbits; i++) {
				bool x = bitmap_test(a, i), y = bitmap_test(b, i);

				equal &= x == y;
				common |= x && y;
				subset &= !x || y;
			}
			CHECK_EQ(bitmap_equal(a, b, nbits), equal);
			CHECK_EQ(bitmap_intersects(a, b, nbits), common);
			CHECK_EQ(bitmap_subset(a, b, nbits), subset);

			for (int op = 0; op < 4; op++) {
				bitmap_copy(c, a, nbits);
				if (op == 0)
					bitmap_and(c, c, b, nbits);
				else if (op == 1)
					bitmap_or(c, c, b, nbits);
				else if (op == 2)
					bitmap_andnot(c, c, b, nbits);
				for (size_t i = 0; i < nbits; i++) {
					bool x = bitmap_test(a, i), y = bitmap_test(b, i);

					CHECK_EQ(bitmap_test(c, i), op == 0 ? x && y : op == 1 ? x || y :
						 op == 2 ? x && !y : x);
				}
			}
		}
		free(a);
		free(b);
		free(c);
	}
}

TEST(zero_range_of_huge_count)
{
	u64 map[2] = { };

	CHECK_EQ(bitmap_find_zero_range(map, 128, 0, SIZE_MAX), 128);
	CHECK_EQ(bitmap_find_zero_range(map, 128, 1, 128), 128);
	CHECK_EQ(bitmap_find_zero_range(map, 128, 0, 128), 0);
}
