/* SPDX-License-Identifier: MIT */
/* Who is attached: the socket, the handshake, output and input (docs/man/lodge-consoled.md has the protocol). */
#ifndef TOOLS_CONSOLED_CLIENT_H
#define TOOLS_CONSOLED_CLIENT_H

#include <consoled/guest.h>

#define REQUEST_MAX	1024	/* bytes of the first line */

/* What a client asks for. */
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

int client_listen(const char *path, struct err *e);
void client_stop(void);

/* The guest wrote data, which begins at offset. */
void client_output(struct guest *g, uint64_t offset, const char *data, size_t len);
/* The guest may have taken input. */
void client_room(struct guest *g);
/* The guest is attached, or has a new name: whoever waits for it gets it. */
void client_guest_up(struct guest *g);
/* The guest has ended: whoever has seen all of it is closed, the others when they have. */
void client_guest_end(struct guest *g);
/* All of them, now. */
void client_close_all(struct guest *g);

#endif
