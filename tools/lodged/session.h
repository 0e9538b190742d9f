/* SPDX-License-Identifier: MIT */
/* What a thread works with: the hypervisor, a connection to the store of its own, somebody to tell of progress. */
#ifndef LODGED_SESSION_H
#define LODGED_SESSION_H

#include <lib/hv.h>
#include <lib/store.h>

struct session {
	struct hv *hv;
	struct store *store;
	void (*progress)(const char *text, void *ctx);	/* may be NULL */
	void (*percent)(int percent, const char *text, void *ctx);	/* the same, and how much of the whole is done; may be NULL */
	void *ctx;
	int client;		/* whose request it is: a socket, which hangs up when nobody waits any more; -1: nobody's */
};

/* Once, at the start. */
void session_init(struct hv *hv);
/* Connections to the store are kept for the next one. wait: until the store runs; otherwise -ECONNREFUSED. */
int session_open(struct session *s, bool wait, struct err *e);
void session_close(struct session *s);

/* "PATTERN: why" as an error with the code "store" or "hypervisor". */
int session_store_error(struct err *e, int rc, const char *what);
int session_hv_error(struct err *e, int rc, const char *what);

#endif
