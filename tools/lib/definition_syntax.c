/* SPDX-License-Identifier: MIT */
/*
 * The language of definitions: a lexer of characters and a recursive descent over them.
 *
 * The text may be anybody's: its length, the length of lists and their depth are bounded; everything is allocated under the settings,
 * which settings_free() takes apart whatever state a failure left them in.
 */
#include <lib/definition_syntax.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char syntax_command_line[] = "command line";

struct parser {
	const char *file;
	const char *at, *end;
	int line;
	int depth;
	struct err *e;
};

static bool on_command_line(const struct parser *p)
{
	return p->file == syntax_command_line;
}

static int line_of(const struct parser *p)
{
	return on_command_line(p) ? 0 : p->line;
}

static int __attribute__((format(printf, 2, 3))) fail(struct parser *p, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set_at(p->e, p->file, line_of(p), EINVAL, "bad-definition", "%s", text);
}

static int no_memory(struct parser *p)
{
	return err_set(p->e, ENOMEM, "no-memory", "out of memory while reading a definition");
}

static bool is_key_start(char c)
{
	return isalpha((unsigned char)c) || c == '_';
}

static bool is_key(char c)
{
	return is_key_start(c) || isdigit((unsigned char)c);
}

/* What stands at p->at, for "found …". */
static const char *found(const struct parser *p, char *buf, size_t size)
{
	const char *end = p->at;
	unsigned char c;

	if (p->at == p->end)
		return "the end";
	c = (unsigned char)*p->at;
	if (c == '\n')
		return "the end of the line";
	while (end < p->end && is_key(*end))
		end++;
	if (end > p->at)
		snprintf(buf, size, "%.*s%s", (int)(end - p->at > 40 ? 40 : end - p->at), p->at, end - p->at > 40 ? "…" : "");
	else if (c > ' ' && c < 0x7f)
		snprintf(buf, size, "'%c'", c);
	else
		snprintf(buf, size, "the byte 0x%02x", c);
	return buf;
}

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\r'))
		p->at++;
	if (p->at < p->end && *p->at == '#')
		while (p->at < p->end && *p->at != '\n')
			p->at++;
}

static void skip_lines(struct parser *p)
{
	for (;;) {
		skip_blanks(p);
		if (p->at == p->end || *p->at != '\n')
			return;
		p->at++;
		p->line++;
	}
}

