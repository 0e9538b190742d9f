/* SPDX-License-Identifier: MIT */
/* Unit tests: the store's protocol, client side, against a daemon that says what a test wants. */
/* sources: tools/lib/xs.c */
/* cflags: -Wno-unused-parameter */
/* libs: -lxenstore */
#include "test.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <xenstore.h>
#include <xen/io/xs_wire.h>

/* One exchange: the request that must come, and what is sent then (several messages; {0} ends them). */
struct message {
	uint32_t type, len;
	const char *body;
};

struct exchange {
	struct message request, replies[4];
};

#define M(type, text)	{ type, sizeof(text) - 1, text }

static char path[64];
static pid_t server;

static void read_all(int fd, void *buf, size_t len)
{
	for (size_t n = 0; n < len;) {
		ssize_t k = read(fd, (char *)buf + n, len - n);

		if (k <= 0)
			_exit(2);
		n += (size_t)k;
	}
}

static void serve(int fd, const struct exchange *x, bool slowly)
{
	char body[XENSTORE_PAYLOAD_MAX];
	struct xsd_sockmsg head;

	for (; x->request.body; x++) {
		read_all(fd, &head, sizeof(head));
		read_all(fd, body, head.len);
		if (head.type != x->request.type || head.len != x->request.len || memcmp(body, x->request.body, head.len)) {
			printf("server: request %u, %u bytes, not the one expected\n", head.type, head.len);
			_exit(1);
		}
		for (const struct message *m = x->replies; m->body; m++) {
			struct xsd_sockmsg h = { m->type, m->type == XS_WATCH_EVENT ? 0 : head.req_id, head.tx_id, m->len };
			char all[XENSTORE_PAYLOAD_MAX + 16];

			memcpy(all, &h, sizeof(h));
			memcpy(all + sizeof(h), m->body, m->len);
			for (size_t n = 0, size = sizeof(h) + m->len; n < size; n++)
				if (slowly || n == 0) {
					if (write(fd, all + n, slowly ? 1 : size) < 0)
						_exit(2);
					usleep(slowly ? 200 : 0);
				}
		}
	}
	_exit(0);
}

static struct xs_handle *start(const struct exchange *x, bool slowly)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, sizeof(path), "/tmp/lodge-xs-%d", getpid());
	unlink(path);
	strcpy(a.sun_path, path);
	CHECK_EQ(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	CHECK_EQ(listen(fd, 1), 0);
	fflush(stdout);
	server = fork();
	if (server == 0)
		serve(accept(fd, NULL, NULL), x, slowly);
	close(fd);
	setenv("XENSTORED_PATH", path, 1);
	return xs_open(XS_UNWATCH_FILTER);
}

static void finish(struct xs_handle *h)
{
	int status = 0;

	waitpid(server, &status, 0);
	CHECK_EQ(status, 0);
	xs_close(h);
	unlink(path);
}

