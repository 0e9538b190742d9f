/* SPDX-License-Identifier: MIT */
/* The part of libxenstore that the tools use: the store's protocol over its socket (<xenstore.h>, <xen/io/xs_wire.h>). */
/*
 * Why not the library: Debian's static build of it has no reader thread. Its xs_fileno() then never becomes readable, and a watch event that comes
 * before an answer is taken for a broken connection. This one needs no thread. The linker finds these functions before the library's.
 *
 * One request is under way at a time, and it is waited for. Events that come meanwhile are queued. xs_fileno() is an epoll descriptor over the
 * socket and an eventfd that is readable while the queue is not empty, so that it is readable in both cases.
 *
 * A connection that broke stays broken: every further call fails with ECONNRESET (or what broke it) until xs_close().
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenstore.h>
#include <xen/io/xs_wire.h>

#define PARTS_MAX	4

struct event {
	struct event *next;
	char *token;
	char path[];
};

struct xs_handle {
	int fd, epoll, queued;		/* the socket; what xs_fileno() gives; the eventfd */
	int broken;			/* errno, 0: the connection is good */
	uint32_t req_id;
	struct event *events, **end;
	/* A message of which a part has come. */
	struct xsd_sockmsg head;
	char *body;
	size_t have;
};

/* --- messages ----------------------------------------------------------------------------------------------------------------- */

static bool broke(struct xs_handle *h, int error)
{
	h->broken = error;
	errno = error;
	return false;
}

/* Send all parts. */
static bool put(struct xs_handle *h, struct iovec *part, int n)
{
	while (n) {
		struct msghdr m = { .msg_iov = part, .msg_iovlen = (size_t)n };
		ssize_t sent = sendmsg(h->fd, &m, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return broke(h, errno);
		for (; n && (size_t)sent >= part->iov_len; n--, part++)
			sent -= (ssize_t)part->iov_len;
		if (n) {
			part->iov_base = (char *)part->iov_base + sent;
			part->iov_len -= (size_t)sent;
		}
	}
	return true;
}

/* Go on reading a message. True when there is a whole one in head and body; else errno, EAGAIN if wait is not set and more has to come. */
static bool get(struct xs_handle *h, bool wait)
{
	for (;;) {
		size_t head = sizeof(h->head), size = h->have < head ? head : head + h->head.len;
		char *to = h->have < head ? (char *)&h->head + h->have : h->body + (h->have - head);
		ssize_t n;

		if (h->have >= head && h->have == size)
			return true;
		n = recv(h->fd, to, size - h->have, wait ? 0 : MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0)
			return broke(h, n < 0 ? errno : ECONNRESET);
		h->have += (size_t)n;
		if (h->have != head)
			continue;
		if (h->head.len > XENSTORE_PAYLOAD_MAX)
			return broke(h, EPROTO);
		h->body = malloc(h->head.len + 1);
		if (!h->body)
			return broke(h, ENOMEM);
		h->body[h->head.len] = '\0';
	}
}

/* The body of the message that get() completed, NUL behind it; the caller's to free. */
static char *take_body(struct xs_handle *h)
{
	char *body = h->body;

	h->body = NULL;
	h->have = 0;
	return body;
}

/* The message is an event: queue it. */
static bool queue(struct xs_handle *h)
{
	size_t len = h->head.len, path;
	char *body = take_body(h);
	struct event *e = NULL;

	path = strlen(body) + 1;
	if (path >= len || body[len - 1])
		errno = EPROTO;
	else
		e = malloc(sizeof(*e) + len);
	if (e) {
		memcpy(e->path, body, len);
		e->token = e->path + path;
		e->next = NULL;
		*h->end = e;
		h->end = &e->next;
		eventfd_write(h->queued, 1);
	}
	free(body);
	return e || broke(h, errno);
}

static int error_number(const char *name)
{
	for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (strcmp(xsd_errors[i].errstring, name) == 0)
			return xsd_errors[i].errnum;
	return EIO;
}

/* Ask, and wait for the answer: its body (len bytes and a NUL), or NULL and errno. */
static char *talk(struct xs_handle *h, uint32_t type, xs_transaction_t t, const struct iovec *parts, int n, unsigned *len)
{
	struct xsd_sockmsg head = { .type = type, .req_id = ++h->req_id, .tx_id = t };
	struct iovec all[PARTS_MAX + 1] = { { &head, sizeof(head) } };
	char *body;

	if (h->broken) {
		errno = h->broken;
		return NULL;
	}
	for (int i = 0; i < n; i++) {
		all[i + 1] = parts[i];
		head.len += (uint32_t)parts[i].iov_len;
	}
	if (head.len > XENSTORE_PAYLOAD_MAX) {
		errno = E2BIG;
		return NULL;
	}
	if (!put(h, all, n + 1))
		return NULL;
	do
		if (!get(h, true))
			return NULL;
	while (h->head.type == XS_WATCH_EVENT && queue(h));
	if (h->broken)
		return NULL;
	if (h->head.req_id != head.req_id || (h->head.type != type && h->head.type != XS_ERROR)) {
		broke(h, EPROTO);
		return NULL;
	}
	if (len)
		*len = h->head.len;
	body = take_body(h);
	if (h->head.type == XS_ERROR) {
		int error = error_number(body);

		free(body);
		errno = error;
		return NULL;
	}
	return body;
}

static struct iovec text(const char *s)
{
	return (struct iovec){ (void *)s, strlen(s) + 1 };
}

/* For what has no answer but that it was done. */
static bool done(char *body)
{
	free(body);
	return body != NULL;
}

/* --- the connection ----------------------------------------------------------------------------------------------------------- */

static bool connect_to(struct xs_handle *h, const char *path)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	strcpy(a.sun_path, path);
	h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	h->queued = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return h->fd >= 0 && h->epoll >= 0 && h->queued >= 0 && connect(h->fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	       epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->fd, &e) == 0 && epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->queued, &e) == 0;
}

