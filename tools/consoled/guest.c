/* SPDX-License-Identifier: MIT */
/* Guests and the order in which they are served. */
/*
 * Fairness: an event of a guest is masked from the moment it is read until the guest has been served, and serving it moves at most one ring of output. So
 * every guest that has something to say gets one turn per round, whatever the others do. A guest that is over its rate is left masked for REST_MS:
 * its ring fills, and it waits, in its own time.
 */
#include <consoled/client.h>
#include <consoled/guest.h>
#include <consoled/loop.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xen/xen.h>

#define REST_MS		20
#define LINGER_MS	5000	/* for clients of an ended guest to read the rest */
#define TURN_COST	512	/* bytes that a turn counts for at least: bounds events that bring little */

static struct guest *by_id[DOMID_FIRST_RESERVED];
static struct guest **by_port;
static int ports;
static struct guest *guests, *ending;
static struct guest *resting, **resting_end = &resting;
static int64_t rate = 1 << 20;

void guest_setup(int64_t bytes_per_second)
{
	rate = bytes_per_second;
}

static void list_add(struct guest **head, struct guest *g)
{
	g->next = *head;
	g->link = head;
	if (g->next)
		g->next->link = &g->next;
	*head = g;
}

static void list_remove(struct guest *g)
{
	*g->link = g->next;
	if (g->next)
		g->next->link = g->link;
}

struct guest *guest_find(uint16_t domid)
{
	return domid < DOMID_FIRST_RESERVED ? by_id[domid] : NULL;
}

struct guest *guest_find_name(const char *name)
{
	for (struct guest *g = guests; g; g = g->next)
		if (g->ring && strcmp(g->name, name) == 0)
			return g;
	return NULL;
}

struct guest *guest_first(void)
{
	return guests;
}

struct guest *guest_add(uint16_t domid)
{
	struct guest *g = guest_find(domid);

	if (g || domid >= DOMID_FIRST_RESERVED)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->domid = domid;
	g->port = -1;
	g->log.fd = -1;
	list_add(&guests, g);
	by_id[domid] = g;
	return g;
}

/* --- attaching ---------------------------------------------------------------------------------------------------------------- */

static int set_port(int port, struct guest *g)
{
	if (port >= ports) {
		int n = port + 64;
		struct guest **p = realloc(by_port, (size_t)n * sizeof(*p));

		if (!p)
			return -ENOMEM;
		memset(p + ports, 0, (size_t)(n - ports) * sizeof(*p));
		by_port = p;
		ports = n;
	}
	by_port[port] = g;
	return 0;
}

static void stop_resting(struct guest *g)
{
	struct guest **p = &resting;

	if (!g->rest_until)
		return;
	while (*p != g)
		p = &(*p)->next_resting;
	*p = g->next_resting;
	if (!*p)
		resting_end = p;
	g->rest_until = 0;
}

static void detach(struct guest *g)
{
	stop_resting(g);
	if (g->port >= 0) {
		by_port[g->port] = NULL;
		xen_unbind(g->port);
	}
	if (g->ring)
		xen_unmap(g->ring, g->granted);
	g->port = -1;
	g->ring = NULL;
}

static uint64_t key_of(const struct guest *g)
{
	return g->gfn << 32 ^ g->remote_port;
}

/* The record of an earlier daemon if this is still the same guest, else a new one. */
static void find_record(struct guest *g)
{
	struct record *r = state_get(g->domid);
	uint32_t cons = g->ring->out_cons;
	uint64_t life = 0;

	g->rec = r ? r : &g->own_rec;
	r = g->rec;
	/* A daemon that was killed has left out_cons where the record has it or, at most, one ring further. */
	if (r->life && r->key == key_of(g) && cons - ((uint32_t)r->total + r->bias) <= RING_OUT)
		return;
	while (!life)
		if (getrandom(&life, sizeof(life), 0) != sizeof(life))
			life = (uint64_t)loop_now() << 16 | g->domid;
	r->life = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*r = (struct record){ .key = key_of(g), .bias = cons };
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	r->life = life;
}

static int attach(struct guest *g)
{
	int port;

	g->ring = xen_map(g->domid, g->gfn, &g->granted);
	if (!g->ring)
		return errno ? -errno : -EINVAL;
	port = xen_bind(g->domid, g->remote_port);
	if (port >= 0 && set_port(port, g) < 0) {
		xen_unbind(port);
		port = -ENOMEM;
	}
	if (port < 0) {
		detach(g);
		return port;
	}
	g->port = port;
	return 0;
}

/* --- serving ------------------------------------------------------------------------------------------------------------------ */

/* Take at most one ring of output. Whether there was any. */
static bool take(struct guest *g, int64_t now)
{
	char data[RING_OUT];
	uint64_t offset = g->rec->total;
	uint32_t cons;
	int n = ring_peek(g->ring, data, &cons);

	if (n == -EPROTO) {
		ring_reset(g->ring);
		if (!g->told_corrupt)
			fprintf(stderr, "consoled: guest %s (domain %u) has corrupted its console ring; what was in it is lost\n", g->name, g->domid);
		g->told_corrupt = true;
		return true;
	}
	if (n <= 0)
		return false;
	log_take(&g->log, g->ring, cons, data, (size_t)n, now);
	g->tokens -= n;
	client_output(g, offset, data, (size_t)n);
	return true;
}

