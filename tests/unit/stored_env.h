/* SPDX-License-Identifier: MIT */
/* For the tests of the store daemon: a hypervisor that is not there, and clients that talk through ring pages. */
#ifndef TESTS_UNIT_STORED_ENV_H
#define TESTS_UNIT_STORED_ENV_H

#include <stored/conn.h>
#include <stored/log.h>
#include <stored/node.h>
#include <stored/persist.h>
#include <stored/quota.h>
#include <stored/ring.h>
#include <stored/watch.h>
#include <stored/xen.h>
#include <fcntl.h>
#include <sys/mman.h>

#define DOMS	8

/*
 * Domain n's page is in memory that forked processes share, so that one process can be the client and others, one after another,
 * the daemon. Port n is that of domain n. Domain 0's ring is its kernel's.
 */
struct fake_domain {
	struct xenstore_domain_interface page __aligned(4096);
	bool exists, dying, shutdown, mapped, bound;
	bool event;		/* sent by the client, not taken yet */
	u8 handle[16];
	unsigned int notified;
};

static struct fake_domain *fake;

int xen_open(void) { return 0; }
bool xen_present(void) { return true; }
int xen_fd(void) { return -1; }
int xen_next_port(void) { return -1; }
int xen_bind_domain_events(void) { return DOMS; }

int xen_bind(u16 domid, u32 port)
{
	if (domid >= DOMS || port != domid + 1U || !fake[domid].exists)
		return -EINVAL;
	fake[domid].bound = true;
	return domid;
}

void xen_unbind(int local) { fake[local].bound = false; }
/* Called for an event to a domain, if set. */
static void (*fake_notify)(void);

void xen_notify(int local)
{
	fake[local].notified++;
	if (fake_notify)
		fake_notify();
}

struct xenstore_domain_interface *xen_map_own(u32 *port)
{
	*port = 1;
	fake[0].mapped = true;
	return &fake[0].page;
}

void xen_unmap_own(struct xenstore_domain_interface *page) { fake[0].mapped = false; }

struct xenstore_domain_interface *xen_map_ring(u16 domid, u64 gfn, bool *granted)
{
	if (domid >= DOMS || !fake[domid].exists || gfn != domid * 16U)
		return NULL;
	*granted = false;
	fake[domid].mapped = true;
	return &fake[domid].page;
}

void xen_unmap_ring(struct xenstore_domain_interface *page, bool granted)
{
	container_of(page, struct fake_domain, page)->mapped = false;
}

static void fake_info(u16 domid, struct xen_domain *info)
{
	*info = (struct xen_domain){ .domid = domid, .dying = fake[domid].dying, .shutdown = fake[domid].shutdown };
	memcpy(info->handle, fake[domid].handle, sizeof(info->handle));
}

int xen_domain_info(u16 domid, struct xen_domain *info)
{
	if (domid >= DOMS || !fake[domid].exists)
		return -ESRCH;
	fake_info(domid, info);
	return 0;
}

int xen_domain_list(u16 first, struct xen_domain *infos, int n)
{
	int got = 0;

	for (u16 i = first; i < DOMS && got < n; i++) {
		if (fake[i].exists)
			fake_info(i, &infos[got++]);
	}
	return got;
}

/* --- the daemon --- */

