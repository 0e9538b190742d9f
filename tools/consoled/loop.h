/* SPDX-License-Identifier: MIT */
/* The daemon's one event loop. */
#ifndef TOOLS_CONSOLED_LOOP_H
#define TOOLS_CONSOLED_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

/* A descriptor in the loop. Embedded in whatever it belongs to. */
struct source {
	int fd;
	void (*ready)(struct source *s, uint32_t events);	/* EPOLLIN …; may remove and free any source, its own as well */
};

int loop_open(void);
void loop_close(void);

/* 0 or -errno. */
int loop_add(struct source *s, uint32_t events);
void loop_change(struct source *s, uint32_t events);
/* Before its descriptor is closed; none of its events is delivered any more. */
void loop_remove(struct source *s);

/* Wait at most timeout milliseconds (-1: for ever) and deliver what there is. 0 or -errno; a signal is no error. */
int loop_turn(int timeout);

/* Milliseconds of a clock that never steps. */
int64_t loop_now(void);

#endif