static void value_free(struct value *v)
{
	for (size_t i = 0; i < v->nitems; i++)
		value_free(&v->items[i]);
	free(v->items);
	free(v->text);
	*v = (struct value){ 0 };
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character after a backslash, and what belongs to it. */
static int parse_escape(struct parser *p, char *out)
{
	static const char names[] = "abfnrtv\\\"'", values[] = "\a\b\f\n\r\t\v\\\"'";
	char c = p->at < p->end ? *p->at : '\n';
	const char *name = c ? strchr(names, c) : NULL;
	unsigned value = 0, digits = 0;

	if (name) {
		p->at++;
		*out = values[name - names];
		return 0;
	}
	if (c == 'x') {
		for (p->at++; p->at < p->end && digits < 2 && hex_digit(*p->at) >= 0; digits++)
			value = value * 16 + (unsigned)hex_digit(*p->at++);
	} else {
		for (; p->at < p->end && digits < 3 && *p->at >= '0' && *p->at <= '7'; digits++)
			value = value * 8 + (unsigned)(*p->at++ - '0');
	}
	if (digits == 0 || value == 0 || value > 255)
		return fail(p, "a string has a wrong escape sequence after its '\\'; a backslash itself is written '\\\\'");
	*out = (char)value;
	return 0;
}

/* Length of the UTF-8 sequence at s, 1 to 4; 0: none. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;
	uint32_t c;

	if (n <= 1 || n > left)
		return n > left ? 0 : n;
	c = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	return c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

static int check_characters(struct parser *p, const char *s)
{
	size_t left = strlen(s), n;

	for (; left; s += n, left -= n) {
		n = utf8_length((const unsigned char *)s, left);
		if (n == 0)
			return fail(p, "found the byte 0x%02x in a string, expected text in UTF-8", (unsigned char)*s);
		if (((unsigned char)*s < ' ' && !strchr("\t\n\r", *s)) || *s == 0x7f)
			return fail(p, "found the control character 0x%02x in a string", (unsigned char)*s);
	}
	return 0;
}

static int parse_string(struct parser *p, struct value *v)
{
	const char quote = *p->at++;
	const char *close = p->at;
	size_t n = 0;

	while (close < p->end && *close != quote && *close != '\n')
		close += *close == '\\' && close + 1 < p->end && close[1] != '\n' ? 2 : 1;
	if (close >= p->end || *close != quote)
		return fail(p, "a string is not closed: expected %c before the end of the line", quote);
	v->kind = VALUE_STRING;
	v->text = malloc((size_t)(close - p->at) + 1);
	if (!v->text)
		return no_memory(p);
	while (p->at < close) {
		char c = *p->at++;

		if (c == '\\') {
			int rc = parse_escape(p, &c);

			if (rc)
				return rc;
		}
		if (c == 0)
			return fail(p, "found a NUL byte: this is not a text file");
		v->text[n++] = c;
	}
	v->text[n] = 0;
	p->at++;
	return check_characters(p, v->text);
}

static int parse_number(struct parser *p, struct value *v)
{
	const char *start = p->at;

	while (p->at < p->end && (isalnum((unsigned char)*p->at) || *p->at == '.'))
		p->at++;
	v->kind = VALUE_NUMBER;
	v->text = strndup(start, (size_t)(p->at - start));
	return v->text ? 0 : no_memory(p);
}

static int parse_value(struct parser *p, struct value *v);

static int parse_list(struct parser *p, struct value *v)
{
	size_t room = 0;
	int first = p->line;
	char buf[64];

	if (p->depth == SYNTAX_DEPTH_MAX)
		return fail(p, "lists are nested more than %d deep", SYNTAX_DEPTH_MAX);
	p->depth++;
	p->at++;
	v->kind = VALUE_LIST;
	for (;;) {
		int rc;

		skip_lines(p);
		if (p->at < p->end && *p->at == ']')
			break;
		if (p->at == p->end)
			return fail(p, "a list that begins in line %d is not closed: expected ']'", first);
		if (v->nitems == SYNTAX_LIST_MAX)
			return fail(p, "a list has more than %d items", SYNTAX_LIST_MAX);
		if (v->nitems == room) {
			struct value *more = realloc(v->items, (room = room ? room * 2 : 4) * sizeof(*more));

			if (!more)
				return no_memory(p);
			v->items = more;
		}
		v->items[v->nitems++] = (struct value){ 0 };
		rc = parse_value(p, &v->items[v->nitems - 1]);
		if (rc)
			return rc;
		skip_lines(p);
		if (p->at < p->end && *p->at == ',')
			p->at++;
		else if (p->at == p->end || *p->at != ']')
			return fail(p, "found %s in a list, expected ',' or ']'", found(p, buf, sizeof(buf)));
	}
	p->at++;
	p->depth--;
	return 0;
}

static int parse_value(struct parser *p, struct value *v)
{
	char buf[64], c = p->at < p->end ? *p->at : 0;

	v->line = line_of(p);
	v->file = p->file;
	if (c == '"' || c == '\'')
		return parse_string(p, v);
	if (c == '[')
		return parse_list(p, v);
	if (isdigit((unsigned char)c))
		return parse_number(p, v);
	return fail(p, "found %s, expected a number, a string in quotes, or a list in [ ]", found(p, buf, sizeof(buf)));
}

static int append(struct parser *p, struct setting *s, struct value *v)
{
	if (s->value.kind != v->kind || v->kind == VALUE_NUMBER)
		return fail(p, "+= appends a string to a string or a list to a list; %s is something else (line %d)", s->key,
			s->value.line);
	if (v->kind == VALUE_STRING) {
		char *text = NULL;

		if (asprintf(&text, "%s%s", s->value.text, v->text) < 0)
			return no_memory(p);
		free(s->value.text);
		s->value.text = text;
	} else if (v->nitems) {
		size_t n = s->value.nitems + v->nitems;
		struct value *items;

		if (n > SYNTAX_LIST_MAX)
			return fail(p, "the list %s has more than %d items", s->key, SYNTAX_LIST_MAX);
		items = realloc(s->value.items, n * sizeof(*items));
		if (!items)
			return no_memory(p);
		memcpy(items + s->value.nitems, v->items, v->nitems * sizeof(*items));
		s->value.items = items;
		s->value.nitems = n;
		v->nitems = 0;	/* moved */
	}
	value_free(v);
	return 0;
}

static struct setting *find(struct settings *s, const char *key, size_t len)
{
	for (size_t i = 0; i < s->n; i++)
		if (strncmp(s->items[i].key, key, len) == 0 && s->items[i].key[len] == 0)
			return &s->items[i];
	return NULL;
}

const struct setting *settings_find(const struct settings *s, const char *key)
{
	return find((struct settings *)s, key, strlen(key));
}

static struct setting *add(struct parser *p, struct settings *s, const char *key, size_t len)
{
	struct setting *items;

	if (s->n == SYNTAX_LIST_MAX) {
		fail(p, "there are more than %d settings", SYNTAX_LIST_MAX);
		return NULL;
	}
	if ((s->n & (s->n - 1)) == 0) {		/* grows at powers of two */
		items = realloc(s->items, (s->n ? s->n * 2 : 1) * sizeof(*items));
		if (!items) {
			no_memory(p);
			return NULL;
		}
		s->items = items;
	}
	s->items[s->n] = (struct setting){ .key = strndup(key, len) };
	if (!s->items[s->n].key) {
		no_memory(p);
		return NULL;
	}
	return &s->items[s->n++];
}

