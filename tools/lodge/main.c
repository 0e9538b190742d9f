/* SPDX-License-Identifier: MIT */
/* lodge: the command line. Finds the verb, reads its options, runs it. */
#include <lodge/verb.h>
#include <lib/definition_value.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Does the name begin with this? As somebody types it, "image list" or "image-list". */
static bool begins(const char *name, const char *typed)
{
	for (; *typed; name++, typed++)
		if (*name != *typed && !((*name == ' ' || *name == '-') && (*typed == ' ' || *typed == '-')))
			return false;
	return true;
}

const struct verb *verb_find(const char *name, const char **guess)
{
	const char *names[64];
	const struct verb *found = NULL;
	size_t len = strlen(name), n = 0;
	int matches = 0;

	*guess = NULL;
	for (const struct verb *v = verbs; v->name; v++) {
		if (strlen(v->name) == len && begins(v->name, name))
			return v;
		if (len && begins(v->name, name)) {
			found = v;
			matches++;
		}
		if (n < sizeof(names) / sizeof(*names) - 1)
			names[n++] = v->name;
	}
	names[n] = NULL;
	if (matches == 1)
		return found;
	*guess = matches ? found->name : value_guess(name, names);
	return NULL;
}

/* Options before the verb; *verb goes to the verb. */
static enum status global_options(struct args *a, char ***verb, bool *done)
{
	char **next = *verb;

	for (; *next && **next == '-'; next++) {
		const char *word = *next;

		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			*done = true;
			return run_help(&(struct args){ .verb = a->verb });
		}
		if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
			*done = true;
			say("lodge %s", LODGE_VERSION);
			return OK;
		}
		/* As the classic tool has them: more words, no locks, time stamps. Only the first two make a difference here. */
		if (word[1] == 0 || word[1 + strspn(word + 1, "vNftT")])
			return usage_error(NULL, "there is no option %s before the verb", word);
		a->verbose |= strchr(word, 'v') != NULL;
		a->dry_run |= strchr(word, 'N') != NULL;
	}
	*verb = next;
	return OK;
}

/* The verb that *word names, alone or with the word behind it; *word goes to the last that it has. */
static const struct verb *find(char ***word, const char **guess)
{
	const struct verb *v = verb_find(**word, guess);
	const char *second = (*word)[1], *ignored;
	char both[64];

	if (v || !second || *second == '-' || (size_t)snprintf(both, sizeof(both), "%s %s", **word, second) >= sizeof(both))
		return v;
	v = verb_find(both, &ignored);
	*word += v != NULL;
	return v;
}

/* The verbs of two words that begin with this one: NULL, there are none, or "build, export, …". */
static const char *second_words(const char *first, char *text, size_t size)
{
	size_t n = strlen(first), used = 0;

	*text = 0;
	for (const struct verb *v = verbs; v->name; v++)
		if (n && !strncmp(v->name, first, n) && v->name[n] == ' ' && used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", v->name + n + 1);
	return used ? text : NULL;
}

static enum status no_verb(const char *word, const char *guess)
{
	char text[100];

	if (second_words(word, text, sizeof(text)))
		return usage_error(NULL, "%s is the first word of several verbs; expected one of %s behind it", word, text);
	if (guess)
		return usage_error(NULL, "there is no verb %.60s; did you mean %s?", word, guess);
	return usage_error(NULL, "there is no verb %.60s", word);
}

static enum status run(char **argv)
{
	struct args a = { 0 };
	char **word = argv + 1;
	const struct verb *v;
	const char *guess;
	bool done = false;
	enum status status = global_options(&a, &word, &done);

	if (status || done)
		return status;
	if (!*word)
		return usage_error(NULL, "expected a verb, such as lodge list");
	v = find(&word, &guess);
	if (!v)
		return no_verb(*word, guess);
	status = args_parse(&a, v, word + 1);
	if (status)
		return status;
	if (args_set(&a, OPT_HELP)) {
		verb_help(v);
		return OK;
	}
	for (int i = 0; i < a.noperands; i++) {
		json_t *utf8 = json_string(a.operands[i]);

		if (!utf8)
			return usage_error(v, "operand %d is not in UTF-8", i + 1);
		json_decref(utf8);
	}
	if (a.dry_run && strcmp(v->name, "create"))
		return usage_error(NULL, "-N (nothing is changed) is only for create");
	return v->run(&a);
}

int main(int argc, char **argv)
{
	enum status status = run(argv);

	manager_close();
	/* A reader that has gone away knows why; a full disk has to be told. */
	if ((fflush(stdout) || ferror(stdout)) && errno != EPIPE && status == OK) {
		fprintf(stderr, "lodge: cannot write: %s\n", strerror(errno));
		status = FAILED;
	}
	return status;
}
