/* SPDX-License-Identifier: MIT */
/* The state file: what must outlive the daemon, as items. Writing; load.c reads. */
#include <stored/persist.h>
#include <stored/journal.h>
#include <stored/log.h>
#include <stored/loop.h>
#include <stored/node.h>
#include <stored/path.h>
#include <stored/ring.h>
#include <stored/txn.h>
#include <stored/watch.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLACK		(1UL << 20)	/* the file may grow by this and its first size before it is written anew */
#define BATCH		(64UL << 10)	/* of a snapshot, in one group */
#define RETRY_MS	5000

static bool started;		/* there is a file to write to */
static struct bytes group;	/* items since the last persist_group() */
static size_t rewrite_at;
static u64 epoch, retry_at;	/* retry_at: the file could not be written, try again then */

static void put(struct bytes *b, const void *p, size_t n)
{
	bytes_add(b, p, n);
}

static void put_u(struct bytes *b, u64 v, unsigned int width)
{
	put(b, &v, width);
}

static void put_string(struct bytes *b, const char *s)
{
	size_t n = strlen(s);

	put_u(b, n, 2);
	put(b, s, n);
}

static void put_perms(struct bytes *b, const struct perms *p)
{
	put_u(b, p->n, 2);
	for (unsigned int i = 0; i < p->n; i++) {
		put_u(b, p->entry[i].domain->domid | (p->entry[i].domain->alive ? 0U : PERSIST_DEAD), 2);
		put_u(b, p->entry[i].bits, 1);
	}
}

static void put_node(struct bytes *b, const struct node *n, const char *path)
{
	put_u(b, ITEM_NODE, 1);
	put_string(b, path);
	put_perms(b, n->perms);
	put_u(b, n->len, 4);
	put(b, n->value, n->len);
}

static void put_special(struct bytes *b, const char *name, const struct perms *p)
{
	put_u(b, ITEM_SPECIAL, 1);
	put_string(b, name);
	put_perms(b, p);
}

static void put_domain(struct bytes *b, const struct domain *d)
{
	const struct ring *r = ring_of(d);

	put_u(b, ITEM_DOMAIN, 1);
	put_u(b, d->domid, 2);
	put_u(b, (d->introduced ? DOMAIN_INTRODUCED : 0) | (d->shutdown ? DOMAIN_SHUTDOWN : 0) |
		 (d->identified ? DOMAIN_IDENTIFIED : 0), 1);
	put(b, d->handle, sizeof(d->handle));
	put_u(b, r ? r->gfn : 0, 8);
	put_u(b, r ? r->port : 0, 4);
	put_u(b, d->target && d->target->alive ? d->target->domid : d->domid, 2);
}

static void put_watch(struct bytes *b, const struct watch *w, bool there)
{
	char path[PATH_BUFFER];

	watch_name(w, path);
	put_u(b, there ? ITEM_WATCH : ITEM_UNWATCH, 1);
	put_u(b, w->conn->domain->domid, 2);
	put_u(b, w->relative, 1);
	put_string(b, path);
	put_string(b, w->token);
}

static void put_txn(struct bytes *b, const struct txn *t, bool open)
{
	put_u(b, open ? ITEM_TXN : ITEM_TXN_END, 1);
	put_u(b, t->domain->domid, 2);
	put_u(b, t->id, 4);
}

static void put_txn_op(struct bytes *b, const struct txn *t, u32 type, const char *body, u32 len)
{
	put_u(b, ITEM_TXN_OP, 1);
	put_u(b, t->domain->domid, 2);
	put_u(b, t->id, 4);
	put_u(b, type, 4);
	put_u(b, len, 4);
	put(b, body, len);
}

/* ITEM_INPUT or ITEM_OUTPUT. */
static void put_stream(struct bytes *b, enum persist_item item, u16 domid, u32 index, const void *bytes, size_t n)
{
	put_u(b, item, 1);
	put_u(b, domid, 2);
	put_u(b, index, 4);
	put_u(b, n, 4);
	put(b, bytes, n);
}

/* --- notes of changes --- */

/* Where a note goes, or nowhere. */
static struct bytes *note(void)
{
	return started ? &group : NULL;
}

#define NOTE(put_item, ...) do {			\
	struct bytes *_b = note();			\
							\
	if (_b)						\
		put_item(_b, ##__VA_ARGS__);		\
} while (0)

static void put_remove(struct bytes *b, const char *path)
{
	put_u(b, ITEM_REMOVE, 1);
	put_string(b, path);
}

static void put_id(struct bytes *b, enum persist_item item, u16 domid)
{
	put_u(b, item, 1);
	put_u(b, domid, 2);
}

void persist_node(const struct node *n, const char *path) { NOTE(put_node, n, path); }
void persist_remove(const char *path) { NOTE(put_remove, path); }
void persist_special(const char *name, const struct perms *p) { NOTE(put_special, name, p); }
void persist_domain(const struct domain *d) { NOTE(put_domain, d); }
void persist_died(const struct domain *d) { NOTE(put_id, ITEM_DIED, d->domid); }
void persist_watch(const struct watch *w, bool there) { NOTE(put_watch, w, there); }
void persist_txn(const struct txn *t, bool open) { NOTE(put_txn, t, open); }
void persist_txn_op(const struct txn *t, u32 type, const char *body, u32 len) { NOTE(put_txn_op, t, type, body, len); }
void persist_reset(u16 domid) { NOTE(put_id, ITEM_RESET, domid); }

