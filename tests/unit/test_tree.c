/* SPDX-License-Identifier: MIT */
/* Unit tests: ordered tree, against a sorted array. */
/* sources: lib/tree.c */
#include "test.h"

#include <lib/tree.h>

#define N	200

struct item {
	struct tree_node node;
	int key;
	int serial;
	bool in;
};

static int cmp(const struct tree_node *a, const struct tree_node *b)
{
	return tree_entry(a, struct item, node)->key - tree_entry(b, struct item, node)->key;
}

static int cmp_key(const void *key, const struct tree_node *n)
{
	return *(const int *)key - tree_entry(n, struct item, node)->key;
}

/* Check links, heights and balance below @n; returns the number of nodes. */
static int audit(const struct tree_node *n, const struct tree_node *parent)
{
	if (!n)
		return 0;
	CHECK(n->parent == parent);

	int h0 = n->child[0] ? n->child[0]->height : 0;
	int h1 = n->child[1] ? n->child[1]->height : 0;

	CHECK_EQ(n->height, 1 + (h0 > h1 ? h0 : h1));
	CHECK(h0 - h1 <= 1 && h1 - h0 <= 1);
	return 1 + audit(n->child[0], n) + audit(n->child[1], n);
}

/* The model: items[] sorted by (key, serial). */
static struct item *model[N];
static int count;

static void model_insert(struct item *it)
{
	int i = count++;

	for (; i > 0 && model[i - 1]->key > it->key; i--)
		model[i] = model[i - 1];
	model[i] = it;
}

static void model_erase(struct item *it)
{
	int i = 0;

	while (model[i] != it)
		i++;
	count--;
	for (; i < count; i++)
		model[i] = model[i + 1];
}

static void compare(struct tree *t)
{
	struct tree_node *n = tree_first(t);

	CHECK_EQ(audit(t->root, NULL), count);
	CHECK_EQ(tree_empty(t), count == 0);
	for (int i = 0; i < count; i++, n = tree_next(n))
		CHECK(n == &model[i]->node);
	CHECK(n == NULL);
}

TEST(random_against_sorted_array)
{
	static struct item items[N];
	struct tree t = TREE_INIT;

	for (int step = 0; step < 20000; step++) {
		/* Waves of growth and decline; few keys, so that many are equal. */
		struct item *it = &items[test_below(N)];
		bool grow = step / 1000 % 2 == 0;

		if (it->in && (!grow || test_below(4) == 0)) {
			tree_erase(&t, &it->node);
			model_erase(it);
			it->in = false;
		} else if (!it->in && (grow || test_below(4) == 0)) {
			it->key = (int)test_below(60);
			model_insert(it);
			CHECK_EQ(tree_insert(&t, &it->node, cmp), model[0] == it);
			it->in = true;
		}
		if (step % 7 == 0)
			compare(&t);

		int key = (int)test_below(62) - 1, i = 0;

		while (i < count && model[i]->key < key)
			i++;
		CHECK(tree_lower_bound(&t, &key, cmp_key) == (i < count ? &model[i]->node : NULL));
		CHECK(tree_find(&t, &key, cmp_key) ==
		      (i < count && model[i]->key == key ? &model[i]->node : NULL));
	}
}

TEST(sorted_input_stays_flat)
{
	static struct item items[4096];

	for (int dir = 0; dir < 2; dir++) {
		struct tree t = TREE_INIT;

		for (int i = 0; i < 4096; i++) {
			items[i].key = dir ? -i : i;
			tree_insert(&t, &items[i].node, cmp);
		}
		CHECK_EQ(audit(t.root, NULL), 4096);
		CHECK(t.root->height <= 17);	/* 1.44 log2 n */
		for (int left = 4096; left; left--) {
			int key = tree_entry(tree_first(&t), struct item, node)->key;

			CHECK_EQ(key, dir ? -(left - 1) : 4096 - left);
			tree_erase(&t, tree_first(&t));
		}
		CHECK(tree_empty(&t) && !tree_first(&t));
	}
}
