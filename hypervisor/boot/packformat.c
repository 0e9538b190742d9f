/* SPDX-License-Identifier: MIT */
/* Compression formats by their magic numbers. */

#include <boot/unpack.h>
#include <lib/string.h>

static const struct {
	const char *magic;
	u8 len;
	enum unpack_format format;
} magics[] __initdata = {
	{ "\x7f" "ELF", 4, UNPACK_ELF },
	{ "\x1f\x8b", 2, UNPACK_GZIP },
	{ "\xfd" "7zXZ\0", 6, UNPACK_XZ },
	{ "\x02\x21\x4c\x18", 4, UNPACK_LZ4 },
	{ "\x28\xb5\x2f\xfd", 4, UNPACK_ZSTD },
	{ "BZh", 3, UNPACK_BZIP2 },
	{ "\x5d\0\0", 3, UNPACK_LZMA },
	{ "\x89LZO\0", 5, UNPACK_LZO },
	{ "\x04\x22\x4d\x18", 4, UNPACK_LZ4_FRAME },
};

enum unpack_format __init unpack_identify(const void *src, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if (len >= magics[i].len && memcmp(src, magics[i].magic, magics[i].len) == 0)
			return magics[i].format;
	return UNPACK_UNKNOWN;
}

const char *__init unpack_unsupported(enum unpack_format format)
{
	switch (format) {
	case UNPACK_GZIP:
	case UNPACK_XZ:
	case UNPACK_LZ4:
	case UNPACK_ZSTD:
		return NULL;
	case UNPACK_ELF:
		return "it is not compressed";
	case UNPACK_BZIP2:
		return "unsupported compression bzip2 (supported: gzip, XZ, LZ4, ZSTD)";
	case UNPACK_LZMA:
		return "unsupported compression LZMA (supported: gzip, XZ, LZ4, ZSTD)";
	case UNPACK_LZO:
		return "unsupported compression LZO (supported: gzip, XZ, LZ4, ZSTD)";
	case UNPACK_LZ4_FRAME:
		return "unsupported variant of LZ4 (kernels use the legacy frame, lz4 -l)";
	case UNPACK_UNKNOWN:
		break;
	}
	return "it is neither ELF nor in a compression format known to us";
}
