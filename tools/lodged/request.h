/* SPDX-License-Identifier: MIT */
/* Requests: from a line of JSON to a line of JSON (docs/api.md). */
#ifndef LODGED_REQUEST_H
#define LODGED_REQUEST_H

#include <jansson.h>
#include <lodged/registry.h>
#include <lodged/session.h>

/*
 * A method. params is an object that has no members but those the table allows. *result: new reference; NULL stands for {}. 0
 * or -errno and a message.
 */
typedef int method_fn(struct session *s, const json_t *params, json_t **result, struct err *e);

/* A parameter that is a string; NULL: it is not there. */
static inline const char *request_string(const json_t *params, const char *key)
{
	return json_string_value(json_object_get(params, key));
}

/*
 * params: words NAME:TYPE, required ones with a ! in front: "!guest:any !name:string wait:bool timeout_s:number".
 * Types: string, bool, number (not negative), object, any (string or number).
 */
struct method {
	const char *name;
	method_fn *fn;
	const char *params;
};
extern const struct method methods[];
extern const size_t nmethods;

/*
 * Answer one request of len bytes. send() gets progress lines and the answer, each without a line break; it returns false when
 * nobody listens any more; client: see struct session.
 */
void request_answer(const char *line, size_t len, bool (*send)(const char *line, size_t len, void *ctx), void *ctx, int client);
/* The answer to something that is no request at all. Allocated. */
char *request_refusal(int error, const char *code, const char *message);

/* An error as in answers and in the list of `check`: new reference. */
json_t *request_error(const struct err *e);

#endif
