/* SPDX-License-Identifier: MIT */
/* The border between the hypervisor and its decoders, most of which are Debian's libraries. */
#ifndef BOOT_UNPACK_CODECS_H
#define BOOT_UNPACK_CODECS_H

/*
 * Included from both sides, which have different worlds of headers; so only the
 * compiler's own types are used. See docs/design/001-boot-decompressors.md.
 */
#include <stddef.h>
#include <stdint.h>

struct unpack_job {
	const uint8_t *src;
	size_t len;
	uint8_t *dst;
	size_t cap;		/* room at dst */
	size_t out;		/* result: bytes written */
	const char *error;	/* result: NULL, or what is wrong with src */
};

/* Messages, made as for unpack(). */
#define UNPACK_NO_MEMORY	"not enough memory to unpack it"
#define UNPACK_TRUNCATED	"the compressed data is truncated"
#define UNPACK_CORRUPT		"the compressed data is corrupt"
#define UNPACK_TOO_LARGE	"the unpacked data is larger than announced"

/*
 * Decode one stream. They use SSE registers, %fs:0x28 and the red zone, and so may
 * be called only within unpack_run(). Safe against any content of src. What follows
 * the stream in src is ignored.
 */
void unpack_gzip(struct unpack_job *job);
void unpack_xz(struct unpack_job *job);
void unpack_lz4(struct unpack_job *job);	/* legacy frame */
void unpack_zstd(struct unpack_job *job);

/* What the decoders share. */
static inline uint32_t unpack_le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* What the libraries get for the C library's allocator and stack protector: unpack_shim.c. */
void *unpack_malloc(size_t size);
void *unpack_calloc(size_t n, size_t size);
void unpack_free(void *block);
void unpack_stack_smashed(void) __attribute__((noreturn));
unsigned long long unpack_trace_begin(void);
void unpack_trace_end(void);

#endif
