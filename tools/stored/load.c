/* SPDX-License-Identifier: MIT */
/* The state file, read: items put the store back to where it was. */
#include <stored/persist.h>
#include <stored/journal.h>
#include <stored/node.h>
#include <stored/path.h>
#include <stored/request.h>
#include <stored/ring.h>
#include <stored/watch.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>

/*
 * Nothing here trusts the file more than the checksum does: an item that does not fit to those before it ends the loading.
 */
static u64 epoch_read;
static struct bytes held;	/* references to the domains of the file, until permissions and rings have theirs */

/* A string, NUL-terminated, into buf; NULL: too long, or with a NUL inside. */
static char *take_string(struct reader *r, char *buf, size_t size)
{
	size_t n = (size_t)reader_u(r, 2);
	const char *p = reader_take(r, n);

	if (!p || n >= size || memchr(p, 0, n))
		return NULL;
	memcpy(buf, p, n);
	buf[n] = '\0';
	return buf;
}

/* Valid, and a node's unless special. */
static char *take_path(struct reader *r, char *buf, bool special)
{
	char text[PATH_BUFFER];

	if (!take_string(r, text, sizeof(text)) || (text[0] != '/' && !special) || path_canonical(buf, text, 0, special))
		return NULL;
	return buf;
}

static struct domain *take_domain(struct reader *r)
{
	u16 domid = (u16)reader_u(r, 2);
	struct domain *d;

	if (r->bad || domid >= DOMID_FIRST_RESERVED)
		return NULL;
	d = domain_get(domid, true);
	bytes_add(&held, &d, sizeof(d));
	return d;
}

static struct ring *take_ring(struct reader *r)
{
	struct domain *d = take_domain(r);

	return d ? ring_of(d) : NULL;
}

/* A domain that had died when the file was written is one that never lives. */
static struct domain *dead_domain(u16 domid)
{
	struct domain *d = mem_alloc(sizeof(*d));

	d->domid = domid;
	d->refs = 1;
	list_init(&d->nodes);
	list_init(&d->all);
	return d;
}

static struct perms *take_perms(struct reader *r)
{
	unsigned int n = (unsigned int)reader_u(r, 2);

	if (r->bad || !n || r->left < n * 3)
		return NULL;
	struct perms *p = perms_alloc(n);
	bool bad = false;

	for (unsigned int i = 0; i < n; i++) {
		u16 domid = (u16)reader_u(r, 2), id = domid & (PERSIST_DEAD - 1);

		bad |= id >= DOMID_FIRST_RESERVED;
		p->entry[i].domain = bad || (domid & PERSIST_DEAD) ? dead_domain(id) : domain_get(id, true);
		p->entry[i].bits = (u8)reader_u(r, 1) & (PERM_READ | PERM_WRITE);
	}
	if (bad) {
		perms_put(p);
		return NULL;
	}
	return p;
}

static bool set_node(const char *path, struct perms *perms, const char *value, u32 len)
{
	struct node *n = node_find(path), *parent;
	char above[PATH_BUFFER];
	char *slash;

	if (n) {
		node_update(n, perms, value, len);
		return true;
	}
	strcpy(above, path);
	slash = strrchr(above, '/');
	*slash = '\0';
	parent = slash == above ? &node_root : node_find(above);
	if (parent)
		node_create(parent, slash + 1, strlen(slash + 1), perms, value, len);
	return parent;
}

static bool load_node(struct reader *r)
{
	char path[PATH_BUFFER];
	bool ok = take_path(r, path, false);
	struct perms *perms = ok ? take_perms(r) : NULL;
	u32 len = (u32)reader_u(r, 4);
	const char *value = reader_take(r, len);

	ok = perms && value && set_node(path, perms, value, len);
	perms_put(perms);
	return ok;
}

static void remove_below(struct node *n)
{
	struct node *child, *next;

	list_for_each_entry_safe(child, next, &n->name.children, name.siblings)
		remove_below(child);
	node_delete(n);
}

static bool load_remove(struct reader *r)
{
	char path[PATH_BUFFER];
	struct node *n = take_path(r, path, false) ? node_find(path) : NULL;

	if (!n || n == &node_root)
		return false;
	remove_below(n);
	return true;
}

static bool load_special(struct reader *r)
{
	char name[PATH_BUFFER];
	struct perms **slot = take_string(r, name, sizeof(name)) ? watch_special_perms(name) : NULL;
	struct perms *perms = slot ? take_perms(r) : NULL;

	if (!perms)
		return false;
	perms_put(*slot);
	*slot = perms;
	return true;
}

static bool load_domain(struct reader *r)
{
	struct domain *d = take_domain(r);
	unsigned int flags = (unsigned int)reader_u(r, 1);
	const char *handle = reader_take(r, sizeof(d->handle));
	u64 gfn = reader_u(r, 8);
	u32 port = (u32)reader_u(r, 4);
	struct domain *target = take_domain(r);

	if (!d || !target || r->bad || domain_aim(d, target == d ? NULL : target))
		return false;
	/* commit */
	d->introduced = flags & DOMAIN_INTRODUCED;
	d->shutdown = flags & DOMAIN_SHUTDOWN;
	d->identified = flags & DOMAIN_IDENTIFIED;
	memcpy(d->handle, handle, sizeof(d->handle));
	if (!d->introduced)
		ring_close(d);
	else if (!d->conn)
		ring_new(d, gfn, port);
	else
		ring_of(d)->port = port;
	return true;
}

