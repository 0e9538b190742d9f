/* SPDX-License-Identifier: MIT */
/* Unit tests: range sets, against an array of bool. */
/* sources: lib/rangeset.c lib/tree.c */
#include "test.h"
#include "fake_alloc.h"

#include <lib/errno.h>
#include <lib/rangeset.h>

#define SPAN	160

/* The model's number i stands for base + i; base is chosen at either end of u64. */
static bool model[SPAN];
static u64 base;

static void compare(const struct rangeset *rs)
{
	size_t runs = 0;
	u64 f, l;

	for (int i = 0; i < SPAN; i++) {
		CHECK_EQ(rangeset_contains(rs, base + i, base + i), model[i]);
		runs += model[i] && (i == 0 || !model[i - 1]);
	}
	CHECK_EQ(rs->count, runs);
	CHECK_EQ(rangeset_empty(rs), runs == 0);
	CHECK_EQ(fake_blocks, runs);

	int at = 0;

	rangeset_for_each(rs, f, l) {
		while (at < SPAN && !model[at])
			at++;
		CHECK_EQ(f, base + at);
		while (at < SPAN && model[at])
			at++;
		CHECK_EQ(l, base + at - 1);
		runs--;
	}
	CHECK_EQ(runs, 0);
}

static void against_model(void)
{
	struct rangeset rs;

	memset(model, 0, sizeof(model));
	rangeset_init(&rs, &fake_alloc);
	for (int step = 0; step < 8000; step++) {
		unsigned int a = test_below(SPAN);
		unsigned int b = a + test_below(min(SPAN - a, step % 3 ? 6u : 160u));
		bool add = test_below(100) < (step / 500 % 2 ? 30 : 70);
		bool all = true, any = false;

		for (unsigned int i = a; i <= b; i++) {
			all &= model[i];
			any |= model[i];
		}
		CHECK_EQ(rangeset_contains(&rs, base + a, base + b), all);
		CHECK_EQ(rangeset_overlaps(&rs, base + a, base + b), any);

		fake_budget = test_below(4) ? -1 : 0;
		int rc = add ? rangeset_add(&rs, base + a, base + b)
			     : rangeset_remove(&rs, base + a, base + b);

		if (rc == 0)
			memset(model + a, add, b - a + 1);
		else
			CHECK(rc == -ENOMEM && fake_budget == 0);
		fake_budget = -1;
		if (rc || step % 5 == 0)
			compare(&rs);
	}
	rangeset_clear(&rs);
	CHECK(rangeset_empty(&rs));
	CHECK_EQ(fake_blocks, 0);
}

TEST(random_at_zero)
{
	base = 0;
	against_model();
}

TEST(random_at_the_end)
{
	base = ~0UL - SPAN + 1;
	against_model();
}

TEST(extremes)
{
	struct rangeset rs;
	u64 f = 1, l = 2;

	rangeset_init(&rs, &fake_alloc);
	CHECK(!rangeset_next(&rs, 0, &f, &l));
	CHECK_EQ(rangeset_add(&rs, 5, 4), -EINVAL);
	CHECK_EQ(rangeset_remove(&rs, 5, 4), -EINVAL);
	CHECK_EQ(rangeset_add(&rs, 0, ~0UL), 0);
	CHECK(rangeset_contains(&rs, 0, ~0UL));
	CHECK(!rangeset_contains(&rs, 5, 4));
	CHECK(!rangeset_overlaps(&rs, 5, 4));
	CHECK_EQ(rangeset_add(&rs, 7, 7), 0);
	CHECK_EQ(rangeset_remove(&rs, 10, 20), 0);
	CHECK_EQ(rs.count, 2);
	CHECK(rangeset_next(&rs, 10, &f, &l));
	CHECK(f == 21 && l == ~0UL);
	CHECK_EQ(rangeset_add(&rs, 10, 20), 0);
	CHECK_EQ(rs.count, 1);
	CHECK_EQ(rangeset_remove(&rs, 0, ~0UL), 0);
	CHECK(rangeset_empty(&rs));
	CHECK_EQ(fake_blocks, 0);
}
