/* SPDX-License-Identifier: MIT */
/* Verbs that change what a guest does: pause, unpause, destroy, shutdown, reboot, rename, sysrq. */
#include <lodge/several.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#define TIMEOUT_S	60
#define TIMEOUT_MAX_S	86400

/* The same for each guest; those behind one that fails have their turn. */
static enum status each(const struct args *a, const char *method)
{
	enum status status = OK;
	struct err e;

	for (int i = 0; i < a->noperands; i++)
		if (manager_call(method, json_pack("{s:s}", "guest", a->operands[i]), NULL, &e))
			status = first_failure(status, say_error(a->operands[i], &e));
	return status;
}

enum status run_pause(const struct args *a)
{
	return each(a, "pause");
}

enum status run_unpause(const struct args *a)
{
	return each(a, "unpause");
}

enum status run_destroy(const struct args *a)
{
	return each(a, "destroy");
}

enum status run_rename(const struct args *a)
{
	struct err e;

	if (manager_call("rename", json_pack("{s:s, s:s}", "guest", a->operands[0], "name", a->operands[1]), NULL, &e))
		return say_error(a->operands[0], &e);
	return OK;
}

enum status run_sysrq(const struct args *a)
{
	const char *key = a->operands[1];
	struct err e;

	if (strlen(key) != 1 || !isgraph((unsigned char)*key))
		return usage_error(a->verb, "found \"%.40s\", expected one key, such as h", key);
	if (manager_call("sysrq", json_pack("{s:s, s:s}", "guest", a->operands[0], "key", key), NULL, &e))
		return say_error(a->operands[0], &e);
	return OK;
}

/* What is asked, and for how long it is waited for; wait_s < 0: not at all. */
struct question {
	const char *method;
	bool no_restart;
	long wait_s;
};

static enum status ask(const struct asked *g, void *ctx)
{
	const struct question *q = ctx;
	json_t *params = json_pack("{s:s}", "guest", g->guest), *answer;
	enum status status = OK;
	struct err e;

	if (q->no_restart)
		json_object_set_new(params, "no_restart", json_true());
	if (q->wait_s >= 0) {
		json_object_set_new(params, "wait", json_true());
		json_object_set_new(params, "timeout_s", json_integer(q->wait_s));
	}
	if (manager_call(q->method, params, &answer, &e))
		return say_error(g->name, &e);
	if (strcmp(string_of(answer, "reason"), "crash") == 0) {
		err_set(&e, EIO, "crashed", "it was asked to shut down, and crashed");
		status = say_error(g->name, &e);
	}
	json_decref(answer);
	return status;
}

static enum status shutdown_or_reboot(const struct args *a, const char *method, bool no_restart)
{
	struct question q = { .method = method, .no_restart = no_restart };
	struct several s = { 0 };
	enum status status;
	struct err e;
	int rc;

	if (args_set(a, 'a') ? a->noperands != 0 : a->noperands == 0)
		return usage_error(a->verb, "expected either the names of guests, or --all");
	status = args_number(a, OPT_TIMEOUT, TIMEOUT_S, TIMEOUT_MAX_S, &q.wait_s);
	if (status)
		return status;
	if (args_value(a, OPT_TIMEOUT) && !args_set(a, 'w'))
		return usage_error(a->verb, "--timeout goes with --wait");
	if (!args_set(a, 'w'))
		q.wait_s = -1;
	rc = args_set(a, 'a') ? several_all(&s, &e) : several_named(&s, a->operands, a->noperands, &e);
	status = rc ? say_error(NULL, &e) : several_each(&s, ask, &q);
	several_free(&s);
	return status;
}

enum status run_shutdown(const struct args *a)
{
	return shutdown_or_reboot(a, "shutdown", args_set(a, 'n'));
}

enum status run_reboot(const struct args *a)
{
	return shutdown_or_reboot(a, "reboot", false);
}
