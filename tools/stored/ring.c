/* SPDX-License-Identifier: MIT */
/* Clients that talk through a ring in shared memory: guests, and Domain 0's own kernel. */
#include <stored/ring.h>
#include <stored/log.h>
#include <stored/persist.h>
#include <stdlib.h>
#include <string.h>

#define HEAD	sizeof(struct xsd_sockmsg)

static struct ring **by_port;
static size_t ports;

static struct ring *ring_conn(struct conn *c) { return container_of(c, struct ring, c); }

struct ring *ring_of(const struct domain *d)
{
	return d->conn ? ring_conn(d->conn) : NULL;
}

u32 ring_output_end(const struct ring *r)
{
	return r->rsp_prod + (u32)bytes_len(&r->c.out);
}

/* --- the page --- */

/* Copies between [index, index + n) of a ring and memory of ours; which way says `out`. */
static void ring_copy(char *ring, u32 index, char *ours, u32 n, bool out)
{
	while (n) {
		u32 at = MASK_XENSTORE_IDX(index), part = min(n, XENSTORE_RING_SIZE - at);

		memcpy(out ? ring + at : ours, out ? ours : ring + at, part);
		index += part;
		ours += part;
		n -= part;
	}
}

static void ring_break(struct ring *r, u32 error, const char *what)
{
	log_guest("domain %u: %s; its store ring is left alone until it connects anew", r->c.domain->domid, what);
	r->broken = true;
	WRITE_ONCE(r->page->error, error);
	conn_forget_state(&r->c);
	conn_sent(&r->c, bytes_len(&r->c.out));
	r->in_len = r->in_held = 0;
	persist_reset(r->c.domain->domid);
	persist_group();
}

/* The peer asks for a fresh start: both rings are empty then, and what it left behind is gone. */
static void ring_reconnect(struct ring *r)
{
	conn_forget_state(&r->c);
	conn_sent(&r->c, bytes_len(&r->c.out));
	r->broken = false;
	r->in_len = r->in_held = r->req_cons = r->rsp_prod = 0;
	persist_reset(r->c.domain->domid);
	persist_input(r->c.domain->domid, 0, NULL, 0);
	persist_group();
	WRITE_ONCE(r->page->req_cons, 0);
	WRITE_ONCE(r->page->req_prod, 0);
	WRITE_ONCE(r->page->rsp_cons, 0);
	WRITE_ONCE(r->page->rsp_prod, 0);
	WRITE_ONCE(r->page->error, XENSTORE_ERROR_NONE);
	__atomic_store_n(&r->page->connection, XENSTORE_CONNECTED, __ATOMIC_RELEASE);
	r->kick = true;
	conn_touch(&r->c);
}

/* Bytes of the next request that are still to come. */
static u32 wanted(const struct ring *r)
{
	struct xsd_sockmsg head;

	if (r->in_len < HEAD)
		return HEAD - r->in_len;
	memcpy(&head, r->in, HEAD);
	return HEAD + head.len - r->in_len;
}

/* Copy what the peer has written of the next request; how much, or -1 when the ring is broken. */
static int ring_read(struct ring *r)
{
	u32 pending = __atomic_load_n(&r->page->req_prod, __ATOMIC_ACQUIRE) - r->req_cons, have = r->in_len - r->in_held;
	struct xsd_sockmsg head;

	if (pending > XENSTORE_RING_SIZE || pending < have) {
		ring_break(r, XENSTORE_ERROR_RINGIDX, "corrupt request index");
		return -1;
	}
	u32 n = min(pending - have, wanted(r));

	ring_copy(r->page->req, r->req_cons + have, r->in + r->in_len, n, false);
	r->in_len += n;
	memcpy(&head, r->in, HEAD);
	if (r->in_len >= HEAD && head.len > XENSTORE_PAYLOAD_MAX) {
		ring_break(r, XENSTORE_ERROR_PROTO, "request too long");
		return -1;
	}
	return (int)n;
}

