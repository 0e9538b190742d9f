/* SPDX-License-Identifier: MIT */
/* Verbs that change what a guest does: pause, unpause, destroy, shutdown, reboot, rename, sysrq. */
#include <lodge/verb.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_S	60
#define TIMEOUT_MAX_S	86400
#define ASKED_AT_ONCE	32	/* connections to the manager */

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

/* Guests that are asked to end or to reboot. */
struct asked {
	const char *guest;	/* for the manager: name, id, UUID */
	char *name;		/* for the user; allocated */
};

/* All guests of ours, by domain id, so that a guest that comes to have the name of another is not taken for it. */
static int find_all(struct asked **list, size_t *n, json_t **answer, struct err *e)
{
	json_t *guests, *guest;
	size_t i;
	int rc = manager_call("list", NULL, answer, e);

	if (rc)
		return rc;
	guests = json_object_get(*answer, "guests");
	*list = calloc(json_array_size(guests) + 1, sizeof(**list));
	if (!*list)
		return err_set(e, ENOMEM, "no-memory", "out of memory");
	json_array_foreach(guests, i, guest) {
		char name[128], id[24];

		if (!json_is_true(json_object_get(guest, "managed")) || integer_of(guest, "domid") == 0)
			continue;
		snprintf(id, sizeof(id), "%lld", (long long)integer_of(guest, "domid"));
		json_object_set_new(guest, "asked", json_string(id));	/* lives as long as the answer */
		(*list)[*n].guest = string_of(guest, "asked");
		(*list)[(*n)++].name = strdup(name_of(guest, name, sizeof(name)));
	}
	return 0;
}

/* Ask one; wait_s < 0: do not wait. */
static enum status ask(const char *method, const struct asked *g, long wait_s)
{
	json_t *params = json_pack("{s:s}", "guest", g->guest), *answer;
	enum status status = OK;
	struct err e;

	if (wait_s >= 0) {
		json_object_set_new(params, "wait", json_true());
		json_object_set_new(params, "timeout_s", json_integer(wait_s));
	}
	if (manager_call(method, params, &answer, &e))
		return say_error(g->name, &e);
	if (strcmp(string_of(answer, "reason"), "crash") == 0) {
		err_set(&e, EIO, "crashed", "it was asked to shut down, and crashed");
		status = say_error(g->name, &e);
	}
	json_decref(answer);
	return status;
}

static enum status reap(enum status status)
{
	int child = 0;

	while (wait(&child) < 0 && errno == EINTR)
		;
	return first_failure(status, WIFEXITED(child) ? (enum status)WEXITSTATUS(child) : FAILED);
}

/* Several guests end at the same time, each watched by a process with a connection of its own. */
static enum status ask_all(const char *method, const struct asked *list, size_t n, long wait_s)
{
	enum status status = OK;
	size_t running = 0;

	if (n == 1)
		return ask(method, list, wait_s);
	manager_close();
	fflush(stdout);
	for (size_t i = 0; i < n; i++) {
		pid_t pid;

		if (running == ASKED_AT_ONCE) {
			status = reap(status);
			running--;
		}
		pid = fork();
		if (pid == 0)
			_exit(ask(method, &list[i], wait_s));
		if (pid > 0)
			running++;
		else
			status = first_failure(status, ask(method, &list[i], wait_s));
	}
	for (; running; running--)
		status = reap(status);
	return status;
}

static enum status shutdown_or_reboot(const struct args *a, const char *method)
{
	struct asked *list = NULL;
	json_t *answer = NULL;
	enum status status;
	size_t n = 0;
	struct err e;
	long timeout_s;

	if (args_set(a, 'a') ? a->noperands != 0 : a->noperands == 0)
		return usage_error(a->verb, "expected either the names of guests, or --all");
	status = args_number(a, OPT_TIMEOUT, TIMEOUT_S, TIMEOUT_MAX_S, &timeout_s);
	if (status)
		return status;
	if (args_value(a, OPT_TIMEOUT) && !args_set(a, 'w'))
		return usage_error(a->verb, "--timeout goes with --wait");
	if (args_set(a, 'a')) {
		if (find_all(&list, &n, &answer, &e))
			status = say_error(NULL, &e);
	} else {
		list = calloc((size_t)a->noperands, sizeof(*list));
		for (; list && n < (size_t)a->noperands; n++) {
			list[n].guest = a->operands[n];
			list[n].name = strdup(a->operands[n]);
		}
	}
	if (status == OK)
		status = ask_all(method, list, n, args_set(a, 'w') ? timeout_s : -1);
	for (size_t i = 0; i < n; i++)
		free(list[i].name);
	free(list);
	json_decref(answer);
	return status;
}

enum status run_shutdown(const struct args *a)
{
	return shutdown_or_reboot(a, "shutdown");
}

enum status run_reboot(const struct args *a)
{
	return shutdown_or_reboot(a, "reboot");
}
