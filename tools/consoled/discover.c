/* SPDX-License-Identifier: MIT */
/* Discovery of guests. */
/*
 * The store says that a domain has come or gone, but not which. Domain ids rise, so a new domain is found by asking the hypervisor for those behind the
 * last one. Only when that finds nothing (the ids have started over, or the watch fired for another reason), and when a domain has gone, all are looked
 * at, and at most once in SCAN_MS. What a guest's console is, and its orderly end, is learned from a watch of its own.
 */
#include <consoled/client.h>
#include <consoled/discover.h>
#include <consoled/guest.h>
#include <consoled/loop.h>
#include <errno.h>
#include <lib/store.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>

#define SCAN_MS		100
#define LIST		64

static struct store *store;
static struct source source = { .fd = -1 };
static bool asked;		/* the store was used: its descriptor may be another one */
static uint16_t next_id = 1;
static int64_t scan_due, last_scan;

/* --- one guest ---------------------------------------------------------------------------------------------------------------- */

static void watch_both(void (*change)(const char *path, const char *token), uint16_t domid)
{
	char path[64], token[16];

	snprintf(path, sizeof(path), "/local/domain/%u/console", domid);
	snprintf(token, sizeof(token), "c/%u", domid);
	change(path, token);
	snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
	token[0] = 'n';
	change(path, token);
}

static void watch(const char *path, const char *token)
{
	int rc = store_watch(store, path, token);

	if (rc && rc != -EEXIST)
		fprintf(stderr, "consoled: cannot watch %s: %s\n", path, strerror(-rc));
}

static void unwatch(const char *path, const char *token)
{
	store_unwatch(store, path, token);
}

static void end(struct guest *g)
{
	uint16_t domid = g->domid;

	guest_end(g);
	watch_both(unwatch, domid);
}

enum kind {
	LODGE,		/* made by our tools */
	XEN,		/* by others, which wait for console/tty to name a pseudo-terminal, and open it */
	FOREIGN,	/* served by somebody else */
};

static enum kind kind_of(uint16_t domid)
{
	char *type = store_read(store, "/local/domain/%u/console/type", domid);
	enum kind kind = !type || strcmp(type, "lodge") == 0 ? LODGE : strcmp(type, "xenconsoled") == 0 ? XEN : FOREIGN;

	free(type);
	return kind;
}

static void offer_pty(struct guest *g)
{
	char path[64];
	int rc = client_open_pty(g, path, sizeof(path));

	if (!rc)
		rc = store_write(store, path, "/local/domain/%u/console/tty", g->domid);
	if (rc)
		fprintf(stderr, "consoled: guest %s (domain %u): no pseudo-terminal for its console: %s\n", g->name, g->domid, strerror(-rc));
}

static void look(struct guest *g)
{
	uint64_t gfn, port;
	int rc_gfn = store_read_u64(store, &gfn, "/local/domain/%u/console/ring-ref", g->domid);
	int rc_port = store_read_u64(store, &port, "/local/domain/%u/console/port", g->domid);
	char *name, fallback[32];
	enum kind kind;

	asked = true;
	if (rc_gfn == -ENOENT && rc_port == -ENOENT && g->ring) {
		end(g);
		return;
	}
	if (rc_gfn || rc_port || port > UINT32_MAX || guest_is_attached(g, gfn, (uint32_t)port))
		return;
	kind = kind_of(g->domid);
	if (kind == FOREIGN)
		return;
	name = store_read(store, "/local/domain/%u/name", g->domid);
	snprintf(fallback, sizeof(fallback), "domain-%u", g->domid);
	guest_attach(g, name && *name ? name : fallback, gfn, (uint32_t)port);
	free(name);
	if (kind == XEN && g->ring && !g->has_pty)
		offer_pty(g);
}

static void look_name(struct guest *g)
{
	char *name = store_read(store, "/local/domain/%u/name", g->domid);

	asked = true;
	if (name && *name)
		guest_rename(g, name);
	free(name);
}

static void add(uint16_t domid)
{
	asked = true;
	if (domid && guest_add(domid))
		watch_both(watch, domid);
}

void discover_look(uint16_t domid)
{
	struct guest *g = guest_find(domid);
	struct xen_domain d;

	if (!g && xen_domains(domid, &d, 1) == 1 && d.domid == domid && !d.dying) {
		add(domid);
		g = guest_find(domid);
	}
	if (g)
		look(g);
}

/* --- all guests --------------------------------------------------------------------------------------------------------------- */

/* Add domains from id first on that nobody knows; how many, or -errno. alive: a bit for each that is there and not dying. */
static int find_new(uint16_t first, uint64_t *alive)
{
	struct xen_domain list[LIST];
	int n, found = 0;

	do {
		n = xen_domains(first, list, LIST);
		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			uint16_t id = list[i].domid;

			first = (uint16_t)(id + 1);
			if (id >= DOMID_FIRST_RESERVED || list[i].dying)
				continue;
			if (alive)
				alive[id / 64] |= 1ULL << id % 64;
			if (!id || guest_find(id))
				continue;
			add(id);
			next_id = (uint16_t)(id + 1);
			found++;
		}
	} while (n == LIST);
	return found;
}

static void scan(void)
{
	static uint64_t alive[(DOMID_FIRST_RESERVED + 63) / 64];

	scan_due = 0;
	last_scan = loop_now();
	memset(alive, 0, sizeof(alive));
	if (find_new(0, alive) < 0)
		return;
	for (struct guest *g = guest_first(), *next; g; g = next) {
		next = g->next;
		if (!(alive[g->domid / 64] >> g->domid % 64 & 1))
			end(g);
	}
}

static void want_scan(void)
{
	int64_t now = loop_now();

	if (!scan_due)
		scan_due = last_scan + SCAN_MS > now ? last_scan + SCAN_MS : now;
}

static void fired(const char *token)
{
	struct guest *g = NULL;

	if (token[0] && token[1] == '/')
		g = guest_find((uint16_t)strtoul(token + 2, NULL, 10));
	if (strcmp(token, "introduce") == 0) {
		if (find_new(next_id, NULL) <= 0)
			want_scan();
	} else if (strcmp(token, "release") == 0) {
		want_scan();
	} else if (g && token[0] == 'c') {
		look(g);
	} else if (g && token[0] == 'n') {
		/* The first time because it was registered, and the name is read after that. */
		if (g->name_watched && g->name)
			look_name(g);
		g->name_watched = true;
	}
}

static void store_ready(struct source *s, uint32_t events)
{
	char *path, *token;

	asked = true;
	while (store_next_watch(store, &path, &token) == 0) {
		fired(token);
		free(path);
	}
}

static void add_source(void)
{
	int rc;

	source = (struct source){ .fd = store_fd(store), .ready = store_ready };
	rc = loop_add(&source, EPOLLIN);
	if (rc && rc != -EEXIST)
		fprintf(stderr, "consoled: cannot wait for the store: %s\n", strerror(-rc));
	asked = false;
}

int discover_start(struct err *e)
{
	int rc = store_open(&store, true, e);

	if (rc)
		return rc;
	watch("@introduceDomain", "introduce");
	watch("@releaseDomain", "release");
	scan();
	for (struct guest *g = guest_first(), *next; g; g = next) {
		next = g->next;
		look(g);
	}
	add_source();
	return 0;
}

int discover_timers(void)
{
	int64_t now = loop_now();

	if (scan_due && scan_due <= now)
		scan();
	if (asked)
		add_source();
	return scan_due ? (int)(scan_due - now) : -1;
}
