/* SPDX-License-Identifier: MIT */
/* Intrusive priority queue (pairing heap). Source: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", Algorithmica 1 (1986). */

/*
 * A tree in which no child is before its parent. Two trees become one when the root that is later turns into a child of the other. Work is done only
 * when a root goes: its children are joined in pairs, and then all the pairs, so that as many steps are saved later.
 */

#include <lib/pqueue.h>

/* Make one tree of two; neither has siblings. */
static inline struct pq_node *join(struct pq_node *a, struct pq_node *b)
{
	struct pq_node *top = b->key < a->key ? b : a, *below = top == a ? b : a;

	below->next = top->child;
	if (below->next)
		below->next->prev = below;
	below->prev = top;
	top->child = below;
	return top;
}

/* Make one tree of a list of siblings, not empty. */
static struct pq_node *join_all(struct pq_node *list)
{
	struct pq_node *pairs = NULL, *all;

	while (list) {
		struct pq_node *a = list, *b = a->next;

		list = b ? b->next : NULL;
		if (b)
			a = join(a, b);
		a->next = pairs;
		pairs = a;
	}
	all = pairs;
	pairs = all->next;
	while (pairs) {
		struct pq_node *rest = pairs->next;

		all = join(all, pairs);
		pairs = rest;
	}
	return all;
}

static inline void set_root(struct pqueue *q, struct pq_node *n)
{
	n->next = n->prev = NULL;
	q->root = n;
}

bool pq_insert(struct pqueue *q, struct pq_node *n)
{
	n->child = n->next = n->prev = NULL;
	if (!q->root) {
		q->root = n;
		return true;
	}
	set_root(q, join(q->root, n));
	return q->root == n;
}

void pq_remove(struct pqueue *q, struct pq_node *n)
{
	struct pq_node *below = n->child ? join_all(n->child) : NULL;

	if (!n->prev) {
		q->root = NULL;
		if (below)
			set_root(q, below);
		return;
	}
	if (n->prev->child == n)
		n->prev->child = n->next;
	else
		n->prev->next = n->next;
	if (n->next)
		n->next->prev = n->prev;
	if (below)
		set_root(q, join(q->root, below));
}

struct pq_node *pq_walk(const struct pq_node *n)
{
	if (n->child)
		return n->child;
	while (n && !n->next) {
		/* To the parent. */
		while (n->prev && n->prev->child != n)
			n = n->prev;
		n = n->prev;
	}
	return n ? n->next : NULL;
}
