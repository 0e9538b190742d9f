/* SPDX-License-Identifier: MIT */
/*
 * The connection to the store daemon.
 *
 * libxenstore does not tell an answer of the daemon from the end of the connection: both are an errno, and EINVAL can be either. So
 * after an error that may mean the latter, a question is asked that a daemon always answers. What was asked before the loss may
 * have been done or not; it is done again, which is why everything that goes through store.h must bear being done twice.
 *
 * Watches live in the daemon's memory and end with the connection; s->watches has those to register again. Registering fires them.
 *
 * libxenstore would fall back to the kernel's own connection (/dev/xen/xenbus) when nobody listens on the socket. There, nothing
 * would tell that the daemon was restarted; so the socket is tried first.
 */
#include <errno.h>
#include <lib/clock.h>
#include <lib/store_link.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS	10000	/* for a daemon that is being restarted */
#define GRACE_MS	200	/* between the socket's appearance and the daemon's listening to it */
#define RETRY_MS	5

static int socket_address(struct sockaddr_un *a)
{
	const char *path = xs_daemon_socket();

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!path || strlen(path) >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	strcpy(a->sun_path, path);
	return 0;
}

static bool daemon_listens(void)
{
	struct sockaddr_un a;
	int fd, rc;

	if (socket_address(&a))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	rc = connect(fd, (struct sockaddr *)&a, sizeof(a));
	close(fd);
	return rc == 0;
}

static void disconnect(struct store *s)
{
	xs_close(s->xs);
	s->xs = NULL;
}

/* One attempt. The watches are registered again, or there is no connection. */
static bool try_connect(struct store *s)
{
	s->xs = daemon_listens() ? xs_open(XS_UNWATCH_FILTER) : NULL;
	if (!s->xs)
		return false;
	for (struct store_watch *w = s->watches; w; w = w->next) {
		if (!xs_watch(s->xs, w->path, w->token)) {
			disconnect(s);
			return false;
		}
	}
	if (s->inotify >= 0)
		close(s->inotify);
	s->inotify = -1;
	return true;
}

/* Report the appearance of the socket, or of the folder it is to be in. */
static int watch_for_socket(void)
{
	struct sockaddr_un a;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0 || socket_address(&a))
		return fd;
	for (char *slash; (slash = strrchr(a.sun_path, '/')) && slash > a.sun_path;) {
		*slash = '\0';
		if (inotify_add_watch(fd, a.sun_path, IN_CREATE | IN_MOVED_TO | IN_ATTRIB) >= 0)
			break;
	}
	return fd;
}

/* Try until the daemon is there, for at most patience_ms (< 0: no limit). */
static int await_daemon(struct store *s, int patience_ms)
{
	int64_t start = clock_ms(), grace = start + GRACE_MS;

	while (!try_connect(s)) {
		int64_t now = clock_ms();
		int pause = now < grace ? RETRY_MS : 500;
		struct pollfd p = { .events = POLLIN };

		if (patience_ms >= 0 && now - start >= patience_ms)
			return -ECONNREFUSED;
		/* The folders may appear one by one: watch anew each time. */
		p.fd = watch_for_socket();
		if (poll(&p, 1, pause) > 0)
			grace = clock_ms() + GRACE_MS;
		if (p.fd >= 0)
			close(p.fd);
	}
	return 0;
}

int store_link_ready(struct store *s)
{
	if (s->lost && s->transaction != XBT_NULL)
		return -ECONNRESET;
	s->lost = false;
	return s->xs ? 0 : await_daemon(s, PATIENCE_MS);
}

/* Could it mean that there is no connection any more? libxenstore reports that in many ways. */
static bool may_be_loss(int error)
{
	switch (error) {
	case EINVAL: case EBADF: case EPIPE: case ECONNRESET: case EIO: case ENOTCONN: case 0:
		return true;
	default:
		return false;
	}
}

static bool daemon_answers(struct store *s)
{
	char *path = xs_get_domain_path(s->xs, 0);

	free(path);
	return path != NULL;
}

