/* SPDX-License-Identifier: MIT */
/* Client of the console daemon. */
/*
 * One session outlives its connections: it knows which life of which guest it shows (the daemon's word for it) and how many bytes of that it has
 * seen, and asks for the rest on a new connection. Whether a closed connection means a dead daemon, a guest that has ended, or output that was
 * skipped, the answer to that question tells.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <lib/clock.h>
#include <lib/console.h>
#include <lib/console_terminal.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS	5000	/* for a daemon that was there */
#define FIRST_MS	1000	/* for one that was not seen yet */
#define RETRY_MS	50
#define WAITING_MS	500	/* then the user is told that there is no such guest yet */
#define ANSWER_MAX	1024

/* What session_*() say besides 0 (go on) and -errno (over, with an error). */
#define OVER		1

enum state {
	CONNECTING,	/* no connection; the next attempt is at next_try */
	ASKING,		/* the request is sent, the answer is coming */
	ATTACHED,
};

struct session {
	const struct console *want;
	struct err *e;
	enum state state;
	int fd;				/* -1 while connecting */
	int64_t give_up, next_try;	/* while connecting */
	char name[128];
	char life[17];			/* "": not attached to any yet */
	uint64_t seen;			/* offset of the next byte of output */
	bool returned;			/* the guest had ended: of the next one, show all */
	bool in_terminal, in_open, greeted, told_waiting;
	char answer[ANSWER_MAX];
	size_t answer_len;
	char input[1024];		/* on the way to the guest */
	size_t input_len;
};

static const char *socket_path(void)
{
	const char *path = getenv("CONSOLED_SOCKET");

	return path && *path ? path : CONSOLE_SOCKET;
}

/* Words for the user, on a line of their own. */
static void __attribute__((format(printf, 2, 3))) say(struct session *s, const char *fmt, ...)
{
	const char *eol = s->in_terminal ? "\r\n" : "\n";
	va_list ap;

	if (s->greeted)
		fputs(eol, stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(eol, stderr);
	fflush(stderr);
}

/* --- connecting --------------------------------------------------------------------------------------------------------------- */

static int connect_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(socket_path()) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, socket_path());
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

static json_t *request(const struct session *s)
{
	const struct console *c = s->want;
	bool by_name = s->returned || c->name;
	json_t *o = json_pack("{s:i, s:b, s:b, s:I}", "version", 1, "read_only", c->read_only, "wait", c->wait && !s->life[0], "backlog",
			      (json_int_t)(s->returned ? INT64_MAX : c->backlog > INT64_MAX ? INT64_MAX : c->backlog));
	json_t *who = by_name ? json_string(s->name) : json_integer(c->domid);

	if (!o || !who || json_object_set_new(o, by_name ? "name" : "domid", who) ||
	    (s->life[0] && (json_object_set_new(o, "life", json_string(s->life)) ||
			    json_object_set_new(o, "offset", json_integer((json_int_t)s->seen))))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int ask(struct session *s)
{
	json_t *o = request(s);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	ssize_t n;

	json_decref(o);
	if (!text)
		return err_set(s->e, EINVAL, "bad-name", "the guest's name cannot be asked for (not UTF-8?): %s", s->name);
	text[len] = '\n';
	n = send(s->fd, text, len + 1, MSG_NOSIGNAL);
	free(text);
	return n == (ssize_t)(len + 1) ? 0 : -EAGAIN;
}

static void reconnect(struct session *s, int64_t patience)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->state = CONNECTING;
	s->next_try = clock_ms();
	s->give_up = s->next_try + patience;
}

static int try_connect(struct session *s)
{
	int rc = connect_socket();

	if (rc >= 0) {
		s->fd = rc;
		s->state = ASKING;
		s->answer_len = 0;
		rc = ask(s);
		if (rc != -EAGAIN)
			return rc;
		close(s->fd);
		s->fd = -1;
		s->state = CONNECTING;
	}
	s->next_try = clock_ms() + RETRY_MS;
	if (rc == -EACCES || rc == -EPERM)
		return err_set(s->e, EACCES, "not-allowed", "no permission to use %s: only root may attach to consoles", socket_path());
	if (s->next_try < s->give_up)
		return 0;
	return err_set(s->e, ECONNREFUSED, "no-consoled", "the console daemon does not run (nobody listens at %s): start consoled%s", socket_path(),
		       s->life[0] ? "; the guest runs on, and its output is kept" : "");
}

/* --- the answer --------------------------------------------------------------------------------------------------------------- */

static int guest_ended(struct session *s)
{
	say(s, s->want->wait ? "guest %s ended; waiting for it to come back" : "guest %s ended", s->name);
	if (!s->want->wait)
		return OVER;
	s->life[0] = '\0';
	s->returned = true;
	s->told_waiting = true;
	s->input_len = 0;
	reconnect(s, PATIENCE_MS);
	return 0;
}

static int refused(struct session *s, json_t *error)
{
	const char *code = json_string_value(json_object_get(error, "code")), *message = json_string_value(json_object_get(error, "message"));

	if (!code || !message)
		return err_set(s->e, EPROTO, "bad-answer", "the console daemon at %s gave an answer that is none", socket_path());
	if (s->life[0] && strcmp(code, "ended") == 0)
		return guest_ended(s);
	return err_set(s->e, strcmp(code, "no-guest") == 0 ? ENOENT : EPROTO, code, "%s", message);
}

static void greet(struct session *s)
{
	if (!s->greeted && s->in_terminal)
		say(s, "attached to guest %s%s; Ctrl-] detaches", s->name, s->want->read_only ? ", read-only" : "");
	s->greeted = true;
}

static int answered(struct session *s)
{
	json_t *o = json_loadb(s->answer, s->answer_len, 0, NULL);
	const char *name = json_string_value(json_object_get(o, "name")), *life = json_string_value(json_object_get(o, "life"));
	json_t *error = json_object_get(o, "error"), *at = json_object_get(o, "offset");
	uint64_t offset = json_is_integer(at) ? (uint64_t)json_integer_value(at) : 0;
	int rc = 0;

	if (error || !name || !life || strlen(life) >= sizeof(s->life) || !json_is_integer(at)) {
		rc = refused(s, error);
	} else {
		snprintf(s->name, sizeof(s->name), "%s", name);
		greet(s);
		if (s->life[0] && offset > s->seen)
			say(s, "[%llu bytes of output skipped]", (unsigned long long)(offset - s->seen));
		strcpy(s->life, life);
		s->seen = offset;
		s->state = ATTACHED;
	}
	json_decref(o);
	return rc;
}

/* A byte at a time: behind the line, the console's output begins. */
static int read_answer(struct session *s)
{
	for (;;) {
		ssize_t n = recv(s->fd, s->answer + s->answer_len, 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0 || s->answer_len == sizeof(s->answer) - 1) {
			reconnect(s, PATIENCE_MS);
			return 0;
		}
		if (s->answer[s->answer_len] == '\n')
			return answered(s);
		s->answer_len++;
	}
}

/* --- bytes both ways ---------------------------------------------------------------------------------------------------------- */

static int read_output(struct session *s)
{
	char buf[16384];
	ssize_t n = recv(s->fd, buf, sizeof(buf), 0), done = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		reconnect(s, PATIENCE_MS);
		return 0;
	}
	while (done < n) {
		ssize_t m = write(s->want->out, buf + done, (size_t)(n - done));

		if (m < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = s->want->out, .events = POLLOUT };

			poll(&p, 1, -1);
		} else if (m < 0 && errno != EINTR) {
			/* Nobody reads it any more. */
			return errno == EPIPE ? OVER : err_set(s->e, errno, "output", "cannot write the console's output: %s", strerror(errno));
		} else if (m > 0) {
			done += m;
		}
	}
	s->seen += (uint64_t)n;
	return 0;
}

