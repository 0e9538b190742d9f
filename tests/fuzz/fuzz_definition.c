/* SPDX-License-Identifier: MIT */
/* Fuzzing: definitions. Whatever is accepted survives JSON, text, copying and completion unchanged, and whatever is refused says why. */
/* sources: tools/lib/definition.c tools/lib/definition_check.c tools/lib/definition_complete.c tools/lib/definition_cpus.c tools/lib/definition_disk.c tools/lib/definition_json.c tools/lib/definition_nic.c tools/lib/definition_parse.c tools/lib/definition_syntax.c tools/lib/definition_text.c tools/lib/definition_value.c tools/lib/err.c */
/* libs: -ljansson -luuid */
/* flags: -dict=definition.dict */
#include <lib/definition.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) do { if (!(condition)) abort(); } while (0)

static void warned(const struct err *w, void *ctx)
{
	char text[1024];

	(void)ctx;
	REQUIRE(w->code[0] && w->text[0] && strlen(err_format(w, text, sizeof(text))) > 0);
}

static void unchanged(const struct definition *d)
{
	json_t *a = definition_to_json(d), *b, *c;
	struct definition *back, *copy = definition_copy(d);
	struct err e;

	REQUIRE(a && copy && definition_from_json(a, &back, &e) == 0);
	b = definition_to_json(back);
	c = definition_to_json(copy);
	REQUIRE(json_equal(a, b) && json_equal(a, c));
	json_decref(a);
	json_decref(b);
	json_decref(c);
	definition_free(back);
	definition_free(copy);
}

/* Where it came from is not what it is. */
static json_t *without_places(const struct definition *d)
{
	static const char *const lists[] = { "disks", "nics" };
	json_t *json = definition_to_json(d), *item;
	size_t i;

	json_object_del(json, "file");
	for (size_t l = 0; l < 2; l++)
		json_array_foreach(json_object_get(json, lists[l]), i, item)
			json_object_del(item, "line");
	return json;
}

static void read_again(const struct definition *d)
{
	char *text = definition_to_text(d);
	struct definition *back;
	json_t *a, *b;
	struct err e;

	REQUIRE(text && definition_parse("/etc/xen/vm/fuzz", text, strlen(text), NULL, 0, warned, NULL, &back, &e) == 0);
	a = without_places(d);
	b = without_places(back);
	REQUIRE(json_equal(a, b));
	json_decref(a);
	json_decref(b);
	definition_free(back);
	free(text);
}

/* What is before the first NUL byte is the file, what is behind it an override. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, 0, size);
	size_t len = nul ? (size_t)(nul - data) : size;
	char *override = nul ? strndup((const char *)nul + 1, size - len - 1) : NULL;
	struct definition *d;
	struct err e = { 0 };

	if (definition_parse("/etc/xen/vm/fuzz", (const char *)data, len, &override, nul ? 1 : 0, warned, NULL, &d, &e) == 0) {
		unchanged(d);
		read_again(d);
		REQUIRE(definition_complete(d, &e) == 0);
		unchanged(d);
		read_again(d);
		definition_free(d);
	} else {
		REQUIRE(e.error && e.code[0] && e.text[0]);
	}
	free(override);
	return 0;
}
