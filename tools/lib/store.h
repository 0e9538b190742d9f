/* SPDX-License-Identifier: MIT */
/*
 * The store, as a client: libxenstore with formatted paths, transactions that are tried again, and reconnection after the
 * daemon was restarted.
 *
 * A handle belongs to one thread. Functions return 0 or -errno; store_open() alone makes a message.
 */
#ifndef TOOLS_LIB_STORE_H
#define TOOLS_LIB_STORE_H

#include <lib/err.h>
#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

struct store;

/* wait: until the daemon is there; else -ECONNREFUSED and a message at once. */
int store_open(struct store **s, bool wait, struct err *e);
void store_close(struct store *s);

/*
 * Run fn in a transaction, again when others were in the way (at most 20 times, then -EAGAIN). fn returning non-zero aborts it.
 * Within, the functions below take part in it. A transaction that the daemon's restart has ended is run again.
 */
int store_transaction(struct store *s, int (*fn)(struct store *s, void *arg), void *arg);

/* Value at the path, allocated and NUL-terminated (at most 4096 bytes); NULL and errno: ENOENT …. */
char *__attribute__((format(printf, 2, 3))) store_read(struct store *s, const char *path_fmt, ...);
/* An unsigned number there; -EINVAL: something else is there. */
int __attribute__((format(printf, 3, 4))) store_read_u64(struct store *s, uint64_t *value, const char *path_fmt, ...);
int __attribute__((format(printf, 3, 4))) store_write(struct store *s, const char *value, const char *path_fmt, ...);
int __attribute__((format(printf, 3, 4))) store_write_u64(struct store *s, uint64_t value, const char *path_fmt, ...);
int __attribute__((format(printf, 2, 3))) store_mkdir(struct store *s, const char *path_fmt, ...);
/* Not there is no error. */
int __attribute__((format(printf, 2, 3))) store_remove(struct store *s, const char *path_fmt, ...);
/* Names of the children, NULL-terminated, one allocation; NULL and errno. */
char **__attribute__((format(printf, 2, 3))) store_list(struct store *s, const char *path_fmt, ...);
/* owner and what others may do (XS_PERM_NONE …), then optionally one domain with its own right (reader_domid < 0: none). */
int __attribute__((format(printf, 6, 7))) store_set_perms(struct store *s, unsigned owner, unsigned others, int domid, unsigned domid_perm,
							  const char *path_fmt, ...);

/* Watches: fd becomes readable when one has fired; it may change after a reconnection (asked anew by the event loop each round). */
int store_watch(struct store *s, const char *path, const char *token);
int store_unwatch(struct store *s, const char *path, const char *token);
int store_fd(struct store *s);
/*
 * The next fired watch: path and token, one allocation (free path); -EAGAIN: none. After a restart of the daemon every watch fires
 * once.
 */
int store_next_watch(struct store *s, char **path, char **token);

int store_introduce(struct store *s, uint16_t domid, uint64_t gfn, uint32_t port);
int store_release(struct store *s, uint16_t domid);

#endif
