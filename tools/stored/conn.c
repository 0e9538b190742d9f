/* SPDX-License-Identifier: MIT */
/* A client's connection, whatever it runs over: its watches, its transactions, and what it has yet to receive. */
#include <stored/conn.h>
#include <stored/loop.h>
#include <stored/log.h>
#include <stored/persist.h>
#include <stored/quota.h>
#include <stored/request.h>
#include <stored/txn.h>
#include <stored/watch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUT_PAUSE	16384		/* unread output at which requests have to wait */
#define OUT_MAX		(16 << 20)	/* … at which a privileged client is given up */
#define STUCK_MS	20000

struct list conns = LIST_INIT(conns);
struct list conns_ready = LIST_INIT(conns_ready);
struct list conns_dirty = LIST_INIT(conns_dirty);
static struct list conns_stuck = LIST_INIT(conns_stuck);

/* Up to the end'th byte of output, the domain is to blame. */
struct mark {
	u64 end;
	struct domain *cause;	/* a reference */
};

void conn_init(struct conn *c, const struct conn_kind *kind, struct domain *domain)
{
	c->kind = kind;
	c->domain = domain;
	list_init(&c->ready);
	list_init(&c->dirty);
	list_init(&c->stuck);
	list_init(&c->watches);
	list_init(&c->txns);
	list_add_tail(&conns, &c->all);
}

void conn_forget_state(struct conn *c)
{
	struct watch *w, *next_w;
	struct txn *t, *next_t;

	list_for_each_entry_safe(w, next_w, &c->watches, on_conn)
		watch_free(w);
	list_for_each_entry_safe(t, next_t, &c->txns, on_conn)
		txn_free(t);
}

void conn_end(struct conn *c)
{
	conn_forget_state(c);
	conn_sent(c, bytes_len(&c->out));
	bytes_free(&c->out);
	bytes_free(&c->marks);
	list_del(&c->all);
	list_del(&c->ready);
	list_del(&c->dirty);
	list_del(&c->stuck);
	domain_put(c->domain);
}

void conn_wake(struct conn *c)
{
	if (list_empty(&c->ready) && !c->ended)
		list_add_tail(&conns_ready, &c->ready);
}

void conn_touch(struct conn *c)
{
	if (list_empty(&c->dirty))
		list_add_tail(&conns_dirty, &c->dirty);
}

static void put_out(struct conn *c, const struct xsd_sockmsg *head, const void *a, size_t a_len, const void *b, size_t b_len)
{
	char *at = bytes_room(&c->out, sizeof(*head) + a_len + b_len);

	memcpy(at, head, sizeof(*head));
	memcpy(at + sizeof(*head), a, a_len);
	if (b_len)
		memcpy(at + sizeof(*head) + a_len, b, b_len);
	size_t n = sizeof(*head) + a_len + b_len;

	c->out.end += n;
	c->out_total += n;
	if (c->kind->durable)
		persist_output(c->domain, at, n);
	conn_touch(c);
}

void conn_reply(struct conn *c, const struct xsd_sockmsg *to, u32 type, const void *body, size_t len)
{
	struct xsd_sockmsg head = { .type = type, .req_id = to->req_id, .tx_id = to->tx_id, .len = (u32)len };

	put_out(c, &head, body ? body : "", len, NULL, 0);
}

void conn_reply_error(struct conn *c, const struct xsd_sockmsg *to, int error)
{
	const char *text = xsd_errors[0].errstring;

	for (size_t i = 0; i < ARRAY_SIZE(xsd_errors); i++) {
		if (xsd_errors[i].errnum == error)
			text = xsd_errors[i].errstring;
	}
	conn_reply(c, to, XS_ERROR, text, strlen(text) + 1);
}

void conn_event(struct conn *c, const char *path, const char *token, struct domain *cause)
{
	size_t path_len = strlen(path) + 1, token_len = strlen(token) + 1;
	struct xsd_sockmsg head = { .type = XS_WATCH_EVENT, .len = (u32)(path_len + token_len) };

	if (c->ended)
		return;
	if (bytes_len(&c->out) > (c->domain->privileged ? OUT_MAX : quota[QUOTA_MEMORY])) {
		log_guest("domain %u does not read its watch events: %s", c->domain->domid,
			  c->domain->privileged && !c->kind->durable ? "connection ended" : "one is lost");
		c->ended |= c->domain->privileged && !c->kind->durable;
		conn_touch(c);
		return;
	}
	put_out(c, &head, path, path_len, token, token_len);
	if (cause && c->domain->privileged) {
		struct mark m = { c->out_total, domain_ref(cause) };

		bytes_add(&c->marks, &m, sizeof(m));
		cause->outstanding++;
	}
}

void conn_sent(struct conn *c, size_t n)
{
	bytes_drop(&c->out, n);
	u64 sent = c->out_total - bytes_len(&c->out);

	while (bytes_len(&c->marks)) {
		struct mark m;

		memcpy(&m, bytes_at(&c->marks), sizeof(m));
		if (m.end > sent)
			break;
		bytes_drop(&c->marks, sizeof(m));
		m.cause->outstanding--;
		if (m.cause->conn && m.cause->conn->paused)
			conn_wake(m.cause->conn);
		domain_put(m.cause);
	}
	if (c->paused && bytes_len(&c->out) <= OUT_PAUSE)
		conn_wake(c);
}

static void set_paused(struct conn *c, bool paused)
{
	if (c->paused != paused) {
		c->paused = paused;
		c->kind->pause(c, paused);
	}
}

bool conn_turn(struct conn *c)
{
	const struct domain *d = c->domain;
	struct request r;

	if (c->ended)
		return false;
	if (bytes_len(&c->out) > OUT_PAUSE || (!d->privileged && d->outstanding >= quota[QUOTA_OUTSTANDING])) {
		set_paused(c, true);
		return false;
	}
	set_paused(c, false);
	if (!c->kind->next(c, &r))
		return false;
	request_execute(c, &r);
	c->kind->taken(c);
	persist_group();
	conn_touch(c);
	return !c->ended;
}

void conns_flush(void)
{
	struct conn *c;

	while ((c = list_first_entry(&conns_dirty, struct conn, dirty))) {
		list_del(&c->dirty);
		if (!c->ended)
			c->kind->flush(c);
		if (c->ended)
			c->kind->destroy(c);
	}
}

void conn_stuck(struct conn *c, bool stuck)
{
	if (!stuck) {
		list_del(&c->stuck);
	} else if (list_empty(&c->stuck)) {
		c->stuck_since = loop_now();
		list_add_tail(&conns_stuck, &c->stuck);
	}
}

int conns_check_stuck(void)
{
	struct conn *c;
	int wait = -1;

	list_for_each_entry(c, &conns_stuck, stuck) {
		if (!bytes_len(&c->marks))
			continue;	/* nobody waits for it */
		wait = 1000;
		if (loop_now() - c->stuck_since < STUCK_MS)
			continue;
		log_line("a client of domain %u has not taken a watch event for %u s: connection ended", c->domain->domid,
			 STUCK_MS / 1000);
		c->ended = true;
		conn_touch(c);
	}
	return wait;
}
