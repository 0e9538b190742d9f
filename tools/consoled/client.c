/* SPDX-License-Identifier: MIT */
/* Clients: the handshake, output from the ring or the log, input to the ring. */
/*
 * A client has no buffer here. It has a position in the guest's output. While that is the end, output goes to its socket as it comes; once the socket is
 * full, the client is behind, and gets the rest from the log when it reads again. What it can no longer get from there it has missed: it is
 * closed, and told where output goes on when it asks again (the library does so by itself, and prints a mark).
 */
#include <consoled/client.h>
#include <consoled/discover.h>
#include <consoled/loop.h>
#include <consoled/request.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>
#include <xen/xen.h>

#define CHUNK	16384	/* bytes of the log at a time */

struct client {
	struct source source;
	struct client *next, **link;	/* of the same guest; or of those without one */
	struct guest *g;		/* NULL: not attached yet */
	struct request *wanted;		/* of who waits for a guest */
	uint64_t pos;
	bool read_only, behind, blocked, no_input;
	int slave;			/* of a pseudo-terminal: held open, so that it works while nobody else has it; else -1 */
	bool gone;			/* has closed its end; what it sent before that waits for room in the ring */
	size_t have;			/* bytes of the request that have come */
	char *line;			/* the request; NULL after it */
};

static struct source listener = { .fd = -1 };
static bool listener_full;
static char *socket_path;
static struct client *loose;		/* in the handshake, or waiting */

static void list_add(struct client **head, struct client *c)
{
	c->next = *head;
	c->link = head;
	if (c->next)
		c->next->link = &c->next;
	*head = c;
}

static void list_remove(struct client *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
}

static void client_close(struct client *c)
{
	struct guest *g = c->g;

	loop_remove(&c->source);
	close(c->source.fd);
	if (c->slave >= 0)
		close(c->slave);
	list_remove(c);
	free(c->wanted);
	free(c->line);
	free(c);
	if (listener_full)
		loop_change(&listener, EPOLLIN);
	listener_full = false;
	if (g)
		guest_client_gone(g);
}

static void update(struct client *c)
{
	if (c->gone)
		return;
	loop_change(&c->source, (c->behind ? EPOLLOUT : 0) | (c->no_input || c->blocked ? 0 : EPOLLIN));
}

/* --- output and input --------------------------------------------------------------------------------------------------------- */

