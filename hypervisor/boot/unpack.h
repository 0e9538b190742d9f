/* SPDX-License-Identifier: MIT */
/* Unpacking of compressed boot modules: gzip, XZ, LZ4 (legacy frame), ZSTD. */
#ifndef BOOT_UNPACK_H
#define BOOT_UNPACK_H

#include <lib/types.h>

enum unpack_format {
	UNPACK_UNKNOWN,		/* no magic number that we know */
	UNPACK_ELF,		/* not compressed */
	UNPACK_GZIP,
	UNPACK_XZ,
	UNPACK_LZ4,
	UNPACK_ZSTD,
	/* Recognised, so that the message can say what it is; not supported. */
	UNPACK_BZIP2,
	UNPACK_LZMA,
	UNPACK_LZO,
	UNPACK_LZ4_FRAME,
};

/* The format by its magic number. */
enum unpack_format unpack_identify(const void *src, size_t len);

/* NULL if unpack() can handle the format, else a message saying why not. */
const char *unpack_unsupported(enum unpack_format format);

/* Working memory of unpack(): the greatest need is ZSTD's, for its tables. */
#define UNPACK_WORK_SIZE	KiB(576)

/*
 * Unpack the stream at @src (@len bytes; what follows the stream is ignored, except
 * for LZ4, where it must be cut off) to @dst, at most @cap bytes, which must not
 * overlap. @work is UNPACK_WORK_SIZE bytes of scratch memory. Any content of @src is
 * safe. Takes as long as the decoder does, with interrupts off (see unpack_run.h for
 * the context).
 * Returns 0 with the number of bytes in *@out; -EOPNOTSUPP for a format that is not
 * supported, or -EINVAL for bad data, with a message in *@error, made to follow
 * "cannot unpack NAME: ".
 */
int __must_check unpack(const void *src, size_t len, void *dst, size_t cap, void *work, size_t *out, const char **error);

#endif
