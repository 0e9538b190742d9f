/* SPDX-License-Identifier: MIT */
/* Asking something of several guests at the same time. */
#include <lodge/several.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE	32	/* connections to the manager */

int several_named(struct several *s, char **operands, int n, struct err *e)
{
	s->list = calloc((size_t)n + 1, sizeof(*s->list));
	if (!s->list)
		return err_set(e, ENOMEM, "no-memory", "out of memory");
	for (; s->n < (size_t)n; s->n++)
		s->list[s->n] = (struct asked){ operands[s->n], strdup(operands[s->n]) };
	return 0;
}

int several_all(struct several *s, struct err *e)
{
	json_t *guests, *guest;
	size_t i;
	int rc = manager_call("list", NULL, &s->answer, e);

	if (rc)
		return rc;
	guests = json_object_get(s->answer, "guests");
	s->list = calloc(json_array_size(guests) + 1, sizeof(*s->list));
	if (!s->list)
		return err_set(e, ENOMEM, "no-memory", "out of memory");
	json_array_foreach(guests, i, guest) {
		char name[128], id[24];

		if (!json_is_true(json_object_get(guest, "managed")) || integer_of(guest, "domid") == 0)
			continue;
		snprintf(id, sizeof(id), "%lld", (long long)integer_of(guest, "domid"));
		json_object_set_new(guest, "asked", json_string(id));
		s->list[s->n++] = (struct asked){ string_of(guest, "asked"), strdup(name_of(guest, name, sizeof(name))) };
	}
	return 0;
}

void several_free(struct several *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->list[i].name);
	free(s->list);
	json_decref(s->answer);
	*s = (struct several){ 0 };
}

static enum status reap(enum status status)
{
	int child = 0;

	while (wait(&child) < 0 && errno == EINTR)
		;
	return first_failure(status, WIFEXITED(child) ? (enum status)WEXITSTATUS(child) : FAILED);
}

enum status several_each(const struct several *s, enum status (*one)(const struct asked *g, void *ctx), void *ctx)
{
	enum status status = OK;
	size_t running = 0;

	if (s->n == 1)
		return one(s->list, ctx);
	manager_close();
	fflush(stdout);
	for (size_t i = 0; i < s->n; i++) {
		pid_t pid;

		if (running == AT_ONCE) {
			status = reap(status);
			running--;
		}
		pid = fork();
		if (pid == 0) {
			status = one(&s->list[i], ctx);
			fflush(stdout);
			_exit((int)status);
		}
		if (pid > 0)
			running++;
		else
			status = first_failure(status, one(&s->list[i], ctx));
	}
	for (; running; running--)
		status = reap(status);
	return status;
}