static void env_init(void)
{
	fake = mmap(NULL, DOMS * sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fake[0].exists = true;
	if (log_open("/dev/null"))
		abort();
}

/* Start the daemon in this process. */
static int __unused daemon_start(const char *dir)
{
	struct domain *own;
	int rc;

	domain_init(0);
	own = domain_get(0, true);
	watch_init();
	node_init(own);
	domain_put(own);
	rc = persist_start(dir);
	return rc;
}

/* What one round of the main loop does. */
static void __unused daemon_round(void)
{
	for (int i = 0; i < DOMS; i++) {
		if (__atomic_exchange_n(&fake[i].event, false, __ATOMIC_SEQ_CST))
			ring_event(i);
	}
	for (int i = 0; i < 64; i++) {
		struct conn *c = list_first_entry(&conns_ready, struct conn, ready);

		if (!c)
			break;
		list_del(&c->ready);
		if (conn_turn(c))
			conn_wake(c);
	}
	conns_flush();
}

static void __unused fake_create(u16 domid)
{
	u8 life = fake[domid].handle[0];

	memset(&fake[domid], 0, sizeof(fake[domid]));
	fake[domid].exists = true;
	fake[domid].handle[0] = (u8)(life + 1);
}

/* --- clients --- */

/* What the client does while it waits for the daemon. */
static void (*client_wait)(void) = daemon_round;

static void client_notify(u16 domid)
{
	__atomic_store_n(&fake[domid].event, true, __ATOMIC_SEQ_CST);
}

/* Write into the request ring; waits while it is full. As Linux does it, an event is sent only if the ring was empty. */
static void client_put(u16 domid, const void *p, size_t n)
{
	struct xenstore_domain_interface *page = &fake[domid].page;

	for (const char *from = p; n;) {
		u32 prod = page->req_prod, used = prod - __atomic_load_n(&page->req_cons, __ATOMIC_SEQ_CST);
		u32 end = XENSTORE_RING_SIZE - MASK_XENSTORE_IDX(prod), room = XENSTORE_RING_SIZE - min(used, (u32)XENSTORE_RING_SIZE);
		u32 part = (u32)min(n, (size_t)room);

		part = min(part, end);		/* as Linux does */
		if (!part) {
			client_wait();
			continue;
		}
		for (u32 i = 0; i < part; i++)
			page->req[MASK_XENSTORE_IDX(prod + i)] = *from++;
		n -= part;
		__atomic_store_n(&page->req_prod, prod + part, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&page->req_cons, __ATOMIC_SEQ_CST) == prod)
			client_notify(domid);
	}
}

/* Likewise: an event only if the ring was full. */
static void client_get(u16 domid, void *p, size_t n)
{
	struct xenstore_domain_interface *page = &fake[domid].page;

	for (char *to = p; n;) {
		u32 cons = page->rsp_cons, part = (u32)min(n, (size_t)(__atomic_load_n(&page->rsp_prod, __ATOMIC_SEQ_CST) - cons));

		if (!part) {
			client_wait();
			continue;
		}
		for (u32 i = 0; i < part; i++)
			*to++ = page->rsp[MASK_XENSTORE_IDX(cons + i)];
		n -= part;
		__atomic_store_n(&page->rsp_cons, cons + part, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&page->rsp_prod, __ATOMIC_SEQ_CST) - cons >= XENSTORE_RING_SIZE)
			client_notify(domid);
	}
}

static void client_send(u16 domid, u32 type, u32 tx, u32 id, const void *body, u32 len)
{
	struct xsd_sockmsg head = { .type = type, .req_id = id, .tx_id = tx, .len = len };

	client_put(domid, &head, sizeof(head));
	client_put(domid, body, len);
}

struct message {
	struct xsd_sockmsg head;
	char body[XENSTORE_PAYLOAD_MAX + 1];	/* with a NUL behind it */
};

static void client_receive(u16 domid, struct message *m)
{
	client_get(domid, &m->head, sizeof(m->head));
	if (m->head.len > XENSTORE_PAYLOAD_MAX)
		abort();
	client_get(domid, m->body, m->head.len);
	m->body[m->head.len] = '\0';
}

/* Watch events that came in between, as "path token path token ". */
static char events[DOMS][32768];

static void note_event(u16 domid, const struct message *m)
{
	size_t n = strlen(events[domid]);

	snprintf(events[domid] + n, sizeof(events[domid]) - n, "%s %s ", m->body, m->body + strlen(m->body) + 1);
}

