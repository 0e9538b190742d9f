/* SPDX-License-Identifier: MIT */
/* Requests: one table row per command of the protocol. */
#ifndef STORED_REQUEST_H
#define STORED_REQUEST_H

#include <stored/conn.h>
#include <stored/txn.h>

/* A request on its way. */
struct call {
	struct conn *conn;
	struct txn *txn;	/* the one it names; for a command that changes nodes always one */
	const struct xsd_sockmsg *head;
	const char *body;
	u32 len;
	struct bytes *reply;	/* empty: "OK" */
	struct watch *watch;	/* added by it: gets its first event behind the reply */
};

/*
 * Do what the request says, and answer it. Whatever it changes is noted for the state file; the caller ends the group.
 */
void request_execute(struct conn *c, const struct request *r);
/* Again, in a transaction of a former life of the daemon: no answer, failure is no news. */
void request_replay(struct conn *c, struct txn *t, u32 type, const char *body, u32 len);
/* Log every request from now on. */
extern bool request_trace;

/* The body as n strings that are each there with their NUL and nothing behind them: whether it is. */
bool call_strings(const struct call *x, const char **strings, unsigned int n);
/*
 * -errno: the path is none, or the client may not do `want` (PERM_*) with it. On -ENOENT the view is that of its nearest parent,
 * and `want` is allowed there.
 */
int __must_check call_look(const struct call *x, const char *text, char *path, unsigned int want, struct view *v);

/* Handlers, by noun. 0 or -errno. */
int do_directory(struct call *x);
int do_directory_part(struct call *x);
int do_read(struct call *x);
int do_write(struct call *x);
int do_mkdir(struct call *x);
int do_rm(struct call *x);
int do_get_perms(struct call *x);
int do_set_perms(struct call *x);
int do_watch(struct call *x);
int do_unwatch(struct call *x);
int do_reset_watches(struct call *x);
int do_txn_start(struct call *x);
int do_txn_end(struct call *x);
int do_introduce(struct call *x);
int do_release(struct call *x);
int do_get_domain_path(struct call *x);
int do_is_introduced(struct call *x);
int do_resume(struct call *x);
int do_set_target(struct call *x);
int do_control(struct call *x);

#endif
