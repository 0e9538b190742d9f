/* SPDX-License-Identifier: MIT */
/* Fuzzing: headers of qcow2 images. What is accepted has names that are strings, and a disk of a possible size. */
/* sources: tools/lib/qcow2.c */
/* flags: -max_len=1024 */
#include <lib/qcow2.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) do { if (!(condition)) abort(); } while (0)

/* Most inputs get this far by themselves only after a long time. */
static void try(const uint8_t *data, size_t size)
{
	struct qcow2 q;
	const char *wrong = qcow2_parse(data, size, &q);

	REQUIRE(!wrong || *wrong);
	if (wrong)
		return;
	REQUIRE(q.size && strlen(q.backing) <= QCOW2_NAME_MAX && strlen(q.backing_format) < sizeof(q.backing_format));
	for (const char *c = q.backing; *c; c++)
		REQUIRE((unsigned char)*c >= ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t start[24] = "QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\x80\0\0\0\x10\0\0\0\x10";
	uint8_t *copy = malloc(size ? size : 1);

	if (size)
		memcpy(copy, data, size);
	try(copy, size);
	for (size_t i = 0; i < sizeof(start) && i < size; i++)
		copy[i] = start[i];
	try(copy, size);
	/* With what an image of version 3 has to have, of the extensions' place and their end. */
	if (size >= 112) {
		memset(copy + 32, 0, 4);
		memset(copy + 72, 0, 8);
		memcpy(copy + 100, "\0\0\0\x68", 4);
		memcpy(copy + 24, "\0\0\0\0", 4);
		try(copy, size);
	}
	free(copy);
	return 0;
}
