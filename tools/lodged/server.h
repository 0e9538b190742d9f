/* SPDX-License-Identifier: MIT */
/* The API's socket: a thread for each connection. */
#ifndef LODGED_SERVER_H
#define LODGED_SERVER_H

#include <lib/err.h>

/* Bind the socket (mode 0660); clients can connect from now on, and wait. The descriptor, or -errno and a message. */
int server_listen(const char *path, struct err *e);
/* Accept connections for ever. */
void server_run(int fd);

#endif
