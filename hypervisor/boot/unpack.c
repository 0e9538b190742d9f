/* SPDX-License-Identifier: MIT */
/* Unpacking of compressed boot modules. */

#include <boot/unpack.h>
#include <boot/unpack_run.h>
#include <boot/unpack_shim.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <x86/layout.h>

static void (*__init codec_of(enum unpack_format format))(struct unpack_job *)
{
	switch (format) {
	case UNPACK_GZIP: return unpack_gzip;
	case UNPACK_XZ: return unpack_xz;
	case UNPACK_LZ4: return unpack_lz4;
	default: return unpack_zstd;
	}
}

int __init unpack(const void *src, size_t len, void *dst, size_t cap, void *work, size_t *out, const char **error)
{
	enum unpack_format format = unpack_identify(src, len);
	struct unpack_job job = { .src = src, .len = len, .dst = dst, .cap = cap };

	*error = unpack_unsupported(format);
	if (*error)
		return -EOPNOTSUPP;

	/*
	 * The stack lies above the arena: should it overflow, it reaches what is used last.
	 * It must be aligned to its size.
	 */
	_Static_assert(UNPACK_WORK_SIZE >= KiB(512) + 2 * STACK_SIZE, "too little for ZSTD");
	u8 *stack = (u8 *)ALIGN_DOWN((uintptr_t)work + UNPACK_WORK_SIZE, STACK_SIZE) - STACK_SIZE;

	unpack_arena_init(work, (size_t)(stack - (u8 *)work));
	unpack_run(codec_of(format), &job, stack);

	*error = job.error;
	*out = job.out;
	return job.error ? -EINVAL : 0;
}