static bool ring_next(struct conn *c, struct request *req)
{
	struct ring *r = ring_conn(c);

	if (!r->page)
		return false;
	if (READ_ONCE(r->page->connection) == XENSTORE_RECONNECT)
		ring_reconnect(r);
	while (!r->broken) {
		if (r->in_len >= HEAD && !wanted(r)) {
			memcpy(&req->head, r->in, HEAD);
			req->body = r->in + HEAD;
			return true;
		}

		int n = ring_read(r);

		if (n)
			continue;	/* broken, or more of it */
		if (r->in_len == r->in_held)
			return false;
		/*
		 * Consume a part of a request at once: a peer sends an event only when it sees an empty ring, so that a header
		 * that stays in it would be the last one heard of.
		 */
		r->req_cons += r->in_len - r->in_held;
		r->in_held = r->in_len;
		persist_input(c->domain->domid, r->req_cons, r->in, r->in_len);
		persist_group();
		conn_touch(c);
		return false;
	}
	return false;
}

static void ring_taken(struct conn *c)
{
	struct ring *r = ring_conn(c);

	r->req_cons += r->in_len - r->in_held;
	r->in_len = r->in_held = 0;
	persist_input(c->domain->domid, r->req_cons, NULL, 0);
}

/*
 * Put as much of the output into the page as there is room for: bytes, or -1 when the ring is broken. The peer sends an event for
 * room only if it saw a full ring. So with output left over, the ring must have been full when the peer could see what was
 * written last.
 */
static int ring_write(struct ring *r)
{
	int total = 0;

	for (;;) {
		u32 used = r->rsp_prod - __atomic_load_n(&r->page->rsp_cons, __ATOMIC_SEQ_CST);

		if (used > XENSTORE_RING_SIZE) {
			ring_break(r, XENSTORE_ERROR_RINGIDX, "corrupt response index");
			return -1;
		}
		u32 n = (u32)min(bytes_len(&r->c.out), (size_t)XENSTORE_RING_SIZE - used);

		if (!n)
			return total;
		ring_copy(r->page->rsp, r->rsp_prod, bytes_at(&r->c.out), n, true);
		r->rsp_prod += n;
		__atomic_store_n(&r->page->rsp_prod, r->rsp_prod, __ATOMIC_SEQ_CST);
		conn_sent(&r->c, n);
		total += (int)n;
	}
}

static void ring_flush(struct conn *c)
{
	struct ring *r = ring_conn(c);
	int n = r->page && !r->broken ? ring_write(r) : -1;

	if (n < 0)
		return;
	if (r->page->req_cons != r->req_cons) {
		r->kick = true;
		__atomic_store_n(&r->page->req_cons, r->req_cons, __ATOMIC_SEQ_CST);
		/* What was written before the peer could see this came without an event. */
		if (__atomic_load_n(&r->page->req_prod, __ATOMIC_SEQ_CST) != r->req_cons)
			conn_wake(c);
	}
	if ((n || r->kick) && r->local >= 0)
		xen_notify(r->local);
	r->kick = false;
}

static void ring_pause(struct conn *c, bool paused)
{
}

static void ring_destroy(struct conn *c)
{
	ring_close(c->domain);
}

static const struct conn_kind ring_kind = {
	.next = ring_next,
	.taken = ring_taken,
	.flush = ring_flush,
	.pause = ring_pause,
	.destroy = ring_destroy,
	.durable = true,
};

/* --- attaching --- */

struct ring *ring_new(struct domain *d, u64 gfn, u32 port)
{
	struct ring *r = mem_alloc(sizeof(*r));

	conn_init(&r->c, &ring_kind, domain_ref(d));
	d->conn = &r->c;
	r->gfn = gfn;
	r->port = port;
	r->local = -1;
	return r;
}