static bool load_died(struct reader *r)
{
	struct domain *d = domain_find((u32)reader_u(r, 2));

	if (!d || r->bad || d->privileged)
		return false;
	domain_ref(d);
	if (domain_aim(d, NULL))
		return false;
	ring_close(d);
	domain_bury(d);
	domain_put(d);
	return true;
}

static bool load_watch(struct reader *r, bool there)
{
	struct ring *ring = take_ring(r);
	bool relative = reader_u(r, 1);
	char path[PATH_BUFFER], token[XENSTORE_PAYLOAD_MAX];

	if (!ring || !take_path(r, path, true) || !take_string(r, token, sizeof(token)))
		return false;
	return (there ? watch_add(&ring->c, path, token, relative) : watch_remove(&ring->c, path, token)) == 0;
}

static bool load_txn(struct reader *r, bool open)
{
	struct ring *ring = take_ring(r);
	u32 id = (u32)reader_u(r, 4);
	struct txn *t = ring ? txn_find(&ring->c, id) : NULL;

	if (!ring || !id || !t == !open)
		return false;
	if (open) {
		txn_begin(&ring->c, ring->c.domain, id)->doomed = true;
		ring->c.next_txn = id;
	} else {
		txn_free(t);
	}
	return true;
}

static bool load_txn_op(struct reader *r)
{
	struct ring *ring = take_ring(r);
	u32 id = (u32)reader_u(r, 4);
	struct txn *t = ring ? txn_find(&ring->c, id) : NULL;
	u32 head[2] = { (u32)reader_u(r, 4), (u32)reader_u(r, 4) };
	const char *body = reader_take(r, head[1]);

	if (!t || !body || head[1] > XENSTORE_PAYLOAD_MAX)
		return false;
	bytes_add(&t->ops, head, sizeof(head));
	bytes_add(&t->ops, body, head[1]);
	t->memory += sizeof(head) + head[1];
	t->domain->memory += sizeof(head) + head[1];
	return true;
}

static bool load_input(struct reader *r)
{
	struct ring *ring = take_ring(r);
	u32 index = (u32)reader_u(r, 4), len = (u32)reader_u(r, 4);
	const char *bytes = reader_take(r, len);
	struct xsd_sockmsg head = { 0 };

	if (!ring || !bytes || len >= sizeof(ring->in))
		return false;
	/* A part of a header, or one with a part of what it announces. */
	memcpy(&head, bytes, min((size_t)len, sizeof(head)));
	if (len >= sizeof(head) && (head.len > XENSTORE_PAYLOAD_MAX || len >= sizeof(head) + head.len))
		return false;
	memcpy(ring->in, bytes, len);
	ring->in_len = ring->in_held = len;
	ring->req_cons = index;
	ring->resumed = true;
	return true;
}

static bool load_output(struct reader *r)
{
	struct ring *ring = take_ring(r);
	u32 index = (u32)reader_u(r, 4), len = (u32)reader_u(r, 4);
	const char *bytes = reader_take(r, len);

	if (!ring || !bytes)
		return false;
	if (index != ring_output_end(ring)) {
		conn_sent(&ring->c, bytes_len(&ring->c.out));
		ring->rsp_prod = index;
	}
	bytes_add(&ring->c.out, bytes, len);
	ring->c.out_total += len;
	return true;
}

static bool load_reset(struct reader *r)
{
	struct ring *ring = take_ring(r);

	if (!ring)
		return false;
	conn_forget_state(&ring->c);
	conn_sent(&ring->c, bytes_len(&ring->c.out));
	ring->in_len = ring->in_held = 0;
	return true;
}

static bool load_item(struct reader *r)
{
	switch (reader_u(r, 1)) {
	case ITEM_EPOCH:
		epoch_read = reader_u(r, 8);
		return !r->bad;
	case ITEM_NODE:
		return load_node(r);
	case ITEM_REMOVE:
		return load_remove(r);
	case ITEM_SPECIAL:
		return load_special(r);
	case ITEM_DOMAIN:
		return load_domain(r);
	case ITEM_DIED:
		return load_died(r);
	case ITEM_WATCH:
	case ITEM_UNWATCH:
		return load_watch(r, r->p[-1] == ITEM_WATCH);
	case ITEM_TXN:
	case ITEM_TXN_END:
		return load_txn(r, r->p[-1] == ITEM_TXN);
	case ITEM_TXN_OP:
		return load_txn_op(r);
	case ITEM_INPUT:
		return load_input(r);
	case ITEM_OUTPUT:
		return load_output(r);
	case ITEM_RESET:
		return load_reset(r);
	}
	return false;
}

bool persist_load(struct reader *r)
{
	while (r->left) {
		if (!load_item(r))
			return false;
	}
	return true;
}

/* What an open transaction of a former life had changed, it sees again; it can only be ended. */
static void replay(struct conn *c)
{
	struct txn *t;

	list_for_each_entry(t, &c->txns, on_conn) {
		struct reader r = { bytes_at(&t->ops), bytes_len(&t->ops), false };

		while (r.left) {
			u32 type = (u32)reader_u(&r, 4), len = (u32)reader_u(&r, 4);

			request_replay(c, t, type, reader_take(&r, len), len);
		}
	}
}

void persist_loaded(u64 *epoch)
{
	struct domain *d;

	while (bytes_len(&held)) {
		memcpy(&d, bytes_at(&held), sizeof(d));
		bytes_drop(&held, sizeof(d));
		domain_put(d);
	}
	bytes_free(&held);
	list_for_each_entry(d, &domains, all) {
		if (d->conn)
			replay(d->conn);
	}
	*epoch = epoch_read;
}