struct xs_handle *xs_open(unsigned long flags)
{
	struct xs_handle *h = calloc(1, sizeof(*h));
	const char *path = xs_daemon_socket();

	if (!h)
		return NULL;
	h->fd = h->epoll = h->queued = -1;
	h->end = &h->events;
	if (path && connect_to(h, path))
		return h;

	int error = path ? errno : ENAMETOOLONG;

	xs_close(h);
	errno = error;
	return NULL;
}

void xs_close(struct xs_handle *h)
{
	if (!h)
		return;
	while (h->events) {
		struct event *e = h->events;

		h->events = e->next;
		free(e);
	}
	if (h->fd >= 0)
		close(h->fd);
	if (h->queued >= 0)
		close(h->queued);
	if (h->epoll >= 0)
		close(h->epoll);
	free(h->body);
	free(h);
}

int xs_fileno(struct xs_handle *h)
{
	return h->epoll;
}

/* --- nodes -------------------------------------------------------------------------------------------------------------------- */

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
	struct iovec part = text(path);

	return talk(h, XS_READ, t, &part, 1, len);
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data, unsigned int len)
{
	struct iovec parts[] = { text(path), { (void *)data, len } };

	return done(talk(h, XS_WRITE, t, parts, 2, NULL));
}

bool xs_mkdir(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	struct iovec part = text(path);

	return done(talk(h, XS_MKDIR, t, &part, 1, NULL));
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	struct iovec part = text(path);

	return done(talk(h, XS_RM, t, &part, 1, NULL));
}

bool xs_set_permissions(struct xs_handle *h, xs_transaction_t t, const char *path, struct xs_permissions *perms, unsigned int n)
{
	char buf[XENSTORE_PAYLOAD_MAX];
	struct iovec parts[] = { text(path), { buf, 0 } };

	for (unsigned int i = 0; i < n; i++) {
		static const char letters[] = "nrwb";	/* XS_PERM_NONE, READ, WRITE, both */
		int size = snprintf(buf + parts[1].iov_len, sizeof(buf) - parts[1].iov_len, "%c%u", letters[perms[i].perms & 3], perms[i].id);

		if ((size_t)size >= sizeof(buf) - parts[1].iov_len) {
			errno = E2BIG;
			return false;
		}
		parts[1].iov_len += (size_t)size + 1;
	}
	return done(talk(h, XS_SET_PERMS, t, parts, 2, NULL));
}

/* Names of the children as libxenstore gives them: pointers, then the strings, in one allocation. */
static char **split(const char *names, unsigned len, unsigned *count)
{
	unsigned n = 0;
	char **list, *strings;

	for (unsigned i = 0; i < len; i++)
		n += names[i] == '\0';
	list = malloc(n * sizeof(*list) + len + 1);
	if (!list)
		return NULL;
	strings = memcpy(list + n, names, len);
	*count = n;
	for (unsigned i = 0; i < n; i++) {
		list[i] = strings;
		strings += strlen(strings) + 1;
	}
	return list;
}

