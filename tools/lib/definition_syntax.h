/* SPDX-License-Identifier: MIT */
/* The language of definitions: text becomes settings, `key = value`; what keys mean is known to definition_parse.c alone. */
#ifndef TOOLS_LIB_DEFINITION_SYNTAX_H
#define TOOLS_LIB_DEFINITION_SYNTAX_H

#include <lib/err.h>
#include <stdbool.h>
#include <stddef.h>

#define SYNTAX_TEXT_MAX		(1UL << 20)	/* bytes of a file or an override */
#define SYNTAX_LIST_MAX		4096		/* items of a list; settings of a definition */
#define SYNTAX_DEPTH_MAX	8		/* lists within lists */

/* Name of the place where overrides stand, for messages. */
extern const char syntax_command_line[];

enum value_kind { VALUE_NUMBER, VALUE_STRING, VALUE_LIST };

struct value {
	enum value_kind kind;
	int line;		/* from 1; 0 on the command line */
	const char *file;	/* the parser's argument, not a copy */
	char *text;		/* number (as written) or string: valid UTF-8 without control characters other than \t, \n and \r */
	struct value *items;	/* list */
	size_t nitems;
};

struct setting {
	char *key;
	struct value value;
};

struct settings {
	struct setting *items;
	size_t n;
};

/* Called for what is odd but not wrong. */
typedef void syntax_warn_fn(const struct err *warning, void *ctx);

/*
 * Add the settings of a text:
 *
 *	text    = { statement ( newline | ";" ) }		"#" starts a comment, up to the end of the line
 *	statement = key ( "=" | "+=" ) value
 *	value   = number | string | list
 *	number  = digit { letter | digit | "." }		what is a good number is for the key to say
 *	string  = "…" | '…'					\n \t \\ \" \' \xHH \NNN … as in C; not over several lines
 *	list    = "[" [ value { "," value } [ "," ] ] "]"	may be spread over lines
 *
 * A key that is set again replaces the value (with a warning, if both are in the same file); "+=" appends to a string or a list.
 * -EINVAL with file and line. file must outlive the settings.
 */
int settings_parse(struct settings *s, const char *file, const char *text, size_t len, syntax_warn_fn *warn, void *ctx, struct err *e);
/*
 * Add the settings of one argument of the command line: a text as above, or key=WORD, where all of WORD is the string, as a shell
 * leaves it of key="WORD".
 */
int settings_override(struct settings *s, const char *text, struct err *e);
void settings_free(struct settings *s);

const struct setting *settings_find(const struct settings *s, const char *key);

/* For messages: how a value looks, shortened: 12, "text", a list. In buf. */
const char *value_describe(const struct value *v, char *buf, size_t size);

#endif
