/* SPDX-License-Identifier: MIT */
/* Fuzzing: an HTTP request to the manager. Only what begins with one of two words in full gets the page, and what is complete gets an answer. */
/* sources: tools/lodged/http.c tools/lib/err.c */
/* flags: -dict=http.dict -max_len=200 */
/* runs: 200000 */
#include <lodged/http.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	int body = 0;
	unsigned int status = http_judge(text, size, &body);
	bool complete = memmem(text, size, "\r\n\r\n", 4) || memmem(text, size, "\n\n", 2);

	REQUIRE(!status == !complete);
	REQUIRE(!status || status == 200 || status == 400 || status == 404 || status == 405);
	REQUIRE(!body || (!memcmp(text, "GET ", 4) && (status == 200 || status == 404)));
	REQUIRE(status != 200 || !memcmp(text, body ? "GET /metrics" : "HEAD /metrics", body ? 12 : 13));
	return 0;
}
