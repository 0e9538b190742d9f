/* SPDX-License-Identifier: MIT */
/* What the readers of definitions share: disks and network interfaces are strings with a grammar of their own. */
#ifndef TOOLS_LIB_DEFINITION_VALUE_H
#define TOOLS_LIB_DEFINITION_VALUE_H

#include <lib/definition.h>
#include <lib/definition_syntax.h>

/* Where relative paths start. */
struct value_base {
	char *file_dir;		/* folder of the definition */
	char *cwd;		/* for the command line */
};

/* Join two paths without "." and empty parts in between, allocated; path may be absolute. NULL: no memory. */
char *value_join(const char *dir, const char *path);
/* An absolute path, allocated, from the place where v stands; NULL: no memory. */
char *value_path(const struct value_base *base, const struct value *v, const char *path);

/* Warn of something in the value's place. */
struct value_warn {
	definition_warn_fn *fn;
	void *ctx;
};
void __attribute__((format(printf, 4, 5)))
value_warn(const struct value_warn *w, const struct value *v, const char *code, const char *fmt, ...);
/* An error in the value's place; returns -EINVAL. */
int __attribute__((format(printf, 3, 4))) value_error(const struct value *v, struct err *e, const char *fmt, ...);
int value_no_memory(struct err *e);

/*
 * The item v (a string) of the list `disk`: `target,format,vdev,access` in this order, `key=value` at any place, and the older
 * prefixes of the target, `phy:`, `file:`, `tap:aio:` …. *d is filled, and is the caller's to free also on failure.
 */
int disk_parse(const struct value *v, const struct value_base *base, const struct value_warn *w, struct disk *d, struct err *e);
/* The item v of the list `vif`: `key=value,…`. */
int nic_parse(const struct value *v, const struct value_warn *w, struct nic *n, struct err *e);

/*
 * The next part of text up to `stop` or its end, without blanks around it: allocated; *text goes behind it, and is NULL after the
 * last. NULL: no memory.
 */
char *value_part(const char **text, char stop);
/* Of names, NULL-terminated, the one that is like `word`, or NULL. */
const char *value_guess(const char *word, const char *const *names);

#endif
