/* SPDX-License-Identifier: MIT */
/* Unpacking of compressed boot modules. */

#include <boot/unpack.h>
#include <boot/unpack_run.h>
#include <boot/unpack_shim.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <x86/layout.h>

/* For everything but an XZ dictionary: the greatest is ZSTD's tables. */
#define UNPACK_ARENA	KiB(512)

/* A variable-length integer of an XZ header; ~0 if it does not end before @end. */
static u64 __init xz_integer(const u8 **p, const u8 *end)
{
	u64 value = 0;

	for (unsigned int shift = 0; *p < end && shift < 63; shift += 7) {
		u8 byte = *(*p)++;

		value |= (u64)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	return ~0UL;
}

/*
 * The dictionary that the first block of an XZ stream asks for, but not more than
 * @cap, since a larger one is of no use. Should a later block differ, there is too
 * little memory and unpack() says so; no encoder does that. (Source: The .xz File
 * Format, sections 2.1.1, 3.1, 5.3.1.)
 */
static size_t __init xz_dictionary(const u8 *src, size_t len, size_t cap)
{
	const u8 *p = src + 14, *end = src + len;	/* behind stream header, block header size, flags */
	u8 flags;

	if (len < 14)
		return cap;
	flags = p[-1];
	if (flags & 0x40)
		xz_integer(&p, end);	/* packed size */
	if (flags & 0x80)
		xz_integer(&p, end);	/* unpacked size */
	for (int filters = (flags & 3) + 1; filters; filters--) {
		u64 id = xz_integer(&p, end), size = xz_integer(&p, end);

		if (size > (u64)(end - p))
			return cap;
		if (id == 0x21 && size == 1 && *p < 40)
			return min((size_t)(2 | (*p & 1)) << (*p / 2 + 11), cap);
		p += size;
	}
	return cap;
}

size_t __init unpack_work_size(const void *src, size_t len, size_t cap)
{
	size_t dictionary = unpack_identify(src, len) == UNPACK_XZ ? xz_dictionary(src, len, cap) : 0;

	/* Twice the stack, since it must be aligned to its size. */
	return dictionary + UNPACK_ARENA + 2 * STACK_SIZE;
}

static void (*__init codec_of(enum unpack_format format))(struct unpack_job *)
{
	switch (format) {
	case UNPACK_GZIP: return unpack_gzip;
	case UNPACK_XZ: return unpack_xz;
	case UNPACK_LZ4: return unpack_lz4;
	default: return unpack_zstd;
	}
}

int __init unpack(const void *src, size_t len, void *dst, size_t cap,
		  void *work, size_t work_size, size_t *out, const char **error)
{
	enum unpack_format format = unpack_identify(src, len);
	struct unpack_job job = { .src = src, .len = len, .dst = dst, .cap = cap };

	*error = unpack_unsupported(format);
	if (*error)
		return -EOPNOTSUPP;
	if (work_size < unpack_work_size(src, len, cap)) {
		*error = "not enough memory to unpack it";
		return -ENOMEM;
	}

	/* The stack lies above the arena: should it overflow, it reaches what is used last. */
	u8 *stack = (u8 *)ALIGN_DOWN((uintptr_t)work + work_size, STACK_SIZE) - STACK_SIZE;

	unpack_arena_init(work, (size_t)(stack - (u8 *)work));
	unpack_run(codec_of(format), &job, stack);

	*error = job.error;
	*out = job.out;
	return job.error ? -EINVAL : 0;
}
