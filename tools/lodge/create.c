/* SPDX-License-Identifier: MIT */
/* lodge create: the definition is read here, so that its mistakes have a file and a line; the manager does the rest. */
#include <lodge/verb.h>
#include <lib/definition.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void say_warning(const struct err *warning, void *quiet)
{
	if (*(const bool *)quiet)
		return;
	if (warning->line)
		fprintf(stderr, "lodge: %s:%d: warning: %s\n", warning->file, warning->line, warning->text);
	else
		fprintf(stderr, "lodge: %s: warning: %s\n", warning->file, warning->text);
}

/* KEY=VALUE or KEY+=VALUE */
static bool is_override(const char *word)
{
	size_t n = 0;

	while (isalnum((unsigned char)word[n]) || word[n] == '_')
		n++;
	n += word[n] == '+';
	return n > 0 && word[n] == '=';
}

static enum status load(const struct args *a, struct definition **d)
{
	const char *what = args_value(a, 'f');
	bool quiet = args_set(a, 'q');
	int first = what ? 0 : 1;
	char *path;
	struct err e;
	int rc;

	if (!what && (a->noperands == 0 || is_override(a->operands[0])))
		return usage_error(a->verb, "expected the name or the file of a definition");
	what = what ? what : a->operands[0];
	for (int i = first; i < a->noperands; i++)
		if (!is_override(a->operands[i]))
			return usage_error(a->verb, "found \"%.80s\", expected KEY=VALUE", a->operands[i]);
	if (definition_find(what, &path, &e))
		return say_error(NULL, &e);
	rc = definition_load(path, a->operands + first, (size_t)(a->noperands - first), say_warning, &quiet, d, &e);
	free(path);
	return rc ? say_error(NULL, &e) : OK;
}

static long long mib(const json_t *answer, const char *member)
{
	return integer_of(answer, member) >> 10;
}

static long long mib_up(const json_t *answer, const char *member)
{
	return (integer_of(answer, member) + 1023) >> 10;
}

static enum status say_problems(const char *name, const json_t *problems)
{
	enum status status = OK;
	const json_t *problem;
	size_t i;

	json_array_foreach(problems, i, problem) {
		struct err e;

		err_set_at(&e, string_of(problem, "file"), (int)integer_of(problem, "line"), EXIT_FAILURE,
			string_of(problem, "code"), "%s", string_of(problem, "message"));
		status = first_failure(status, say_error(name, &e));
	}
	return status;
}

static void say_can_be_created(const char *name, const json_t *answer)
{
	long long need = mib_up(answer, "needed_kib"), available = mib(answer, "available_kib");

	if (json_object_get(answer, "dom0_gives_kib"))
		say("%s can be created; it needs %lld MiB: %lld MiB are free, and Domain 0 would give up %lld MiB and have %lld MiB left", name,
			need, available, mib_up(answer, "dom0_gives_kib"), mib(answer, "dom0_memory_kib"));
	else
		say("%s can be created; it needs %lld MiB of %lld MiB that are free", name, need, available);
}

/* What would fail; nothing is changed. */
static enum status dry_run(const struct args *a, struct definition *d)
{
	json_t *answer, *problems, *warning;
	enum status status;
	struct err e;
	size_t i;

	if (definition_complete(d, &e) || manager_call("check", json_pack("{s:o}", "definition", definition_to_json(d)), &answer, &e))
		return say_error(d->name, &e);
	problems = json_object_get(answer, "problems");
	json_array_foreach(json_object_get(answer, "warnings"), i, warning)
		if (!args_set(a, 'q'))
			fprintf(stderr, "lodge: %s: warning: %s\n", d->name, json_string_value(warning));
	status = say_problems(d->name, problems);
	if (a->json) {
		json_object_set_new(answer, "definition", definition_to_json(d));
		return first_failure(status, print_json(answer));
	}
	if (status == OK && !args_set(a, 'q'))
		say_can_be_created(d->name, answer);
	json_decref(answer);
	return status;
}

void say_dom0_gave(const char *name, const json_t *created)
{
	if (json_object_get(created, "dom0_gave_kib"))
		fprintf(stderr, "lodge: %s: Domain 0 gave up %lld MiB of memory for it and has %lld MiB left\n", name,
			mib_up(created, "dom0_gave_kib"), mib(created, "dom0_memory_kib"));
}

static enum status create(const struct args *a, struct definition *d)
{
	bool paused = args_set(a, 'p'), quiet = args_set(a, 'q'), console = args_set(a, 'c');
	json_t *answer;
	struct err e;
	int domid;

	if (manager_call_progress(d->name, a->verbose || args_set(a, 'd') || (!quiet && isatty(STDERR_FILENO)), "create",
		json_pack("{s:o, s:b}", "definition", definition_to_json(d), "paused", paused), &answer, &e))
		return say_error(d->name, &e);
	domid = (int)integer_of(answer, "domid");
	if (!quiet)
		say_dom0_gave(d->name, answer);
	if (a->json)
		return print_json(answer);
	json_decref(answer);
	if (!quiet)
		say(paused ? "%s is ready as domain %d; lodge unpause %s lets it run" : "%s runs as domain %d", d->name, domid,
			d->name);
	return console ? attach_console(d->name, domid) : OK;
}

enum status run_create(const struct args *a)
{
	struct definition *d;
	enum status status;

	if (a->json && args_set(a, 'c'))
		return usage_error(a->verb, "--console and --json do not go together");
	status = load(a, &d);
	if (status)
		return status;
	status = a->dry_run || args_set(a, 'n') || args_set(a, OPT_DRYRUN) ? dry_run(a, d) : create(a, d);
	definition_free(d);
	return status;
}
