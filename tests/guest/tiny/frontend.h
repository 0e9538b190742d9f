/* SPDX-License-Identifier: MIT */
/* A device's nodes in the store, as its frontend sees them. */
#ifndef TINY_FRONTEND_H
#define TINY_FRONTEND_H

#include "lib/types.h"

#include <xen/io/xenbus.h>

struct frontend {
	const char *path;	/* "device/vbd/51712" */
	u32 port;		/* its event channel, by frontend_event() */
	char backend[96];	/* the other end's state in the store, by frontend_await() */
};

/* Nodes under the frontend's path. */
void frontend_write(struct frontend *f, const char *what, const char *value);
void frontend_number(struct frontend *f, const char *what, u32 value);
void frontend_state(struct frontend *f, enum xenbus_state state);
/* A new event channel for Domain 0, and its node; the one before stays. */
void frontend_event(struct frontend *f);
/* Waits until the backend has this state. */
void frontend_await(struct frontend *f, enum xenbus_state state);

#endif
