/* SPDX-License-Identifier: MIT */
/*
 * Core dumps of guests.
 *
 * A guest that runs is paused meanwhile. The node /lodge/paused/ID, with the guest's UUID, says so from before the pause until after
 * its end, so that the next manager lets the guest run again when this one is killed in between. A guest that somebody has paused
 * already is left as it is.
 */
#include <errno.h>
#include <lib/core.h>
#include <lodged/dump.h>
#include <lodged/log.h>
#include <lodged/methods.h>
#include <lodged/record.h>
#include <lodged/target.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAUSED	"/lodge/paused"

static const struct conf *conf;

void dump_init(const struct conf *c)
{
	conf = c;
	core_sweep(c->dump_folder);
}

/* FOLDER/NAME-TIME.core, with a number behind the time if there is one already. */
static void choose_file(const char *name, char *path, size_t size)
{
	char when[32], file[256];
	time_t now = time(NULL);
	struct tm tm;
	int n = 1;

	snprintf(file, sizeof(file), "%s", *name && *name != '.' ? name : "domain");
	for (char *c = file; (c = strchr(c, '/')) != NULL; )	/* other toolstacks' guests may be called anything */
		*c = '_';
	mkdir(conf->dump_folder, 0700);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
	snprintf(path, size, "%s/%s-%s.core", conf->dump_folder, file, when);
	while (!access(path, F_OK))
		snprintf(path, size, "%s/%s-%s.%d.core", conf->dump_folder, file, when, ++n);
}

/* 1: it has been paused; 0: it does not run anyhow. */
static int pause_guest(struct session *s, const xen_domctl_getdomaininfo_t *info, struct err *e)
{
	char uuid[UUID_TEXT];
	int rc;

	if (info->flags & (XEN_DOMINF_paused | XEN_DOMINF_shutdown | XEN_DOMINF_dying))
		return 0;
	uuid_to_text(info->handle, uuid);
	rc = store_write(s->store, uuid, PAUSED "/%u", info->domain);
	if (rc)
		return session_store_error(e, rc, "noting that the guest is paused");
	rc = hv_domain_pause(s->hv, info->domain);
	if (!rc)
		return 1;
	store_remove(s->store, PAUSED "/%u", info->domain);
	return session_hv_error(e, rc, "pausing the guest");
}

static void unpause_guest(struct session *s, uint16_t domid)
{
	hv_domain_unpause(s->hv, domid);
	store_remove(s->store, PAUSED "/%u", domid);
}

struct dump {
	const char *path;
	bool live, for_crash;
	uint64_t kib;
};

static int dump_domain(struct session *s, uint16_t domid, struct dump *d, struct err *e)
{
	const struct core_input in = { .domid = domid, .for_crash = d->for_crash, .progress = s->progress, .ctx = s->ctx };
	xen_domctl_getdomaininfo_t info;
	int rc = hv_domain_info(s->hv, domid, &info), paused = 0;

	if (rc)
		return session_hv_error(e, rc, "looking at the guest");
	if (!d->live)
		paused = pause_guest(s, &info, e);
	if (paused < 0)
		return paused;
	rc = core_save(s->hv, &in, d->path, &d->kib, e);
	if (paused)
		unpause_guest(s, domid);
	return rc;
}

static void write_end(struct session *s, struct guest *g, const char *path)
{
	struct dump d = { .path = path, .for_crash = conf->dump_for_crash };
	struct err e;

	if (!dump_domain(s, (uint16_t)g->domid, &d, &e))
		log_line("%s: its core is in %s (%llu MiB)", g->name, path, (unsigned long long)(d.kib + 1023) >> 10);
	else
		log_line("%s: there is no core of it: %s", g->name, e.text);
}

void dump_end(struct session *s, struct guest *g)
{
	char path[640], *chosen = record_core(s->store, g->uuid_text);

	if (chosen && !access(chosen, F_OK)) {
		free(chosen);
		return;		/* the manager was killed behind it */
	}
	free(chosen);
	choose_file(g->name, path, sizeof(path));
	record_set_core(s->store, g->uuid_text, path);
	write_end(s, g, path);
}

void dump_recover(struct session *s)
{
	char **ids = store_list(s->store, PAUSED);

	for (char **id = ids; ids && *id; id++) {
		char *text = store_read(s->store, PAUSED "/%s", *id);
		unsigned long domid = strtoul(*id, NULL, 10);
		xen_domctl_getdomaininfo_t info;
		uint8_t uuid[16];

		if (text && uuid_from_text(text, uuid) && domid < DOMID_FIRST_RESERVED &&
		    !hv_domain_info(s->hv, (uint16_t)domid, &info) && !memcmp(info.handle, uuid, 16)) {
			log_line("domain %lu was paused for a core dump when the manager ended: it goes on", domid);
			hv_domain_unpause(s->hv, (uint16_t)domid);
		}
		free(text);
		store_remove(s->store, PAUSED "/%s", *id);
	}
	free(ids);
}

int method_dump_core(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	const char *file = request_string(params, "file");
	struct dump d = { .path = file, .live = json_is_true(json_object_get(params, "live")),
		.for_crash = json_is_true(json_object_get(params, "for_crash")) };
	struct target t;
	char path[640];
	int rc = target_find_guest(s, params, false, &t, e);

	if (!rc)
		rc = target_lock(&t, e);
	if (rc)
		return rc;
	if (!file) {
		choose_file(t.name, path, sizeof(path));
		d.path = path;
	}
	if (*d.path != '/')
		rc = err_set(e, EINVAL, "bad-request", "the file's path is not absolute: %.200s", d.path);
	else if (t.domid < 0)
		rc = err_set(e, EINVAL, "wrong-state", "the guest %s has no domain at the moment", t.name);
	else
		rc = dump_domain(s, (uint16_t)t.domid, &d, e);
	if (!rc) {
		log_line("%s: dumped to %s", t.name, d.path);
		*result = json_pack("{s:s, s:I}", "file", d.path, "kib", (json_int_t)d.kib);
	}
	target_put(&t);
	return rc;
}
