/* SPDX-License-Identifier: MIT */
/*
 * A thread with a few places. A client has one from when it is accepted until it is answered or its time is over, whatever it does
 * meanwhile; nobody waits for it. It sends one request and gets one answer: connections are not kept. All clients of a moment get
 * the same page, so that the work does not grow with them. Nothing of a request is kept, logged or sent back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <lib/clock.h>
#include <lodged/http.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG		64
#define NO_ROOM_MS	200	/* until accept() is tried again, when there are no descriptors */

/* Shared by those who are just being sent it. */
struct page {
	unsigned int refs;
	int64_t made;
	char *text;
	size_t len;
};

enum doing { READING, WRITING, LEAVING };	/* LEAVING: all is sent; what it still sends is not wanted, but has to be read */

struct client {
	int fd;
	enum doing doing;
	int64_t deadline;
	char in[HTTP_REQUEST_MAX];
	size_t in_len;
	char head[512];
	size_t head_len, sent;		/* sent: of the head and the page behind it */
	struct page *page;
};

struct server {
	const struct http *h;
	struct client *clients[HTTP_CLIENTS_MAX];
	struct page *page;		/* the last that was made */
	int64_t not_before;		/* accept() */
};

static int bind_to(int fd, const struct sockaddr *a, socklen_t len)
{
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(fd, a, len) || listen(fd, BACKLOG) ? -errno : 0;
}

int http_listen(const char *address, uint16_t port, struct err *e)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool old = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	int fd, rc;

	if (!old && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
		return err_set(e, EINVAL, "bad-settings", "`%.60s` is no address", address);
	fd = socket(old ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, errno, "internal", "cannot make a socket: %m");
	rc = old ? bind_to(fd, (struct sockaddr *)&v4, sizeof(v4)) : bind_to(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (!rc)
		return fd;
	close(fd);
	return err_set(e, -rc, "metrics", "cannot listen on %s, port %u: %s", address, port, strerror(-rc));
}

/* --- the request --- */

/* The word up to the character; its length, and *at behind that. -1: there is none, or something in it that is not printed. */
static int word(const char **at, const char *end, char stop)
{
	const char *start = *at;

	while (*at < end && **at > ' ' && **at < 0x7f)
		(*at)++;
	if (*at == start || *at == end || **at != stop)
		return -1;
	return (int)((*at)++ - start);
}

/* METHOD SP TARGET SP HTTP/1.x, whose lines may also end without the carriage return */
unsigned int http_judge(const char *request, size_t len, int *body)
{
	const char *end = request + len, *at = request, *target;
	int n, target_len;
	bool get;

	*body = 0;
	if (!memmem(request, len, "\r\n\r\n", 4) && !memmem(request, len, "\n\n", 2))
		return 0;
	n = word(&at, end, ' ');
	if (n < 0)
		return 400;
	get = n == 3 && !memcmp(request, "GET", 3);
	if (!get && (n != 4 || memcmp(request, "HEAD", 4)))
		return 405;
	target = at;
	target_len = word(&at, end, ' ');
	if (target_len < 0 || end - at < 9 || memcmp(at, "HTTP/1.", 7) || at[7] < '0' || at[7] > '9' || (at[8] != '\r' && at[8] != '\n'))
		return 400;
	*body = get;
	if (target_len < 8 || memcmp(target, "/metrics", 8) || (target_len > 8 && target[8] != '?'))
		return 404;
	return 200;
}

/* --- the answer --- */

static void put_page(struct page *p)
{
	if (!p || --p->refs)
		return;
	free(p->text);
	free(p);
}

/* The page as it is now, or was not long ago, with a reference. NULL: there is none. */
static struct page *get_page(struct server *s)
{
	int64_t now = clock_ms();
	struct page *p = s->page;

	if (!p || now - p->made >= s->h->fresh_ms) {
		p = calloc(1, sizeof(*p));
		if (!p || s->h->make(&p->text, &p->len, s->h->ctx)) {
			free(p);
			return NULL;
		}
		put_page(s->page);
		p->refs = 1;
		p->made = now;
		s->page = p;
	}
	p->refs++;
	return p;
}

static const char *reason(unsigned int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 431: return "Request Header Fields Too Large";
	default: return "Service Unavailable";
	}
}

