/* SPDX-License-Identifier: MIT */
/* The manager as the verbs use it, and what is said to the user: results on standard output, one line for an error on standard error. */
#include <lodge/verb.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct api *manager;

int manager_call(const char *method, json_t *params, json_t **result, struct err *e)
{
	return manager_call_progress(NULL, false, method, params, result, e);
}

static void progress(const char *text, void *subject)
{
	fprintf(stderr, "lodge: %s: %s\n", (const char *)subject, text);
}

int manager_call_progress(const char *subject, bool verbose, const char *method, json_t *params, json_t **result, struct err *e)
{
	json_t *ignored = NULL;
	int rc = manager ? 0 : api_open(&manager, e);

	if (rc) {
		json_decref(params);
		return rc;
	}
	rc = api_call(manager, method, params, subject && verbose ? progress : NULL, (void *)subject, result ? result : &ignored, e);
	json_decref(ignored);
	return rc;
}

void manager_close(void)
{
	api_close(manager);
	manager = NULL;
}

static enum status status_of(const struct err *e)
{
	static const struct { const char *code; enum status status; } codes[] = {
		{ "no-such-guest", NO_GUEST },
		{ "no-guest", NO_GUEST },
		{ "bad-definition", BAD_DEFINITION },
		{ "no-definition", BAD_DEFINITION },
		{ "not-supported", BAD_DEFINITION },
		{ API_UNREACHABLE, NO_MANAGER },
		{ "bad-answer", NO_MANAGER },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (strcmp(codes[i].code, e->code) == 0)
			return codes[i].status;
	return FAILED;
}

static void print_to(FILE *f, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		putc((c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? '?' : c, f);
	}
}

void print_text(const char *text)
{
	print_to(stdout, text);
}

enum status say_error(const char *subject, const struct err *e)
{
	char text[sizeof(e->text) + sizeof(e->file) + 16];

	err_format(e, text, sizeof(text));
	fflush(stdout);
	fputs("lodge: ", stderr);
	/* A place in a file says enough, and what is wrong with all guests concerns none. */
	if (subject && !e->file[0] && status_of(e) != NO_MANAGER) {
		print_to(stderr, subject);
		fputs(": ", stderr);
	}
	print_to(stderr, text);
	fputs("\n", stderr);
	return status_of(e);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

enum status print_json(json_t *json)
{
	if (!json) {
		fputs("lodge: out of memory\n", stderr);
		return FAILED;
	}
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
	return OK;
}

enum status first_failure(enum status a, enum status b)
{
	return a ? a : b;
}

const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

json_int_t integer_of(const json_t *object, const char *key)
{
	return (json_int_t)json_number_value(json_object_get(object, key));
}

const char *name_of(const json_t *guest, char *buf, size_t size)
{
	const char *name = string_of(guest, "name");
	size_t n = 0;

	for (; *name && n + 1 < size; name++, n++)
		buf[n] = (unsigned char)*name <= ' ' || *name == 0x7f ? '?' : *name;
	buf[n] = 0;
	return n ? buf : "-";
}
