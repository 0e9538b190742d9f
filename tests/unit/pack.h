/* SPDX-License-Identifier: MIT */
/* Makes compressed kernels of all formats, for the tests of unpacking. */
#ifndef TESTS_UNIT_PACK_H
#define TESTS_UNIT_PACK_H

#include <lz4hc.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

struct blob {
	u8 *data;
	size_t len;
};

static inline struct blob blob_new(size_t len)
{
	return (struct blob){ .data = malloc(len ? len : 1), .len = len };
}

static inline void put_le32(u8 *p, u32 v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (u8)(v >> 8 * i);
}

/*
 * @len bytes of a likeness of a kernel: machine code (of this program and its
 * libraries), then tables, noise, and zeroes.
 */
static inline struct blob sample(size_t len)
{
	struct blob b = blob_new(len);
	size_t code = len / 2, n = 0;
	FILE *f = fopen("/proc/self/exe", "r");

	while (n < code) {
		size_t got = fread(b.data + n, 1, code - n, f);

		if (!got)
			rewind(f);
		n += got;
	}
	fclose(f);
	for (; n < len; n++)
		b.data[n] = n < len * 3 / 4 ? (u8)(n / 64 * (n % 8)) :
			    n < len * 13 / 16 ? (u8)test_random() : 0;
	if (len >= 4)
		memcpy(b.data, "\x7f" "ELF", 4);
	return b;
}

static inline struct blob pack_gzip(struct blob in)
{
	z_stream z = { .next_in = in.data, .avail_in = (uInt)in.len };

	deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);

	struct blob out = blob_new(deflateBound(&z, in.len));

	z.next_out = out.data;
	z.avail_out = (uInt)out.len;
	CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.len = z.total_out;
	deflateEnd(&z);
	return out;
}

static inline struct blob pack_xz_filters(struct blob in, const lzma_filter *filters, lzma_check check)
{
	struct blob out = blob_new(lzma_stream_buffer_bound(in.len));
	size_t pos = 0;

	CHECK_EQ(lzma_stream_buffer_encode((lzma_filter *)filters, check, NULL, in.data, in.len,
					   out.data, &pos, out.len), LZMA_OK);
	out.len = pos;
	return out;
}

/* As Linux does it: x86 filter, a large dictionary; @check is a lzma_check. */
static inline struct blob pack_xz_check(struct blob in, lzma_check check, u32 dict)
{
	lzma_options_lzma opt;
	const lzma_filter filters[] = {
		{ .id = LZMA_FILTER_X86 },
		{ .id = LZMA_FILTER_LZMA2, .options = &opt },
		{ .id = LZMA_VLI_UNKNOWN },
	};

	lzma_lzma_preset(&opt, 1);
	opt.dict_size = dict;
	return pack_xz_filters(in, filters, check);
}

static inline struct blob pack_xz(struct blob in)
{
	return pack_xz_check(in, LZMA_CHECK_CRC32, 32 << 20);
}

static inline struct blob pack_lz4(struct blob in)
{
	const size_t chunk = 8 << 20;
	struct blob out = blob_new(in.len + in.len / 128 + 64);

	put_le32(out.data, 0x184c2102);
	out.len = 4;
	for (size_t at = 0; at < in.len; at += chunk) {
		size_t n = in.len - at < chunk ? in.len - at : chunk;
		int got = LZ4_compress_HC((char *)in.data + at, (char *)out.data + out.len + 4,
					  (int)n, LZ4_compressBound((int)n), 9);

		CHECK(got > 0);
		put_le32(out.data + out.len, (u32)got);
		out.len += 4 + (size_t)got;
	}
	return out;
}

/* As Linux does it: a window of 128 MiB, a checksum. */
static inline struct blob pack_zstd(struct blob in)
{
	struct blob out = blob_new(ZSTD_compressBound(in.len));
	ZSTD_CCtx *c = ZSTD_createCCtx();

	ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, 6);
	ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 27);
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	out.len = ZSTD_compress2(c, out.data, out.len, in.data, in.len);
	CHECK(!ZSTD_isError(out.len));
	ZSTD_freeCCtx(c);
	return out;
}

struct packer {
	const char *name;
	struct blob (*pack)(struct blob in);
	enum unpack_format format;
};

static const struct packer packers[] = {
	{ "gzip", pack_gzip, UNPACK_GZIP },
	{ "XZ", pack_xz, UNPACK_XZ },
	{ "LZ4", pack_lz4, UNPACK_LZ4 },
	{ "ZSTD", pack_zstd, UNPACK_ZSTD },
};

/*
 * A bzImage around a payload: @sectors real-mode sectors, then @gap bytes, then the
 * payload with its size behind it (gzip has it inside).
 */
static inline struct blob make_bzimage(struct blob payload, u32 size, bool has_size, u8 sectors, u32 gap)
{
	size_t setup = (size_t)(sectors ? sectors + 1 : 5) * 512;
	size_t len = payload.len + (has_size ? 0 : 4);
	struct blob out = blob_new(setup + gap + len + 100);

	memset(out.data, 0, out.len);
	out.data[0x1f1] = sectors;
	out.data[0x1fe] = 0x55;
	out.data[0x1ff] = 0xaa;
	memcpy(out.data + 0x202, "HdrS", 4);
	out.data[0x206] = 0x0f;
	out.data[0x207] = 0x02;
	put_le32(out.data + 0x248, gap);
	put_le32(out.data + 0x24c, (u32)len);
	memcpy(out.data + setup + gap, payload.data, payload.len);
	if (!has_size)
		put_le32(out.data + setup + gap + payload.len, size);
	return out;
}

#endif