static int store(struct parser *p, struct settings *s, const char *key, size_t len, bool appends, struct value *v,
	syntax_warn_fn *warn, void *ctx)
{
	struct setting *old = find(s, key, len);

	if (old && appends)
		return append(p, old, v);
	if (old) {
		if (warn && old->value.line && v->line) {
			struct err w;

			err_set_at(&w, p->file, v->line, EINVAL, "set-again", "%s is set again; the value of line %d is not used",
				old->key, old->value.line);
			warn(&w, ctx);
		}
		value_free(&old->value);
	} else {
		old = add(p, s, key, len);
		if (!old)
			return -p->e->error;
	}
	old->value = *v;
	*v = (struct value){ 0 };
	return 0;
}

static int parse_statement(struct parser *p, struct settings *s, syntax_warn_fn *warn, void *ctx)
{
	const char *key = p->at;
	struct value v = { 0 };
	bool appends;
	size_t len;
	char buf[64];
	int rc;

	if (!is_key_start(*p->at))
		return fail(p, "found %s, expected a line of the form key = value", found(p, buf, sizeof(buf)));
	while (p->at < p->end && is_key(*p->at))
		p->at++;
	len = (size_t)(p->at - key);
	skip_blanks(p);
	appends = p->at < p->end && *p->at == '+';
	p->at += appends;
	if (p->at == p->end || *p->at != '=')
		return fail(p, "found %s after %.*s, expected '='", found(p, buf, sizeof(buf)), (int)(len > 40 ? 40 : len), key);
	p->at++;
	skip_blanks(p);
	rc = parse_value(p, &v);
	if (rc == 0) {
		skip_blanks(p);
		if (p->at < p->end && *p->at != ';' && *p->at != '\n')
			rc = fail(p, "found %s after the value of %.*s, expected the end of the line or ';'",
				found(p, buf, sizeof(buf)), (int)(len > 40 ? 40 : len), key);
	}
	if (rc == 0)
		rc = store(p, s, key, len, appends, &v, warn, ctx);
	value_free(&v);
	return rc;
}

int settings_parse(struct settings *s, const char *file, const char *text, size_t len, syntax_warn_fn *warn, void *ctx, struct err *e)
{
	struct parser p = { .file = file, .at = text, .end = text + len, .line = 1, .e = e };

	if (len > SYNTAX_TEXT_MAX)
		return err_set_at(e, file, 0, EFBIG, "bad-definition", "this is longer than 1 MiB, and so no definition");
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		p.at += 3;
	for (;;) {
		int rc;

		skip_lines(&p);
		if (p.at == p.end)
			return 0;
		if (*p.at == ';') {
			p.at++;
			continue;
		}
		rc = parse_statement(&p, s, warn, ctx);
		if (rc)
			return rc;
	}
}

/* Numbers, and what is quoted or a list, are read as in a file. Nothing at all is an empty string. */
static bool looks_like_value(const char *s)
{
	s += strspn(s, " \t");
	if (!*s)
		return false;
	if (isdigit((unsigned char)*s))
		s += strspn(s, "0123456789abcdefxABCDEFX");
	return !*s || strchr("\"'[; \t\n#", *s);
}

int settings_override(struct settings *s, const char *text, struct err *e)
{
	size_t len = strlen(text), key = 0, value;
	struct parser p = { .file = syntax_command_line, .at = text, .end = text + len, .line = 1, .e = e };
	struct value v = { 0 };
	bool appends;
	int rc;

	while (is_key(text[key]))
		key++;
	appends = text[key] == '+';
	value = key + appends + 1;
	if (len > SYNTAX_TEXT_MAX || key == 0 || !is_key_start(text[0]) || text[value - 1] != '=' || looks_like_value(text + value))
		return settings_parse(s, syntax_command_line, text, len, NULL, NULL, e);

	v = (struct value){ .kind = VALUE_STRING, .file = syntax_command_line, .text = strdup(text + value) };
	if (!v.text)
		return no_memory(&p);
	rc = check_characters(&p, v.text);
	if (rc == 0)
		rc = store(&p, s, text, key, appends, &v, NULL, NULL);
	value_free(&v);
	return rc;
}

void settings_free(struct settings *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->items[i].key);
		value_free(&s->items[i].value);
	}
	free(s->items);
	*s = (struct settings){ 0 };
}

const char *value_describe(const struct value *v, char *buf, size_t size)
{
	size_t len;

	if (v->kind == VALUE_LIST)
		return "a list";
	len = strlen(v->text);
	if (len > 60) {
		len = 57;
		while (len > 0 && ((unsigned char)v->text[len] & 0xc0) == 0x80)
			len--;	/* not in the middle of a character */
	}
	snprintf(buf, size, v->kind == VALUE_NUMBER ? "%.*s%s" : "\"%.*s%s\"", (int)len, v->text, v->text[len] ? "…" : "");
	return buf;
}
