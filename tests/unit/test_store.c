/* SPDX-License-Identifier: MIT */
/* Unit tests: the store's client, against a small daemon that can be killed. */
/* sources: tools/lib/store.c tools/lib/store_link.c tools/lib/err.c */
/* libs: -lxenstore */
#include "test.h"

#include <errno.h>
#include <lib/store.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <xen/io/xs_wire.h>

/*
 * --- the daemon: a flat table, kept in shared memory, which stands for its state on disk. One client at a time
 * -------------------------------
 */

#define NODES	32

static struct state {
	struct { char path[64], value[64]; } nodes[NODES];
	int conflicts;			/* that many ends of transactions fail with EAGAIN */
	int die_at;			/* when it has answered that many requests more; 0: never */
	int requests, introduced;
	char perms[64];
} *state;

static char socket_path[80], folder[64];
static pid_t daemon_pid;

struct client {
	int fd;
	bool watching;
	char watch[64], token[64];
};

static void transmit(struct client *c, u32 type, u32 id, const void *data, u32 len)
{
	struct xsd_sockmsg h = { .type = type, .req_id = id, .len = len };

	if (write(c->fd, &h, sizeof(h)) != sizeof(h) || write(c->fd, data, len) != (ssize_t)len)
		_exit(0);
}

static void answer_error(struct client *c, const struct xsd_sockmsg *h, const char *name)
{
	transmit(c, XS_ERROR, h->req_id, name, (u32)strlen(name) + 1);
}

static void fire(struct client *c, const char *path)
{
	char text[160];
	int n = snprintf(text, sizeof(text), "%s%c%s", path, 0, c->token);

	transmit(c, XS_WATCH_EVENT, 0, text, (u32)n + 1);
}

static int find(const char *path)
{
	for (int i = 0; i < NODES; i++)
		if (strcmp(state->nodes[i].path, path) == 0)
			return i;
	return -1;
}

static void do_write(struct client *c, const struct xsd_sockmsg *h, const char *path, const char *value, u32 len)
{
	int i = find(path);

	if (strstr(path, "//"))
		return answer_error(c, h, "EINVAL");
	if (i < 0)
		i = find("");
	snprintf(state->nodes[i].path, 64, "%.63s", path);
	snprintf(state->nodes[i].value, 64, "%.*s", (int)len, value);
	transmit(c, h->type, h->req_id, "OK", 3);
	if (c->watching && strncmp(path, c->watch, strlen(c->watch)) == 0)
		fire(c, path);
}

static void do_list(struct client *c, const struct xsd_sockmsg *h, const char *path)
{
	size_t n = 0, len = strlen(path);
	char names[2048];

	for (int i = 0; i < NODES; i++)
		if (strncmp(state->nodes[i].path, path, len) == 0 && state->nodes[i].path[len] == '/')
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%s", state->nodes[i].path + len + 1) + 1;
	transmit(c, h->type, h->req_id, names, (u32)n);
}

static void serve_one(struct client *c, const struct xsd_sockmsg *h, char *body)
{
	const char *second = body + strlen(body) + 1;
	int at = find(body);

	switch (h->type) {
	case XS_READ:
		if (at < 0)
			return answer_error(c, h, "ENOENT");
		return transmit(c, h->type, h->req_id, state->nodes[at].value, (u32)strlen(state->nodes[at].value));
	case XS_WRITE:
		return do_write(c, h, body, second, h->len - (u32)(second - body));
	case XS_RM:
		if (at < 0)
			return answer_error(c, h, "ENOENT");
		state->nodes[at].path[0] = '\0';
		break;
	case XS_DIRECTORY:
		return do_list(c, h, body);
	case XS_SET_PERMS:
		snprintf(state->perms, 64, "%s %s", second, second + strlen(second) + 1);
		break;
	case XS_WATCH:
		transmit(c, h->type, h->req_id, "OK", 3);
		c->watching = true;
		snprintf(c->watch, 64, "%.63s", body);
		snprintf(c->token, 64, "%.63s", second);
		return fire(c, body);
	case XS_UNWATCH:
		c->watching = false;
		break;
	case XS_TRANSACTION_START:
		return transmit(c, h->type, h->req_id, "7", 2);
	case XS_TRANSACTION_END:
		if (body[0] == 'T' && state->conflicts && state->conflicts--)
			return answer_error(c, h, "EAGAIN");
		break;
	case XS_GET_DOMAIN_PATH:
		return transmit(c, h->type, h->req_id, "/local/domain/0", 16);
	case XS_INTRODUCE:
		state->introduced = atoi(body);
		break;
	case XS_RELEASE:
		return answer_error(c, h, state->introduced == atoi(body) ? "EBUSY" : "ENOENT");
	default:
		return answer_error(c, h, "ENOSYS");
	}
	transmit(c, h->type, h->req_id, "OK", 3);
}

