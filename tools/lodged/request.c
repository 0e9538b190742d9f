/* SPDX-License-Identifier: MIT */
/* Requests: parsed, checked against the method's table row, answered. */
#include <errno.h>
#include <lib/api.h>
#include <lodged/request.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
	json_t *root, *id, *params;
	const struct method *method;
	bool progress;
	bool (*send)(const char *line, size_t len, void *ctx);
	void *ctx;
	int client;
};

json_t *request_error(const struct err *e)
{
	json_t *j = json_pack("{s:s, s:s, s:i}", "code", e->code, "message", e->text, "errno", e->error);

	/* Texts may hold what a user wrote, in whatever encoding. */
	if (!j)
		j = json_pack("{s:s, s:s, s:i}", "code", e->code, "message", "(the message is not valid UTF-8)", "errno", e->error);
	if (j && e->file[0])
		json_object_set_new(j, "file", json_string(e->file));
	if (j && e->line)
		json_object_set_new(j, "line", json_integer(e->line));
	return j;
}

static bool send_json(struct request *r, json_t *answer)
{
	char *text = json_dumps(answer, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	bool ok = text && len < API_ANSWER_MAX && r->send(text, len, r->ctx);

	if (text && len >= API_ANSWER_MAX) {
		char *refusal = request_refusal(EMSGSIZE, "too-long", "the answer would be longer than an answer may be (64 MiB)");

		ok = refusal && r->send(refusal, strlen(refusal), r->ctx);
		free(refusal);
	}
	free(text);
	json_decref(answer);
	return ok;
}

static void send_error(struct request *r, const struct err *e)
{
	json_t *answer = json_pack("{s:O, s:o}", "id", r->id, "error", request_error(e));

	if (answer)
		send_json(r, answer);
}

char *request_refusal(int error, const char *code, const char *message)
{
	struct err e;
	json_t *answer;
	char *text;

	err_set(&e, error, code, "%s", message);
	answer = json_pack("{s:n, s:o}", "id", "error", request_error(&e));
	text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	json_decref(answer);
	return text;
}

static void send_progress(const char *text, void *ctx)
{
	struct request *r = ctx;
	json_t *line = json_pack("{s:O, s:s}", "id", r->id, "progress", text);

	if (line)
		send_json(r, line);
}

static void send_percent(int percent, const char *text, void *ctx)
{
	struct request *r = ctx;
	json_t *line = json_pack("{s:O, s:s, s:i}", "id", r->id, "progress", text, "percent", percent);

	if (line)
		send_json(r, line);
}

static bool has_type(const json_t *v, const char *type)
{
	switch (*type) {
	case 's': return json_is_string(v);
	case 'b': return json_is_boolean(v);
	case 'n': return json_is_integer(v) && json_integer_value(v) >= 0;
	case 'o': return json_is_object(v);
	case 'l': return json_is_array(v);
	default: return json_is_string(v) || json_is_integer(v);
	}
}

/* The type of a parameter, from the method's row. NULL: it has none of that name. */
static const char *row_type(const char *row, const char *name, size_t *len)
{
	size_t n = strlen(name);

	while (*row) {
		row += *row == '!';
		if (!strncmp(row, name, n) && row[n] == ':') {
			row += n + 1;
			*len = strcspn(row, " ");
			return row;
		}
		row += strcspn(row, " ");
		row += strspn(row, " ");
	}
	return NULL;
}

static int check_params(const struct method *m, const json_t *params, struct err *e)
{
	const char *key, *row;
	json_t *v;

	json_object_foreach((json_t *)params, key, v) {
		size_t len;
		const char *type = row_type(m->params, key, &len);

		if (!type)
			return err_set(e, EINVAL, "bad-request", "%s has no parameter `%.60s`", m->name, key);
		if (!has_type(v, type))
			return err_set(e, EINVAL, "bad-request", "%s: the parameter `%s` is not of type %.*s", m->name, key,
				(int)len, type);
	}
	for (row = strchr(m->params, '!'); row; row = strchr(row + 1, '!')) {
		char name[32];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(row + 1, ":"), row + 1);
		if (!json_object_get(params, name))
			return err_set(e, EINVAL, "bad-request", "%s needs the parameter `%s`", m->name, name);
	}
	return 0;
}

static const struct method *find_method(const char *name)
{
	for (size_t i = 0; i < nmethods; i++)
		if (!strcmp(methods[i].name, name))
			return &methods[i];
	return NULL;
}

/* Members of the request itself. r->id is set as soon as it is known. */
static int parse(struct request *r, const char *line, size_t len, struct err *e)
{
	json_error_t where;
	const char *key;
	json_t *v;

	r->root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
	if (!json_is_object(r->root))
		return err_set(e, EINVAL, "bad-request", "a request is a JSON object on one line: %s",
			r->root ? "found something else" : where.text);
	v = json_object_get(r->root, "id");
	if (v)
		r->id = v;
	json_object_foreach(r->root, key, v) if (strcmp(key, "id") && strcmp(key, "version") && strcmp(key, "method") &&
						 strcmp(key, "params") && strcmp(key, "progress")) return err_set(e, EINVAL,
		"bad-request", "a request has no member `%.60s`", key);
	v = json_object_get(r->root, "version");
	if (v && json_integer_value(v) != API_VERSION)
		return err_set(e, EINVAL, "bad-request", "this manager speaks version %d of the API", API_VERSION);
	v = json_object_get(r->root, "method");
	if (!json_is_string(v))
		return err_set(e, EINVAL, "bad-request", "the request names no method");
	r->method = find_method(json_string_value(v));
	if (!r->method)
		return err_set(e, EINVAL, "bad-request", "there is no method `%.60s`", json_string_value(v));
	r->progress = json_is_true(json_object_get(r->root, "progress"));
	r->params = json_object_get(r->root, "params");
	if (!r->params)
		json_object_set_new(r->root, "params", r->params = json_object());
	if (!json_is_object(r->params))
		return err_set(e, EINVAL, "bad-request", "`params` is not an object");
	return check_params(r->method, r->params, e);
}

static int perform(struct request *r, json_t **result, struct err *e)
{
	struct session s;
	int rc = session_open(&s, false, e);

	if (rc)
		return rc;
	s.client = r->client;
	if (r->progress) {
		s.progress = send_progress;
		s.percent = send_percent;
		s.ctx = r;
	}
	rc = r->method->fn(&s, r->params, result, e);
	s.progress = NULL;
	s.percent = NULL;
	session_close(&s);
	return rc;
}

void request_answer(const char *line, size_t len, bool (*send)(const char *line, size_t len, void *ctx), void *ctx, int client)
{
	struct request r = { .send = send, .ctx = ctx, .client = client, .id = json_null() };
	json_t *result = NULL, *answer;
	struct err e = { 0 };
	int rc = parse(&r, line, len, &e);

	if (!rc)
		rc = perform(&r, &result, &e);
	if (rc) {
		if (!e.error)
			err_set(&e, -rc, "internal", "%s", strerror(-rc));
		send_error(&r, &e);
	} else {
		answer = json_pack("{s:O, s:o}", "id", r.id, "result", result ? result : json_object());
		if (answer)
			send_json(&r, answer);
	}
	json_decref(r.root);
}
