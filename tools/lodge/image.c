/* SPDX-License-Identifier: MIT */
/* Verbs for the images that machines are made from. */
#include <lodge/verb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Takes minutes: it is shown how far it is, on a terminal or not. */
static enum status call(const struct args *a, const char *method, json_t *params, json_t **answer, const char *subject)
{
	struct err e;

	if (manager_call_progress(subject, !args_set(a, 'q'), method, params, answer, &e))
		return say_error(subject, &e);
	return OK;
}

static enum status made(const struct args *a, const char *method, json_t *params, const char *name)
{
	json_t *answer;
	enum status status = call(a, method, params, &answer, name);

	if (status)
		return status;
	if (a->json)
		return print_json(answer);
	if (!args_set(a, 'q'))
		say("the image %s is there", name);
	json_decref(answer);
	return OK;
}

/* An option's value as a parameter, if it is given. False: it is not in UTF-8. */
static bool add(const struct args *a, int id, json_t *params, const char *key)
{
	const char *value = args_value(a, id);

	return !value || !json_object_set_new(params, key, json_string(value));
}

/* The same, of a file. */
static bool add_file(const struct args *a, int id, json_t *params, const char *key, struct err *e)
{
	const char *value = args_value(a, id);
	char *path = value ? absolute_path(value, e) : NULL;
	bool good = !value || path;

	if (path)
		json_object_set_new(params, key, json_string(path));
	free(path);
	return good;
}

enum status run_image_build(const struct args *a)
{
	json_t *params = json_pack("{s:s, s:s}", "builder", a->operands[0], "name", a->operands[1]), *packages = json_array();
	const char *package;
	json_int_t kib;
	enum status status = args_size(a, 's', &kib);
	bool good = add(a, 'r', params, "release") && add(a, 'm', params, "mirror");

	for (int i = 0; (package = args_each(a, 'p', i)) != NULL; i++)
		good &= !json_array_append_new(packages, json_string(package));
	if (!status && !good)
		status = usage_error(a->verb, "an option is not in UTF-8");
	if (kib)
		json_object_set_new(params, "size_kib", json_integer(kib));
	if (json_array_size(packages))
		json_object_set(params, "packages", packages);
	json_decref(packages);
	if (!status)
		return made(a, "image_build", params, a->operands[1]);
	json_decref(params);
	return status;
}

enum status run_image_import(const struct args *a)
{
	const char *name = a->operands[1];
	struct err e;
	char *file = absolute_path(a->operands[0], &e);
	json_t *params = file ? json_pack("{s:s, s:s}", "file", file, "name", name) : json_object();
	bool good = file && add_file(a, 'k', params, "kernel", &e) && add_file(a, 'r', params, "ramdisk", &e);

	free(file);
	if (good && add(a, 'f', params, "format") && add(a, 'c', params, "cmdline"))
		return made(a, "image_import", params, name);
	json_decref(params);
	return good ? usage_error(a->verb, "an option is not in UTF-8") : say_error(name, &e);
}

enum status run_image_export(const struct args *a)
{
	const char *image = a->operands[0];
	struct err e;
	char *file = absolute_path(a->operands[1], &e);
	json_t *params = file ? json_pack("{s:s, s:s}", "image", image, "file", file) : NULL, *answer;
	enum status status;

	free(file);
	if (!params)
		return say_error(image, &e);
	if (!add(a, 'f', params, "format")) {
		json_decref(params);
		return usage_error(a->verb, "an option is not in UTF-8");
	}
	status = call(a, "image_export", params, &answer, image);
	if (status)
		return status;
	if (a->json)
		return print_json(answer);
	if (!args_set(a, 'q'))
		say("%s is in %s (%lld MiB)", image, string_of(answer, "file"), (long long)(integer_of(answer, "kib") + 1023) >> 10);
	json_decref(answer);
	return OK;
}

static void print_image(const json_t *image)
{
	time_t when = (time_t)integer_of(image, "created");
	char line[200], date[32] = "-", name[128];
	struct tm tm;

	if (when && localtime_r(&when, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d", &tm);
	snprintf(line, sizeof(line), "%-24s %7lld %7lld %8zu %-10s ", name_of(image, name, sizeof(name)), (long long)integer_of(image, "size_kib") >> 10,
		(long long)(integer_of(image, "disk_kib") + 1023) >> 10, json_array_size(json_object_get(image, "machines")), date);
	print_text(line);
	print_text(*string_of(image, "system") ? string_of(image, "system") : "-");
	putchar('\n');
}

/* All, or those that are named. */
static enum status fetch(const struct args *a, json_t *all)
{
	enum status status = OK;
	json_t *answer;
	struct err e;

	for (int i = 0; i < (a->noperands ? a->noperands : 1); i++) {
		json_t *params = a->noperands ? json_pack("{s:s}", "image", a->operands[i]) : NULL;

		if (manager_call("image_list", params, &answer, &e)) {
			status = first_failure(status, say_error(a->noperands ? a->operands[i] : NULL, &e));
			continue;
		}
		json_array_extend(all, json_object_get(answer, "images"));
		json_decref(answer);
	}
	return status;
}

enum status run_image_list(const struct args *a)
{
	json_t *all = json_array(), *image;
	enum status status = fetch(a, all);
	size_t i;

	if (a->json)
		return first_failure(status, print_json(json_pack("{s:o}", "images", all)));
	if (json_array_size(all) || (!status && !a->noperands))
		say("Name                        Size    Disk Machines Created    System");
	json_array_foreach(all, i, image)
		print_image(image);
	json_decref(all);
	return status;
}

enum status run_image_remove(const struct args *a)
{
	enum status status = OK;
	struct err e;

	for (int i = 0; i < a->noperands; i++)
		if (manager_call("image_remove", json_pack("{s:s}", "image", a->operands[i]), NULL, &e))
			status = first_failure(status, say_error(a->operands[i], &e));
	return status;
}
