/* SPDX-License-Identifier: MIT */
/* Methods that ask the guest's kernel for something, through its control nodes. */
#include <errno.h>
#include <lib/clock.h>
#include <lodged/life.h>
#include <lodged/methods.h>
#include <lodged/record.h>
#include <lodged/target.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ACK_SECONDS	10	/* for a kernel to take note */
#define WAIT_DEFAULT	60
#define WAIT_MAX	86400

/* The guest takes note by emptying the node. 1: it has; 0: it still stands there; -errno. */
static int taken(struct session *s, int domid, const char *node)
{
	char *value = store_read(s->store, "/local/domain/%d/control/%s", domid, node);
	int rc = value ? !*value : -errno;

	free(value);
	return rc == -ENOENT ? 1 : rc;
}

/* Wait on a watch. Fired watches of earlier requests may still be queued: whatever fires, the node is what counts. */
static int await_taken(struct session *s, int domid, const char *node)
{
	int64_t deadline = clock_ms() + ACK_SECONDS * 1000;
	char path[64];
	int rc;

	snprintf(path, sizeof(path), "/local/domain/%d/control/%s", domid, node);
	rc = store_watch(s->store, path, "ask");
	while (!rc && !(rc = taken(s, domid, node))) {
		struct pollfd p = { .fd = store_fd(s->store), .events = POLLIN };
		char *fired, *token;
		int64_t left = deadline - clock_ms();

		if (left <= 0) {
			rc = -ETIMEDOUT;
		} else if (!store_next_watch(s->store, &fired, &token)) {
			free(fired);
		} else {
			poll(&p, 1, (int)left);
		}
	}
	store_unwatch(s->store, path, "ask");
	return rc < 0 ? rc : 0;
}

static int ask(struct session *s, const struct target *t, const char *node, const char *request, struct err *e)
{
	int rc;

	if (t->domid < 0 || t->info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying))
		return err_set(e, EINVAL, "wrong-state", "the guest %s has ended already", t->name);
	if (t->info.flags & XEN_DOMINF_paused)
		return err_set(e, EINVAL, "wrong-state", "the guest %s is paused and cannot be asked: unpause it first", t->name);
	rc = store_write(s->store, request, "/local/domain/%d/control/%s", t->domid, node);
	if (!rc)
		rc = await_taken(s, t->domid, node);
	if (rc == -ETIMEDOUT) {
		store_write(s->store, "", "/local/domain/%d/control/%s", t->domid, node);
		return err_set(e, EOPNOTSUPP, "no-driver",
			"the guest %s does not take the request (%s): its kernel has no driver for that, is still "
			"starting, or hangs; `lodge destroy` ends it at once",
			t->name, request);
	}
	return rc ? session_store_error(e, rc, "asking the guest") : 0;
}

/* Wait for an end after `ends`; *v is how things are then. */
static int await_end(struct guest *g, unsigned int ends, long long seconds, struct guest_view *v, struct err *e)
{
	struct timespec deadline;
	unsigned long seen;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += seconds;
	for (;;) {
		bool in_time = true;

		seen = registry_serial();
		registry_view(g, v);
		if (v->state == GUEST_GONE || (v->ends != ends && (v->preserved || v->state == GUEST_RUNNING)))
			return 0;
		in_time = registry_wait(&seen, &deadline);
		if (!in_time)
			return err_set(e, ETIMEDOUT, "timeout",
				"the guest %s has been asked, but has not ended within %lld seconds", v->name, seconds);
	}
}

/* wait and timeout_s of the request. */
static long long patience(const json_t *params)
{
	const json_t *t = json_object_get(params, "timeout_s");
	long long seconds = t ? json_integer_value(t) : WAIT_DEFAULT;

	if (!json_is_true(json_object_get(params, "wait")))
		return -1;
	return seconds > WAIT_MAX ? WAIT_MAX : seconds;
}

/* The note that whatever end it comes to is the last stays only if the guest takes the request. */
static int ask_once(struct session *s, const struct target *t, const char *request, bool no_restart, struct err *e)
{
	int rc = no_restart ? record_set_no_restart(s->store, t->g->uuid_text, true) : 0;

	if (rc)
		return session_store_error(e, rc, "noting that the guest is not to start again");
	rc = ask(s, t, "shutdown", request, e);
	if (rc && no_restart)
		record_set_no_restart(s->store, t->g->uuid_text, false);
	return rc;
}

static int ask_to_end(struct session *s, const json_t *params, const char *request, struct guest_view *after, struct err *e)
{
	bool no_restart = json_is_true(json_object_get(params, "no_restart"));
	long long wait = patience(params);
	struct guest_view before;
	struct target t;
	int rc = target_find_guest(s, params, wait >= 0 || no_restart, &t, e);

	if (rc)
		return rc;
	if (t.g)
		registry_view(t.g, &before);
	rc = ask_once(s, &t, request, no_restart, e);
	if (!rc && wait >= 0)
		rc = await_end(t.g, before.ends, wait, after, e);
	target_put(&t);
	return rc;
}

int method_shutdown(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	struct guest_view v = { .reason = -1 };
	int rc = ask_to_end(s, params, "poweroff", &v, e);

	if (!rc && v.reason >= 0)
		*result = json_pack("{s:s}", "reason", life_reason(v.reason));
	return rc;
}

int method_reboot(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	struct guest_view v = { .domid = -1 };
	int rc = ask_to_end(s, params, "reboot", &v, e);

	if (!rc && v.domid >= 0)
		*result = json_pack("{s:i}", "domid", v.domid);
	return rc;
}

int method_sysrq(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	const char *key = request_string(params, "key");
	struct target t;
	int rc;

	if (strlen(key) != 1)
		return err_set(e, EINVAL, "bad-request", "sysrq takes one key, found `%.20s`", key);
	rc = target_find_guest(s, params, false, &t, e);
	if (rc)
		return rc;
	rc = ask(s, &t, "sysrq", key, e);
	target_put(&t);
	return rc;
}
