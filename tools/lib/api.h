/* SPDX-License-Identifier: MIT */
/* Client of the manager's API (tools/README.md, docs/api.md). */
#ifndef TOOLS_LIB_API_H
#define TOOLS_LIB_API_H

#include <jansson.h>
#include <lib/err.h>

#define API_VERSION	1
#define API_SOCKET	"/run/lodge/lodged.sock"	/* overridden by $LODGED_SOCKET */
#define API_LINE_MAX	(1UL << 20)			/* bytes of a request or an answer */

struct api;

/* -ECONNREFUSED: the manager does not run (the message says how to start it); -EACCES. */
int api_open(struct api **a, struct err *e);
void api_close(struct api *a);
/*
 * Call a method. params: reference is taken over; may be NULL. *result: new reference. The manager's error, if it answers with one, becomes *e.
 * progress may be NULL.
 */
int api_call(struct api *a, const char *method, json_t *params, void (*progress)(const char *text, void *ctx), void *ctx,
	     json_t **result, struct err *e);

#endif
