/* SPDX-License-Identifier: MIT */
/*
 * Many changes of the store in one transaction, without waiting for the answer to each: they are collected, and sent together. A client that writes sixty
 * nodes one by one makes sixty round trips through the daemon; this one makes three.
 */
#ifndef TOOLS_LIB_STORE_BATCH_H
#define TOOLS_LIB_STORE_BATCH_H

#include <lib/store.h>
#include <stddef.h>

struct store_batch {
	char *buf;		/* messages as they go over the wire */
	size_t len, room;
	int error;		/* of the first call that could not be taken: store_batch_commit() gives it */
};

/* Zeroed, it is empty. Paths as in store.h. */
void __attribute__((format(printf, 3, 4))) store_batch_write(struct store_batch *b, const char *value, const char *path_fmt, ...);
void __attribute__((format(printf, 3, 4))) store_batch_write_u64(struct store_batch *b, uint64_t value, const char *path_fmt, ...);
void __attribute__((format(printf, 2, 3))) store_batch_mkdir(struct store_batch *b, const char *path_fmt, ...);
/* Not there is no error. */
void __attribute__((format(printf, 2, 3))) store_batch_remove(struct store_batch *b, const char *path_fmt, ...);
/* As store_set_perms(). */
void __attribute__((format(printf, 6, 7))) store_batch_perms(struct store_batch *b, unsigned owner, unsigned others, int domid,
							     unsigned domid_perm, const char *path_fmt, ...);
/*
 * Do it all once, or nothing: 0 or -errno; also when others were in the way, or the daemon was restarted meanwhile. s: waited on while the daemon
 * is away. The batch is freed.
 */
int store_batch_commit(struct store_batch *b, struct store *s);

#endif