/* Bytes that the socket took, 0: it is full. -1: the client is gone. */
static ssize_t give(struct client *c, const char *data, size_t len)
{
	ssize_t n;

	do
		n = write(c->source.fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	c->pos += (size_t)n;
	return n;
}

static void leave(struct client *c);

void client_output(struct guest *g, uint64_t offset, const char *data, size_t len)
{
	for (struct client *c = g->clients, *next; c; c = next) {
		ssize_t n;

		next = c->next;
		if (c->behind || c->gone)
			continue;
		n = c->pos == offset ? give(c, data, len) : 0;
		if (n < 0) {
			leave(c);
		} else if ((size_t)n < len) {
			c->behind = true;
			update(c);
		}
	}
}

/* The socket has room: the next part of what the client has missed. */
static void catch_up(struct client *c)
{
	static char buf[CHUNK];
	ssize_t n = log_read(&c->g->log, c->pos, buf, sizeof(buf));

	if (n > 0) {
		if (give(c, buf, (size_t)n) < 0)
			leave(c);
		return;
	}
	if (n < 0 && c->slave >= 0) {
		/* Nobody has read it for long, and nobody can be told. */
		c->pos = log_first(&c->g->log);
		return;
	}
	if (n < 0 || c->g->ended) {
		client_close(c);
		return;
	}
	c->behind = false;
	update(c);
}

/* Whether the client is still there. */
static bool take_input(struct client *c)
{
	char buf[RING_IN];
	size_t room = c->read_only ? sizeof(buf) : c->g->ring ? ring_space(c->g->ring) : 0;
	ssize_t n;

	if (!room) {
		c->blocked = true;
		update(c);
		return true;
	}
	n = read(c->source.fd, buf, room);
	if (n > 0) {
		if (!c->read_only)
			guest_input(c->g, buf, (size_t)n);
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	/* Of one that is gone nothing more will come. */
	if (c->gone || (n < 0 && errno != EAGAIN)) {
		client_close(c);
		return false;
	}
	if (n == 0) {
		c->no_input = true;
		update(c);
	}
	return true;
}

/* The other end is closed, but what it had sent is still there to be read. */
static void leave(struct client *c)
{
	if (!c->g || c->no_input || c->read_only) {
		client_close(c);
		return;
	}
	loop_remove(&c->source);
	c->gone = true;
	while (take_input(c))
		if (c->blocked)
			return;		/* client_room() goes on */
}

void client_room(struct guest *g)
{
	for (struct client *c = g->clients, *next; c; c = next) {
		next = c->next;
		if (!c->blocked || !ring_space(g->ring))
			continue;
		c->blocked = false;
		if (c->gone)
			leave(c);
		else
			update(c);
	}
}

/* --- the handshake ------------------------------------------------------------------------------------------------------------ */

/* Send an answer; the reference is taken over. Whether it went. */
static bool answer(struct client *c, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	bool sent = false;

	if (text) {
		text[len] = '\n';
		sent = send(c->source.fd, text, len + 1, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)(len + 1);
	}
	free(text);
	json_decref(o);
	return sent;
}

static void refuse(struct client *c, const char *code, const char *message)
{
	answer(c, json_pack("{s:i, s:{s:s, s:s}}", "version", 1, "error", "code", code, "message", message));
	client_close(c);
}

/* Where `backlog` bytes before the end begin; not in the middle of a line if more than that is there. */
static uint64_t backlog_start(struct guest *g, uint64_t first, uint64_t backlog)
{
	uint64_t total = g->rec->total, start = total - first > backlog ? total - backlog : first;
	char buf[512], *line;
	ssize_t n;

	if (start == first || start == total)
		return start;
	n = log_read(&g->log, start, buf, sizeof(buf));
	line = n > 0 ? memchr(buf, '\n', (size_t)n) : NULL;
	return line ? start + (uint64_t)(line - buf) + 1 : start;
}

static void attach(struct client *c, const struct request *r, struct guest *g)
{
	uint64_t total = g->rec->total, first = log_first(&g->log), start;
	char life[17];
	json_t *name;

	if (first > total)
		first = total;
	if (r->life && r->life != g->rec->life) {
		refuse(c, "ended", "that guest has ended");
		return;
	}
	if (r->life)
		start = r->offset < first ? first : r->offset > total ? total : r->offset;
	else
		start = backlog_start(g, first, r->backlog);

	snprintf(life, sizeof(life), "%016llx", (unsigned long long)g->rec->life);
	name = json_string(g->name);
	if (!name)
		name = json_sprintf("domain-%u", g->domid);
	if (!answer(c, json_pack("{s:i, s:i, s:o, s:s, s:I, s:I, s:b}", "version", 1, "domid", g->domid, "name", name, "life", life, "offset",
			    (json_int_t)start, "total", (json_int_t)total, "read_only", r->read_only))) {
		client_close(c);
		return;
	}
	list_remove(c);
	list_add(&g->clients, c);
	c->g = g;
	c->pos = start;
	c->read_only = r->read_only;
	c->behind = start < total;
	update(c);
	free(c->wanted);
	c->wanted = NULL;
}

/* The guest if it can be attached to. */
static struct guest *find(const struct request *r)
{
	struct guest *g = r->domid < 0 ? guest_find_name(r->name) : guest_find((uint16_t)r->domid);

	if (r->domid >= 0 && (!g || !g->ring)) {
		discover_look((uint16_t)r->domid);
		g = guest_find((uint16_t)r->domid);
	}
	return g && g->ring ? g : NULL;
}

static void handle(struct client *c)
{
	struct request r;
	struct err e;
	struct guest *g;
	char text[192];

	if (request_parse(c->line, c->have, &r, &e)) {
		refuse(c, e.code, e.text);
		return;
	}
	free(c->line);
	c->line = NULL;
	g = find(&r);
	if (g) {
		attach(c, &r, g);
		return;
	}
	if (r.wait) {
		c->wanted = malloc(sizeof(r));
		if (c->wanted) {
			*c->wanted = r;
			loop_change(&c->source, 0);
			return;
		}
	}
	if (r.domid < 0)
		snprintf(text, sizeof(text), "there is no guest called %s with a console", r.name);
	else
		snprintf(text, sizeof(text), "there is no guest with domain id %d and a console", r.domid);
	refuse(c, r.life ? "ended" : "no-guest", text);
}

/* A byte at a time: what follows the line is for the guest. A request is short and comes once. */
static void read_request(struct client *c)
{
	for (;;) {
		ssize_t n = recv(c->source.fd, c->line + c->have, 1, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			client_close(c);
			return;
		}
		if (c->line[c->have] == '\n') {
			handle(c);
			return;
		}
		if (++c->have == REQUEST_MAX) {
			refuse(c, "bad-request", "the request has no end");
			return;
		}
	}
}

static void client_ready(struct source *s, uint32_t events)
{
	struct client *c = (struct client *)s;

	if (c->line && (events & EPOLLIN))
		read_request(c);
	else if (events & (EPOLLHUP | EPOLLERR))
		leave(c);
	else if (!(events & EPOLLIN) || take_input(c))
		if (events & EPOLLOUT)
			catch_up(c);
}

/* --- coming and going --------------------------------------------------------------------------------------------------------- */

static void client_new(int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c)
		c->line = malloc(REQUEST_MAX);
	if (!c || !c->line)
		goto fail;
	c->source = (struct source){ .fd = fd, .ready = client_ready };
	c->slave = -1;
	if (loop_add(&c->source, EPOLLIN) < 0)
		goto fail;
	list_add(&loose, c);
	return;

fail:
	if (c)
		free(c->line);
	free(c);
	close(fd);
}

/* The master's descriptor; the slave is open and raw. */
static int make_pty(char *path, size_t size, int *slave)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), error;
	struct termios t;

	if (master < 0)
		return -errno;
	*slave = -1;
	errno = 0;
	if (grantpt(master) == 0 && unlockpt(master) == 0 && !(errno = ptsname_r(master, path, size)))
		*slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave >= 0 && tcgetattr(*slave, &t) == 0) {
		cfmakeraw(&t);
		if (tcsetattr(*slave, TCSANOW, &t) == 0)
			return master;
	}
	error = errno;
	if (*slave >= 0)
		close(*slave);
	close(master);
	return -error;
}

