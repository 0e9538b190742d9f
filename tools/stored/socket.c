/* SPDX-License-Identifier: MIT */
/* Clients on Unix sockets: programs of Domain 0, which act as Domain 0. */
#include <stored/socket.h>
#include <stored/conn.h>
#include <stored/log.h>
#include <stored/loop.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD		sizeof(struct xsd_sockmsg)
#define IN_MAX		16384	/* bytes of requests kept; more stay in the kernel */
#define BACKLOG		256

struct sock {
	struct conn c;
	struct source source;
	u32 events;		/* that the loop waits for */
	struct bytes in;
};

struct listener {
	struct source source;
	bool readonly;
};

static struct sock *sock_of(struct conn *c) { return container_of(c, struct sock, c); }

static void sock_wait(struct sock *s)
{
	u32 events = (s->c.paused ? 0 : EPOLLIN) | (bytes_len(&s->c.out) ? EPOLLOUT : 0U);

	if (events != s->events) {
		s->events = events;
		loop_change(&s->source, events);
	}
}

static bool sock_next(struct conn *c, struct request *r)
{
	struct bytes *in = &sock_of(c)->in;

	if (bytes_len(in) < HEAD)
		return false;
	memcpy(&r->head, bytes_at(in), HEAD);
	if (r->head.len > XENSTORE_PAYLOAD_MAX) {
		c->ended = true;
		conn_touch(c);
		return false;
	}
	r->body = bytes_at(in) + HEAD;
	return bytes_len(in) >= HEAD + r->head.len;
}

static void sock_taken(struct conn *c)
{
	struct bytes *in = &sock_of(c)->in;
	struct xsd_sockmsg head;

	memcpy(&head, bytes_at(in), HEAD);
	bytes_drop(in, HEAD + head.len);
}

static void sock_flush(struct conn *c)
{
	struct sock *s = sock_of(c);

	while (bytes_len(&c->out)) {
		ssize_t n = send(s->source.fd, bytes_at(&c->out), bytes_len(&c->out), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			c->ended = errno != EAGAIN;
			break;
		}
		conn_sent(c, (size_t)n);
		conn_stuck(c, false);
	}
	conn_stuck(c, bytes_len(&c->out));
	sock_wait(s);
}

static void sock_pause(struct conn *c, bool paused)
{
	sock_wait(sock_of(c));
}

static void sock_destroy(struct conn *c)
{
	struct sock *s = sock_of(c);

	loop_remove(&s->source);
	close(s->source.fd);
	conn_end(c);
	bytes_free(&s->in);
	free(s);
}

static const struct conn_kind sock_kind = {
	.next = sock_next,
	.taken = sock_taken,
	.flush = sock_flush,
	.pause = sock_pause,
	.destroy = sock_destroy,
};

static void sock_read(struct sock *s)
{
	size_t room = IN_MAX - min(bytes_len(&s->in), (size_t)IN_MAX);
	ssize_t n;

	if (!room)
		return;
	n = recv(s->source.fd, bytes_room(&s->in, room), room, MSG_DONTWAIT);
	if (n > 0) {
		s->in.end += (size_t)n;
		conn_wake(&s->c);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		s->c.ended = true;
		conn_touch(&s->c);
	}
}

static void sock_ready(struct source *source, u32 events)
{
	struct sock *s = container_of(source, struct sock, source);

	if (events & EPOLLOUT)
		conn_touch(&s->c);
	if (events & EPOLLIN) {
		sock_read(s);
	} else if (events & (EPOLLHUP | EPOLLERR)) {
		s->c.ended = true;
		conn_touch(&s->c);
	}
}

static void listener_ready(struct source *source, u32 events)
{
	struct listener *l = container_of(source, struct listener, source);
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct sock *s;

	if (fd < 0)
		return;
	s = mem_alloc(sizeof(*s));
	s->source = (struct source){ .fd = fd, .ready = sock_ready };
	s->events = EPOLLIN;
	s->c.readonly = l->readonly;
	if (loop_add(&s->source, s->events)) {
		close(fd);
		free(s);
		return;
	}
	conn_init(&s->c, &sock_kind, domain_get(0, true));
}

int socket_listen(const char *path, bool readonly)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct listener *l;
	int fd, rc = 0;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		log_line("%s: too long for the name of a socket", path);
		return -ENAMETOOLONG;
	}
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path);
	mode_t mask = umask(0177);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, BACKLOG))
		rc = -errno;
	umask(mask);
	if (!rc && readonly && chmod(path, 0660))
		rc = -errno;
	l = mem_alloc(sizeof(*l));
	*l = (struct listener){ { .fd = fd, .ready = listener_ready }, readonly };
	if (!rc)
		rc = loop_add(&l->source, EPOLLIN);
	if (rc) {
		log_line("%s: %s", path, strerror(-rc));
		free(l);
		if (fd >= 0)
			close(fd);
	}
	return rc;
}
