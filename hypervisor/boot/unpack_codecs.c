/* SPDX-License-Identifier: MIT */
/* Calls into zlib, liblz4 and libzstd: one whole stream, memory to memory. */

/*
 * Compiled against the libraries' own headers, not the hypervisor's (unpack.mk),
 * and linked with them into one object of which only the functions of
 * unpack_codecs.h are visible.
 */

#define LZ4_STATIC_LINKING_ONLY
#define ZSTD_STATIC_LINKING_ONLY
#define ZSTD_DISABLE_DEPRECATE_WARNINGS

#include <limits.h>
#include <lz4.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <boot/unpack_codecs.h>

static void *zlib_alloc(void *opaque, unsigned int n, unsigned int size)
{
	(void)opaque;
	return unpack_calloc(n, size);
}

static void zlib_free(void *opaque, void *block)
{
	(void)opaque;
	unpack_free(block);
}

static unsigned int clamp(size_t n)
{
	return n < UINT_MAX ? (unsigned int)n : UINT_MAX;
}

static const char *gzip_error(int rc, const z_stream *z)
{
	switch (rc) {
	case Z_STREAM_END:
		return NULL;
	case Z_MEM_ERROR:
		return UNPACK_NO_MEMORY;
	case Z_OK:
	case Z_BUF_ERROR:
		return z->avail_in ? UNPACK_TOO_LARGE : UNPACK_TRUNCATED;
	default:
		return UNPACK_CORRUPT;
	}
}

void unpack_gzip(struct unpack_job *job)
{
	z_stream z = {
		.next_in = (uint8_t *)job->src, .avail_in = clamp(job->len),
		.next_out = job->dst, .avail_out = clamp(job->cap),
		.zalloc = zlib_alloc, .zfree = zlib_free,
	};
	int rc = inflateInit2(&z, 16 + MAX_WBITS);	/* 16: expect a gzip header */

	if (rc == Z_OK) {
		rc = inflate(&z, Z_FINISH);
		job->out = z.total_out;
		job->error = gzip_error(rc, &z);
		inflateEnd(&z);
	} else {
		job->error = gzip_error(rc, &z);
	}
}

#define LZ4_LEGACY_MAGIC	0x184c2102
#define LZ4_LEGACY_CHUNK	(8 << 20)	/* unpacked size of all chunks but the last */

/* The legacy frame: a magic number, then independent chunks, each preceded by its packed size. */
void unpack_lz4(struct unpack_job *job)
{
	size_t pos = 4;

	job->error = UNPACK_TRUNCATED;
	if (job->len < 4)
		return;
	if (unpack_le32(job->src) != LZ4_LEGACY_MAGIC) {
		job->error = UNPACK_CORRUPT;
		return;
	}

	while (pos < job->len) {
		if (job->len - pos < 4)
			return;

		uint32_t size = unpack_le32(job->src + pos);
		size_t room = job->cap - job->out;

		pos += 4;
		if (size > LZ4_COMPRESSBOUND(LZ4_LEGACY_CHUNK)) {
			job->error = UNPACK_CORRUPT;
			return;
		}
		if (size > job->len - pos)
			return;
		if (room > LZ4_LEGACY_CHUNK)
			room = LZ4_LEGACY_CHUNK;

		int n = LZ4_decompress_safe((const char *)job->src + pos, (char *)job->dst + job->out,
					    (int)size, (int)room);

		if (n < 0) {
			job->error = UNPACK_CORRUPT;
			return;
		}
		pos += size;
		job->out += (size_t)n;
	}
	job->error = NULL;
}

/*
 * The "bufferless" interface: the output itself serves as the window, so even
 * window sizes of 128 MiB cost no memory.
 */
void unpack_zstd(struct unpack_job *job)
{
	size_t size = ZSTD_estimateDCtxSize(), pos = 0;
	void *memory = unpack_malloc(size);
	ZSTD_DCtx *dctx = memory ? ZSTD_initStaticDCtx(memory, size) : NULL;

	if (!dctx || ZSTD_isError(ZSTD_decompressBegin(dctx))) {
		job->error = UNPACK_NO_MEMORY;
		return;
	}
	while ((size = ZSTD_nextSrcSizeToDecompress(dctx)) != 0) {
		if (size > job->len - pos) {
			job->error = UNPACK_TRUNCATED;
			break;
		}

		size_t n = ZSTD_decompressContinue(dctx, job->dst + job->out, job->cap - job->out,
						   job->src + pos, size);

		if (ZSTD_isError(n)) {
			job->error = ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall ? UNPACK_TOO_LARGE
											 : UNPACK_CORRUPT;
			break;
		}
		pos += size;
		job->out += n;
	}
	unpack_free(memory);
}
