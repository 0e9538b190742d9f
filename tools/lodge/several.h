/* SPDX-License-Identifier: MIT */
/* Asking something of several guests at the same time. */
#ifndef LODGE_SEVERAL_H
#define LODGE_SEVERAL_H

#include <lodge/verb.h>

struct asked {
	const char *guest;	/* for the manager: name, id, UUID */
	char *name;		/* for the user; allocated */
};

struct several {
	struct asked *list;
	size_t n;
	json_t *answer;		/* the list's texts may be in it */
};

/* Those that were named. -ENOMEM with a message. */
int several_named(struct several *s, char **operands, int n, struct err *e);
/* All guests that Lodge has made, by domain id, so that a guest that comes to have the name of another is not taken for it. */
int several_all(struct several *s, struct err *e);
void several_free(struct several *s);

/* one() for each of them, in processes of their own when there are several. The first status that is not OK. */
enum status several_each(const struct several *s, enum status (*one)(const struct asked *g, void *ctx), void *ctx);

#endif