static void send_input(struct session *s)
{
	ssize_t n = send(s->fd, s->input, s->input_len, MSG_NOSIGNAL);

	if (n <= 0)
		return;			/* a broken connection shows when reading */
	s->input_len -= (size_t)n;
	memmove(s->input, s->input + n, s->input_len);
}

static int read_input(struct session *s)
{
	char buf[sizeof(s->input)], *escape = NULL;
	size_t room = sizeof(s->input) - s->input_len;
	ssize_t n = read(s->want->in, buf, s->in_terminal ? sizeof(buf) : room);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		s->in_open = false;
		return s->in_terminal ? OVER : 0;	/* it was hung up */
	}
	if (s->in_terminal)
		escape = memchr(buf, CONSOLE_ESCAPE, (size_t)n);
	if (escape)
		n = escape - buf;
	if (!s->want->read_only) {
		/* A guest that does not read: what is typed beyond this is lost, but Ctrl-] is seen. */
		size_t take = (size_t)n < room ? (size_t)n : room;

		memcpy(s->input + s->input_len, buf, take);
		s->input_len += take;
		if (s->state == ATTACHED)
			send_input(s);
	}
	return escape ? OVER : 0;
}

/* --- the session -------------------------------------------------------------------------------------------------------------- */

/* Milliseconds until there is something to do that no descriptor tells of. */
static int timeout(const struct session *s)
{
	int64_t now = clock_ms();

	if (s->state == CONNECTING)
		return s->next_try > now ? (int)(s->next_try - now) : 0;
	return s->state == ASKING && s->want->wait && !s->told_waiting ? WAITING_MS : -1;
}

static int turn(struct session *s)
{
	bool listen = s->in_open && (s->in_terminal || (s->state == ATTACHED && !s->input_len));
	struct pollfd p[2] = {
		{ .fd = listen ? s->want->in : -1, .events = POLLIN },
		{ .fd = s->fd, .events = (short)(POLLIN | (s->state == ATTACHED && s->input_len ? POLLOUT : 0)) },
	};
	int rc = poll(p, 2, timeout(s));

	if (rc < 0)
		return errno == EINTR ? 0 : err_set(s->e, errno, "poll", "cannot wait for the console: %s", strerror(errno));
	if (!rc && s->state == ASKING && s->want->wait && !s->told_waiting) {
		say(s, "waiting for guest %s", s->name);
		s->told_waiting = true;
	}
	rc = 0;
	if (p[0].revents)
		rc = read_input(s);
	if (!rc && (p[1].revents & POLLOUT))
		send_input(s);
	if (!rc && (p[1].revents & ~POLLOUT))
		rc = s->state == ASKING ? read_answer(s) : read_output(s);
	if (!rc && s->state == CONNECTING && clock_ms() >= s->next_try)
		rc = try_connect(s);
	if (!rc && s->want->exit_on_eof && !s->in_open && !s->input_len && s->state == ATTACHED)
		rc = OVER;
	return rc;
}

int console_attach(const struct console *c, struct err *e)
{
	struct session s = { .want = c, .e = e, .fd = -1, .in_open = true, .in_terminal = isatty(c->in) };
	int rc;

	if (c->name)
		snprintf(s.name, sizeof(s.name), "%s", c->name);
	else
		snprintf(s.name, sizeof(s.name), "%u", c->domid);
	terminal_enter(s.in_terminal ? c->in : -1);
	reconnect(&s, FIRST_MS);
	do
		rc = turn(&s);
	while (!rc);
	if (s.fd >= 0)
		close(s.fd);
	terminal_leave();
	if (s.in_terminal && s.greeted)
		fputc('\n', stderr);
	return rc == OVER ? 0 : rc;
}