/* The events that have come since the last call. */
static const char *__unused client_events(u16 domid)
{
	static char taken[32768];
	struct message m;

	for (int i = 0; i < 3; i++) {
		daemon_round();
		while (fake[domid].page.rsp_prod != fake[domid].page.rsp_cons) {
			client_receive(domid, &m);
			note_event(domid, &m);
		}
	}
	strcpy(taken, events[domid]);
	events[domid][0] = '\0';
	return taken;
}

static struct message answer;

/* Send and wait: the answer's body, or the error's name. */
static const char *client_call(u16 domid, u32 type, u32 tx, const void *body, u32 len)
{
	static u32 id = 100;

	client_send(domid, type, tx, ++id, body, len);
	for (;;) {
		client_receive(domid, &answer);
		if (answer.head.type != XS_WATCH_EVENT)
			break;
		note_event(domid, &answer);
	}
	if (answer.head.req_id != id || answer.head.tx_id != tx || (answer.head.type != type && answer.head.type != XS_ERROR))
		TEST_FAIL("an answer to something else: type %u id %u", answer.head.type, answer.head.req_id);
	return answer.body;
}

/* With strings, each with its NUL. */
static const char *__unused call1(u16 domid, u32 type, u32 tx, const char *a)
{
	return client_call(domid, type, tx, a, (u32)strlen(a) + 1);
}

static const char *__unused call2(u16 domid, u32 type, u32 tx, const char *a, const char *b)
{
	char body[8192];
	size_t n = (size_t)snprintf(body, sizeof(body), "%s%c%s", a, 0, b) + 1;

	return client_call(domid, type, tx, body, (u32)n);
}

static const char *__unused put(u16 domid, u32 tx, const char *path, const char *value)
{
	char body[8192];
	size_t n = (size_t)snprintf(body, sizeof(body), "%s%c%s", path, 0, value);

	return client_call(domid, XS_WRITE, tx, body, (u32)n);
}

static const char *__unused get(u16 domid, u32 tx, const char *path) { return call1(domid, XS_READ, tx, path); }

/* Names in a listing, with spaces instead of NULs. */
static const char *__unused list(u16 domid, u32 tx, const char *path)
{
	call1(domid, XS_DIRECTORY, tx, path);
	if (answer.head.type == XS_DIRECTORY) {
		for (u32 i = 0; i < answer.head.len; i++) {
			if (!answer.body[i])
				answer.body[i] = ' ';
		}
	}
	return answer.body;
}

static const char *__unused perms(u16 domid, u32 tx, const char *path, const char *first, const char *second)
{
	char body[8192];
	size_t n = (size_t)snprintf(body, sizeof(body), "%s%c%s%c%s", path, 0, first, 0, second ? second : "") + (second ? 1 : 0);

	return client_call(domid, XS_SET_PERMS, tx, body, (u32)n);
}

static u32 __unused begin(u16 domid) { return (u32)atoi(client_call(domid, XS_TRANSACTION_START, 0, "", 1)); }
static const char *__unused commit(u16 domid, u32 tx) { return call1(domid, XS_TRANSACTION_END, tx, "T"); }

/* Make a domain with a home that it may read, a part of it that it owns, and its ring. */
static void __unused guest_start(u16 domid)
{
	char path[64], owner[8], reader[8], body[64];

	fake_create(domid);
	snprintf(owner, sizeof(owner), "n%u", domid);
	snprintf(reader, sizeof(reader), "r%u", domid);
	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	put(0, 0, path, "");
	CHECK_STR(perms(0, 0, path, "n0", reader), "OK");
	strcat(path, "/data");
	put(0, 0, path, "");
	CHECK_STR(perms(0, 0, path, owner, NULL), "OK");
	size_t n = (size_t)snprintf(body, sizeof(body), "%u%c%u%c%u", domid, 0, domid * 16U, 0, domid + 1U) + 1;

	CHECK_STR(client_call(0, XS_INTRODUCE, 0, body, (u32)n), "OK");
}

#endif
