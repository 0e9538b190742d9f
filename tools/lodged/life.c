/* SPDX-License-Identifier: MIT */
/*
 * Life-cycle: what follows when a guest ends by itself.
 *
 * The store announces the end of some domain (@releaseDomain), not of which, so that each announcement is followed by a look
 * at all domains; whoever of ours does not run is queued, and one of a few threads does what its definition says. A restart is
 * noted in the record (`again`) before the old domain is touched, so that a manager that is killed in between leaves it to the
 * next one.
 */
#include <errno.h>
#include <lodged/create.h>
#include <lodged/dump.h>
#include <lodged/end.h>
#include <lodged/life.h>
#include <lodged/log.h>
#include <lodged/nodes.h>
#include <lodged/record.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uuid/uuid.h>
#include <xen/sched.h>

#define THREADS		2
#define LIST_CHUNK	256
#define QUICK_SECONDS	30	/* a guest that ends sooner after its start */
#define QUICK_MAX	5	/* … so many times in a row is not started again */
#define RENAMES_MAX	1000
#define PAUSE_MS	50	/* at least, between two looks at all domains */

const char *life_reason(int reason)
{
	static const char *const names[] = { "poweroff", "reboot", "suspend", "crash", "watchdog", "soft-reset" };

	return reason >= 0 && reason < 6 ? names[reason] : "unknown";
}

int life_reason_of(const xen_domctl_getdomaininfo_t *info)
{
	return info->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
}

int life_domains(struct hv *hv, xen_domctl_getdomaininfo_t **infos, size_t *n)
{
	uint32_t first = 0;
	int got;

	*infos = NULL;
	*n = 0;
	do {
		xen_domctl_getdomaininfo_t *grown = realloc(*infos, (*n + LIST_CHUNK) * sizeof(**infos));

		got = grown ? 0 : -ENOMEM;
		if (grown) {
			*infos = grown;
			got = hv_domain_list(hv, (uint16_t)first, *infos + *n, LIST_CHUNK);
		}
		if (got < 0) {
			free(*infos);
			*infos = NULL;
			return got;
		}
		*n += (size_t)got;
		if (*n)
			first = (*infos)[*n - 1].domain + 1U;
	} while (got == LIST_CHUNK && first < DOMID_FIRST_RESERVED);
	return 0;
}

static enum guest_action action_for(const struct definition *d, int reason)
{
	switch (reason) {
	case SHUTDOWN_poweroff: return d->on_poweroff;
	case SHUTDOWN_reboot: return d->on_reboot;
	case SHUTDOWN_watchdog: return d->on_watchdog;
	case SHUTDOWN_suspend: return ACTION_PRESERVE;	/* by itself: nobody saves it */
	default: return d->on_crash;
	}
}

/* Has it ended too soon after its start too often? */
static bool too_quick(struct session *s, struct guest *g)
{
	struct record r = { .quick = 0 };
	uint64_t started = 0;

	if (store_read_u64(s->store, &started, "/vm/%s/start_time", g->uuid_text) ||
		(uint64_t)time(NULL) - started >= QUICK_SECONDS) {
		record_set_quick(s->store, g->uuid_text, 0);
		return false;
	}
	record_read(s->store, g->uuid_text, &r);
	record_set_quick(s->store, g->uuid_text, r.quick + 1);
	return r.quick + 1 >= QUICK_MAX;
}

/* The old domain is gone, or was never there. */
static void run_again(struct session *s, struct guest *g, const struct definition *d)
{
	struct err e;

	if (!create_again(s, g, d, &e)) {
		log_line("%s: started again as domain %d", g->name, g->domid);
		return;
	}
	log_err("a guest cannot be started again", &e);
	end_forget(s, g);
}

static void restart(struct session *s, struct guest *g, const struct definition *d, int reason)
{
	int rc = record_set_again(s->store, g->uuid_text, true);

	if (!rc)
		rc = record_set_state(s->store, g->uuid_text, RECORD_ENDING);
	if (rc)
		log_line("%s: the store does not take note of its restart: %s", g->name, strerror(-rc));
	registry_set_state(g, GUEST_ENDING);
	registry_set_end(g, reason, false);
	end_domain(s, g, d);
	run_again(s, g, d);
}

static void preserve(struct session *s, struct guest *g, int reason)
{
	record_set_preserved(s->store, g->uuid_text, false);
	registry_set_end(g, reason, true);
}

