/* SPDX-License-Identifier: MIT */
/* lodge help, lodge version. */
#include <lodge/verb.h>
#include <stdio.h>

enum status run_help(const struct args *a)
{
	const struct verb *v;
	const char *guess;
	char name[64];

	if (a->json)
		return print_json(verbs_to_json());
	if (a->noperands) {
		snprintf(name, sizeof(name), "%s%s%s", a->operands[0], a->noperands > 1 ? " " : "", a->noperands > 1 ? a->operands[1] : "");
		v = verb_find(name, &guess);
		if (!v)
			return usage_error(NULL, "there is no verb %.60s%s%s%s", name, guess ? "; did you mean " : "",
				guess ? guess : "", guess ? "?" : "");
		verb_help(v);
		return OK;
	}
	printf("usage: lodge [-v] VERB [OPTION]... [OPERAND]...\n\n");
	for (v = verbs; v->name; v++)
		printf("  %-14s %s\n", v->name, v->summary);
	printf("\nlodge VERB --help says more. Manual: lodge(1); definitions of guests: lodge-definition(5).\n");
	return OK;
}

enum status run_version(const struct args *a)
{
	json_t *answer, *hypervisor;
	struct err e;

	if (manager_call("version", NULL, &answer, &e))
		return say_error(NULL, &e);
	if (a->json) {
		json_object_set_new(answer, "client", json_string(LODGE_VERSION));
		return print_json(answer);
	}
	hypervisor = json_object_get(answer, "hypervisor");
	say("lodge      %s", LODGE_VERSION);
	say("lodged     %s", string_of(answer, "lodge"));
	say("hypervisor %s%s", string_of(hypervisor, "version"), string_of(hypervisor, "extra"));
	json_decref(answer);
	return OK;
}
