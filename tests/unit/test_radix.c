/* SPDX-License-Identifier: MIT */
/* Unit tests: sparse map, against a sorted array. */
/* sources: lib/radix.c */
#include "test.h"
#include "fake_alloc.h"

#include <lib/errno.h>
#include <lib/radix.h>

#define N	256

static struct {
	u64 key;
	void *value;
} model[N];
static int count;

/* Index of the first entry with a key not below @key. */
static int find(u64 key)
{
	int i = 0;

	while (i < count && model[i].key < key)
		i++;
	return i;
}

static void compare(const struct radix *r)
{
	u64 key;
	void *v;
	int i = 0;

	radix_for_each(r, key, v) {
		if (i < count) {
			CHECK_EQ(key, model[i].key);
			CHECK(v == model[i].value);
		}
		i++;
	}
	CHECK_EQ(i, count);
	CHECK_EQ(r->root != NULL, count != 0);
}

/* Keys in clusters around powers of two and the ends, so that they meet often. */
static u64 random_key(unsigned int bits)
{
	u64 key = test_below(2) ? 0 : 1UL << test_below(bits);

	key += test_below(3) - 1 + (test_below(2) ? test_below(130) : 0);
	return key & (bits == 64 ? ~0UL : (1UL << bits) - 1);
}

static void against_model(unsigned int bits)
{
	struct radix r;

	count = 0;
	radix_init(&r, &fake_alloc);
	for (int step = 0; step < 20000; step++) {
		u64 key = random_key(bits), next = random_key(bits);
		int i = find(key);
		bool there = i < count && model[i].key == key;
		void *value = (void *)(test_random() | 1);

		CHECK(radix_lookup(&r, key) == (there ? model[i].value : NULL));

		u64 at = next;
		void *v = radix_next(&r, &at);
		int j = find(next);

		CHECK(v == (j < count ? model[j].value : NULL));
		CHECK_EQ(at, j < count ? model[j].key : next);

		if (test_below(100) < (step / 700 % 2 ? 30 : 70)) {
			if (count == N && !there)
				continue;
			fake_budget = test_below(3) ? -1 : (long)test_below(4);
			size_t blocks = fake_blocks;
			int rc = radix_insert(&r, key, value);

			fake_budget = -1;
			if (there) {
				CHECK_EQ(rc, -EEXIST);
			} else if (rc) {
				CHECK_EQ(rc, -ENOMEM);
				CHECK_EQ(fake_blocks, blocks);
			} else {
				memmove(model + i + 1, model + i, sizeof(model[0]) * (size_t)(count++ - i));
				model[i].key = key;
				model[i].value = value;
			}
		} else if (test_below(3)) {
			CHECK(radix_erase(&r, key) == (there ? model[i].value : NULL));
			if (there)
				memmove(model + i, model + i + 1, sizeof(model[0]) * (size_t)(--count - i));
		} else {
			CHECK(radix_replace(&r, key, value) == (there ? model[i].value : NULL));
			if (there)
				model[i].value = value;
		}
		if (step % 10 == 0)
			compare(&r);
	}
	if (bits == 64) {
		radix_clear(&r);
	} else {
		u64 key;
		void *v;

		radix_for_each(&r, key, v)
			CHECK(radix_erase(&r, key) == v);
	}
	CHECK(!r.root && r.height == 0);
	CHECK_EQ(fake_blocks, 0);
}

TEST(random_small_keys)
{
	against_model(8);
}

TEST(random_frame_numbers)
{
	against_model(40);
}

TEST(random_all_keys)
{
	against_model(64);
}

TEST(corners)
{
	struct radix r;
	u64 key = 0;
	int x;

	radix_init(&r, &fake_alloc);
	CHECK(!radix_lookup(&r, 0) && !radix_erase(&r, 0) && !radix_next(&r, &key));
	CHECK_EQ(radix_insert(&r, 0, NULL), -EINVAL);
	CHECK_EQ(radix_insert(&r, ~0UL, &x), 0);
	CHECK_EQ(radix_insert(&r, 0, &r), 0);
	key = 1;
	CHECK(radix_next(&r, &key) == &x);
	CHECK_EQ(key, ~0UL);
	CHECK(radix_lookup(&r, ~0UL - 1) == NULL);
	CHECK(radix_erase(&r, ~0UL) == &x);
	CHECK_EQ(r.height, 1);
	CHECK(radix_erase(&r, 0) == &r);
	CHECK_EQ(fake_blocks, 0);
}