static void rest(struct guest *g, int64_t now)
{
	g->rest_until = now + REST_MS;
	g->next_resting = NULL;
	*resting_end = g;
	resting_end = &g->next_resting;
}

static void serve(struct guest *g)
{
	int64_t now = loop_now(), before;

	g->tokens += (now - g->tokens_at) * rate / 1000;
	g->tokens_at = now;
	if (g->tokens > rate)
		g->tokens = rate;
	if (g->tokens <= 0) {
		rest(g, now);
		return;
	}
	before = g->tokens;
	if (take(g, now))
		xen_notify(g->port);
	if (g->tokens > before - TURN_COST)
		g->tokens = before - TURN_COST;
	client_room(g);
	xen_unmask(g->port);
}

void guest_event(int port)
{
	struct guest *g = port >= 0 && port < ports ? by_port[port] : NULL;

	if (g && !g->rest_until)
		serve(g);
}

bool guest_is_attached(const struct guest *g, uint64_t gfn, uint32_t remote_port)
{
	return g->ring && g->gfn == gfn && g->remote_port == remote_port;
}

void guest_attach(struct guest *g, const char *name, uint64_t gfn, uint32_t remote_port)
{
	int64_t now = loop_now();
	bool again = g->rec != NULL;
	int rc;

	if (guest_is_attached(g, gfn, remote_port))
		return;
	if (!g->name && !(g->name = strdup(name)))
		return;
	if (g->ring)
		take(g, now);
	detach(g);
	g->gfn = gfn;
	g->remote_port = remote_port;
	rc = attach(g);
	if (rc) {
		if (!g->told_attach)
			fprintf(stderr, "consoled: guest %s (domain %u): cannot attach to its console (frame %#llx, event channel %u): %s%s\n", g->name,
				g->domid, (unsigned long long)gfn, remote_port, strerror(-rc),
				rc == -EINVAL ? "; another console daemon may be running" : "");
		g->told_attach = true;
		return;
	}
	g->told_attach = false;
	if (again) {
		/* Another ring of the same guest: the log goes on. */
		g->rec->bias = g->ring->out_cons - (uint32_t)g->rec->total;
		g->rec->key = key_of(g);
	} else {
		find_record(g);
		log_open(&g->log, g->name, g->domid, g->rec, g->ring, now);
		g->tokens = rate;
		g->tokens_at = now;
	}
	client_guest_up(g);
	/* What a killed daemon may have left: output without an event, room that the guest was not told of. */
	xen_notify(g->port);
	guest_event(g->port);
}

void guest_rename(struct guest *g, const char *name)
{
	char *copy;

	if (!g->name || strcmp(g->name, name) == 0 || !(copy = strdup(name)))
		return;
	free(g->name);
	g->name = copy;
	if (g->rec)
		log_reopen(&g->log, name, g->domid, loop_now());
	if (g->ring)
		client_guest_up(g);
}

void guest_reopen_logs(void)
{
	for (struct guest *g = guests; g; g = g->next)
		if (g->rec)
			log_reopen(&g->log, g->name, g->domid, loop_now());
}

size_t guest_input(struct guest *g, const char *data, size_t len)
{
	size_t n = g->ring ? ring_put(g->ring, data, len) : 0;

	if (n)
		xen_notify(g->port);
	return n;
}

/* --- the end ------------------------------------------------------------------------------------------------------------------ */

static void release(struct guest *g)
{
	log_close(&g->log);
	list_remove(g);
	free(g->name);
	free(g);
}

void guest_end(struct guest *g)
{
	if (g->ring)
		take(g, loop_now());
	detach(g);
	by_id[g->domid] = NULL;
	if (g->rec) {
		log_freeze(&g->log, &g->own_rec);
		if (g->rec != &g->own_rec)
			g->rec->life = 0;
		g->rec = &g->own_rec;
	}
	g->ended = true;
	g->close_at = loop_now() + LINGER_MS;
	list_remove(g);
	list_add(&ending, g);
	if (g->clients)
		client_guest_end(g);
	else
		release(g);
}

void guest_client_gone(struct guest *g)
{
	if (g->ended && !g->clients)
		release(g);
}

int guest_timers(void)
{
	int64_t now = loop_now(), next = INT64_MAX;

	while (resting && resting->rest_until <= now) {
		struct guest *g = resting;

		stop_resting(g);
		serve(g);
	}
	if (resting)
		next = resting->rest_until;
	for (struct guest *g = ending, *following; g; g = following) {
		following = g->next;
		if (g->close_at <= now)
			client_close_all(g);
		else if (g->close_at < next)
			next = g->close_at;
	}
	return next == INT64_MAX ? -1 : (int)(next - now);
}
