/* SPDX-License-Identifier: MIT */
/* Fuzzing: LZMA2 data, whole and damaged. We and liblzma accept the same, and get the same from it. */
/* sources: boot/unpack_lzma2.c */
/* libs: -llzma */
/* flags: -max_len=4096 */
#include <lzma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <boot/unpack_lzma2.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) do { if (!(condition)) abort(); } while (0)
#define CAP	20000

static lzma_options_lzma options;
static lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { .id = LZMA_VLI_UNKNOWN } };

void *unpack_calloc(size_t n, size_t size)
{
	return calloc(n, size);
}

void unpack_free(void *block)
{
	free(block);
}

/* What is in @src, followed by as much as an XZ file has behind it; both ends of all buffers are watched. */
static void compare(const uint8_t *src, size_t len)
{
	static uint8_t theirs[CAP];
	size_t in = 0, out = 0, pos = 0;
	lzma_ret rc;
	struct unpack_job job = { .src = calloc(1, len + LZMA2_TAIL), .len = len + LZMA2_TAIL, .dst = malloc(CAP), .cap = CAP };

	memcpy((uint8_t *)job.src, src, len);

	const char *error = unpack_lzma2(&job, &pos);

	/* Without an end mark in the data, ours is the first zero behind it. */
	rc = lzma_raw_buffer_decode(filters, NULL, job.src, &in, job.len, theirs, &out, CAP);
	if (rc == LZMA_OK && in <= len + 1) {
		REQUIRE(!error && pos == in && job.out == out && !memcmp(job.dst, theirs, out));
	} else if (!error) {
		REQUIRE(pos > len + 1);
	}
	free((uint8_t *)job.src);
	free(job.dst);
}

/* Data that can be packed: short repetitions of what came before. */
static void make_plain(uint8_t *plain, const uint8_t *data, size_t size)
{
	for (size_t i = 0, at = 0; i < CAP / 2; i++) {
		uint8_t byte = data[at++ % size];

		plain[i] = byte < 128 || i <= byte ? byte : plain[i - (byte - 100u)];
	}
}

/* Six bytes choose the encoder's options and how many of the next bytes, in threes, say what to change in the result; the rest is what is packed. */
static void damaged(const uint8_t *data, size_t size)
{
	static uint8_t plain[CAP / 2], packed[CAP];
	size_t changes = data[4] % 8, len = 0;

	if (size < 6 + 3 * changes + 1)
		return;
	lzma_lzma_preset(&options, data[0] % 10);
	options.dict_size = CAP;
	options.lc = data[1] % 5;
	options.lp = data[2] % (5 - options.lc);
	options.pb = data[3] % 5;
	make_plain(plain, data + 6 + 3 * changes, size - 6 - 3 * changes);
	REQUIRE(lzma_raw_buffer_encode(filters, NULL, plain, (size_t)data[5] * sizeof(plain) / 255, packed, &len, CAP) == LZMA_OK);
	for (data += 6; changes--; data += 3)
		packed[(data[0] | data[1] << 8) % (data[1] & 0x80 ? 16 : len)] ^= data[2];
	compare(packed, len);
}

/* The first byte chooses what the rest is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	options.dict_size = CAP;	/* the whole output, as we have */
	if (size < 8)
		return 0;
	if (data[0] & 1)
		compare(data + 1, size - 1);
	else
		damaged(data + 1, size - 1);
	return 0;
}
