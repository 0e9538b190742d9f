/* SPDX-License-Identifier: MIT */
/* Sparse map from 64-bit keys to pointers. */
#ifndef LIB_RADIX_H
#define LIB_RADIX_H

#include <lib/allocator.h>

struct radix_node;

/*
 * A tree of 64-way nodes, only as high as the greatest key needs; clustered keys
 * cost about 8 bytes each. Small integers may be stored as pointers, but 0 (NULL)
 * means "absent". The caller provides the locking.
 */
struct radix {
	struct radix_node *root;
	unsigned int height;		/* levels; 0 only when empty */
	const struct allocator *alloc;	/* must outlive the map */
};

void radix_init(struct radix *r, const struct allocator *alloc);

/*
 * Forget all entries and free the map's memory (not what values point to). Not
 * preemptible: a big map is emptied piecewise with radix_next() and radix_erase().
 */
void radix_clear(struct radix *r);

/* The value of @key, NULL if absent. O(height), which is at most 11. */
void *radix_lookup(const struct radix *r, u64 key);

/* -EINVAL if @value is NULL, -EEXIST if the key is present, -ENOMEM; the map is then unchanged. */
int __must_check radix_insert(struct radix *r, u64 key, void *value);

/* Change the value of a key that is present to @value, not NULL; returns the old value, NULL (and no change) if absent. */
void *radix_replace(struct radix *r, u64 key, void *value);

/* Remove a key; returns the value it had, NULL if absent. Memory no longer needed is freed. */
void *radix_erase(struct radix *r, u64 key);

/*
 * The entry with the smallest key at or after *@key: stores that key and returns
 * its value; NULL at the end. The key is the whole cursor, so a walk may stop and
 * be resumed after any change to the map.
 */
void *radix_next(const struct radix *r, u64 *key);

/* @key is a u64 variable, @value a pointer variable; the body may erase the current entry. */
#define radix_for_each(r, key, value)						\
	for (key = 0, value = radix_next(r, &(key)); value;			\
	     value = (key)++ != ~0UL ? radix_next(r, &(key)) : NULL)

#endif
