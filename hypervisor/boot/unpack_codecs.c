/* SPDX-License-Identifier: MIT */
/* Calls into zlib, liblzma, liblz4 and libzstd: one whole stream, memory to memory. */

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
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "unpack_codecs.h"

static const char no_memory[] = "not enough memory to unpack it";
static const char truncated[] = "the compressed data is truncated";
static const char corrupt[] = "the compressed data is corrupt";
static const char too_large[] = "the unpacked data is larger than announced";

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
		return no_memory;
	case Z_OK:
	case Z_BUF_ERROR:
		return z->avail_in ? too_large : truncated;
	default:
		return corrupt;
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

static void *lzma_get(void *opaque, size_t n, size_t size)
{
	(void)opaque;
	return unpack_calloc(n, size);
}

static void lzma_put(void *opaque, void *block)
{
	(void)opaque;
	unpack_free(block);
}

static const lzma_allocator lzma_memory = { .alloc = lzma_get, .free = lzma_put };

static const char *xz_error(lzma_ret rc)
{
	switch (rc) {
	case LZMA_OK:
		return NULL;
	case LZMA_MEM_ERROR:
		return no_memory;
	case LZMA_OPTIONS_ERROR:
		return "its XZ filters are not supported";
	case LZMA_BUF_ERROR:
		return too_large;
	default:	/* includes a block that is cut off */
		return corrupt;
	}
}

/*
 * A header may ask for a dictionary of up to 4 GiB, and Linux' say 32 or 128 MiB.
 * One as large as the whole output is always enough.
 */
static void bound_dictionary(const lzma_filter *filters, size_t cap)
{
	for (; filters->id != LZMA_VLI_UNKNOWN; filters++) {
		lzma_options_lzma *o = filters->options;

		if (filters->id == LZMA_FILTER_LZMA2 && o->dict_size > cap)
			o->dict_size = cap > LZMA_DICT_SIZE_MIN ? (uint32_t)cap : LZMA_DICT_SIZE_MIN;
	}
}

static const char *xz_block(struct unpack_job *job, size_t *pos, lzma_check check)
{
	lzma_filter filters[LZMA_FILTERS_MAX + 1];
	lzma_block block = { .version = 1, .check = check, .filters = filters,
			     .header_size = lzma_block_header_size_decode(job->src[*pos]) };
	lzma_ret rc;

	if (block.header_size > job->len - *pos)
		return truncated;
	rc = lzma_block_header_decode(&block, &lzma_memory, job->src + *pos);
	if (rc != LZMA_OK)
		return xz_error(rc);
	*pos += block.header_size;
	bound_dictionary(filters, job->cap);
	rc = lzma_block_buffer_decode(&block, &lzma_memory, job->src, pos, job->len,
				      job->dst, &job->out, job->cap);
	lzma_filters_free(filters, &lzma_memory);
	return xz_error(rc);
}

/* Each block carries a checksum of its own; the index behind the last one adds nothing for us. */
void unpack_xz(struct unpack_job *job)
{
	lzma_stream_flags flags;
	size_t pos = LZMA_STREAM_HEADER_SIZE;

	if (job->len > pos)
		job->error = xz_error(lzma_stream_header_decode(&flags, job->src));
	while (!job->error && pos < job->len && job->src[pos] != 0)
		job->error = xz_block(job, &pos, flags.check);
	if (!job->error && pos >= job->len)
		job->error = truncated;
}

static uint32_t get_le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

#define LZ4_LEGACY_MAGIC	0x184c2102
#define LZ4_LEGACY_CHUNK	(8 << 20)	/* unpacked size of all chunks but the last */

/* The legacy frame: a magic number, then independent chunks, each preceded by its packed size. */
void unpack_lz4(struct unpack_job *job)
{
	size_t pos = 4;

	job->error = truncated;
	if (job->len < 4)
		return;
	if (get_le32(job->src) != LZ4_LEGACY_MAGIC) {
		job->error = corrupt;
		return;
	}

	while (pos < job->len) {
		if (job->len - pos < 4)
			return;

		uint32_t size = get_le32(job->src + pos);
		size_t room = job->cap - job->out;

		pos += 4;
		if (size > LZ4_COMPRESSBOUND(LZ4_LEGACY_CHUNK)) {
			job->error = corrupt;
			return;
		}
		if (size > job->len - pos)
			return;
		if (room > LZ4_LEGACY_CHUNK)
			room = LZ4_LEGACY_CHUNK;

		int n = LZ4_decompress_safe((const char *)job->src + pos, (char *)job->dst + job->out,
					    (int)size, (int)room);

		if (n < 0) {
			job->error = corrupt;
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
		job->error = no_memory;
		return;
	}
	while ((size = ZSTD_nextSrcSizeToDecompress(dctx)) != 0) {
		if (size > job->len - pos) {
			job->error = truncated;
			break;
		}

		size_t n = ZSTD_decompressContinue(dctx, job->dst + job->out, job->cap - job->out,
						   job->src + pos, size);

		if (ZSTD_isError(n)) {
			job->error = ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall ? too_large
											 : corrupt;
			break;
		}
		pos += size;
		job->out += n;
	}
	unpack_free(memory);
}
