/* SPDX-License-Identifier: MIT */
/* The tree of nodes, as it is committed. Only a transaction's commit (txn.c) and the state file (load.c) change it. */
#ifndef STORED_NODE_H
#define STORED_NODE_H

#include <stored/names.h>
#include <stored/perms.h>

struct node {
	struct name name;
	u64 generation;		/* when value, permissions or existence last changed */
	u64 child_generation;	/* when a child was last added or removed */
	struct list owned;	/* in the owner's list */
	struct perms *perms;
	char *value;
	u32 len;
};

extern struct node node_root;
/* Counts changes; each takes the next number. Never goes back, also not across a restart. */
extern u64 node_generation;

/* An empty tree: a root that the domain owns and nobody else may read. */
void node_init(struct domain *owner);
struct node *node_child(const struct node *parent, const char *text, size_t len);
struct node *node_find(const char *path);
/* The value is copied, perms gets a reference of its own. */
struct node *node_create(struct node *parent, const char *text, size_t len, struct perms *perms, const char *value, u32 value_len);
void node_update(struct node *n, struct perms *perms, const char *value, u32 value_len);
/* n has no children, and is not the root. */
void node_delete(struct node *n);
/* What one takes from its owner's memory. */
size_t node_size(u32 value_len);
static inline struct node *node_of(struct name *n) { return container_of(n, struct node, name); }
/* Recount everything: NULL, or what is wrong. */
const char *node_audit(size_t *count);

#endif
