/* SPDX-License-Identifier: MIT */
/* Transactions: what a client sees and has changed, on top of the committed tree. */
#ifndef STORED_TXN_H
#define STORED_TXN_H

#include <stored/conn.h>
#include <stored/node.h>

/*
 * A transaction is a second tree that holds, for the paths it touched, what it changed and which generation it saw. Reading looks
 * at both trees in parallel. A commit compares the generations with the committed tree; if something that it read or changed has
 * changed since, the client must try again (EAGAIN). Adding and removing children is no change of the parent, unless the
 * transaction has listed it.
 *
 * A change without a transaction is one that begins and commits at once: there is one way in which the tree changes.
 */
struct txn {
	u32 id;			/* 0: begins and commits at once, sees nobody else */
	bool doomed;		/* the daemon was restarted meanwhile: will end with EAGAIN */
	struct conn *conn;	/* NULL: the daemon itself */
	struct domain *domain;	/* who acts: owns what an unprivileged one creates; NULL: the daemon */
	struct list on_conn;
	struct names names;
	struct txn_node *root;
	struct list changed;	/* in order */
	size_t touched, created;
	size_t memory;		/* charged to the domain */
	u64 changes;
	struct bytes ops;	/* requests that changed something, if they must outlive the daemon */
};

/* What is at a path. */
struct view {
	bool exists;
	struct perms *perms;	/* of the node, or of the nearest one above it that exists */
	const char *value;
	u32 len;
};

struct txn *txn_begin(struct conn *c, struct domain *domain, u32 id);
void txn_free(struct txn *t);
struct txn *txn_find(struct conn *c, u32 id);

/* t may be NULL: the committed tree. -ENOSPC: the transaction touches too many nodes. */
int __must_check txn_look(struct txn *t, const char *path, struct view *v);
/* Appends the children's names, each with its NUL, and says the listing's generation. */
int __must_check txn_list(struct txn *t, const char *path, struct bytes *names, u64 *generation);

/*
 * Value or permissions NULL: as before; for a new node: empty, inherited. Nodes above it that are missing come to be. -ENOSPC:
 * quotas; no change.
 */
int __must_check txn_put(struct txn *t, const char *path, const char *value, u32 len, struct perms *perms);
/* It exists, and is not the root. */
void txn_remove(struct txn *t, const char *path);
/*
 * Into the committed tree, the state file's group and the watchers' queues. -EAGAIN, -ENOSPC: nothing happened. t remains to be
 * freed.
 */
int __must_check txn_commit(struct txn *t);

#endif
