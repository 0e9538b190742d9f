/* SPDX-License-Identifier: MIT */
/* Clients on Unix sockets: programs of Domain 0, which act as Domain 0. */
#ifndef STORED_SOCKET_H
#define STORED_SOCKET_H

#include <lib/types.h>

/*
 * Listen at path, mode 0600 (readonly: 0660, for clients that may not change anything). What is there already is replaced.
 * -errno, with a line in the log.
 */
int socket_listen(const char *path, bool readonly);

#endif
