/* SPDX-License-Identifier: MIT */
/* The main loop: one thread that waits for events, takes one request of each client in turn, and hands out what came of them. */
#include <stored/loop.h>
#include <stored/conn.h>
#include <stored/domain.h>
#include <stored/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS	64
#define ROUND	64	/* requests before the outside is looked at again */

static int epoll_fd = -1;
static u64 now;

static int control(int op, struct source *s, u32 events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (epoll_fd < 0)
		epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_ctl(epoll_fd, op, s->fd, &e) ? -errno : 0;
}

int loop_add(struct source *s, u32 events)
{
	return control(EPOLL_CTL_ADD, s, events);
}

void loop_change(struct source *s, u32 events)
{
	if (control(EPOLL_CTL_MOD, s, events))
		abort();	/* s is in */
}

void loop_remove(struct source *s)
{
	if (control(EPOLL_CTL_DEL, s, 0))
		abort();
}

u64 loop_now(void)
{
	if (!now) {
		struct timespec t;

		clock_gettime(CLOCK_MONOTONIC, &t);
		now = (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
	}
	return now;
}

/* One request of each client that has one, and again, until there are none or enough. */
static void take_requests(void)
{
	for (int i = 0; i < ROUND; i++) {
		struct conn *c = list_first_entry(&conns_ready, struct conn, ready);

		if (!c)
			break;
		list_del(&c->ready);
		if (conn_turn(c))
			conn_wake(c);
	}
}

void loop_run(void)
{
	struct epoll_event events[EVENTS];
	int wait = 0;

	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS, wait), stuck;

		now = 0;
		for (int i = 0; i < n; i++) {
			struct source *s = events[i].data.ptr;

			s->ready(s, events[i].events);
		}
		wait = domains_turn();
		take_requests();
		conns_flush();
		stuck = conns_check_stuck();
		if (stuck >= 0 && (wait < 0 || stuck < wait))
			wait = stuck;
		if (!list_empty(&conns_ready))
			wait = 0;
	}
}