static void serve(struct client *c)
{
	struct xsd_sockmsg h;
	char body[4097];

	while (recv(c->fd, &h, sizeof(h), MSG_WAITALL) == sizeof(h)) {
		if (h.len > 4096 || recv(c->fd, body, h.len, MSG_WAITALL) != (ssize_t)h.len)
			_exit(1);
		body[h.len] = '\0';
		state->requests++;
		/* Counted before the client has the answer, and looks. */
		bool last = state->die_at && --state->die_at == 0;

		serve_one(c, &h, body);
		if (last)
			_exit(0);
	}
	close(c->fd);
}

/* Runs until it is killed; a daemon that dies is started again, as Domain 0's supervisor does. */
static void supervise(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	signal(SIGPIPE, SIG_IGN);
	strcpy(a.sun_path, socket_path);
	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			int listener = socket(AF_UNIX, SOCK_STREAM, 0);

			unlink(socket_path);
			if (bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 8))
				_exit(1);
			for (;;) {
				struct client c = { .fd = accept(listener, NULL, NULL) };

				serve(&c);
			}
		}
		waitpid(pid, NULL, 0);
		usleep(50000);
	}
}

static void daemon_start(void)
{
	daemon_pid = fork();
	if (daemon_pid == 0) {
		setpgid(0, 0);
		supervise();
	}
	setpgid(daemon_pid, daemon_pid);
}

