/* SPDX-License-Identifier: MIT */
/* Fuzzing: definitions that come as JSON from whoever reaches the manager. What is accepted is written back as the same. */
/* sources: tools/lib/definition.c tools/lib/definition_check.c tools/lib/definition_complete.c tools/lib/definition_cpus.c tools/lib/definition_json.c tools/lib/definition_disk.c tools/lib/definition_nic.c tools/lib/definition_parse.c tools/lib/definition_value.c tools/lib/definition_syntax.c tools/lib/err.c */
/* libs: -ljansson -luuid */
/* flags: -dict=definition_json.dict */
#include <lib/definition.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *json = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL), *first, *second;
	struct definition *d, *e;
	struct err error = { 0 };

	if (!json)
		return 0;
	if (definition_from_json(json, &d, &error) == 0) {
		REQUIRE(d->name && d->memory_kib);
		first = definition_to_json(d);
		REQUIRE(first && definition_from_json(first, &e, &error) == 0);
		second = definition_to_json(e);
		REQUIRE(json_equal(first, second));
		json_decref(first);
		json_decref(second);
		definition_free(d);
		definition_free(e);
	} else {
		REQUIRE(error.error && error.text[0]);
	}
	json_decref(json);
	return 0;
}
