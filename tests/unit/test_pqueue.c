/* SPDX-License-Identifier: MIT */
/* Unit tests: priority queue, against an array. */
/* sources: lib/pqueue.c */
#include "test.h"

#include <lib/pqueue.h>

#define N	300

static struct item {
	struct pq_node node;
	bool in;
} items[N];

/* Check links and order below n; returns the number of nodes. */
static unsigned audit(const struct pq_node *n)
{
	const struct pq_node *before = n;
	unsigned found = 1;

	for (const struct pq_node *c = n->child; c; before = c, c = c->next) {
		CHECK(c->prev == before);
		CHECK(c->key >= n->key);
		found += audit(c);
	}
	return found;
}

static void check(const struct pqueue *q)
{
	const struct pq_node *first = pq_first(q);
	unsigned count = 0, walked = 0;
	s64 least = 0;

	for (unsigned i = 0; i < N; i++) {
		if (!items[i].in)
			continue;
		if (!count || items[i].node.key < least)
			least = items[i].node.key;
		count++;
	}
	CHECK_EQ(first != NULL, count != 0);
	if (!first)
		return;
	CHECK_EQ(first->key, least);
	CHECK(!first->prev && !first->next);
	CHECK_EQ(audit(first), count);
	for (const struct pq_node *n = first; n; n = pq_walk(n), walked++)
		CHECK(pq_entry(n, struct item, node)->in);
	CHECK_EQ(walked, count);
}

static void insert(struct pqueue *q, unsigned i, s64 key)
{
	const struct pq_node *first = pq_first(q);
	bool became;

	items[i].node.key = key;
	became = pq_insert(q, &items[i].node);
	CHECK_EQ(became, !first || key < first->key);
	items[i].in = true;
}

static void take(struct pqueue *q, struct item *it)
{
	pq_remove(q, &it->node);
	it->in = false;
}

TEST(random_life)
{
	struct pqueue q = { 0 };

	memset(items, 0, sizeof(items));
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)test_below(round / 4000 % 2 ? N : 12);

		if (!items[i].in)
			insert(&q, i, (s64)test_below(100) - 50);
		else
			take(&q, &items[i]);
		i = (unsigned)test_below(N);
		if (items[i].in && !pq_postpone(&items[i].node, items[i].node.key + (s64)test_below(60) - 10)) {
			take(&q, &items[i]);
			insert(&q, i, (s64)test_below(100) - 50);
		}
		if (pq_first(&q) && test_below(4) == 0)
			take(&q, pq_entry(pq_first(&q), struct item, node));
		check(&q);
	}
}

TEST(comes_out_in_order)
{
	struct pqueue q = { 0 };
	s64 last = 0;

	memset(items, 0, sizeof(items));
	for (unsigned i = 0; i < N; i++)
		insert(&q, i, (s64)(test_random() >> 1));
	for (unsigned i = 0; i < N; i++) {
		struct item *it = pq_entry(pq_first(&q), struct item, node);

		CHECK(it->node.key >= last);
		last = it->node.key;
		take(&q, it);
	}
	CHECK(!pq_first(&q));
}
