/* SPDX-License-Identifier: MIT */
/* Client of the manager's API (tools/README.md, docs/api.md). */
#ifndef TOOLS_LIB_API_H
#define TOOLS_LIB_API_H

#include <jansson.h>
#include <lib/err.h>

#define API_VERSION	1
#define API_SOCKET	"/run/lodge/lodged.sock"	/* overridden by $LODGED_SOCKET */
#define API_LINE_MAX	(1UL << 20)			/* bytes of a request */
#define API_ANSWER_MAX	(64UL << 20)			/* bytes of an answer that a client takes */

/* error.code of failures on this side of the socket. */
#define API_UNREACHABLE	"no-manager"

struct api;

/*
 * Connect. A manager that is just being started again is waited for, two seconds at most. -ECONNREFUSED: it does not run (the
 * message says how to start it); -EACCES: its socket is not for this user. Code API_UNREACHABLE.
 */
int api_open(struct api **a, struct err *e);
void api_close(struct api *a);
/*
 * Call a method. params: reference is taken over; may be NULL. *result: new reference. The manager's error, if it answers with one,
 * becomes *e. progress may be NULL; percent: of the whole, -1: not known. -ECONNRESET, API_UNREACHABLE: the manager ended before it answered; what became of the call is
 * unknown.
 */
int api_call(struct api *a, const char *method, json_t *params, void (*progress)(const char *text, int percent, void *ctx), void *ctx,
	     json_t **result, struct err *e);

#endif
