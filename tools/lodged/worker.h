/* SPDX-License-Identifier: MIT */
/* Programs that work for a request, for as long as somebody waits for its answer. */
#ifndef LODGED_WORKER_H
#define LODGED_WORKER_H

#include <lodged/session.h>

struct worker {
	const char *const *argv;	/* argv[0]: a path, or looked for in the usual directories */
	/* What may not touch other files than those of an image: what image_jail_rules() gave; jailed false: it may. */
	bool jailed;
	int rules;
	int also;			/* a status with which it has done its work, besides 0 */
	const char *log;		/* gets its standard error, from the start; NULL: nobody */
	/* Each line of its standard output; '\r' ends one as well. May be NULL. */
	void (*line)(const char *line, void *ctx);
	void *ctx;
};

/* Is there such a program? "no-program" says in which package. */
int worker_find(const char *program, const char *package, struct err *e);
/*
 * Run it. It and all that it has started are gone when this returns, and when this process ends, however it does. "cancelled"
 * (-ECANCELED): the client has gone away. `code` and its last line on standard error: it failed.
 */
int worker_run(struct session *s, const struct worker *w, const char *code, struct err *e);

#endif
