/* SPDX-License-Identifier: MIT */
/* Intrusive ordered tree (AVL), for run queues and range sets. */
#ifndef LIB_TREE_H
#define LIB_TREE_H

#include <lib/types.h>

/* Embedded in each element. Owned by the tree between tree_insert() and tree_erase(). */
struct tree_node {
	struct tree_node *parent;
	struct tree_node *child[2];	/* smaller, greater */
	int height;			/* of the subtree, a leaf being 1 */
};

/* All zeroes is an empty tree. The first element is cached: tree_first() is O(1). */
struct tree {
	struct tree_node *root;
	struct tree_node *first;
};

#define TREE_INIT	{ NULL, NULL }

#define tree_entry(node, type, member)	container_of(node, type, member)

/* <0, 0, >0 as @a sorts before, with, after @b. */
typedef int (*tree_cmp_fn)(const struct tree_node *a, const struct tree_node *b);
/* <0, 0, >0 as @key sorts before, with, after @node. */
typedef int (*tree_key_fn)(const void *key, const struct tree_node *node);

static inline bool tree_empty(const struct tree *t)
{
	return t->root == NULL;
}

/* The smallest element, NULL when empty. O(1). */
static inline struct tree_node *tree_first(const struct tree *t)
{
	return t->first;
}

/* The one after n, in order; NULL at the end. Amortised O(1) over a walk. */
struct tree_node *tree_next(const struct tree_node *n);

/*
 * Insert @n, in O(log n). Elements that compare equal keep their order of insertion.
 * Returns true when @n became the first element.
 */
bool tree_insert(struct tree *t, struct tree_node *n, tree_cmp_fn cmp);

/* Remove @n, which must be in @t. O(log n). */
void tree_erase(struct tree *t, struct tree_node *n);

/* The first element equal to the key, NULL if there is none. */
struct tree_node *tree_find(const struct tree *t, const void *key, tree_key_fn cmp);

/* The first element that does not sort before the key, NULL if there is none. */
struct tree_node *tree_lower_bound(const struct tree *t, const void *key, tree_key_fn cmp);

#endif
