/* SPDX-License-Identifier: MIT */
/* Client of the manager's API: a line of JSON there, lines of JSON back. */
#include <lib/api.h>
#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RESTART_STEP_MS	20
#define RESTART_MS	5000	/* how long a manager takes to be started, at most */

struct api {
	int fd;
	int id;			/* of the last request */
	char *buf;		/* received and not yet used: buf[0..len) */
	size_t len, room;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static int connect_socket(struct api *a)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return -errno;
	memcpy(addr.sun_path, a->path, sizeof(addr.sun_path));
	if (connect(a->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return 0;

	int rc = -errno;

	close(a->fd);
	a->fd = -1;
	return rc;
}

/*
 * Refused: the socket of a manager that was killed. It is started again at once, and replaces the socket. No socket, but its folder:
 * the system is starting.
 */
static bool starting(const struct api *a, int rc)
{
	char folder[sizeof(a->path)];

	if (rc != -ENOENT)
		return rc == -ECONNREFUSED;
	strcpy(folder, a->path);
	return access(dirname(folder), F_OK) == 0;
}

int api_open(struct api **out, struct err *e)
{
	const char *path = getenv("LODGED_SOCKET");
	struct timespec step = { .tv_nsec = RESTART_STEP_MS * 1000000L };
	struct api *a = calloc(1, sizeof(*a));
	int rc;

	path = path && *path ? path : API_SOCKET;
	if (!a)
		return err_set(e, ENOMEM, "no-memory", "out of memory");
	if (strlen(path) >= sizeof(a->path)) {
		free(a);
		return err_set(e, ENAMETOOLONG, API_UNREACHABLE, "LODGED_SOCKET is too long for the path of a socket");
	}
	strcpy(a->path, path);
	rc = connect_socket(a);
	for (int ms = 0; starting(a, rc) && ms < RESTART_MS; ms += RESTART_STEP_MS) {
		nanosleep(&step, NULL);
		rc = connect_socket(a);
	}
	if (rc == 0) {
		*out = a;
		return 0;
	}
	if (rc == -EACCES || rc == -EPERM)
		err_set(e, EACCES, API_UNREACHABLE, "%s: permission denied; run this as root", path);
	else if (rc == -ENOENT || rc == -ECONNREFUSED)
		err_set(e, ECONNREFUSED, API_UNREACHABLE,
			"the manager does not run (nobody answers at %s); start lodged, or see its log /var/log/lodge/lodged.log",
			path);
	else
		err_set(e, -rc, API_UNREACHABLE, "cannot reach the manager at %s: %s", path, strerror(-rc));
	free(a);
	return -e->error;
}

void api_close(struct api *a)
{
	if (!a)
		return;
	close(a->fd);
	free(a->buf);
	free(a);
}

static int gone(struct err *e)
{
	return err_set(e, ECONNRESET, API_UNREACHABLE,
		"the manager ended before it answered; it is started again by itself: look what it has done, and repeat the "
		"command if need be");
}

static int send_all(struct api *a, const char *s, size_t len, struct err *e)
{
	while (len) {
		ssize_t n = send(a->fd, s, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return gone(e);
		s += n;
		len -= (size_t)n;
	}
	return 0;
}

static int bad_answer(struct err *e, const char *why)
{
	return err_set(e, EPROTO, "bad-answer",
		"the manager's answer cannot be understood (%s): are lodge and lodged of the same version?", why);
}

static json_t *make_request(struct api *a, const char *method, json_t *params, int progress)
{
	json_t *request = json_pack("{s:i, s:i, s:s}", "version", API_VERSION, "id", ++a->id, "method", method);
	int failed = !request;

	if (!failed && progress)
		failed |= json_object_set_new(request, "progress", json_true());
	if (!failed && params)
		failed |= json_object_set(request, "params", params);
	json_decref(params);
	if (failed) {
		json_decref(request);
		return NULL;
	}
	return request;
}

static int send_request(struct api *a, const char *method, json_t *params, int progress, struct err *e)
{
	json_t *request = make_request(a, method, params, progress);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	int rc;

	json_decref(request);
	if (!text)
		return err_set(e, ENOMEM, "no-memory", "out of memory");
	if (len >= API_LINE_MAX) {
		rc = err_set(e, EMSGSIZE, "too-long", "this is too much for one request to the manager: %zu bytes", len);
	} else {
		text[len] = '\n';	/* in place of the NUL */
		rc = send_all(a, text, len + 1, e);
	}
	free(text);
	return rc;
}

static int receive(struct api *a, struct err *e)
{
	ssize_t n;

	if (a->len == a->room) {
		size_t room = a->room ? a->room * 2 : 4096;
		char *buf = a->room >= API_ANSWER_MAX ? NULL : realloc(a->buf, room);

		if (!buf)
			return bad_answer(e, "it is too long");
		a->buf = buf;
		a->room = room;
	}
	do
		n = recv(a->fd, a->buf + a->len, a->room - a->len, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return gone(e);
	a->len += (size_t)n;
	return 0;
}

/* The next line, parsed. */
static int receive_line(struct api *a, json_t **line, struct err *e)
{
	size_t seen = 0;
	json_error_t error;
	char *end;

	while (!a->len || !(end = memchr(a->buf + seen, '\n', a->len - seen))) {
		int rc;

		seen = a->len;
		rc = receive(a, e);
		if (rc)
			return rc;
	}
	*line = json_loadb(a->buf, (size_t)(end - a->buf), 0, &error);
	a->len -= (size_t)(end + 1 - a->buf);
	memmove(a->buf, end + 1, a->len);
	return json_is_object(*line) ? 0 : bad_answer(e, *line ? "it is no object" : error.text);
}

static int take_error(const json_t *error, struct err *e)
{
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *file = json_string_value(json_object_get(error, "file"));
	json_int_t number = json_integer_value(json_object_get(error, "errno"));
	json_int_t line = json_integer_value(json_object_get(error, "line"));

	if (!code || !message)
		return bad_answer(e, "an error without code and message");
	return err_set_at(e, file, line > 0 && line < 1 << 24 ? (int)line : 0, number > 0 && number < 4096 ? (int)number : EIO,
		code, "%s", message);
}

int api_call(struct api *a, const char *method, json_t *params, void (*progress)(const char *text, int percent, void *ctx), void *ctx,
	     json_t **result, struct err *e)
{
	json_t *line = NULL, *error;
	const char *text;
	int rc;

	*result = NULL;
	rc = send_request(a, method, params, progress != NULL, e);
	while (rc == 0) {
		json_decref(line);
		line = NULL;
		rc = receive_line(a, &line, e);
		if (rc)
			break;
		text = json_string_value(json_object_get(line, "progress"));
		if (text) {
			const json_t *percent = json_object_get(line, "percent");

			if (progress)
				progress(text, json_is_integer(percent) ? (int)json_integer_value(percent) : -1, ctx);
			continue;
		}
		*result = json_incref(json_object_get(line, "result"));
		error = json_object_get(line, "error");
		if (!*result)
			rc = error ? take_error(error, e) : bad_answer(e, "neither result nor error");
		else if (json_integer_value(json_object_get(line, "id")) != a->id)
			rc = bad_answer(e, "it is another request's");
		break;
	}
	json_decref(line);
	if (rc) {
		json_decref(*result);
		*result = NULL;
	}
	return rc;
}
