/* SPDX-License-Identifier: MIT */
/* Fuzzing: the request that a client of the console daemon sends. What is accepted is within its ranges, and what is refused says why. */
/* sources: tools/consoled/request.c tools/lib/err.c */
/* libs: -ljansson */
/* flags: -dict=console_request.dict -max_len=600 */
/* runs: 100000 */
#include <consoled/request.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request r;
	struct err e = { 0 };
	int rc = request_parse((const char *)data, size < REQUEST_MAX ? size : REQUEST_MAX, &r, &e);

	if (rc) {
		REQUIRE(rc == -EINVAL && e.code[0] && e.text[0]);
		return 0;
	}
	REQUIRE(r.domid >= -1 && r.domid < (int)DOMID_FIRST_RESERVED);
	REQUIRE((r.domid == -1) == (r.name[0] != '\0') && memchr(r.name, '\0', sizeof(r.name)));
	REQUIRE(r.backlog <= INT64_MAX && r.offset <= INT64_MAX);
	return 0;
}
