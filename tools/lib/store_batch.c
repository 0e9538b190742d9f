/* SPDX-License-Identifier: MIT */
/*
 * Batches of changes to the store.
 *
 * libxenstore waits for each answer before it sends the next request; so this speaks the wire protocol (<xen/io/xs_wire.h>) itself, on a connection of its own, which
 * is kept for the next batch. Requests go out a window at a time, whose answers are few enough to wait in the socket.
 *
 * A daemon may die when it has done a transaction and not yet said so. That must not be done twice: the kernel acts on what it finds, and a device that is written
 * anew when the kernel has begun with it stays as it is then. So each transaction also writes a token of its own, by which it is known afterwards.
 */
#include <errno.h>
#include <lib/store_batch.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#define TRIES		20
#define WINDOW		128		/* requests */
#define ANSWER_SECONDS	30
#define HEAD		sizeof(struct xsd_sockmsg)
#define TOKEN		"/tool/lodge/batch"	/* of the last transaction */

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static int connection = -1;

static char *room(struct store_batch *b, size_t n)
{
	char *at;

	if (b->len + n > b->room) {
		size_t size = (b->len + n) * 2;
		char *buf = realloc(b->buf, size);

		if (!buf) {
			b->error = -ENOMEM;
			return NULL;
		}
		b->buf = buf;
		b->room = size;
	}
	at = b->buf + b->len;
	b->len += n;
	return at;
}

/* A message: the path with its 0, then what comes with it. */
static void __attribute__((format(printf, 5, 0)))
add(struct store_batch *b, uint32_t type, const void *rest, size_t rest_len, const char *fmt, va_list ap)
{
	char path[XENSTORE_ABS_PATH_MAX + 1], *at;
	int n = vsnprintf(path, sizeof(path), fmt, ap);
	struct xsd_sockmsg head = { .type = type };

	if (b->error)
		return;
	if (n < 0 || (size_t)n >= sizeof(path)) {
		b->error = -ENAMETOOLONG;
		return;
	}
	head.len = (uint32_t)((size_t)n + 1 + rest_len);
	if (head.len > XENSTORE_PAYLOAD_MAX) {
		b->error = -E2BIG;
		return;
	}
	at = room(b, HEAD + head.len);
	if (!at)
		return;
	memcpy(at, &head, HEAD);
	memcpy(at + HEAD, path, (size_t)n + 1);
	memcpy(at + HEAD + n + 1, rest, rest_len);
}

#define ADD(b, type, rest, rest_len, fmt) do {						\
	va_list _ap;									\
											\
	va_start(_ap, fmt);								\
	add(b, type, rest, rest_len, fmt, _ap);						\
	va_end(_ap);									\
} while (0)

void store_batch_write(struct store_batch *b, const char *value, const char *path_fmt, ...)
{
	ADD(b, XS_WRITE, value, strlen(value), path_fmt);
}

void store_batch_write_u64(struct store_batch *b, uint64_t value, const char *path_fmt, ...)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", value);
	ADD(b, XS_WRITE, text, strlen(text), path_fmt);
}

void store_batch_mkdir(struct store_batch *b, const char *path_fmt, ...)
{
	ADD(b, XS_MKDIR, "", 0, path_fmt);
}

void store_batch_remove(struct store_batch *b, const char *path_fmt, ...)
{
	ADD(b, XS_RM, "", 0, path_fmt);
}

static char letter(unsigned perm)
{
	return "nrwb"[perm & (XS_PERM_READ | XS_PERM_WRITE)];
}

void store_batch_perms(struct store_batch *b, unsigned owner, unsigned others, int domid, unsigned domid_perm, const char *path_fmt, ...)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%c%u", letter(others), owner) + 1;

	if (domid >= 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%c%d", letter(domid_perm), domid) + 1;
	ADD(b, XS_SET_PERMS, text, (size_t)n, path_fmt);
}

