/* SPDX-License-Identifier: MIT */
/* lodge dump-core: a guest's memory and registers in a file. */
#include <lodge/verb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum status run_dump_core(const struct args *a)
{
	const char *guest = a->operands[0];
	json_t *params = json_pack("{s:s}", "guest", guest), *answer;
	struct err e;

	if (a->noperands > 1) {
		char *path = absolute_path(a->operands[1], &e);

		if (!path) {
			json_decref(params);
			return say_error(guest, &e);
		}
		json_object_set_new(params, "file", json_string(path));
		free(path);
	}
	if (args_set(a, 'l') || args_set(a, 'L'))
		json_object_set_new(params, "live", json_true());
	if (args_set(a, 'c'))
		json_object_set_new(params, "for_crash", json_true());
	if (manager_call_progress(guest, a->verbose || isatty(STDERR_FILENO), "dump_core", params, &answer, &e))
		return say_error(guest, &e);
	if (a->json)
		return print_json(answer);
	say("%s is in %s (%lld MiB)", guest, string_of(answer, "file"), (long long)(integer_of(answer, "kib") + 1023) >> 10);
	json_decref(answer);
	return OK;
}
