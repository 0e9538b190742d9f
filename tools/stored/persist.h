/* SPDX-License-Identifier: MIT */
/* The state file: what must outlive the daemon, as items. Those of one request are one group: there wholly or not at all. */
#ifndef STORED_PERSIST_H
#define STORED_PERSIST_H

#include <lib/types.h>
#include <stored/mem.h>

struct conn;
struct domain;
struct node;
struct perms;
struct ring;
struct txn;
struct watch;

/*
 * Items. Numbers are little-endian; a string is u16 length and bytes; a domain id with PERSIST_DEAD names one that had died. The
 * handle of a ring connection is its domain's id.
 */
enum persist_item {
	ITEM_EPOCH = 1,		/* u64: starts of the daemon, counted */
	ITEM_NODE,		/* string path, perms, u32 length, value */
	ITEM_REMOVE,		/* string path */
	ITEM_SPECIAL,		/* string name, perms */
	ITEM_DOMAIN,		/* u16 id, u8 DOMAIN_*, handle[16], u64 gfn, u32 port, u16 target or id itself */
	ITEM_DIED,		/* u16 id */
	ITEM_WATCH,		/* u16 id, u8 relative, string path, string token */
	ITEM_UNWATCH,		/* the same */
	ITEM_TXN,		/* u16 id, u32 transaction: started */
	ITEM_TXN_OP,		/* u16 id, u32 transaction, u32 type, u32 length, body: a request that changes nodes */
	ITEM_TXN_END,		/* u16 id, u32 transaction */
	ITEM_INPUT,		/* u16 id, u32 consumer index, u32 length, bytes: all that is consumed of the next request */
	ITEM_OUTPUT,		/* u16 id, u32 producer index of the first byte, u32 length, bytes */
	ITEM_RESET,		/* u16 id: the client connected its ring anew */
};

#define PERSIST_DEAD	0x8000
enum { DOMAIN_INTRODUCED = 1, DOMAIN_SHUTDOWN = 2, DOMAIN_IDENTIFIED = 4 };

/*
 * Rebuild the state from the files in dir, write it anew, and keep it there from now on. dir NULL: keep nothing. -errno, with a
 * line in the log: another daemon uses the directory (-EBUSY), or it cannot be written.
 */
int persist_start(const char *dir);
/* What has been noted since the last call goes into the file, at once. */
void persist_group(void);

void persist_node(const struct node *n, const char *path);
void persist_remove(const char *path);
void persist_special(const char *name, const struct perms *p);
void persist_domain(const struct domain *d);
void persist_died(const struct domain *d);
void persist_watch(const struct watch *w, bool there);
void persist_txn(const struct txn *t, bool open);
void persist_txn_op(const struct txn *t, u32 type, const char *body, u32 len);
void persist_input(u16 domid, u32 index, const char *held, u32 len);
/* The n bytes are the last of the output of the domain's ring. */
void persist_output(const struct domain *d, const void *bytes, size_t n);
void persist_reset(u16 domid);

/*
 * Apply the items of a group to a store that is initialised and empty before the first one (load.c): false at the first item that
 * is wrong; those before it count. Behind the last group, once: persist_loaded(); *epoch: the former starts of the daemon.
 */
bool persist_load(struct reader *r);
void persist_loaded(u64 *epoch);
/* All that there is, as items. emit() may take the bytes out at any time. */
void persist_snapshot(struct bytes *out, void (*emit)(struct bytes *));

#endif