static int connect_daemon(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	const char *path = xs_daemon_socket();
	int fd, rc;

	if (!path || strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

/* The connection is lost: -ERESTART. */
static int send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -ERESTART;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Answers as they come: one recv() for many. */
struct answers {
	int fd;
	char buf[8192];
	size_t start, end;
};

static int fill(struct answers *a, size_t need)
{
	while (a->end - a->start < need) {
		ssize_t n;

		memmove(a->buf, a->buf + a->start, a->end - a->start);
		a->end -= a->start;
		a->start = 0;
		n = recv(a->fd, a->buf + a->end, sizeof(a->buf) - a->end, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -ERESTART;
		a->end += (size_t)n;
	}
	return 0;
}

static int errno_of(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (!strncmp(xsd_errors[i].errstring, text, len) && strlen(xsd_errors[i].errstring) <= len)
			return xsd_errors[i].errnum;
	return EINVAL;
}

/* The answer to a request of that type: 0, -errno as the daemon says, or -ERESTART. text: what came with it, with a 0. */
static int answer(struct answers *a, uint32_t type, char *text, size_t size)
{
	struct xsd_sockmsg head;
	const char *body;

	if (fill(a, HEAD))
		return -ERESTART;
	memcpy(&head, a->buf + a->start, HEAD);
	if (head.len > XENSTORE_PAYLOAD_MAX || fill(a, HEAD + head.len) || (head.type != type && head.type != XS_ERROR))
		return -ERESTART;
	body = a->buf + a->start + HEAD;
	a->start += HEAD + head.len;
	snprintf(text, size, "%.*s", (int)head.len, body);
	return head.type == XS_ERROR ? -errno_of(body, head.len) : 0;
}

/* One request with a short body, and its answer. */
static int ask(struct answers *a, uint32_t type, uint32_t tx, const char *body, char *text, size_t size)
{
	struct xsd_sockmsg head = { .type = type, .tx_id = tx, .len = (uint32_t)strlen(body) + 1 };
	char message[HEAD + 8];
	int rc;

	memcpy(message, &head, HEAD);
	memcpy(message + HEAD, body, head.len);
	rc = send_all(a->fd, message, HEAD + head.len);
	return rc ? rc : answer(a, type, text, size);
}

/* The requests of one window from *at on; *at is moved behind it. */
static int do_window(struct answers *a, struct store_batch *b, uint32_t tx, size_t *at)
{
	size_t begin = *at, n = 0, end = begin;
	struct xsd_sockmsg head;
	char text[32];
	int rc, first = 0;

	for (; end < b->len && n < WINDOW; end += HEAD + head.len, n++) {
		memcpy(&head, b->buf + end, HEAD);
		head.tx_id = tx;
		memcpy(b->buf + end, &head, HEAD);
	}
	rc = send_all(a->fd, b->buf + begin, end - begin);
	for (; !rc && begin < end; begin += HEAD + head.len) {
		memcpy(&head, b->buf + begin, HEAD);
		rc = answer(a, head.type, text, sizeof(text));
		if (rc == -ERESTART)
			break;
		if (rc && !first && !(rc == -ENOENT && head.type == XS_RM))
			first = rc;
		rc = 0;
	}
	*at = end;
	return rc ? rc : first;
}

static int transaction(int fd, struct store_batch *b)
{
	struct answers a = { .fd = fd };
	char text[32];
	size_t at = 0;
	uint32_t tx;
	int rc = ask(&a, XS_TRANSACTION_START, 0, "", text, sizeof(text)), failed = 0;

	if (rc)
		return rc;
	tx = (uint32_t)strtoul(text, NULL, 10);
	while (at < b->len && !failed)
		failed = do_window(&a, b, tx, &at);
	if (failed == -ERESTART)
		return failed;
	rc = ask(&a, XS_TRANSACTION_END, tx, failed ? "F" : "T", text, sizeof(text));
	return rc == -ERESTART ? rc : failed ? failed : rc;
}

static int attempt(struct store_batch *b)
{
	int rc;

	if (connection < 0)
		connection = connect_daemon();
	if (connection < 0)
		return -ERESTART;
	rc = transaction(connection, b);
	if (rc == -ERESTART) {
		close(connection);
		connection = -1;
	}
	return rc;
}

/* Whether the transaction whose end nobody has heard of took place: 1, 0, or -errno when the daemon does not come back. */
static int took_place(struct store *s, uint64_t token)
{
	uint64_t last = 0;
	int rc = store_read_u64(s, &last, TOKEN);

	return rc == -ECONNREFUSED || rc == -ECONNRESET ? rc : !rc && last == token;
}

static int commit(struct store_batch *b, struct store *s)
{
	int rc, took, tries = TRIES;
	uint64_t token;

	if (getrandom(&token, sizeof(token), 0) != sizeof(token))
		return -errno;
	store_batch_write_u64(b, token, TOKEN);
	if (b->error)
		return b->error;
	do {
		rc = attempt(b);
		if (rc == -ERESTART && (took = took_place(s, token)))
			return took > 0 ? 0 : took;
	} while ((rc == -ERESTART || rc == -EAGAIN) && --tries);
	return rc == -ERESTART ? -ECONNRESET : rc;
}

int store_batch_commit(struct store_batch *b, struct store *s)
{
	int rc;

	pthread_mutex_lock(&one_at_a_time);
	rc = commit(b, s);
	pthread_mutex_unlock(&one_at_a_time);
	free(b->buf);
	*b = (struct store_batch){ 0 };
	return rc;
}
