/* SPDX-License-Identifier: MIT */
/* Intrusive ordered tree (AVL). */

/*
 * Invariants, for every node: elements of child[0] sort before or with it,
 * elements of child[1] after or with it; the heights of the children differ by
 * at most one; height is one more than the greater child's. Deterministic, no
 * recursion, no allocation. The caller provides the locking.
 */

#include <lib/tree.h>

static int height(const struct tree_node *n)
{
	return n ? n->height : 0;
}

static void update_height(struct tree_node *n)
{
	int a = height(n->child[0]), b = height(n->child[1]);

	n->height = 1 + max(a, b);
}

/* Put @with where @n hangs below @parent. */
static void replace_child(struct tree *t, struct tree_node *parent,
			  const struct tree_node *n, struct tree_node *with)
{
	if (!parent)
		t->root = with;
	else
		parent->child[parent->child[1] == n] = with;
	if (with)
		with->parent = parent;
}

/* Raise child[!dir] of @n above @n, which goes down to the side @dir. Returns the new top. */
static struct tree_node *rotate(struct tree *t, struct tree_node *n, int dir)
{
	struct tree_node *up = n->child[!dir];

	replace_child(t, n->parent, n, up);
	n->child[!dir] = up->child[dir];
	if (n->child[!dir])
		n->child[!dir]->parent = n;
	up->child[dir] = n;
	n->parent = up;
	update_height(n);
	update_height(up);
	return up;
}

/* Restore heights and balance from @n up to the root. */
static void rebalance(struct tree *t, struct tree_node *n)
{
	for (; n; n = n->parent) {
		int balance = height(n->child[1]) - height(n->child[0]);
		int heavy = balance > 0;
		int old = n->height;

		if (balance > 1 || balance < -1) {
			struct tree_node *c = n->child[heavy];

			if (height(c->child[!heavy]) > height(c->child[heavy]))
				rotate(t, c, heavy);
			n = rotate(t, n, !heavy);
		} else {
			update_height(n);
		}
		if (n->height == old)
			return;
	}
}

static struct tree_node *leftmost(struct tree_node *n)
{
	while (n->child[0])
		n = n->child[0];
	return n;
}

struct tree_node *tree_next(const struct tree_node *n)
{
	if (n->child[1])
		return leftmost(n->child[1]);
	while (n->parent && n->parent->child[1] == n)
		n = n->parent;
	return n->parent;
}

bool tree_insert(struct tree *t, struct tree_node *n, tree_cmp_fn cmp)
{
	struct tree_node *parent = NULL, **link = &t->root;
	bool first = true;

	while (*link) {
		bool right = cmp(n, *link) >= 0;

		first &= !right;
		parent = *link;
		link = &parent->child[right];
	}
	*n = (struct tree_node){ .parent = parent, .height = 1 };
	*link = n;
	if (first)
		t->first = n;
	rebalance(t, parent);
	return first;
}

void tree_erase(struct tree *t, struct tree_node *n)
{
	struct tree_node *fix = n->parent;

	if (t->first == n)
		t->first = tree_next(n);

	if (n->child[0] && n->child[1]) {
		/* The successor has no smaller child: it takes the place of @n. */
		struct tree_node *s = leftmost(n->child[1]);

		fix = s->parent == n ? s : s->parent;
		replace_child(t, s->parent, s, s->child[1]);
		for (int i = 0; i < 2; i++) {
			s->child[i] = n->child[i];
			if (s->child[i])
				s->child[i]->parent = s;
		}
		s->height = n->height;
		replace_child(t, n->parent, n, s);
	} else {
		replace_child(t, n->parent, n, n->child[n->child[0] == NULL]);
	}
	rebalance(t, fix);
	*n = (struct tree_node){ };
}

struct tree_node *tree_lower_bound(const struct tree *t, const void *key, tree_key_fn cmp)
{
	struct tree_node *n = t->root, *best = NULL;

	while (n) {
		if (cmp(key, n) <= 0) {
			best = n;
			n = n->child[0];
		} else {
			n = n->child[1];
		}
	}
	return best;
}

struct tree_node *tree_find(const struct tree *t, const void *key, tree_key_fn cmp)
{
	struct tree_node *n = tree_lower_bound(t, key, cmp);

	return n && cmp(key, n) == 0 ? n : NULL;
}