int store_link_failed(struct store *s, int error)
{
	if (!may_be_loss(error) || daemon_answers(s))
		return error ? -error : -EIO;
	disconnect(s);
	if (s->transaction == XBT_NULL)
		return -ERESTART;
	s->lost = true;
	return -ECONNRESET;
}

int store_open(struct store **out, bool wait, struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (!s)
		return err_set(e, ENOMEM, "no-memory", "no memory left");
	s->inotify = -1;
	if (await_daemon(s, wait ? -1 : 0)) {
		free(s);
		return err_set(e, ECONNREFUSED, "no-store", "the store daemon does not run (nobody listens on %s): start stored",
			       xs_daemon_socket());
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->xs)
		xs_close(s->xs);
	if (s->inotify >= 0)
		close(s->inotify);
	while (s->watches) {
		struct store_watch *w = s->watches;

		s->watches = w->next;
		free(w);
	}
	free(s);
}

static struct store_watch **find_watch(struct store *s, const char *path, const char *token)
{
	struct store_watch **w = &s->watches;

	while (*w && (strcmp((*w)->path, path) || strcmp((*w)->token, token)))
		w = &(*w)->next;
	return w;
}

/* The list first: should the connection be lost on the way, the new one has this watch already (and -EEXIST says so). */
int store_watch(struct store *s, const char *path, const char *token)
{
	size_t len = strlen(path) + 1;
	struct store_watch *w;
	int rc;

	if (*find_watch(s, path, token))
		return -EEXIST;
	rc = store_link_ready(s);
	if (rc)
		return rc;
	w = malloc(sizeof(*w) + len + strlen(token) + 1);
	if (!w)
		return -ENOMEM;
	w->token = w->path + len;
	strcpy(w->path, path);
	strcpy(w->token, token);
	w->next = s->watches;
	s->watches = w;
	while (!xs_watch(s->xs, path, token)) {
		rc = store_link_failed(s, errno);
		if (rc == -ERESTART)
			rc = store_link_ready(s);
		if (!rc || rc == -ECONNREFUSED || rc == -ECONNRESET)
			return 0;
		s->watches = w->next;
		free(w);
		return rc;
	}
	return 0;
}

int store_unwatch(struct store *s, const char *path, const char *token)
{
	struct store_watch **at = find_watch(s, path, token), *w = *at;
	int rc;

	if (!w)
		return -ENOENT;
	*at = w->next;
	free(w);
	if (!s->xs || xs_unwatch(s->xs, path, token))
		return 0;
	rc = store_link_failed(s, errno);
	return rc == -ERESTART || rc == -ECONNRESET ? 0 : rc;	/* it went with the connection */
}

int store_fd(struct store *s)
{
	if (s->xs)
		return xs_fileno(s->xs);
	if (s->inotify < 0)
		s->inotify = watch_for_socket();
	return s->inotify;
}

/* A broken connection is found here, since reading watches is all that many a user does; then store_fd() waits for the daemon. */
int store_next_watch(struct store *s, char **path, char **token)
{
	char **vec;

	if (!s->xs) {
		if (s->inotify >= 0)
			close(s->inotify);
		s->inotify = -1;
		if (await_daemon(s, GRACE_MS))
			return -EAGAIN;
	}
	vec = xs_check_watch(s->xs);
	if (!vec) {
		if (errno == EAGAIN)
			return -EAGAIN;
		store_link_failed(s, errno);
		return s->xs ? -EAGAIN : store_next_watch(s, path, token);
	}

	size_t len = strlen(vec[XS_WATCH_PATH]) + 1;
	char *copy = malloc(len + strlen(vec[XS_WATCH_TOKEN]) + 1);

	if (copy) {
		*path = strcpy(copy, vec[XS_WATCH_PATH]);
		*token = strcpy(copy + len, vec[XS_WATCH_TOKEN]);
	}
	free(vec);
	return copy ? 0 : -ENOMEM;
}
