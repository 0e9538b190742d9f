/* SPDX-License-Identifier: MIT */
/* What the tests of definitions share: parse, and what the user would be told. */
#ifndef TESTS_UNIT_DEFINITION_TRY_H
#define TESTS_UNIT_DEFINITION_TRY_H

#include <lib/definition.h>

static struct err error;
static char warnings[4096];

static void note_warning(const struct err *w, void *ctx)
{
	char line[1024];
	size_t n = strlen(warnings);

	(void)ctx;
	snprintf(warnings + n, sizeof(warnings) - n, "%s\n", err_format(w, line, sizeof(line)));
}

/* A copy that ends where its memory ends. */
static struct definition *parse_bytes(const char *text, size_t len)
{
	struct definition *d = NULL;
	char *copy = malloc(len ? len : 1);
	int rc;

	memcpy(copy, text, len);
	warnings[0] = 0;
	error = (struct err){ 0 };
	rc = definition_parse("/etc/xen/vm/web1", copy, len, NULL, 0, note_warning, NULL, &d, &error);
	free(copy);
	CHECK_EQ(rc == 0, d != NULL);
	CHECK_EQ(rc, -error.error);
	return d;
}

static inline struct definition *good(const char *text)
{
	struct definition *d = parse_bytes(text, strlen(text));

	if (!d)
		TEST_FAIL("%s:%d: %s", error.file, error.line, error.text);
	return d;
}

/* The least definition, and KEYVALUE from its line 4 on. */
static inline struct definition *good_with(const char *key, const char *value)
{
	char text[8192];

	snprintf(text, sizeof(text), "name='t'\nkernel='/k'\nmemory=64\n%s%s", key, value);
	return good(text);
}

/* line 0: no line */
static inline void refused(const char *text, int line, const char *message)
{
	struct definition *d = parse_bytes(text, strlen(text));

	if (d)
		TEST_FAIL("accepted: %s", text);
	CHECK_STR(error.text, message);
	CHECK_STR(error.code, "bad-definition");
	CHECK_STR(error.file, "/etc/xen/vm/web1");
	CHECK_EQ(error.line, line);
	definition_free(d);
}

#endif
