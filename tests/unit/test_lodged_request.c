/* SPDX-License-Identifier: MIT */
/* Unit tests: requests of the manager's API: parsed, checked, answered, whatever comes. */
/* sources: tools/lodged/request.c tools/lib/err.c */
/* libs: -ljansson */
/* cflags: -Wno-unused-parameter */
#include "test.h"

#include <errno.h>
#include <lodged/request.h>

static bool store_there = true;
static char answers[4][8192];
static int nanswers;

int session_open(struct session *s, bool wait, struct err *e)
{
	*s = (struct session){ 0 };
	return store_there ? 0 : err_set(e, ECONNREFUSED, "store", "the store does not run");
}

void session_close(struct session *s)
{
}

static int echo(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	if (s->progress)
		s->progress("half way", s->ctx);
	*result = json_pack("{s:O}", "text", json_object_get(params, "text"));
	return 0;
}

static int fails(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return err_set_at(e, "web.cfg", 7, ENOMEM, "no-memory", "not enough");
}

static int nothing(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return 0;
}

/* A text of n bytes. */
static int large(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	size_t n = (size_t)json_integer_value(json_object_get(params, "n"));
	char *text = malloc(n);

	memset(text, 'x', n);
	*result = json_pack("{s:s#}", "text", text, (int)n);
	free(text);
	return 0;
}

const struct method methods[] = {
	{ "echo", echo, "!text:string flag:bool n:number guest:any o:object l:list" }, { "fails", fails, "" }, { "nothing", nothing, "guest:any" },
	{ "large", large, "!n:number" },
};
const size_t nmethods = 4;

static size_t last_len;

static bool take(const char *line, size_t len, void *ctx)
{
	last_len = len;
	if (nanswers < 4)
		snprintf(answers[nanswers++], sizeof(answers[0]), "%.*s", (int)len, line);
	CHECK(!memchr(line, '\n', len));
	return true;
}

/* The last line that comes back. */
static const char *ask(const char *line)
{
	nanswers = 0;
	request_answer(line, strlen(line), take, NULL, -1);
	CHECK(nanswers > 0);
	return answers[nanswers - 1];
}

static void refused(const char *line, const char *code)
{
	const char *answer = ask(line);
	json_t *j = json_loads(answer, 0, NULL);

	CHECK_STR(json_string_value(json_object_get(json_object_get(j, "error"), "code")), code);
	CHECK(json_object_get(j, "id"));
	json_decref(j);
}

TEST(answers)
{
	CHECK_STR(ask("{\"version\":1,\"id\":7,\"method\":\"echo\",\"params\":{\"text\":\"x\"}}"), "{\"id\":7,\"result\":{\"text\":\"x\"}}");
	CHECK_STR(ask("{\"id\":\"q\",\"method\":\"nothing\"}"), "{\"id\":\"q\",\"result\":{}}");
	CHECK_STR(ask("{\"method\":\"nothing\",\"params\":{\"guest\":3}}"), "{\"id\":null,\"result\":{}}");
	CHECK_STR(ask("{\"id\":1,\"method\":\"fails\"}"),
		  "{\"id\":1,\"error\":{\"code\":\"no-memory\",\"message\":\"not enough\",\"errno\":12,\"file\":\"web.cfg\",\"line\":7}}");
}

TEST(progress_only_when_asked_for)
{
	ask("{\"id\":1,\"method\":\"echo\",\"params\":{\"text\":\"x\"},\"progress\":true}");
	CHECK_EQ(nanswers, 2);
	CHECK_STR(answers[0], "{\"id\":1,\"progress\":\"half way\"}");
	ask("{\"id\":1,\"method\":\"echo\",\"params\":{\"text\":\"x\"}}");
	CHECK_EQ(nanswers, 1);
}

TEST(refusals)
{
	refused("", "bad-request");
	refused("nonsense", "bad-request");
	refused("[1]", "bad-request");
	refused("{\"id\":1}", "bad-request");
	refused("{\"id\":1,\"method\":3}", "bad-request");
	refused("{\"id\":1,\"method\":\"no\"}", "bad-request");
	refused("{\"id\":1,\"version\":2,\"method\":\"nothing\"}", "bad-request");
	refused("{\"id\":1,\"method\":\"nothing\",\"extra\":1}", "bad-request");
	refused("{\"id\":1,\"method\":\"nothing\",\"params\":[]}", "bad-request");
	refused("{\"id\":1,\"method\":\"nothing\",\"params\":{\"gues\":1}}", "bad-request");
	refused("{\"id\":1,\"method\":\"nothing\",\"params\":{\"guest\":true}}", "bad-request");
	refused("{\"id\":1,\"method\":\"echo\"}", "bad-request");
	refused("{\"id\":1,\"method\":\"echo\",\"params\":{\"text\":1}}", "bad-request");
	refused("{\"id\":1,\"method\":\"echo\",\"params\":{\"text\":\"x\",\"n\":-1}}", "bad-request");
	refused("{\"id\":1,\"method\":\"echo\",\"params\":{\"text\":\"x\",\"o\":[]}}", "bad-request");
	refused("{\"id\":1,\"method\":\"echo\",\"params\":{\"text\":\"x\",\"l\":{}}}", "bad-request");
	refused("{\"id\":1,\"method\":\"echo\",\"params\":{\"text\":\"x\",\"l\":\"y\"}}", "bad-request");
	refused("{\"id\":1,\"id\":2,\"method\":\"nothing\"}", "bad-request");
	store_there = false;
	refused("{\"id\":1,\"method\":\"nothing\"}", "store");
}

/* Answers may be longer than requests: 10,000 guests are listed as well. */
TEST(long_answers)
{
	ask("{\"id\":1,\"method\":\"large\",\"params\":{\"n\":4000000}}");
	CHECK_EQ(nanswers, 1);
	CHECK(last_len > 4000000);
	refused("{\"id\":null,\"method\":\"large\",\"params\":{\"n\":70000000}}", "too-long");
}

TEST(deep_and_strange_input)
{
	static char deep[200000];
	static const char seed[] = "{\"version\":1,\"id\":7,\"method\":\"echo\",\"params\":{\"text\":\"x\",\"n\":5},\"progress\":true}";

	memset(deep, '[', sizeof(deep) - 1);
	refused(deep, "bad-request");
	for (int i = 0; i < 20000; i++) {
		char line[sizeof(seed)];

		memcpy(line, seed, sizeof(seed));
		for (u64 n = test_below(4); n < 4; n++)
			line[test_below(sizeof(seed) - 1)] = (char)test_random();
		nanswers = 0;
		request_answer(line, test_below(sizeof(seed)), take, NULL, -1);
		CHECK(nanswers > 0);
	}
}