/* The last of a row of ends stays to be looked at; who wants to try again destroys it first. */
static void keep_down(struct session *s, struct guest *g, int reason)
{
	log_line("%s: it has ended %d times in a row less than %d seconds after its start: it is not started again, and domain %d "
		 "stays as it is until `lodge destroy %s`", g->name, QUICK_MAX, QUICK_SECONDS, g->domid, g->name);
	record_set_preserved(s->store, g->uuid_text, true);
	registry_set_kept_down(g);
	registry_set_end(g, reason, true);
}

static bool first_problem(const struct err *e, void *ctx)
{
	*(struct err *)ctx = *e;
	return false;
}

/* A name that is free: NAME-1, NAME-2 … */
static int set_aside(struct guest *g, const uint8_t uuid[16], struct err *e)
{
	char base[256], name[300];
	int rc = -EEXIST;

	snprintf(base, sizeof(base), "%s", g->name);
	for (int i = 1; i < RENAMES_MAX && rc; i++) {
		snprintf(name, sizeof(name), "%.240s-%d", base, i);
		rc = registry_rename(g, name, uuid, e);
	}
	return rc;
}

/* The guest under its old name: a new domain, from the record that is marked `again`. */
static void take_place(struct session *s, const struct definition *d, const uint8_t uuid[16])
{
	struct guest *g;
	struct err e = { 0 };

	if (registry_reserve(d->name, uuid, &g, &e)) {
		log_err("a guest cannot be started again", &e);
		return;
	}
	devices_check(d, g, true, first_problem, &e);
	if (e.error) {
		log_err("a guest cannot be started again", &e);
		end_forget(s, g);
	} else {
		run_again(s, g, d);
	}
	registry_unlock(g);
	registry_put(g);
}

/*
 * The domain that has ended stays under another name and UUID, without devices, and a new one takes its place. The domain's UUID
 * decides what becomes of a manager that is killed on the way: as long as it is the old one, the new record has no domain, is
 * removed, and all of this is done again; from then on the old record has none, and is to be started because of its mark `again`.
 */
static void rename_restart(struct session *s, struct guest *g, struct definition *d, int reason)
{
	char old_text[UUID_TEXT], *name = d->name;
	uint8_t old[16], uuid[16];
	struct err e;

	memcpy(old_text, g->uuid_text, sizeof(old_text));
	memcpy(old, g->uuid, sizeof(old));
	uuid_generate_random(uuid);
	devices_remove(s, g->domid, g->uuid_text, d);
	registry_unclaim(g);
	if (set_aside(g, uuid, &e)) {
		log_err("a guest that has ended cannot be put aside", &e);
		return preserve(s, g, reason);
	}
	d->name = g->name;
	record_write(s->store, g->uuid_text, d, RECORD_RUNNING);
	d->name = name;
	record_set_domid(s->store, g->uuid_text, g->domid);
	preserve(s, g, reason);
	record_set_again(s->store, old_text, true);
	nodes_move(s->store, g->domid, old_text, g->uuid_text, g->name);
	hv_domain_set_handle(s->hv, (uint16_t)g->domid, uuid);
	record_set_state(s->store, old_text, RECORD_ENDING);
	log_line("%s: domain %d stays as %s", name, g->domid, g->name);
	take_place(s, d, old);
}

static enum guest_action without_restart(enum guest_action action)
{
	switch (action) {
	case ACTION_RESTART:
	case ACTION_RENAME_RESTART: return ACTION_DESTROY;
	case ACTION_COREDUMP_RESTART: return ACTION_COREDUMP_DESTROY;
	default: return action;
	}
}

static void act(struct session *s, struct guest *g, struct definition *d, int reason)
{
	enum guest_action action = action_for(d, reason);
	struct record r = { .no_restart = false };

	record_read(s->store, g->uuid_text, &r);
	if (r.no_restart)
		action = without_restart(action);
	log_line("%s: domain %d has ended (%s), which means %s", g->name, g->domid, life_reason(reason), guest_action_name(action));
	if (action == ACTION_COREDUMP_DESTROY || action == ACTION_COREDUMP_RESTART)
		dump_end(s, g);
	if (action != without_restart(action) && too_quick(s, g))
		return keep_down(s, g, reason);
	switch (action) {
	case ACTION_COREDUMP_RESTART:
	case ACTION_RESTART: return restart(s, g, d, reason);
	case ACTION_RENAME_RESTART: return rename_restart(s, g, d, reason);
	case ACTION_PRESERVE: return preserve(s, g, reason);
	case ACTION_COREDUMP_DESTROY:
	case ACTION_DESTROY: break;
	}
	registry_set_state(g, GUEST_ENDING);
	registry_set_end(g, reason, false);
	end_guest(s, g);
}

