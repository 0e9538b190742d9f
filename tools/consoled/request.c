/* SPDX-License-Identifier: MIT */
/* A client's request: JSON from somebody who may not mean well. */
#include <consoled/request.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>

static int number(json_t *o, const char *key, uint64_t max, uint64_t *value, struct err *e)
{
	json_t *v = json_object_get(o, key);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)
		return err_set(e, EINVAL, "bad-request", "\"%s\" is not a number from 0 to %llu", key, (unsigned long long)max);
	*value = (uint64_t)json_integer_value(v);
	return 0;
}

static int boolean(json_t *o, const char *key, bool *value, struct err *e)
{
	json_t *v = json_object_get(o, key);

	if (!v)
		return 0;
	if (!json_is_boolean(v))
		return err_set(e, EINVAL, "bad-request", "\"%s\" is neither true nor false", key);
	*value = json_is_true(v);
	return 0;
}

static int request_fill(json_t *o, struct request *r, struct err *e)
{
	uint64_t version = 0, domid = UINT64_MAX;
	const char *name = json_string_value(json_object_get(o, "name")), *life = json_string_value(json_object_get(o, "life"));
	char *end;

	if (number(o, "version", INT32_MAX, &version, e) || number(o, "domid", DOMID_FIRST_RESERVED - 1, &domid, e) ||
	    number(o, "backlog", INT64_MAX, &r->backlog, e) || number(o, "offset", INT64_MAX, &r->offset, e) ||
	    boolean(o, "read_only", &r->read_only, e) || boolean(o, "wait", &r->wait, e))
		return -EINVAL;
	if (version != 1)
		return err_set(e, EINVAL, "bad-version", "this daemon speaks version 1 of the protocol");
	if ((domid != UINT64_MAX) == (name != NULL))
		return err_set(e, EINVAL, "bad-request", "a guest is named by either \"domid\" or \"name\"");
	if (name && (!*name || strlen(name) >= sizeof(r->name)))
		return err_set(e, EINVAL, "bad-request", "\"name\" is empty or too long");
	if (life) {
		errno = 0;
		r->life = strtoull(life, &end, 16);
		if (errno || *end || !r->life)
			return err_set(e, EINVAL, "bad-request", "\"life\" is not what an answer said");
	}
	r->domid = name ? -1 : (int)domid;
	snprintf(r->name, sizeof(r->name), "%s", name ? name : "");
	return 0;
}

int request_parse(const char *line, size_t len, struct request *r, struct err *e)
{
	json_error_t why;
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	int rc;

	*r = (struct request){ .domid = -1 };
	if (!json_is_object(o))
		rc = err_set(e, EINVAL, "bad-request", "the request is not a JSON object: %s", o ? "something else" : why.text);
	else
		rc = request_fill(o, r, e);
	json_decref(o);
	return rc;
}