int client_open_pty(struct guest *g, char *path, size_t size)
{
	struct client *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	rc = make_pty(path, size, &c->slave);
	if (rc < 0) {
		free(c);
		return rc;
	}
	c->source = (struct source){ .fd = rc, .ready = client_ready };
	rc = loop_add(&c->source, EPOLLIN);
	if (rc) {
		close(c->source.fd);
		close(c->slave);
		free(c);
		return rc;
	}
	c->g = g;
	c->pos = g->rec->total;
	list_add(&g->clients, c);
	g->has_pty = true;
	return 0;
}

static void listener_ready(struct source *s, uint32_t events)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		client_new(fd);
	} else if (errno == EMFILE || errno == ENFILE) {
		/* Until somebody leaves. */
		loop_change(&listener, 0);
		listener_full = true;
	}
}

int client_listen(const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int rc;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, ENAMETOOLONG, "socket", "the path of the socket is too long: %s", path);
	strcpy(a.sun_path, path);
	unlink(path);
	listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	listener.ready = listener_ready;
	if (listener.fd < 0 || fchmod(listener.fd, 0600) < 0 || bind(listener.fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(path, 0600) < 0 ||
	    listen(listener.fd, 64) < 0)
		return err_set(e, errno, "socket", "cannot listen at %s: %s", path, strerror(errno));
	rc = loop_add(&listener, EPOLLIN);
	if (rc)
		return err_set(e, -rc, "socket", "cannot listen at %s: %s", path, strerror(-rc));
	socket_path = strdup(path);
	return 0;
}

void client_stop(void)
{
	if (socket_path)
		unlink(socket_path);
	free(socket_path);
	socket_path = NULL;
	if (listener.fd >= 0)
		close(listener.fd);
	listener.fd = -1;
	while (loose)
		client_close(loose);
}

void client_guest_up(struct guest *g)
{
	for (struct client *c = loose, *next; c; c = next) {
		const struct request *r = c->wanted;

		next = c->next;
		if (r && (r->domid < 0 ? strcmp(r->name, g->name) == 0 : r->domid == g->domid))
			attach(c, r, g);
	}
}

void client_guest_end(struct guest *g)
{
	for (struct client *c = g->clients, *next; c; c = next) {
		next = c->next;
		if (c->behind && !c->gone) {
			c->no_input = true;
			update(c);
		} else {
			client_close(c);
		}
	}
}

void client_close_all(struct guest *g)
{
	for (struct client *c = g->clients, *next; c; c = next) {
		next = c->next;
		client_close(c);
	}
}
