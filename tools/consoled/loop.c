/* SPDX-License-Identifier: MIT */
/* The event loop: epoll, and care for sources that go while their events are being delivered. */
#include <consoled/loop.h>
#include <errno.h>
#include <lib/clock.h>
#include <unistd.h>

#define BATCH	64

static int epoll_fd = -1;
static struct epoll_event batch[BATCH];
static int batch_size;

int loop_open(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_fd < 0 ? -errno : 0;
}

void loop_close(void)
{
	close(epoll_fd);
	epoll_fd = -1;
}

int loop_add(struct source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &e) < 0 ? -errno : 0;
}

void loop_change(struct source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e);
}

void loop_remove(struct source *s)
{
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	for (int i = 0; i < batch_size; i++)
		if (batch[i].data.ptr == s)
			batch[i].data.ptr = NULL;
}

int loop_turn(int timeout)
{
	int n = epoll_wait(epoll_fd, batch, BATCH, timeout);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	batch_size = n;
	for (int i = 0; i < n; i++) {
		struct source *s = batch[i].data.ptr;

		if (s)
			s->ready(s, batch[i].events);
	}
	batch_size = 0;
	return 0;
}

int64_t loop_now(void)
{
	return clock_ms();
}
