/* SPDX-License-Identifier: MIT */
/* Sparse map from 64-bit keys to pointers: a radix tree of 64-way nodes. */

/*
 * A map of height h holds keys below 64^h (all keys, at height 11). Level 0 nodes
 * hold values, a node of level l > 0 holds nodes of level l - 1. Invariant between
 * calls: no node is empty, so the map is empty exactly when root is NULL.
 */

#include <lib/errno.h>
#include <lib/radix.h>
#include <lib/string.h>

#define RADIX_BITS	6
#define RADIX_SLOTS	64
#define RADIX_HEIGHT	11	/* levels that cover 64 bits */

struct radix_node {
	u64 present;		/* bit i: slot[i] is not NULL */
	void *slot[RADIX_SLOTS];
};

static unsigned int index_at(u64 key, unsigned int level)
{
	return key >> (level * RADIX_BITS) & (RADIX_SLOTS - 1);
}

/* Does a tree of @height levels have room for @key? */
static bool covers(unsigned int height, u64 key)
{
	return height == RADIX_HEIGHT || key >> (height * RADIX_BITS) == 0;
}

static void set_slot(struct radix_node *n, unsigned int i, void *value)
{
	n->slot[i] = value;
	if (value)
		n->present |= BIT(i);
	else
		n->present &= ~BIT(i);
}

static struct radix_node *new_node(const struct radix *r)
{
	struct radix_node *n = r->alloc->alloc(r->alloc->ctx, sizeof(*n));

	if (n)
		memset(n, 0, sizeof(*n));
	return n;
}

static void free_node(const struct radix *r, struct radix_node *n)
{
	r->alloc->free(r->alloc->ctx, n, sizeof(*n));
}

void radix_init(struct radix *r, const struct allocator *alloc)
{
	*r = (struct radix){ .alloc = alloc };
}

/* Depth is bounded by RADIX_HEIGHT. */
static void free_subtree(const struct radix *r, struct radix_node *n, unsigned int level)
{
	for (unsigned int i = 0; level && i < RADIX_SLOTS; i++)
		if (n->slot[i])
			free_subtree(r, n->slot[i], level - 1);
	free_node(r, n);
}

void radix_clear(struct radix *r)
{
	if (r->root)
		free_subtree(r, r->root, r->height - 1);
	radix_init(r, r->alloc);
}

/* The place of a key's value, NULL if there is no node for it. */
static void **find_slot(const struct radix *r, u64 key)
{
	struct radix_node *n = r->root;

	if (!n || !covers(r->height, key))
		return NULL;
	for (unsigned int level = r->height - 1; level; level--) {
		n = n->slot[index_at(key, level)];
		if (!n)
			return NULL;
	}
	return &n->slot[index_at(key, 0)];
}

void *radix_lookup(const struct radix *r, u64 key)
{
	void **slot = find_slot(r, key);

	return slot ? *slot : NULL;
}

void *radix_replace(struct radix *r, u64 key, void *value)
{
	void **slot = find_slot(r, key);
	void *old = slot ? *slot : NULL;

	if (old)
		*slot = value;
	return old;
}

/* Remove the empty nodes on the path to @key, then superfluous levels at the top. */
static void prune(struct radix *r, u64 key)
{
	struct radix_node *path[RADIX_HEIGHT];
	unsigned int level = r->height - 1;

	path[level] = r->root;
	while (level && path[level]->slot[index_at(key, level)]) {
		path[level - 1] = path[level]->slot[index_at(key, level)];
		level--;
	}
	for (; level < r->height && !path[level]->present; level++) {
		free_node(r, path[level]);
		if (level + 1 < r->height)
			set_slot(path[level + 1], index_at(key, level + 1), NULL);
		else
			r->root = NULL;
	}
	while (r->root && r->height > 1 && r->root->present == 1) {
		struct radix_node *top = r->root;

		r->root = top->slot[0];
		r->height--;
		free_node(r, top);
	}
	if (!r->root)
		r->height = 0;
}

/* Add levels until @key fits. On failure the map is valid, perhaps higher than it need be. */
static int grow(struct radix *r, u64 key)
{
	if (!r->root) {
		r->root = new_node(r);
		if (!r->root)
			return -ENOMEM;
		r->height = 1;
		while (!covers(r->height, key))
			r->height++;
	}
	while (!covers(r->height, key)) {
		struct radix_node *top = new_node(r);

		if (!top)
			return -ENOMEM;
		set_slot(top, 0, r->root);
		r->root = top;
		r->height++;
	}
	return 0;
}

int radix_insert(struct radix *r, u64 key, void *value)
{
	struct radix_node *n;
	int rc;

	if (!value)
		return -EINVAL;
	if (radix_lookup(r, key))
		return -EEXIST;

	rc = grow(r, key);
	if (rc)
		goto fail;
	n = r->root;
	for (unsigned int level = r->height - 1; level; level--) {
		unsigned int i = index_at(key, level);

		if (!n->slot[i]) {
			struct radix_node *child = new_node(r);

			if (!child) {
				rc = -ENOMEM;
				goto fail;
			}
			set_slot(n, i, child);
		}
		n = n->slot[i];
	}
	set_slot(n, index_at(key, 0), value);
	return 0;

fail:
	if (r->root)
		prune(r, covers(r->height, key) ? key : 0);
	return rc;
}

void *radix_erase(struct radix *r, u64 key)
{
	void **slot = find_slot(r, key);
	void *old = slot ? *slot : NULL;

	if (old) {
		struct radix_node *leaf = container_of(slot - index_at(key, 0),
						       struct radix_node, slot);

		set_slot(leaf, index_at(key, 0), NULL);
		prune(r, key);
	}
	return old;
}

void *radix_next(const struct radix *r, u64 *key)
{
	u64 k = *key;

	/* Each round goes down towards k, and either arrives or moves k past an empty subtree. */
	while (r->root && covers(r->height, k)) {
		struct radix_node *n = r->root;
		unsigned int level = r->height - 1;

		for (;;) {
			unsigned int i = index_at(k, level);
			u64 rest = n->present >> i;

			if (!rest)
				break;		/* nothing at or after k below this node */
			if (!(rest & 1)) {
				/* Jump to the next used slot: its smallest key. */
				i += (unsigned int)__builtin_ctzl(rest);
				k = k >> (level * RADIX_BITS) & ~(u64)(RADIX_SLOTS - 1);
				k = (k | i) << (level * RADIX_BITS);
			}
			if (level == 0) {
				*key = k;
				return n->slot[i];
			}
			n = n->slot[i];
			level--;
		}
		/* The first key after this node's span; none if that is beyond 64 bits. */
		unsigned int shift = (level + 1) * RADIX_BITS;

		if (shift >= 64)
			break;
		u64 next = ((k >> shift) + 1) << shift;

		if (next <= k)
			break;
		k = next;
	}
	return NULL;
}
