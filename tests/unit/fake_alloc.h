/* SPDX-License-Identifier: MIT */
/* An allocator for tests that can be made to fail and counts what is out. */
#ifndef TESTS_UNIT_FAKE_ALLOC_H
#define TESTS_UNIT_FAKE_ALLOC_H

#include <lib/allocator.h>

static size_t fake_blocks;		/* allocated and not freed */
static long fake_budget = -1;		/* allocations until one fails; -1: never */

static void *fake_get(void *ctx, size_t size)
{
	(void)ctx;
	if (fake_budget == 0)
		return NULL;
	if (fake_budget > 0)
		fake_budget--;
	fake_blocks++;

	/* The size is kept in front, and the contents are garbage, as promised. */
	size_t *block = malloc(sizeof(size_t) * 2 + size);

	block[0] = size;
	memset(block + 2, 0x5a, size);
	return block + 2;
}

static void fake_put(void *ctx, void *p, size_t size)
{
	size_t *block = (size_t *)p - 2;

	(void)ctx;
	CHECK_EQ(block[0], size);
	fake_blocks--;
	free(block);
}

static const struct allocator fake_alloc = { .alloc = fake_get, .free = fake_put };

#endif
