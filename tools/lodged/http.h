/* SPDX-License-Identifier: MIT */
/*
 * One page, /metrics, over HTTP (RFC 9110, RFC 9112), for whoever can reach the address.
 *
 * Ours, and no library: libmicrohttpd, Debian's usual one, brings GnuTLS along, whose parts do not exist as static libraries, as
 * these programs are linked; and what there is to understand of a request is one line.
 */
#ifndef LODGED_HTTP_H
#define LODGED_HTTP_H

#include <lib/err.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_REQUEST_MAX	8192	/* bytes up to the blank line */
#define HTTP_CLIENTS_MAX	16	/* at a time; others wait to be accepted */

struct http {
	int fd;			/* http_listen()'s */
	int patience_ms;	/* that a client has from its connection to the end */
	int fresh_ms;		/* the page is made anew when it is older */
	const char *type;	/* of the page's text */
	/* The page: *text from malloc(). -errno: there is none now. */
	int (*make)(char **text, size_t *len, void *ctx);
	void *ctx;
};

/* address: IPv4 or IPv6, as text. The descriptor, or -errno and a message. */
int http_listen(const char *address, uint16_t port, struct err *e);
/* Answer for ever, in this thread alone. */
void http_serve(const struct http *h);
/*
 * The status that a request has earned: 200, or why not; *body: the page is wanted itself, not only its head. len bytes, up to and with
 * the blank line; 0: it is not all there yet.
 */
unsigned int http_judge(const char *request, size_t len, int *body);

#endif
