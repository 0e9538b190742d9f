/* SPDX-License-Identifier: MIT */
/* lodge new and lodge remove: machines made from images. */
#include <lodge/verb.h>
#include <lib/definition.h>
#include <lib/seed.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One key; comments and empty lines of files are none. */
static int add_key(json_t *keys, char *line, const char *file, struct err *e)
{
	line[strcspn(line, "\r\n")] = '\0';
	line += strspn(line, " \t");
	if (!*line || *line == '#')
		return 0;
	return json_array_append_new(keys, json_string(line)) ? err_set(e, EILSEQ, "bad-key", "a key in %s is not in UTF-8", file) : 0;
}

static int add_file(json_t *keys, const char *file, struct err *e)
{
	FILE *f = fopen(file, "re");
	size_t before = json_array_size(keys), size = 0;
	char *line = NULL;
	struct stat st;
	int rc = 0;

	if (!f)
		return err_set(e, errno, "bad-key", "%.200s is neither a public key of SSH nor a file with some: %m", file);
	if (fstat(fileno(f), &st) || S_ISDIR(st.st_mode) || st.st_size > SEED_KEYS_MAX * SEED_KEY_MAX)
		rc = err_set(e, EINVAL, "bad-key", "%.200s is no file of public keys", file);
	while (!rc && getline(&line, &size, f) > 0)
		rc = strncmp(line, "-----BEGIN", 10) ? add_key(keys, line, file, e)
			: err_set(e, EINVAL, "bad-key", "%.200s is a private key; the public one is mostly in %.200s.pub", file, file);
	if (!rc && json_array_size(keys) == before)
		rc = err_set(e, EINVAL, "bad-key", "there is no key in %.200s", file);
	free(line);
	fclose(f);
	return rc;
}

static int read_keys(const struct args *a, json_t *keys, struct err *e)
{
	const char *value;
	int rc = 0;

	for (int i = 0; !rc && (value = args_each(a, 'k', i)) != NULL; i++) {
		char *copy = !strncmp(value, "ssh-", 4) || !strncmp(value, "ecdsa-", 6) || !strncmp(value, "sk-", 3) ? strdup(value) : NULL;

		/* A key with more lines behind it is refused by the manager, as a whole. */
		if (copy && json_array_append_new(keys, json_string(copy)))
			rc = err_set(e, EILSEQ, "bad-key", "a key is not in UTF-8");
		else if (!copy)
			rc = add_file(keys, value, e);
		free(copy);
	}
	return rc;
}

static enum status read_params(const struct args *a, json_t *params)
{
	json_int_t memory, size;
	long vcpus;
	enum status status = args_size(a, 'm', &memory);

	if (!status)
		status = args_size(a, 's', &size);
	if (!status)
		status = args_number(a, OPT_VCPUS, 0, DEFINITION_VCPUS_MAX, &vcpus);
	if (status)
		return status;
	if (args_value(a, OPT_VCPUS) && !vcpus)
		return usage_error(a->verb, "a machine has at least one vCPU");
	if (memory)
		json_object_set_new(params, "memory_kib", json_integer(memory));
	if (size)
		json_object_set_new(params, "size_kib", json_integer(size));
	if (vcpus)
		json_object_set_new(params, "vcpus", json_integer(vcpus));
	if (args_value(a, 'u') && json_object_set_new(params, "user", json_string(args_value(a, 'u'))))
		return usage_error(a->verb, "the user's name is not in UTF-8");
	return OK;
}

enum status run_new(const struct args *a)
{
	const char *name = a->operands[0], *image = args_value(a, 'i');
	json_t *params, *keys, *answer;
	enum status status;
	bool keyless;
	struct err e;

	if (!image)
		return usage_error(a->verb, "expected --from IMAGE");
	params = json_pack("{s:s, s:s}", "name", name, "image", image);
	if (!params)
		return usage_error(a->verb, "the image's name is not in UTF-8");
	status = read_params(a, params);
	keys = json_array();
	if (!status && read_keys(a, keys, &e))
		status = say_error(NULL, &e);
	if (json_array_size(keys))
		json_object_set(params, "ssh_keys", keys);
	keyless = args_set(a, 'u') && !json_array_size(keys);
	json_decref(keys);
	if (status) {
		json_decref(params);
		return status;
	}
	if (manager_call("new", params, &answer, &e))
		return say_error(name, &e);
	if (keyless && !args_set(a, 'q'))
		fprintf(stderr, "lodge: %s: warning: nobody can log in as %s, who has neither a key (--ssh-key) nor a password\n", name, args_value(a, 'u'));
	if (a->json)
		return print_json(answer);
	if (!args_set(a, 'q'))
		say("%s is defined in %s; lodge create %s starts it", name, string_of(answer, "definition"), name);
	json_decref(answer);
	return OK;
}

static bool agreed(const char *name)
{
	char answer[16] = "";

	fprintf(stderr, "Remove the machine %s, with its disk and all that is on it? [y/N] ", name);
	fflush(stderr);
	return fgets(answer, sizeof(answer), stdin) && (!strcmp(answer, "y\n") || !strcmp(answer, "yes\n"));
}

enum status run_remove(const struct args *a)
{
	enum status status = OK;
	struct err e;

	if (!args_set(a, 'y') && !isatty(STDIN_FILENO))
		return usage_error(a->verb, "there is no terminal to ask on; --yes removes disks without asking");
	for (int i = 0; i < a->noperands; i++) {
		const char *name = a->operands[i];

		if (!args_set(a, 'y') && !agreed(name))
			status = first_failure(status, FAILED);
		else if (manager_call("remove", json_pack("{s:s}", "machine", name), NULL, &e))
			status = first_failure(status, say_error(name, &e));
	}
	return status;
}