static void answer(struct server *s, struct client *c, unsigned int status, bool body)
{
	size_t len;

	if (status == 200) {
		c->page = get_page(s);
		if (!c->page)
			status = 503;
	}
	len = c->page ? c->page->len : strlen(reason(status)) + 1;
	c->head_len = (size_t)snprintf(c->head, sizeof(c->head),
		"HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n%s%s", status, reason(status),
		c->page ? s->h->type : "text/plain", len, status == 405 ? "Allow: GET, HEAD\r\n" : "",
		c->page || !body ? "" : reason(status), c->page || !body ? "" : "\n");
	if (!body) {
		put_page(c->page);
		c->page = NULL;
	}
	c->doing = WRITING;
}

/* --- clients: each of these says whether the client stays --- */

static bool again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static bool do_leave(struct client *c)
{
	ssize_t n = recv(c->fd, c->in, sizeof(c->in), 0);

	return n > 0 || (n < 0 && again());
}

static bool do_write(struct client *c)
{
	size_t all = c->head_len + (c->page ? c->page->len : 0);

	while (c->sent < all) {
		bool head = c->sent < c->head_len;
		const char *from = head ? c->head + c->sent : c->page->text + (c->sent - c->head_len);
		ssize_t n = send(c->fd, from, head ? c->head_len - c->sent : all - c->sent, MSG_NOSIGNAL);

		if (n < 0)
			return again();
		c->sent += (size_t)n;
	}
	/* Who closes with something unread tells the other end to throw away what has come. */
	c->doing = LEAVING;
	shutdown(c->fd, SHUT_WR);
	return true;
}

static bool do_read(struct server *s, struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
	unsigned int status;
	int body;

	if (n <= 0)
		return n < 0 && again();
	c->in_len += (size_t)n;
	status = http_judge(c->in, c->in_len, &body);
	if (status)
		answer(s, c, status, body || (status != 200 && status != 404));
	else if (c->in_len == sizeof(c->in))
		answer(s, c, 431, true);
	return c->doing != WRITING || do_write(c);
}

static bool serve(struct server *s, struct client *c)
{
	switch (c->doing) {
	case READING: return do_read(s, c);
	case WRITING: return do_write(c);
	case LEAVING: break;
	}
	return do_leave(c);
}

static void drop(struct client **place)
{
	put_page((*place)->page);
	close((*place)->fd);
	free(*place);
	*place = NULL;
}

static struct client **free_place(struct server *s)
{
	for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++)
		if (!s->clients[i])
			return &s->clients[i];
	return NULL;
}

static void take_in(struct server *s)
{
	struct client **place = free_place(s);
	int fd = place ? accept4(s->h->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;

	if (fd < 0) {
		if (place && !again() && errno != ECONNABORTED)
			s->not_before = clock_ms() + NO_ROOM_MS;
		return;
	}
	*place = calloc(1, sizeof(**place));
	if (!*place) {
		close(fd);
		return;
	}
	(*place)->fd = fd;
	(*place)->deadline = clock_ms() + s->h->patience_ms;
}

/* Until when poll() may wait, given another moment that matters. */
static void sooner(int64_t *until, int64_t moment)
{
	if (*until < 0 || moment < *until)
		*until = moment;
}

static void turn(struct server *s)
{
	struct pollfd p[HTTP_CLIENTS_MAX + 1];
	int64_t now = clock_ms(), until = -1;
	int n;

	p[0] = (struct pollfd){ .fd = free_place(s) && now >= s->not_before ? s->h->fd : -1, .events = POLLIN };
	if (now < s->not_before)
		until = s->not_before;
	for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++) {
		struct client *c = s->clients[i];

		p[i + 1] = (struct pollfd){ .fd = c ? c->fd : -1, .events = c && c->doing == WRITING ? POLLOUT : POLLIN };
		if (c)
			sooner(&until, c->deadline);
	}
	n = poll(p, HTTP_CLIENTS_MAX + 1, until < 0 ? -1 : until > now ? (int)(until - now) : 0);
	now = clock_ms();
	for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++) {
		struct client **c = &s->clients[i];

		if (*c && ((n > 0 && p[i + 1].revents && !serve(s, *c)) || now >= (*c)->deadline))
			drop(c);
	}
	if (n > 0 && p[0].revents)
		take_in(s);
}

void http_serve(const struct http *h)
{
	struct server s = { .h = h };

	for (;;)
		turn(&s);
}
