/* SPDX-License-Identifier: MIT */
/*
 * The API's socket.
 *
 * Each connection has a thread, which reads a line, has it answered and writes the answer before it reads the next: what a
 * client sends ahead waits in its socket, and a client that does not read its answers holds up nobody but itself. Their number
 * is bounded; one too many is told so and closed.
 */
#include <errno.h>
#include <lib/api.h>
#include <lodged/log.h>
#include <lodged/request.h>
#include <lodged/server.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX	128
#define BACKLOG		128
#define STACK_SIZE	(1UL << 20)		/* deeply nested JSON, at its worst */
#define BUFFER_START	4096

static unsigned int connections;

struct connection {
	int fd;
	char *buf;		/* a line so far */
	size_t len, size;
};

int server_listen(const char *path, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mode_t mask;
	int rc;

	if (fd < 0)
		return err_set(e, errno, "internal", "cannot make a socket: %m");
	if (strlen(path) >= sizeof(addr.sun_path)) {
		close(fd);
		return err_set(e, ENAMETOOLONG, "internal", "the path of the socket is too long: %s", path);
	}
	strcpy(addr.sun_path, path);
	/* Is there another manager? A socket that nobody listens to is only a name. */
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return err_set(e, EADDRINUSE, "internal", "another lodged listens on %s", path);
	}
	close(fd);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mask = umask(0117);
	rc = fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, BACKLOG) ? -errno : 0;
	umask(mask);
	if (rc) {
		if (fd >= 0)
			close(fd);
		return err_set(e, -rc, "internal", "cannot listen on %s: %s", path, strerror(-rc));
	}
	return fd;
}

static bool send_line(const char *line, size_t len, void *ctx)
{
	struct connection *c = ctx;
	struct iovec parts[2] = { { (void *)line, len }, { "\n", 1 } };
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };

	while (parts[1].iov_len) {
		ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		for (int i = 0; i < 2; i++) {
			size_t part = (size_t)n < parts[i].iov_len ? (size_t)n : parts[i].iov_len;

			parts[i].iov_base = (char *)parts[i].iov_base + part;
			parts[i].iov_len -= part;
			n -= (ssize_t)part;
		}
	}
	return true;
}

static void refuse(struct connection *c, int error, const char *code, const char *message)
{
	char *text = request_refusal(error, code, message);

	if (text)
		send_line(text, strlen(text), c);
	free(text);
}

/* Room for more; false: the line is too long. */
static bool grow(struct connection *c)
{
	size_t size = c->size ? c->size * 2 : BUFFER_START;
	char *buf;

	if (c->len < c->size)
		return true;
	if (c->len >= API_LINE_MAX)
		return false;
	buf = realloc(c->buf, size);
	if (!buf)
		return false;
	c->buf = buf;
	c->size = size;
	return true;
}

/* Answer the complete lines that have come. */
static void answer_lines(struct connection *c)
{
	size_t start = 0;
	char *end;

	while ((end = memchr(c->buf + start, '\n', c->len - start))) {
		size_t n = (size_t)(end - (c->buf + start));

		if (n)
			request_answer(c->buf + start, n, send_line, c, c->fd);
		start += n + 1;
	}
	memmove(c->buf, c->buf + start, c->len - start);
	c->len -= start;
}

static void *connection_thread(void *arg)
{
	struct connection c = { .fd = (int)(intptr_t)arg };

	for (;;) {
		ssize_t n;

		if (!grow(&c)) {
			refuse(&c, EMSGSIZE, "too-long", "the request is longer than a line may be (1 MiB)");
			break;
		}
		n = recv(c.fd, c.buf + c.len, c.size - c.len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		c.len += (size_t)n;
		answer_lines(&c);
	}
	free(c.buf);
	close(c.fd);
	__atomic_sub_fetch(&connections, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void start_connection(int fd, const pthread_attr_t *attr)
{
	struct connection c = { .fd = fd };
	pthread_t t;

	if (__atomic_add_fetch(&connections, 1, __ATOMIC_RELAXED) <= CONNECTIONS_MAX &&
	    !pthread_create(&t, attr, connection_thread, (void *)(intptr_t)fd))
		return;
	__atomic_sub_fetch(&connections, 1, __ATOMIC_RELAXED);
	refuse(&c, EBUSY, "busy", "the manager has too many connections: try again");
	close(fd);
}

void server_run(int fd)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (;;) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (client >= 0)
			start_connection(client, &attr);
		else if (errno != EINTR && errno != ECONNABORTED)
			poll(NULL, 0, 100);	/* no descriptors or memory: others must end first */
	}
}
