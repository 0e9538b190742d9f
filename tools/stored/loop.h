/* SPDX-License-Identifier: MIT */
/* The main loop: one thread that waits for events, takes one request of each client in turn, and hands out what came of them. */
#ifndef STORED_LOOP_H
#define STORED_LOOP_H

#include <lib/types.h>

/* Something to wait for; part of a larger structure. */
struct source {
	int fd;
	void (*ready)(struct source *s, u32 events);	/* EPOLL* */
};

/* -errno. */
int loop_add(struct source *s, u32 events);
void loop_change(struct source *s, u32 events);
void loop_remove(struct source *s);
/* Monotonic ms, as of the start of this round. */
u64 loop_now(void);
/* For ever: the daemon has no end of its own, it is killed. */
void __noreturn loop_run(void);

#endif