void persist_input(u16 domid, u32 index, const char *held, u32 len)
{
	NOTE(put_stream, ITEM_INPUT, domid, index, held, len);
}

void persist_output(const struct domain *d, const void *bytes, size_t n)
{
	NOTE(put_stream, ITEM_OUTPUT, d->domid, ring_output_end(ring_of(d)) - (u32)n, bytes, n);
}

/* --- the whole --- */

static void snapshot_nodes(struct bytes *b, void (*emit)(struct bytes *), struct node *n, char *path, size_t len)
{
	struct node *child;

	put_node(b, n, len ? path : "/");
	emit(b);
	list_for_each_entry(child, &n->name.children, name.siblings) {
		path[len] = '/';
		memcpy(path + len + 1, child->name.text, child->name.len + 1);
		snapshot_nodes(b, emit, child, path, len + 1 + child->name.len);
	}
	path[len] = '\0';
}

static void snapshot_txn(struct bytes *b, struct txn *t)
{
	struct reader r = { bytes_at(&t->ops), bytes_len(&t->ops), false };

	put_txn(b, t, true);
	while (r.left) {
		u32 type = (u32)reader_u(&r, 4), len = (u32)reader_u(&r, 4);

		put_txn_op(b, t, type, reader_take(&r, len), len);
	}
}

static void snapshot_ring(struct bytes *b, struct ring *r)
{
	u16 domid = r->c.domain->domid;
	struct watch *w;
	struct txn *t;

	list_for_each_entry(w, &r->c.watches, on_conn)
		put_watch(b, w, true);
	list_for_each_entry(t, &r->c.txns, on_conn)
		snapshot_txn(b, t);
	if (r->page || r->resumed)
		put_stream(b, ITEM_INPUT, domid, r->req_cons, r->in, r->in_held);
	if (bytes_len(&r->c.out))
		put_stream(b, ITEM_OUTPUT, domid, r->rsp_prod, bytes_at(&r->c.out), bytes_len(&r->c.out));
}

void persist_snapshot(struct bytes *b, void (*emit)(struct bytes *))
{
	char path[PATH_BUFFER] = "";
	struct domain *d;

	put_u(b, ITEM_EPOCH, 1);
	put_u(b, epoch, 8);
	list_for_each_entry(d, &domains, all)
		put_domain(b, d);
	put_special(b, WATCH_INTRODUCE, *watch_special_perms(WATCH_INTRODUCE));
	put_special(b, WATCH_RELEASE, *watch_special_perms(WATCH_RELEASE));
	snapshot_nodes(b, emit, &node_root, path, 0);
	list_for_each_entry(d, &domains, all) {
		if (d->conn)
			snapshot_ring(b, ring_of(d));
		emit(b);
	}
}

static int write_failed;

static void emit_batch(struct bytes *b)
{
	if (bytes_len(b) < BATCH)
		return;
	if (journal_add(bytes_at(b), bytes_len(b)))
		write_failed = -ENOSPC;
	b->start = b->end = 0;
}

/* Write everything into a new file. */
static int rewrite(void)
{
	struct bytes b = { 0 };
	int rc = journal_rewrite_begin();

	if (rc)
		return rc;
	write_failed = 0;
	persist_snapshot(&b, emit_batch);
	if (bytes_len(&b) && journal_add(bytes_at(&b), bytes_len(&b)))
		write_failed = -ENOSPC;
	bytes_free(&b);
	rc = journal_rewrite_end();
	rewrite_at = journal_size() * 2 + SLACK;
	return rc ? rc : write_failed;
}

void persist_group(void)
{
	bool failed = false;

	if (!bytes_len(&group))
		return;
	if (retry_at ? loop_now() >= retry_at : journal_add(bytes_at(&group), bytes_len(&group)) || journal_size() > rewrite_at)
		failed = rewrite() != 0;
	else
		failed = retry_at;
	group.start = group.end = 0;
	if (failed && !retry_at)
		log_line("the state file cannot be written: if the store daemon ends now, what changes from here on is lost");
	if (!failed && retry_at)
		log_line("the state file is written again");
	if (!failed)
		retry_at = 0;
	else if (loop_now() >= retry_at)
		retry_at = loop_now() + RETRY_MS;
}

int persist_start(const char *dir)
{
	int rc = dir ? journal_open(dir) : 0;

	if (!rc && dir)
		rc = journal_read(persist_load);
	if (rc < 0 && rc != -ENOENT) {
		log_line("%s: %s", dir, rc == -EBUSY ? "another store daemon uses it" :
			 rc == -EPROTO ? "not a state file" : strerror(-rc));
		return rc;
	}
	persist_loaded(&epoch);
	epoch++;
	node_generation = epoch << 32;
	rings_attach();
	if (!dir)
		return 0;
	rc = rewrite();
	if (rc)
		log_line("%s: %s", dir, strerror(-rc));
	started = !rc;
	return rc;
}
