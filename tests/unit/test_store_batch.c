/* SPDX-License-Identifier: MIT */
/* Unit tests: batches of changes to the store, against a daemon that answers as each test wants. */
/* sources: tools/lib/store_batch.c tools/lib/err.c */
/* libs: -pthread */
/* cflags: -Wno-unused-parameter */
#include "test.h"

#include <errno.h>
#include <lib/store_batch.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <xen/io/xs_wire.h>

#define TOKEN	"/tool/lodge/batch"

static char path[64];
static unsigned int waited;		/* how often the ordinary client was asked to wait */

const char *xs_daemon_socket(void)
{
	return path;
}

static uint64_t token;			/* of the last transaction that took place */

int store_read_u64(struct store *s, uint64_t *value, const char *path_fmt, ...)
{
	waited++;
	*value = token;
	return token ? 0 : -ENOENT;
}

/* What the daemon does; what it has seen. */
static struct {
	int listener, transactions, requests, ends;
	int again;			/* so many ends are answered with EAGAIN */
	int drop_after;			/* close after that many requests, once; 0: never */
	bool drop_end, end_first;	/* close instead of answering the end, once; having done it */
	int fail_at;			/* this request is answered with EACCES; 0: none */
	uint32_t rm_error;		/* removals are answered with ENOENT */
	bool last_end_true;
	uint64_t token;
	char seen[65536];		/* type and body of each request */
	size_t seen_len;
} d;

static bool read_all(int fd, void *buf, size_t n)
{
	return recv(fd, buf, n, MSG_WAITALL) == (ssize_t)n || !n;
}

static void reply(int fd, const struct xsd_sockmsg *to, uint32_t type, const char *text)
{
	struct xsd_sockmsg head = { .type = type, .req_id = to->req_id, .tx_id = to->tx_id, .len = (uint32_t)strlen(text) + 1 };

	send(fd, &head, sizeof(head), MSG_NOSIGNAL);
	send(fd, text, head.len, MSG_NOSIGNAL);
}

static void note(uint32_t type, const char *body, size_t len)
{
	if (d.seen_len + len + 8 > sizeof(d.seen))
		return;
	d.seen_len += (size_t)sprintf(d.seen + d.seen_len, "%u:", type);
	for (size_t i = 0; i < len; i++)
		d.seen[d.seen_len++] = body[i] ? body[i] : '|';
	d.seen[d.seen_len++] = ' ';
	d.seen[d.seen_len] = '\0';
}

/* False: the connection is to be closed. */
static bool serve_one(int fd)
{
	struct xsd_sockmsg head;
	char body[XENSTORE_PAYLOAD_MAX + 1];

	if (!read_all(fd, &head, sizeof(head)) || !read_all(fd, body, head.len))
		return false;
	body[head.len] = '\0';
	if (head.type == XS_TRANSACTION_START) {
		d.transactions++;
		d.seen_len = 0;
		d.requests = 0;
		reply(fd, &head, head.type, "77");
		return true;
	}
	if (head.tx_id != 77) {
		reply(fd, &head, XS_ERROR, "EINVAL");
	} else if (head.type == XS_TRANSACTION_END) {
		d.ends++;
		d.last_end_true = body[0] == 'T';
		if (d.last_end_true && d.again <= 0 && (!d.drop_end || d.end_first))
			token = d.token;
		if (d.drop_end) {
			d.drop_end = false;
			return false;
		}
		if (d.again > 0)
			reply(fd, &head, XS_ERROR, "EAGAIN");
		else
			reply(fd, &head, head.type, "OK");
		d.again--;
	} else {
		if (strcmp(body, TOKEN))
			note(head.type, body, head.len);
		else
			d.token = strtoull(body + sizeof(TOKEN), NULL, 10);
		if (++d.requests == d.drop_after) {
			d.drop_after = 0;
			return false;
		}
		if (d.requests == d.fail_at)
			reply(fd, &head, XS_ERROR, "EACCES");
		else if (head.type == XS_RM && d.rm_error)
			reply(fd, &head, XS_ERROR, "ENOENT");
		else
			reply(fd, &head, head.type, "OK");
	}
	return true;
}

