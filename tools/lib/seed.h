/* SPDX-License-Identifier: MIT */
/*
 * What a machine is told at its first start, by cloud-init's data source NoCloud: a disk with the label CIDATA and two files.
 * Both are YAML. JSON is YAML, and there all that anybody has written stands in strings, with everything in ASCII: nothing of it
 * can be taken for more than text.
 */
#ifndef TOOLS_LIB_SEED_H
#define TOOLS_LIB_SEED_H

#include <jansson.h>
#include <lib/err.h>

#define SEED_LABEL	"CIDATA"
#define SEED_KEYS_MAX	64
#define SEED_KEY_MAX	8192		/* bytes of one */

struct seed {
	const char *name;		/* of the machine; its host name is made from that */
	const char *instance;		/* what is told once has been told to this one */
	const char *user;		/* NULL: the image's own */
	const json_t *keys;		/* list of strings: who may log in as the user; NULL: nobody */
};

/* User and keys: "bad-user", "bad-key". */
int seed_check(const struct seed *s, struct err *e);
/* The files' contents, allocated; NULL: no memory. */
char *seed_meta_data(const struct seed *s);
char *seed_user_data(const struct seed *s);
/* The disk, into a file that is not there yet. "cannot-write"; "bad-key": there is no room for so many. */
int seed_write(const struct seed *s, const char *path, struct err *e);

#endif