static void daemon_stop(void)
{
	kill(-daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
}

static struct store *enter(void)
{
	struct err e = { 0 };
	struct store *s;

	strcpy(folder, "/tmp/test-store-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
	setenv("XENSTORED_PATH", socket_path, 1);
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(store_open(&s, false, &e), -ECONNREFUSED);
	CHECK(strstr(e.text, "the store daemon does not run") && strstr(e.text, socket_path));
	daemon_start();
	CHECK_EQ(store_open(&s, true, &e), 0);
	return s;
}

static void leave(struct store *s)
{
	store_close(s);
	daemon_stop();
	unlink(socket_path);
	rmdir(folder);
}

/* Wait for a watch, as an event loop does. */
static bool fired(struct store *s, const char *path, const char *token)
{
	for (int i = 0; i < 100; i++) {
		struct pollfd p = { .fd = store_fd(s), .events = POLLIN };
		char *got_path, *got_token;

		poll(&p, 1, 5000);
		while (!store_next_watch(s, &got_path, &got_token)) {
			bool hit = strcmp(got_path, path) == 0 && strcmp(got_token, token) == 0;

			free(got_path);
			if (hit)
				return true;
		}
	}
	return false;
}

TEST(values)
{
	struct store *s = enter();
	uint64_t n = 0;
	char *text, **list;

	CHECK_EQ(store_write(s, "hello", "/a/%d/%s", 1, "b"), 0);
	text = store_read(s, "/a/1/b");
	CHECK_STR(text, "hello");
	free(text);
	errno = 0;
	CHECK(!store_read(s, "/nothing"));
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(store_write_u64(s, 18446744073709551615UL, "/n"), 0);
	CHECK_EQ(store_read_u64(s, &n, "/n"), 0);
	CHECK_EQ(n, -1);
	CHECK_EQ(store_read_u64(s, &n, "/a/1/b"), -EINVAL);
	CHECK_EQ(store_write(s, "-1", "/n"), 0);
	CHECK_EQ(store_read_u64(s, &n, "/n"), -EINVAL);
	CHECK_EQ(store_write(s, "18446744073709551616", "/n"), 0);
	CHECK_EQ(store_read_u64(s, &n, "/n"), -EINVAL);
	CHECK_EQ(store_write(s, "", "/n"), 0);
	CHECK_EQ(store_read_u64(s, &n, "/n"), -EINVAL);
	CHECK_EQ(store_read_u64(s, &n, "/nothing"), -ENOENT);
	list = store_list(s, "/a/1");
	CHECK_STR(list[0], "b");
	CHECK(!list[1]);
	free(list);
	CHECK_EQ(store_remove(s, "/n"), 0);
	CHECK_EQ(store_remove(s, "/n"), 0);
	CHECK_EQ(store_write(s, "x", "/a//b"), -EINVAL);	/* the daemon's answer, not the end of the connection */
	CHECK_EQ(store_write(s, "x", "/%04000d", 1), -ENAMETOOLONG);
	CHECK_EQ(store_set_perms(s, 0, XS_PERM_NONE, 5, XS_PERM_READ, "/a"), 0);
	CHECK_STR(state->perms, "n0 r5");
	CHECK_EQ(store_introduce(s, 9, 0x1234, 2), 0);
	CHECK_EQ(state->introduced, 9);
	CHECK_EQ(store_release(s, 8), -ENOENT);
	leave(s);
}

static int runs;

static int write_two(struct store *s, void *arg)
{
	int rc = store_write_u64(s, (u64)++runs, "/t/1");

	if (runs == 1 && arg)
		*(int *)arg = 1;	/* the next answer is the last */
	return rc ? rc : store_write(s, "x", "/t/2");
}

static int give_up(struct store *s, void *arg)
{
	(void)s;
	(void)arg;
	runs++;
	return -EXDEV;
}

static int nested(struct store *s, void *arg)
{
	return store_transaction(s, give_up, arg);
}

TEST(transactions)
{
	struct store *s = enter();

	state->conflicts = 3;
	CHECK_EQ(store_transaction(s, write_two, NULL), 0);
	CHECK_EQ(runs, 4);
	runs = 0;
	CHECK_EQ(store_transaction(s, give_up, NULL), -EXDEV);
	CHECK_EQ(runs, 1);
	CHECK_EQ(store_transaction(s, nested, NULL), -EBUSY);
	state->conflicts = 1000;
	runs = 0;
	CHECK_EQ(store_transaction(s, write_two, NULL), -EAGAIN);
	CHECK_EQ(runs, 20);
	leave(s);
}

/* The daemon dies with each of the requests of a transaction once: it is as if nothing had happened. */
TEST(daemon_dies_within_a_transaction)
{
	struct store *s = enter();

	for (int at = 1; at <= 4; at++) {
		uint64_t n;

		runs = 0;
		state->die_at = at;
		CHECK_EQ(store_transaction(s, write_two, NULL), 0);
		CHECK_EQ(state->die_at, 0);
		CHECK_EQ(store_read_u64(s, &n, "/t/1"), 0);
		CHECK_EQ(n, runs);
	}
	leave(s);
}

TEST(daemon_dies_between_requests)
{
	struct store *s = enter();

	for (int i = 0; i < 3; i++) {
		uint64_t n;

		state->die_at = 1;
		CHECK_EQ(store_write_u64(s, (u64)i, "/n"), 0);
		CHECK_EQ(store_read_u64(s, &n, "/n"), 0);
		CHECK_EQ(n, i);
	}
	leave(s);
}

TEST(watches_outlive_the_daemon)
{
	struct store *s = enter();

	CHECK_EQ(store_watch(s, "/w", "tok"), 0);
	CHECK_EQ(store_watch(s, "/w", "tok"), -EEXIST);
	CHECK(fired(s, "/w", "tok"));
	CHECK_EQ(store_write(s, "1", "/w/x"), 0);
	CHECK(fired(s, "/w/x", "tok"));
	state->die_at = 1;
	CHECK_EQ(store_write(s, "2", "/w/y"), 0);
	CHECK(fired(s, "/w", "tok"));		/* registered again, which fires */
	CHECK_EQ(store_write(s, "3", "/w/z"), 0);
	CHECK(fired(s, "/w/z", "tok"));
	CHECK_EQ(store_unwatch(s, "/w", "tok"), 0);
	CHECK_EQ(store_unwatch(s, "/w", "tok"), -ENOENT);
	leave(s);
}

/* An event loop that only waits for watches notices as well, and is woken when the daemon is back. */
TEST(loop_waits_for_the_daemon)
{
	struct store *s = enter();
	char *path, *token;

	CHECK_EQ(store_watch(s, "/w", "tok"), 0);
	CHECK(fired(s, "/w", "tok"));
	daemon_stop();
	unlink(socket_path);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(store_next_watch(s, &path, &token), -EAGAIN);
		CHECK(store_fd(s) >= 0);
	}
	daemon_start();
	CHECK(fired(s, "/w", "tok"));
	leave(s);
}
