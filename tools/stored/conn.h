/* SPDX-License-Identifier: MIT */
/* A client's connection, whatever it runs over: its watches, its transactions, and what it has yet to receive. */
#ifndef STORED_CONN_H
#define STORED_CONN_H

#include <stored/domain.h>
#include <stored/mem.h>
#include <errno.h>
#include <xen/io/xs_wire.h>

struct conn;

/* A whole request. */
struct request {
	struct xsd_sockmsg head;
	const char *body;	/* head.len bytes, at most XENSTORE_PAYLOAD_MAX */
};

struct conn_kind {
	/* The next request, whole, if there is one. It stays valid until taken() or the connection's end. */
	bool (*next)(struct conn *c, struct request *r);
	/* That request has been executed: part of the group that the state file gets for it. */
	void (*taken)(struct conn *c);
	/* Everything up to here is in the state file: hand out output, give back input. Calls conn_sent(). */
	void (*flush)(struct conn *c);
	/* The loop stopped (or resumed) taking requests from it. */
	void (*pause)(struct conn *c, bool paused);
	/* Free it, conn_end() included. */
	void (*destroy)(struct conn *c);
	bool durable;		/* watches, transactions and output outlive the daemon */
};

struct conn {
	const struct conn_kind *kind;
	struct domain *domain;		/* on whose behalf; a reference */
	bool readonly;
	bool paused;			/* too much output unread, or its domain's events are */
	bool ended;			/* destroy() is due */
	struct list all, ready, dirty;	/* on lists of conn.c */
	struct list watches, txns;
	u32 next_txn;
	struct bytes out;		/* not handed out yet */
	u64 out_total;			/* bytes ever put into it */
	struct bytes marks;		/* which domain is to blame for which part of it */
	struct list stuck;		/* on conns_stuck while its peer takes nothing */
	u64 stuck_since;		/* ms */
};

extern struct list conns;		/* all, by `all` */
extern struct list conns_ready;		/* may have a request */
extern struct list conns_dirty;		/* flush() is due */

/* Takes over the caller's reference to the domain. */
void conn_init(struct conn *c, const struct conn_kind *kind, struct domain *domain);
/* Its watches and transactions, and the output: gone; off all lists. */
void conn_end(struct conn *c);
void conn_forget_state(struct conn *c);	/* watches and transactions only */
void conn_wake(struct conn *c);		/* look for requests */
void conn_touch(struct conn *c);	/* flush() at the end of this round */

void conn_reply(struct conn *c, const struct xsd_sockmsg *to, u32 type, const void *body, size_t len);
/* error: positive errno. */
void conn_reply_error(struct conn *c, const struct xsd_sockmsg *to, int error);
/*
 * A watch event. cause: the unprivileged domain that made it happen, or NULL. It counts as outstanding for the cause until a
 * privileged client has taken it. A guest that does not read loses events above the quota "memory".
 */
void conn_event(struct conn *c, const char *path, const char *token, struct domain *cause);
/* The first n bytes of `out` have been handed over (or, n == all, been given up). */
void conn_sent(struct conn *c, size_t n);

/* One request of the connection, if there is one and it may go on: whether. */
bool conn_turn(struct conn *c);
void conns_flush(void);
/* The peer takes (or does not take) output now. */
void conn_stuck(struct conn *c, bool stuck);
/* End those that have not taken an event for 20 s while its cause waits; ms until to look again, or -1: an event comes first. */
int conns_check_stuck(void);

#endif