static void *daemon_thread(void *arg)
{
	for (;;) {
		int fd = accept(d.listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		while (serve_one(fd))
			;
		close(fd);
	}
}

static void start(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	static pthread_t t;

	snprintf(path, sizeof(path), "/tmp/lodge-batch-%d", getpid());
	strcpy(addr.sun_path, path);
	d.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(bind(d.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(listen(d.listener, 5), 0);
	pthread_create(&t, NULL, daemon_thread, NULL);
	pthread_detach(t);
}

static struct store_batch some(void)
{
	struct store_batch b = { 0 };

	store_batch_remove(&b, "/a/%d", 1);
	store_batch_mkdir(&b, "/a/1");
	store_batch_perms(&b, 0, XS_PERM_NONE, 5, XS_PERM_READ, "/a/1");
	store_batch_perms(&b, 5, XS_PERM_NONE, -1, 0, "/a/1");
	store_batch_write(&b, "value", "/a/1/x");
	store_batch_write_u64(&b, 42, "/a/1/y");
	store_batch_write(&b, "", "/a/1/z");
	return b;
}

TEST(one_transaction)
{
	struct store_batch b = some();

	start();
	CHECK_EQ(store_batch_commit(&b, NULL), 0);
	CHECK_EQ(d.transactions, 1);
	CHECK(d.last_end_true);
	CHECK_STR(d.seen, "13:/a/1| 12:/a/1| 14:/a/1|n0|r5| 14:/a/1|n5| 11:/a/1/x|value 11:/a/1/y|42 11:/a/1/z| ");
	/* The connection is used again. */
	b = some();
	CHECK_EQ(store_batch_commit(&b, NULL), 0);
	CHECK_EQ(d.transactions, 2);
	unlink(path);
}

TEST(again_when_others_were_in_the_way)
{
	struct store_batch b = some();

	start();
	d.again = 2;
	CHECK_EQ(store_batch_commit(&b, NULL), 0);
	CHECK_EQ(d.transactions, 3);
	d.again = 1000;
	b = some();
	CHECK_EQ(store_batch_commit(&b, NULL), -EAGAIN);
	unlink(path);
}

TEST(an_error_undoes_it)
{
	struct store_batch b = some();

	start();
	d.fail_at = 5;
	CHECK_EQ(store_batch_commit(&b, NULL), -EACCES);
	CHECK(!d.last_end_true);
	CHECK_EQ(d.ends, 1);
	d.fail_at = 0;
	d.rm_error = 1;		/* nothing to remove is no error */
	b = some();
	CHECK_EQ(store_batch_commit(&b, NULL), 0);
	CHECK(d.last_end_true);
	unlink(path);
}

TEST(a_lost_connection)
{
	struct store_batch b = some();

	start();
	d.drop_after = 4;
	CHECK_EQ(store_batch_commit(&b, NULL), 0);
	CHECK_EQ(d.transactions, 2);
	CHECK_EQ(d.requests, 8);
	unlink(path);
}

/* The daemon dies when it is asked for the end: what it has done is not done again, what it has not done is. */
TEST(an_end_that_nobody_answers)
{
	struct store_batch b = some();

	start();
	CHECK_EQ(store_batch_commit(&b, NULL), 0);
	d.drop_end = d.end_first = true;
	b = some();
	CHECK_EQ(store_batch_commit(&b, NULL), 0);
	CHECK_EQ(d.transactions, 2);
	d.drop_end = true;
	d.end_first = false;
	b = some();
	CHECK_EQ(store_batch_commit(&b, NULL), 0);
	CHECK_EQ(d.transactions, 4);
	unlink(path);
}

TEST(nobody_there)
{
	struct store_batch b = some();

	strcpy(path, "/tmp/no-such-socket");
	CHECK_EQ(store_batch_commit(&b, NULL), -ECONNRESET);
	CHECK(waited > 0);
}

TEST(many_and_long)
{
	struct store_batch b = { 0 };
	static char value[XENSTORE_PAYLOAD_MAX + 10];

	start();
	for (int i = 0; i < 5000; i++)
		store_batch_write(&b, "some value or other", "/local/domain/1/cpu/%d/availability", i);
	CHECK_EQ(store_batch_commit(&b, NULL), 0);
	CHECK_EQ(d.requests, 5001);
	memset(value, 'x', sizeof(value) - 1);
	store_batch_write(&b, value, "/x");
	store_batch_write(&b, "", "/y");
	CHECK_EQ(store_batch_commit(&b, NULL), -E2BIG);
	store_batch_write(&b, "", "/%s", value);
	CHECK_EQ(store_batch_commit(&b, NULL), -ENAMETOOLONG);
	unlink(path);
}
