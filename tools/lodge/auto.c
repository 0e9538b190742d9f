/* SPDX-License-Identifier: MIT */
/*
 * lodge autostart and autostop: the guests that come and go with Domain 0.
 *
 * The manager may end in the middle of either. It is started again by itself, and then what was asked of it last is asked again: it
 * has removed a guest that was half made, and a guest that is there or is gone already is what was wanted.
 */
#include <lodge/several.h>
#include <lib/definition.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MANAGER_S	60	/* for it to come, or to come back */
#define RETRY_MS	200
#define STOP_S		120
#define STOP_MAX_S	86400
#define ROUNDS		3	/* of looking for guests that have come meanwhile */

/* The same call until a manager has answered it. */
static int call(const char *method, json_t *params, json_t **result, struct err *e)
{
	int rc, ms = 0;

	do {
		if (ms) {
			struct timespec t = { .tv_nsec = RETRY_MS * 1000000L };

			manager_close();
			nanosleep(&t, NULL);
		}
		rc = manager_call(method, json_incref(params), result, e);
		ms += RETRY_MS;
	} while (rc && ms < MANAGER_S * 1000 &&
		 (!strcmp(e->code, "busy") || (!strcmp(e->code, API_UNREACHABLE) && (rc == -ECONNREFUSED || rc == -ECONNRESET))));
	json_decref(params);
	return rc;
}

/* Has it shut down without being gone? */
static bool has_ended(const char *guest)
{
	json_t *answer;
	struct err e;
	bool ended;

	if (call("list", json_pack("{s:s}", "guest", guest), &answer, &e))
		return false;
	ended = *string_of(json_array_get(json_object_get(answer, "guests"), 0), "shutdown_reason");
	json_decref(answer);
	return ended;
}

/* --- autostart --- */

/* What editors and dpkg leave behind is no definition. */
static int wanted(const struct dirent *entry)
{
	const char *name = entry->d_name, *end = name + strlen(name);

	return *name != '.' && end[-1] != '~' && !strstr(name, ".dpkg-");
}

/* realpath: paths in the definition start where it is, not where the link to it is. */
static int load(const char *dir, const char *entry, struct definition **d, struct err *e)
{
	bool quiet = false;
	char *link, *path;
	int rc;

	if (asprintf(&link, "%s/%s", dir, entry) < 0)
		return err_set(e, ENOMEM, "no-memory", "out of memory");
	path = realpath(link, NULL);
	if (path)
		rc = definition_load(path, NULL, 0, say_warning, &quiet, d, e);
	else
		rc = err_set(e, errno, "no-definition", "%s leads to no definition: %s", link, strerror(errno));
	free(path);
	free(link);
	return rc;
}

static enum status start(const char *dir, const char *entry)
{
	struct definition *d;
	enum status status = OK;
	json_t *answer = NULL;
	struct err e;

	if (load(dir, entry, &d, &e))
		return say_error(entry, &e);
	if (!call("create", json_pack("{s:o}", "definition", definition_to_json(d)), &answer, &e)) {
		say_dom0_gave(d->name, answer);
		say("%s runs as domain %lld", d->name, (long long)integer_of(answer, "domid"));
	} else if (!strcmp(e.code, "name-taken") && !has_ended(d->name)) {
		say("%s runs already", d->name);
	} else {
		status = say_error(d->name, &e);
	}
	fflush(stdout);
	json_decref(answer);
	definition_free(d);
	return status;
}

enum status run_autostart(const struct args *a)
{
	const char *root = getenv("LODGE_DEFINITIONS");
	struct dirent **entries;
	enum status status = OK;
	char dir[512];
	struct err e;
	int n;

	snprintf(dir, sizeof(dir), "%s/auto", root && *root ? root : DEFINITION_DIR);
	n = scandir(dir, &entries, wanted, alphasort);
	if (n < 0 && errno == ENOENT)
		return OK;
	if (n < 0) {
		err_set(&e, errno, "no-definition", "cannot read the folder %s: %s", dir, strerror(errno));
		return say_error(NULL, &e);
	}
	for (int i = 0; i < n; i++) {
		status = first_failure(status, start(dir, entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
	return status;
}

/* --- autostop --- */

static enum status destroy(const struct asked *g, const char *why)
{
	struct err e;

	if (call("destroy", json_pack("{s:s}", "guest", g->guest), NULL, &e) && strcmp(e.code, "no-such-guest"))
		return say_error(g->name, &e);
	if (!why)
		return OK;
	fprintf(stderr, "lodge: %s: it has been destroyed: %s\n", g->name, why);
	return FAILED;
}

/* Asked to shut down; destroyed if it has not within the time. */
static enum status stop(const struct asked *g, void *seconds)
{
	struct err e;
	int rc;

	if (has_ended(g->guest))
		return destroy(g, NULL);
	for (int i = 0; i < 2; i++) {
		rc = call("shutdown", json_pack("{s:s, s:b, s:b, s:i}", "guest", g->guest, "no_restart", 1, "wait", 1, "timeout_s",
			*(const int *)seconds), NULL, &e);
		/* One that is paused cannot do what it is asked; that it was put aside is no reason to lose what it has in memory. */
		if (!rc || strcmp(e.code, "wrong-state") || call("unpause", json_pack("{s:s}", "guest", g->guest), NULL, &e))
			break;
	}
	if (!rc || !strcmp(e.code, "no-such-guest")) {
		say("%s has shut down", g->name);
		return has_ended(g->guest) ? destroy(g, NULL) : OK;
	}
	return has_ended(g->guest) ? destroy(g, NULL) : destroy(g, e.text);
}

enum status run_autostop(const struct args *a)
{
	enum status status;
	long timeout_s;
	int seconds;

	status = args_number(a, OPT_TIMEOUT, STOP_S, STOP_MAX_S, &timeout_s);
	if (status)
		return status;
	seconds = (int)timeout_s;
	for (int i = 0; i < ROUNDS; i++) {
		struct several s = { 0 };
		struct err e;
		size_t n;

		if (several_all(&s, &e))
			return first_failure(status, say_error(NULL, &e));
		n = s.n;
		status = first_failure(status, several_each(&s, stop, &seconds));
		several_free(&s);
		if (!n)
			break;
	}
	return status;
}
