/* SPDX-License-Identifier: MIT */
/* Options of verbs: reading them, and what --help says. Options and operands may stand in any order; "--" ends the options. */
#include <lodge/verb.h>
#include <ctype.h>
#include <errno.h>
#include <lib/size.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN	24

static const struct option_spec json_option = { OPT_JSON, "json", NULL, "print JSON (docs/json.md)" };
static const struct option_spec help_option = { OPT_HELP, "help", NULL, "this help" };

/* Option number i of the verb, with those that all have behind its own. NULL: no more. */
static const struct option_spec *option_at(const struct verb *v, int i)
{
	int own = 0;

	while (own < OPTIONS_MAX - 2 && v->options[own].id)
		own++;
	if (i < own)
		return &v->options[i];
	i -= own;
	if (v->prints && i == 0)
		return &json_option;
	return i == v->prints ? &help_option : NULL;
}

enum status usage_error(const struct verb *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "lodge%s%s: ", v ? " " : "", v ? v->name : "");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "; see lodge %s%s--help\n", v ? v->name : "", v ? " " : "");
	va_end(ap);
	return USAGE;
}

static int find_letter(const struct verb *v, int letter)
{
	const struct option_spec *o;

	if (letter == 'h')
		letter = OPT_HELP;
	for (int i = 0; (o = option_at(v, i)) != NULL; i++)
		if (o->id == letter)
			return i;
	return -1;
}

/* By the whole name, or the beginning of one only. */
static int find_long(const struct verb *v, const char *name, size_t len)
{
	const struct option_spec *o;
	int found = -1;

	for (int i = 0; (o = option_at(v, i)) != NULL; i++) {
		if (!o->name || strncmp(o->name, name, len))
			continue;
		if (o->name[len] == 0)
			return i;
		found = found == -1 ? i : -2;
	}
	return found < 0 ? -1 : found;
}

static enum status take_value(struct args *a, int id, const char *value)
{
	if (a->ngiven == VALUES_MAX)
		return usage_error(a->verb, "there are more than %d options", VALUES_MAX);
	a->given[a->ngiven].id = id;
	a->given[a->ngiven++].value = value;
	return OK;
}

/* "--name", "--name=value", "--name value" */
static enum status take_long(struct args *a, char ***next)
{
	const char *word = **next + 2, *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	int i = find_long(a->verb, word, len);
	const struct option_spec *o = i < 0 ? NULL : option_at(a->verb, i);

	if (!o)
		return usage_error(a->verb, "there is no option --%.*s", (int)len, word);
	if (!o->arg && equals)
		return usage_error(a->verb, "--%s takes no argument", o->name);
	a->set[i] = true;
	if (o->arg) {
		const char *value = equals ? equals + 1 : *++*next;

		if (!value)
			return usage_error(a->verb, "--%s needs an argument, %s", o->name, o->arg);
		return take_value(a, o->id, value);
	}
	return OK;
}

/* "-c", "-cp", "-fFILE", "-f FILE" */
static enum status take_letters(struct args *a, char ***next)
{
	for (const char *s = **next + 1; *s; s++) {
		int i = find_letter(a->verb, (unsigned char)*s);
		const struct option_spec *o = i < 0 ? NULL : option_at(a->verb, i);

		if (!o)
			return usage_error(a->verb, "there is no option -%c", isprint((unsigned char)*s) ? *s : '?');
		a->set[i] = true;
		if (!o->arg)
			continue;
		const char *value = s[1] ? s + 1 : *++*next;

		if (!value)
			return usage_error(a->verb, "-%c needs an argument, %s", *s, o->arg);
		return take_value(a, o->id, value);
	}
	return OK;
}

enum status args_parse(struct args *a, const struct verb *v, char **argv)
{
	char **next = argv;
	bool options = true;