static bool readable(struct xs_handle *h, int ms)
{
	struct pollfd p = { .fd = xs_fileno(h), .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void next_is(struct xs_handle *h, const char *where, const char *token)
{
	char **v = xs_check_watch(h);

	CHECK(v != NULL);
	if (v) {
		CHECK_STR(v[XS_WATCH_PATH], where);
		CHECK_STR(v[XS_WATCH_TOKEN], token);
	}
	free(v);
}

static const struct exchange conversation[] = {
	{ M(XS_WATCH, "a\0t\0"), { M(XS_WATCH, "OK\0"), M(XS_WATCH_EVENT, "a\0t\0") } },
	{ M(XS_WATCH, "b\0u\0"), { M(XS_WATCH_EVENT, "a/x\0t\0"), M(XS_WATCH_EVENT, "a/y\0t\0"), M(XS_WATCH, "OK\0") } },
	{ M(XS_READ, "name\0"), { M(XS_READ, "web1") } },
	{ M(XS_READ, "none\0"), { M(XS_ERROR, "ENOENT\0") } },
	{ M(XS_WRITE, "name\0web2"), { M(XS_WRITE, "OK\0") } },
	{ M(XS_DIRECTORY, "dir\0"), { M(XS_DIRECTORY, "one\0two\0three\0") } },
	{ M(XS_DIRECTORY, "empty\0"), { M(XS_DIRECTORY, "") } },
	{ M(XS_SET_PERMS, "p\0n0\0r5\0b6\0"), { M(XS_SET_PERMS, "OK\0") } },
	{ M(XS_TRANSACTION_START, "\0"), { M(XS_TRANSACTION_START, "77\0") } },
	{ M(XS_TRANSACTION_END, "T\0"), { M(XS_ERROR, "EAGAIN\0") } },
	{ M(XS_INTRODUCE, "5\0" "4660\0" "3\0"), { M(XS_INTRODUCE, "OK\0") } },
	{ M(XS_RELEASE, "5\0"), { M(XS_RELEASE, "OK\0") } },
	{ M(XS_GET_DOMAIN_PATH, "5\0"), { M(XS_GET_DOMAIN_PATH, "/local/domain/5\0") } },
	{ M(XS_RM, "x\0"), { M(XS_RM, "OK\0") } },
	{ M(XS_MKDIR, "y\0"), { M(XS_WATCH_EVENT, "b\0u\0"), M(XS_MKDIR, "OK\0") } },
	{ M(XS_UNWATCH, "b\0u\0"), { M(XS_UNWATCH, "OK\0") } },
	{ { 0 } },
};

static void converse(bool slowly)
{
	struct xs_permissions perms[] = { { 0, XS_PERM_NONE }, { 5, XS_PERM_READ }, { 6, XS_PERM_READ | XS_PERM_WRITE } };
	struct xs_handle *h = start(conversation, slowly);
	unsigned int len, count;
	char *value, **list;

	CHECK(xs_watch(h, "a", "t"));
	CHECK(readable(h, 5000));
	while (!(list = xs_check_watch(h)))
		CHECK_EQ(errno, EAGAIN);
	free(list);
	CHECK(xs_check_watch(h) == NULL && errno == EAGAIN);
	/* Events that come before an answer are neither lost nor taken for it, and the descriptor tells of them. */
	CHECK(!readable(h, 0));
	CHECK(xs_watch(h, "b", "u"));
	CHECK(readable(h, 0));
	next_is(h, "a/x", "t");
	CHECK(readable(h, 0));
	next_is(h, "a/y", "t");
	CHECK(xs_check_watch(h) == NULL && errno == EAGAIN);
	CHECK(!readable(h, 0));

	value = xs_read(h, XBT_NULL, "name", &len);
	CHECK_STR(value, "web1");
	CHECK_EQ(len, 4);
	free(value);
	CHECK(xs_read(h, XBT_NULL, "none", &len) == NULL && errno == ENOENT);
	CHECK(xs_write(h, XBT_NULL, "name", "web2", 4));
	list = xs_directory(h, XBT_NULL, "dir", &count);
	CHECK_EQ(count, 3);
	CHECK_STR(list[0], "one");
	CHECK_STR(list[2], "three");
	free(list);
	list = xs_directory(h, XBT_NULL, "empty", &count);
	CHECK(list != NULL && count == 0);
	free(list);
	CHECK(xs_set_permissions(h, XBT_NULL, "p", perms, 3));
	CHECK_EQ(xs_transaction_start(h), 77);
	CHECK(!xs_transaction_end(h, 77, false) && errno == EAGAIN);
	CHECK(xs_introduce_domain(h, 5, 4660, 3));
	CHECK(xs_release_domain(h, 5));
	value = xs_get_domain_path(h, 5);
	CHECK_STR(value, "/local/domain/5");
	free(value);
	CHECK(xs_rm(h, XBT_NULL, "x"));
	CHECK(xs_mkdir(h, XBT_NULL, "y"));
	/* The event of a watch that is gone is not delivered any more. */
	CHECK(xs_unwatch(h, "b", "u"));
	CHECK(xs_check_watch(h) == NULL);
	finish(h);
	CHECK(xs_open(0) == NULL);
}

TEST(conversation) { converse(false); }
TEST(conversation_byte_by_byte) { converse(true); }

TEST(large_directory_comes_in_parts)
{
	static const struct exchange x[] = {
		{ M(XS_DIRECTORY, "d\0"), { M(XS_ERROR, "E2BIG\0") } },
		{ M(XS_DIRECTORY_PART, "d\0" "0\0"), { M(XS_DIRECTORY_PART, "9\0one\0") } },
		/* It changed meanwhile: from the beginning. */
		{ M(XS_DIRECTORY_PART, "d\0" "4\0"), { M(XS_DIRECTORY_PART, "10\0two\0") } },
		{ M(XS_DIRECTORY_PART, "d\0" "0\0"), { M(XS_DIRECTORY_PART, "10\0one\0") } },
		{ M(XS_DIRECTORY_PART, "d\0" "4\0"), { M(XS_DIRECTORY_PART, "10\0two\0three\0\0") } },
		{ { 0 } },
	};
	struct xs_handle *h = start(x, false);
	unsigned int count = 0;
	char **list = xs_directory(h, XBT_NULL, "d", &count);

	CHECK_EQ(count, 3);
	if (list && count == 3) {
		CHECK_STR(list[0], "one");
		CHECK_STR(list[1], "two");
		CHECK_STR(list[2], "three");
	}
	free(list);
	finish(h);
}

TEST(daemon_dies)
{
	static const struct exchange x[] = {
		{ M(XS_WATCH, "a\0t\0"), { M(XS_WATCH_EVENT, "a\0t\0"), M(XS_WATCH, "OK\0") } },
		{ M(XS_READ, "x\0"), { { 0 } } },
		{ { 0 } },
	};
	struct xs_handle *h = start(x, false);
	unsigned int len;

	CHECK(xs_watch(h, "a", "t"));
	CHECK(xs_read(h, XBT_NULL, "x", &len) == NULL && errno == ECONNRESET);
	CHECK(!xs_write(h, XBT_NULL, "x", "y", 1) && errno == ECONNRESET);
	CHECK(readable(h, 0));
	next_is(h, "a", "t");		/* what came before is still there */
	CHECK(xs_check_watch(h) == NULL && errno == ECONNRESET);
	finish(h);
}

TEST(nonsense_from_the_daemon)
{
	static const struct exchange bad[][3] = {
		{ { M(XS_READ, "x\0"), { M(XS_WRITE, "OK\0") } }, { { 0 } } },
		{ { M(XS_READ, "x\0"), { M(XS_WATCH_EVENT, "no token\0"), M(XS_READ, "v") } }, { { 0 } } },
		{ { M(XS_READ, "x\0"), { M(XS_WATCH_EVENT, "a\0t"), M(XS_READ, "v") } }, { { 0 } } },
		{ { M(XS_READ, "x\0"), { M(XS_WATCH_EVENT, ""), M(XS_READ, "v") } }, { { 0 } } },
	};
	unsigned int len;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct xs_handle *h = start(bad[i], false);

		CHECK(xs_read(h, XBT_NULL, "x", &len) == NULL && errno == EPROTO);
		finish(h);
	}
}