/* More than fits into one message: in parts, which are of one generation of the node, or it is begun again. */
static char **directory_in_parts(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned *count)
{
	char *all = NULL, generation[32] = "", offset[16];
	unsigned total = 0, len;

	for (;;) {
		struct iovec parts[] = { text(path), { offset, 0 } };
		char *body, *more, **list;
		size_t skip;

		parts[1].iov_len = (size_t)snprintf(offset, sizeof(offset), "%u", total) + 1;
		body = talk(h, XS_DIRECTORY_PART, t, parts, 2, &len);
		skip = body ? strlen(body) + 1 : 0;
		if (!body || skip > len || skip > sizeof(generation)) {
			if (body)
				errno = EPROTO;
			free(body);
			free(all);
			return NULL;
		}
		if (total && strcmp(generation, body)) {
			total = 0;
			free(body);
			continue;
		}
		strcpy(generation, body);
		more = realloc(all, total + len - skip + 1);
		if (!more) {
			free(body);
			free(all);
			errno = ENOMEM;
			return NULL;
		}
		all = more;
		memcpy(all + total, body + skip, len - skip);
		total += len - (unsigned)skip;
		free(body);
		/* An empty name is the end. */
		if (len > skip && (total < 2 || all[total - 2]))
			continue;
		list = split(all, total ? total - 1 : 0, count);
		free(all);
		return list;
	}
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *count)
{
	struct iovec part = text(path);
	unsigned len;
	char *body = talk(h, XS_DIRECTORY, t, &part, 1, &len), **list;

	if (!body)
		return errno == E2BIG ? directory_in_parts(h, t, path, count) : NULL;
	list = split(body, len, count);
	free(body);
	return list;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
	struct iovec part = text("");
	char *body = talk(h, XS_TRANSACTION_START, XBT_NULL, &part, 1, NULL);
	xs_transaction_t t = body ? (xs_transaction_t)strtoul(body, NULL, 10) : XBT_NULL;

	free(body);
	return t;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
	struct iovec part = text(abort ? "F" : "T");

	return done(talk(h, XS_TRANSACTION_END, t, &part, 1, NULL));
}

/* --- watches ------------------------------------------------------------------------------------------------------------------ */

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
	struct iovec parts[] = { text(path), text(token) };

	return done(talk(h, XS_WATCH, XBT_NULL, parts, 2, NULL));
}

/* Its events that were queued are not delivered any more (XS_UNWATCH_FILTER); the token tells whose they are. */
bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
	struct iovec parts[] = { text(path), text(token) };
	size_t len = strlen(path);

	if (!done(talk(h, XS_UNWATCH, XBT_NULL, parts, 2, NULL)))
		return false;
	for (struct event **p = &h->events, *e; (e = *p);) {
		if (strcmp(e->token, token) == 0 && strncmp(e->path, path, len) == 0) {
			*p = e->next;
			if (!*p)
				h->end = p;
			free(e);
		} else {
			p = &e->next;
		}
	}
	return true;
}

char **xs_check_watch(struct xs_handle *h)
{
	struct event *e;
	eventfd_t n;
	char **vec;

	while (!h->events) {
		eventfd_read(h->queued, &n);
		if (h->broken) {
			errno = h->broken;
			return NULL;
		}
		if (!get(h, false))
			return NULL;
		if (h->head.type != XS_WATCH_EVENT) {
			broke(h, EPROTO);
			return NULL;
		}
		if (!queue(h))
			return NULL;
	}
	e = h->events;

	size_t path = strlen(e->path) + 1, token = strlen(e->token) + 1;

	vec = malloc(2 * sizeof(*vec) + path + token);
	if (!vec)
		return NULL;
	vec[XS_WATCH_PATH] = memcpy(vec + 2, e->path, path);
	vec[XS_WATCH_TOKEN] = memcpy((char *)(vec + 2) + path, e->token, token);
	h->events = e->next;
	if (!h->events)
		h->end = &h->events;
	free(e);
	return vec;
}

/* --- domains ------------------------------------------------------------------------------------------------------------------ */

bool xs_introduce_domain(struct xs_handle *h, unsigned int domid, unsigned long mfn, unsigned int port)
{
	char id[16], frame[24], channel[16];
	struct iovec parts[] = { { id, 0 }, { frame, 0 }, { channel, 0 } };

	parts[0].iov_len = (size_t)snprintf(id, sizeof(id), "%u", domid) + 1;
	parts[1].iov_len = (size_t)snprintf(frame, sizeof(frame), "%lu", mfn) + 1;
	parts[2].iov_len = (size_t)snprintf(channel, sizeof(channel), "%u", port) + 1;
	return done(talk(h, XS_INTRODUCE, XBT_NULL, parts, 3, NULL));
}

bool xs_release_domain(struct xs_handle *h, unsigned int domid)
{
	char id[16];
	struct iovec part = { id, (size_t)snprintf(id, sizeof(id), "%u", domid) + 1 };

	return done(talk(h, XS_RELEASE, XBT_NULL, &part, 1, NULL));
}

char *xs_get_domain_path(struct xs_handle *h, unsigned int domid)
{
	char id[16];
	struct iovec part = { id, (size_t)snprintf(id, sizeof(id), "%u", domid) + 1 };

	return talk(h, XS_GET_DOMAIN_PATH, XBT_NULL, &part, 1, NULL);
}
