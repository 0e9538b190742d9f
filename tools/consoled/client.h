/* SPDX-License-Identifier: MIT */
/* Who is attached: the socket, the handshake, output and input (docs/man/lodge-consoled.md has the protocol). */
#ifndef TOOLS_CONSOLED_CLIENT_H
#define TOOLS_CONSOLED_CLIENT_H

#include <consoled/guest.h>

int client_listen(const char *path, struct err *e);
void client_stop(void);

/*
 * Make a pseudo-terminal that is attached to the guest from now on until it ends; its path into path. For other software's tools, which open
 * what console/tty in the store names. 0 or -errno: the system has a limit of them.
 */
int client_open_pty(struct guest *g, char *path, size_t size);

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