	a->verb = v;
	a->operands = argv;
	for (; *next; next++) {
		enum status status = OK;

		if (!options || (*next)[0] != '-' || !(*next)[1])
			a->operands[a->noperands++] = *next;
		else if (strcmp(*next, "--") == 0)
			options = false;
		else if ((*next)[1] == '-')
			status = take_long(a, &next);
		else
			status = take_letters(a, &next);
		if (status)
			return status;
	}
	a->json = v->prints && args_set(a, OPT_JSON);
	if (args_set(a, OPT_HELP))
		return OK;
	if (a->noperands < v->min)
		return usage_error(v, "expected %s", v->operands);
	if (v->max >= 0 && a->noperands > v->max)
		return usage_error(v, "found \"%s\", expected %s", a->operands[v->max], v->max ? v->operands : "nothing there");
	return OK;
}

static int index_of(const struct args *a, int id)
{
	const struct option_spec *o;

	for (int i = 0; (o = option_at(a->verb, i)) != NULL; i++)
		if (o->id == id)
			return i;
	return -1;
}

bool args_set(const struct args *a, int id)
{
	int i = index_of(a, id);

	return i >= 0 && a->set[i];
}

const char *args_value(const struct args *a, int id)
{
	for (int n = a->ngiven; n > 0; n--)
		if (a->given[n - 1].id == id)
			return a->given[n - 1].value;
	return NULL;
}

const char *args_each(const struct args *a, int id, int i)
{
	for (int n = 0; n < a->ngiven; n++)
		if (a->given[n].id == id && i-- == 0)
			return a->given[n].value;
	return NULL;
}

enum status args_size(const struct args *a, int id, json_int_t *kib)
{
	const char *text = args_value(a, id);

	*kib = text ? (json_int_t)size_kib(text) : 0;
	return text && !*kib ? usage_error(a->verb, "found \"%.60s\", expected a size, such as 512 (MiB) or 2G", text) : OK;
}

enum status args_number(const struct args *a, int id, long standard, long max, long *out)
{
	const char *text = args_value(a, id);
	char *end;

	*out = standard;
	if (!text)
		return OK;
	errno = 0;
	*out = strtol(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || *out > max)
		return usage_error(a->verb, "found \"%s\", expected a number from 0 to %ld", text, max);
	return OK;
}

static void help_option_line(const struct option_spec *o)
{
	char left[64];
	int n = 0;

	if (o->id < 256)
		n = snprintf(left, sizeof(left), "-%c%s", o->id, o->name ? ", " : o->arg ? " " : "");
	else if (o->id == OPT_HELP)
		n = snprintf(left, sizeof(left), "-h, ");
	if (o->name)
		n += snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s", o->name, o->arg ? "=" : "");
	if (o->arg)
		snprintf(left + n, sizeof(left) - (size_t)n, "%s", o->arg);
	printf("  %-*s %s\n", HELP_COLUMN, left, o->help);
}

void verb_help(const struct verb *v)
{
	const struct option_spec *o;

	printf("usage: lodge %s [OPTION]...%s%s\n\n%s\n\n", v->name, *v->operands ? " " : "", v->operands, v->help);
	for (int i = 0; (o = option_at(v, i)) != NULL; i++)
		if (o->help)
			help_option_line(o);
}

static json_t *option_to_json(const struct option_spec *o)
{
	char letter[2] = { (char)(o->id == OPT_HELP ? 'h' : o->id < 256 ? o->id : 0), 0 };
	json_t *json = json_object();

	if (json && *letter)
		json_object_set_new(json, "letter", json_string(letter));
	if (json && o->name)
		json_object_set_new(json, "name", json_string(o->name));
	if (json && o->arg)
		json_object_set_new(json, "argument", json_string(o->arg));
	if (json)
		json_object_set_new(json, "help", json_string(o->help));
	return json;
}

json_t *verbs_to_json(void)
{
	json_t *list = json_array();

	for (const struct verb *v = verbs; v->name; v++) {
		json_t *options = json_array();
		const struct option_spec *o;

		for (int i = 0; (o = option_at(v, i)) != NULL; i++)
			if (o->help)
				json_array_append_new(options, option_to_json(o));
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "name", v->name, "operands", v->operands, "summary",
			v->summary, "options", options));
	}
	return json_pack("{s:o}", "verbs", list);
}