/* A guest without a domain: it was about to start again when the manager was killed, or is a left-over. */
static void without_domain(struct session *s, struct guest *g)
{
	struct definition *d = NULL;
	struct record r;

	if (!record_read(s->store, g->uuid_text, &r) && r.again && !record_definition(s->store, g->uuid_text, &d))
		run_again(s, g, d);
	else
		end_forget(s, g);
	definition_free(d);
}

static void look_after(struct session *s, struct guest *g)
{
	xen_domctl_getdomaininfo_t info;
	struct definition *d = NULL;
	int rc;

	if (g->domid < 0)
		return without_domain(s, g);
	rc = hv_domain_info(s->hv, (uint16_t)g->domid, &info);
	if (rc == -ESRCH || (!rc && (info.flags & XEN_DOMINF_dying || memcmp(info.handle, g->uuid, 16)))) {
		log_line("%s: domain %d is gone", g->name, g->domid);
		return end_guest(s, g);
	}
	if (rc || !(info.flags & XEN_DOMINF_shutdown) || g->preserved)
		return;
	rc = record_definition(s->store, g->uuid_text, &d);
	if (!rc)
		act(s, g, d, life_reason_of(&info));
	else
		log_line("%s: domain %d has ended, but its definition cannot be read (%s): it stays", g->name, g->domid,
			strerror(-rc));
	definition_free(d);
}

static void *life_thread(void *arg)
{
	for (;;) {
		struct guest *g = registry_next();
		struct session s;
		struct err e;

		if (!session_open(&s, true, &e)) {
			if (registry_lock(g)) {
				look_after(&s, g);
				registry_unlock(g);
			}
			session_close(&s);
		} else {
			log_err("the store", &e);
		}
		registry_put(g);
	}
	return NULL;
}

struct living {
	uint8_t bits[(DOMID_MASK + 1) / 8];
};

static bool has_ended(const struct guest *g, void *ctx)
{
	const struct living *l = ctx;

	return g->state == GUEST_RUNNING && !g->preserved && g->domid >= 0 && !(l->bits[g->domid / 8] >> g->domid % 8 & 1);
}

static void queue_ended(struct hv *hv)
{
	xen_domctl_getdomaininfo_t *infos;
	struct living *l = calloc(1, sizeof(*l));
	size_t n;

	if (l && !life_domains(hv, &infos, &n)) {
		for (size_t i = 0; i < n; i++)
			if (!(infos[i].flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown)))
				l->bits[infos[i].domain / 8] |= (uint8_t)(1U << infos[i].domain % 8);
		free(infos);
		registry_queue_those(has_ended, l);
	}
	free(l);
}

static void *watch_thread(void *arg)
{
	struct session s;
	struct err e;

	if (session_open(&s, true, &e) || store_watch(s.store, "@releaseDomain", "life")) {
		log_line("the store does not tell of ended domains: ending, to be started again");
		exit(1);
	}
	for (;;) {
		struct pollfd p = { .fd = store_fd(s.store), .events = POLLIN };
		char *path, *token;
		bool fired = false;
		int rc;

		while (!(rc = store_next_watch(s.store, &path, &token))) {
			free(path);
			fired = true;
		}
		if (fired) {
			/* It looks at all domains: when many end one after another, not for each. */
			queue_ended(s.hv);
			poll(NULL, 0, PAUSE_MS);
		} else {
			poll(&p, 1, rc == -EAGAIN ? -1 : 1000);
		}
	}
	return NULL;
}

int life_start(struct err *e)
{
	pthread_t t;
	int rc = pthread_create(&t, NULL, watch_thread, NULL);

	for (int i = 0; i < THREADS && !rc; i++)
		rc = pthread_create(&t, NULL, life_thread, NULL);
	return rc ? err_set(e, rc, "internal", "cannot start threads: %s", strerror(rc)) : 0;
}
