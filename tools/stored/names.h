/* SPDX-License-Identifier: MIT */
/* Trees of names: the shape shared by the store's nodes, the watches' paths and a transaction's changes. */
#ifndef STORED_NAMES_H
#define STORED_NAMES_H

#include <lib/list.h>

/*
 * Each element is embedded at the start of a larger structure. All elements of a tree are in one hash table under (parent, name),
 * so finding a child costs the same however many siblings it has; the children of an element are also in a list, in the order in
 * which they were added.
 */
struct name {
	struct name *parent;
	struct list siblings, children;
	struct name *next;		/* in the bucket */
	u32 hash, len;
	char *text;			/* NUL-terminated, in the element's own allocation */
};

#define NAMES_SMALL	16

struct names {
	struct name **bucket;
	size_t mask, count;
	struct name *small[NAMES_SMALL];	/* the buckets while there are few */
};

void names_init(struct names *t);
void names_free(struct names *t);		/* the table, not its elements */
/* The root of a tree: in no table. */
void name_init_root(struct name *n);
struct name *name_find(const struct names *t, const struct name *parent, const char *text, size_t len);
/*
 * A zeroed structure of `size` bytes that starts with a struct name, as the last child of parent. The name must not be there yet.
 */
void *name_add(struct names *t, size_t size, struct name *parent, const char *text, size_t len);
/* Take a childless element out and free it. */
void name_free(struct names *t, struct name *n);

/* Write "/a/b" ("/" for the root) into buf; its length, or 0 when size is too small for it. */
size_t name_path(const struct name *n, char *buf, size_t size);

/* The next component of an absolute path: moves *path behind it. false: there is none left. */
bool path_next(const char **path, const char **name, size_t *len);

#endif
