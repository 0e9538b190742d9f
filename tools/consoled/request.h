/* SPDX-License-Identifier: MIT */
/* What a client asks for in its first line (docs/man/lodge-consoled.md has the protocol). */
#ifndef TOOLS_CONSOLED_REQUEST_H
#define TOOLS_CONSOLED_REQUEST_H

#include <lib/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_MAX	1024	/* bytes of the first line */

struct request {
	int domid;		/* -1: by name */
	char name[128];
	uint64_t backlog;	/* bytes of what was before */
	bool read_only;
	bool wait;		/* for the guest to appear */
	uint64_t life;		/* 0: any; else only this life of the guest, from offset on */
	uint64_t offset;
};

/* One line of len bytes, without the line break. 0, or -EINVAL and a message. */
int request_parse(const char *line, size_t len, struct request *r, struct err *e);

#endif