static int ring_bind(struct ring *r, u32 port)
{
	int local = xen_bind(r->c.domain->domid, port);

	if (local < 0)
		return local;
	if ((size_t)local >= ports) {
		size_t n = (size_t)local * 2 + 64;

		by_port = mem_resize(by_port, n * sizeof(*by_port));
		memset(by_port + ports, 0, (n - ports) * sizeof(*by_port));
		ports = n;
	}
	by_port[local] = r;
	r->local = local;
	r->port = port;
	return 0;
}

static void ring_unbind(struct ring *r)
{
	if (r->local >= 0) {
		by_port[r->local] = NULL;
		xen_unbind(r->local);
		r->local = -1;
	}
}

/*
 * Make the page's indices and ours one, see ring.h. They do not fit only if the file is older than the page (it could not be
 * written), or the peer has changed our indices: then the page's are taken.
 */
static void ring_resume(struct ring *r)
{
	u32 consumed = READ_ONCE(r->page->req_cons), produced = READ_ONCE(r->page->req_prod);
	u32 published = READ_ONCE(r->page->rsp_prod) - r->rsp_prod;
	size_t queued = bytes_len(&r->c.out);

	if (r->resumed && (r->req_cons - consumed > XENSTORE_RING_SIZE || produced - r->req_cons > XENSTORE_RING_SIZE ||
			   (queued && published > queued))) {
		log_line("domain %u: the store ring is not where it was left", r->c.domain->domid);
		r->resumed = false;
	}
	if (!r->resumed) {
		r->req_cons = consumed;
		r->in_len = r->in_held = 0;
		published = (u32)queued;
	}
	conn_sent(&r->c, min((size_t)published, queued));
	r->rsp_prod = READ_ONCE(r->page->rsp_prod);
	WRITE_ONCE(r->page->server_features, XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR);
	r->kick = true;
	conn_touch(&r->c);
	conn_wake(&r->c);
}

static int ring_attach(struct ring *r)
{
	int rc = -EINVAL;

	r->page = r->own ? xen_map_own(&r->port) : xen_map_ring(r->c.domain->domid, r->gfn, &r->granted);
	if (r->page)
		rc = ring_bind(r, r->port);
	if (!rc)
		ring_resume(r);
	return rc;
}

static void ring_free(struct ring *r)
{
	ring_unbind(r);
	if (r->page && r->own)
		xen_unmap_own(r->page);
	else if (r->page)
		xen_unmap_ring(r->page, r->granted);
	r->c.domain->conn = NULL;
	conn_end(&r->c);
	free(r);
}

int ring_open(struct domain *d, u64 gfn, u32 port)
{
	struct ring *r = ring_new(d, gfn, port);

	if (ring_attach(r)) {
		ring_free(r);
		return -EINVAL;
	}
	return 0;
}

int ring_rebind(struct domain *d, u64 gfn, u32 port)
{
	struct ring *r = ring_of(d);

	if (r->own || r->gfn != gfn)
		return -EINVAL;
	if (!r->page)
		return ring_attach(r) ? -EINVAL : 0;
	ring_unbind(r);
	if (ring_bind(r, port))
		return -EINVAL;
	r->kick = true;
	conn_touch(&r->c);
	conn_wake(&r->c);
	return 0;
}

void ring_close(struct domain *d)
{
	if (d->conn)
		ring_free(ring_of(d));
}

void rings_attach(void)
{
	struct domain *own = domain_get(0, true), *d;

	if (xen_present()) {
		if (!own->conn) {
			ring_new(own, 0, 0);
			own->introduced = true;
			persist_domain(own);
		}
		ring_of(own)->own = true;
	}
	domain_put(own);
	list_for_each_entry(d, &domains, all) {
		if (d->conn && xen_present() && ring_attach(ring_of(d)))
			log_line("domain %u: its store ring cannot be reached", d->domid);
	}
}

void ring_event(int local)
{
	struct ring *r = (size_t)local < ports ? by_port[local] : NULL;

	if (r) {
		conn_wake(&r->c);
		conn_touch(&r->c);
	}
}
