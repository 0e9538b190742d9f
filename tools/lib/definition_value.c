/* SPDX-License-Identifier: MIT */
/* What the readers of definitions share: messages with a place, paths, parts of strings, guesses at misspelt words. */
#include <lib/definition_value.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUESS_MAX	32	/* bytes of a word that is worth a guess */

int value_error(const struct value *v, struct err *e, const char *fmt, ...)
{
	char text[sizeof(e->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set_at(e, v->file, v->line, EINVAL, "bad-definition", "%s", text);
}

int value_no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "no-memory", "out of memory while reading a definition");
}

void value_warn(const struct value_warn *w, const struct value *v, const char *code, const char *fmt, ...)
{
	char text[512];
	struct err e;
	va_list ap;

	if (!w->fn)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set_at(&e, v->file, v->line, EINVAL, code, "%s", text);
	w->fn(&e, w->ctx);
}

char *value_join(const char *dir, const char *path)
{
	char *joined, *to;
	const char *from;

	if (asprintf(&joined, "%s/%s", *path == '/' ? "" : dir, path) < 0)
		return NULL;
	for (from = to = joined; *from;) {
		if (from[0] == '/' && (from[1] == '/' || (from[1] == '.' && (from[2] == '/' || !from[2]))))
			from += from[1] == '/' ? 1 : 2;
		else
			*to++ = *from++;
	}
	if (to == joined)
		*to++ = '/';
	*to = 0;
	return joined;
}

char *value_path(const struct value_base *base, const struct value *v, const char *path)
{
	return value_join(v->file == syntax_command_line ? base->cwd : base->file_dir, path);
}

char *value_part(const char **text, char stop)
{
	const char *start = *text, *end = strchr(start, stop);

	*text = end ? end + 1 : NULL;
	if (!end)
		end = start + strlen(start);
	while (start < end && isspace((unsigned char)*start))
		start++;
	while (start < end && isspace((unsigned char)end[-1]))
		end--;
	return strndup(start, (size_t)(end - start));
}

/* Insertions, deletions, changes and swaps of neighbours that lead from a to b. */
static unsigned distance(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	unsigned d[GUESS_MAX + 1][GUESS_MAX + 1];

	for (size_t i = 0; i <= na; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		for (size_t j = 1; j <= nb; j++) {
			unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[na][nb];
}

const char *value_guess(const char *word, const char *const *names)
{
	size_t len = strlen(word);
	unsigned best = len <= 3 ? 2 : len <= 6 ? 3 : 4;	/* fewer changes than this are a misspelling */
	const char *guess = NULL;

	if (len == 0 || len > GUESS_MAX)
		return NULL;
	for (; *names; names++) {
		unsigned n = strlen(*names) > GUESS_MAX ? best : distance(word, *names);

		if (n < best) {
			best = n;
			guess = *names;
		}
	}
	return guess;
}
