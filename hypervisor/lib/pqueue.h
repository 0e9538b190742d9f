/* SPDX-License-Identifier: MIT */
/* Intrusive priority queue (pairing heap), for timers: what counts is the first, and most elements leave before it is their turn. */
#ifndef LIB_PQUEUE_H
#define LIB_PQUEUE_H

#include <lib/types.h>

/* Embedded in each element. But for the key, which must not change meanwhile, owned by the queue between pq_insert() and pq_remove(). */
struct pq_node {
	s64 key;			/* the smallest is the first; equal ones have no order */
	struct pq_node *child;		/* first of those that were found to be greater */
	struct pq_node *next, *prev;	/* siblings; of the first sibling, prev is the parent */
};

/* All zeroes is an empty queue. */
struct pqueue {
	struct pq_node *root;
};

#define pq_entry(node, type, member)	container_of(node, type, member)

/* NULL when empty. O(1). */
static inline struct pq_node *pq_first(const struct pqueue *q) { return q->root; }

/* Insert a node, whose key is set. O(1). Returns true when it became the first. */
bool pq_insert(struct pqueue *q, struct pq_node *n);
/* Remove a node, which must be in the queue. O(log n), amortised; O(1) for those that no other was compared with and found greater. */
void pq_remove(struct pqueue *q, struct pq_node *n);
/* Give a node in the queue a greater key. False: not without taking it out. O(1). */
static inline bool pq_postpone(struct pq_node *n, s64 key)
{
	if (!n->prev || n->child || key < n->key)
		return false;
	n->key = key;
	return true;
}
/* The one after n in some order, beginning with pq_first(); NULL at the end. The whole walk is O(n). */
struct pq_node *pq_walk(const struct pq_node *n);

#endif
