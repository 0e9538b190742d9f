/* SPDX-License-Identifier: MIT */
/* The manager as the verbs use it, and what is said to the user: results on standard output, one line for an error on standard
 * error. */
#include <lodge/verb.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct api *manager;

int manager_call(const char *method, json_t *params, json_t **result, struct err *e)
{
	return manager_call_progress(NULL, false, method, params, result, e);
}

/* What progress is shown of. */
struct show {
	const char *subject;
	char last[200];		/* step */
	bool open;		/* the line on the terminal is to be gone over again */
};

static void progress(const char *text, int percent, void *ctx)
{
	struct show *s = ctx;
	bool terminal = isatty(STDERR_FILENO);

	if (percent >= 0 && terminal)
		fprintf(stderr, "\r\033[Klodge: %s: %3d %% %.60s", s->subject, percent, text);
	else if (percent < 0 || strcmp(text, s->last))
		fprintf(stderr, "%slodge: %s: %s\n", s->open ? "\r\033[K" : "", s->subject, text);
	s->open = percent >= 0 && terminal;
	snprintf(s->last, sizeof(s->last), "%s", text);
}

int manager_call_progress(const char *subject, bool verbose, const char *method, json_t *params, json_t **result, struct err *e)
{
	struct show show = { .subject = subject };
	json_t *ignored = NULL;
	int rc = manager ? 0 : api_open(&manager, e);

	if (rc) {
		json_decref(params);
		return rc;
	}
	rc = api_call(manager, method, params, subject && verbose ? progress : NULL, &show, result ? result : &ignored, e);
	if (show.open)
		fputs("\r\033[K", stderr);
	json_decref(ignored);
	return rc;
}

char *absolute_path(const char *file, struct err *e)
{
	char *here = *file == '/' ? NULL : getcwd(NULL, 0), *path = NULL;
	json_t *utf8;

	if (*file == '/')
		path = strdup(file);
	else if (here && asprintf(&path, "%s/%s", here, file) < 0)
		path = NULL;
	free(here);
	utf8 = path ? json_string(path) : NULL;
	if (!utf8)
		err_set(e, path ? EILSEQ : errno, "no-file", "cannot tell the file's path from /: %s", strerror(path ? EILSEQ : errno));
	if (!utf8) {
		free(path);
		path = NULL;
	}
	json_decref(utf8);
	return path;
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
		{ "no-such-image", NO_GUEST },
		{ "no-such-machine", NO_GUEST },
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

/* Without control characters that could steer a terminal. */
static char *harmless(char *text)
{
	for (char *s = text; *s; s++)
		if (((unsigned char)*s < ' ' && *s != '\n' && *s != '\t') || *s == 0x7f)
			*s = '?';
	return text;
}

void print_text(const char *text)
{
	char *copy = strdup(text);

	if (copy)
		fputs(harmless(copy), stdout);
	free(copy);
}

enum status say_error(const char *subject, const struct err *e)
{
	enum status status = status_of(e);
	char text[sizeof(e->text) + sizeof(e->file) + 16], line[sizeof(text) + 128];

	/* A place in a file says enough, and what is wrong with all guests concerns none. */
	if (subject && (e->file[0] || status == NO_MANAGER))
		subject = NULL;
	err_format(e, text, sizeof(text));
	snprintf(line, sizeof(line), "lodge: %.100s%s%s", subject ? subject : "", subject ? ": " : "", text);
	fflush(stdout);
	fprintf(stderr, "%s\n", harmless(line));
	return status;
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

const char *name_shown(const char *name, char *buf, size_t size)
{
	size_t n = 0;

	for (; *name && n + 1 < size; name++, n++)
		buf[n] = (unsigned char)*name <= ' ' || *name == 0x7f ? '?' : *name;
	buf[n] = 0;
	return n ? buf : "-";
}

const char *name_of(const json_t *guest, char *buf, size_t size)
{
	return name_shown(string_of(guest, "name"), buf, size);
}
