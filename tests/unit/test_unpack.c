/* SPDX-License-Identifier: MIT */
/* Unit tests: unpacking, with good, lying and damaged streams. */
/* sources: boot/packformat.c boot/unpack.c boot/unpack_shim.c boot/unpack_codecs.c boot/unpack_lzma2.c boot/unpack_xz.c */
/* libs: -lz -llzma -llz4 -lzstd */
#include "test.h"
#include "guard.h"

#include <boot/unpack.h>
#include <lib/errno.h>

#include "fake_unpack_run.h"
#include "pack.h"

/* Unpack a copy of @in that ends at a guard page into @cap such bytes. The caller frees *dst. */
static int try(struct blob in, size_t cap, struct guarded *dst, size_t *out, const char **error)
{
	struct guarded src = guarded_new(in.len);

	memcpy(src.data, in.data, in.len);

	void *work = mmap(NULL, UNPACK_WORK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*dst = guarded_new(cap);
	*out = 0;
	*error = NULL;

	int rc = unpack(src.data, in.len, dst->data, cap, work, out, error);

	CHECK_EQ(rc == 0, *error == NULL);
	CHECK(*out <= cap);
	guarded_free(&src);
	munmap(work, UNPACK_WORK_SIZE);
	return rc;
}

static void expect(struct blob in, size_t cap, int rc, const char *message, struct blob plain)
{
	struct guarded dst;
	const char *error;
	size_t out;

	CHECK_EQ(try(in, cap, &dst, &out, &error), rc);
	if (message)
		CHECK_STR(error, message);
	if (rc == 0) {
		CHECK_EQ(out, plain.len);
		CHECK(memcmp(dst.data, plain.data, plain.len) == 0);
	}
	guarded_free(&dst);
}

static const char too_large[] = "the unpacked data is larger than announced";
static const char truncated[] = "the compressed data is truncated";
static const char corrupt[] = "the compressed data is corrupt";
static const char bad_filter[] = "its XZ filters are not supported (Linux uses LZMA2 and x86)";

TEST(round_trip)
{
	/* Sizes around the chunk of LZ4 and the windows of the others. */
	static const size_t sizes[] = { 0, 1, 5, 4095, 70000, 8 << 20, (8 << 20) + 1, 20 << 20 };

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct blob plain = sample(sizes[s]);

		for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
			struct blob in = packers[i].pack(plain);

			CHECK_EQ(unpack_identify(in.data, in.len), packers[i].format);
			expect(in, plain.len, 0, NULL, plain);
			expect(in, plain.len + 12345, 0, NULL, plain);

			/* One byte too few; LZ4 cannot tell that from corruption. */
			if (plain.len)
				expect(in, plain.len - 1, -EINVAL,
				       packers[i].format == UNPACK_LZ4 ? corrupt : too_large, plain);
			free(in.data);
		}
		free(plain.data);
	}
}

TEST(cut_at_every_byte)
{
	struct blob plain = sample(3000);

	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob in = packers[i].pack(plain), cut = in;

		for (cut.len = 0; cut.len < in.len; cut.len++) {
			struct guarded dst;
			const char *error;
			size_t out;
			int rc = try(cut, plain.len, &dst, &out, &error);

			/* An LZ4 legacy frame has no end mark: nothing but the magic number is valid. */
			if (packers[i].format == UNPACK_LZ4 && cut.len == 4)
				CHECK(rc == 0 && out == 0);
			/* The index of an XZ file is not needed. */
			else if (packers[i].format == UNPACK_XZ && rc == 0)
				CHECK(out == plain.len && cut.len > in.len - 64);
			else
				CHECK(rc == -EINVAL || rc == -EOPNOTSUPP);
			if (cut.len > 100 && packers[i].format == UNPACK_GZIP)
				CHECK_STR(error, truncated);
			guarded_free(&dst);
		}
		free(in.data);
	}
	free(plain.data);
}

/* Damage never does worse than an error; with a checksum, it never goes unnoticed. */
TEST(random_damage)
{
	struct blob plain = sample(20000);

	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob in = packers[i].pack(plain), bad = blob_new(in.len);
		int errors = 0;

		for (int step = 0; step < 1500; step++) {
			struct guarded dst;
			const char *error;
			size_t out;
			int flips = 1 + (int)test_below(step % 2 ? 1 : 20);

			memcpy(bad.data, in.data, in.len);
			while (flips--)
				/* Often in the headers at the beginning, where the lies are. */
				bad.data[test_below(test_below(2) ? 64 : in.len)] ^= (u8)(1 + test_below(255));

			int rc = try(bad, plain.len, &dst, &out, &error);

			errors += rc != 0;
			if (rc == 0 && packers[i].format != UNPACK_LZ4)
				CHECK(memcmp(dst.data, plain.data, out) == 0);
			guarded_free(&dst);
		}
		CHECK(errors > 200);
		free(bad.data);
		free(in.data);
	}
	free(plain.data);
}

TEST(xz_of_several_blocks)
{
	/* As multi-threaded xz writes it; memory must be reused from block to block. */
	struct blob plain = sample(1 << 20), in = blob_new(lzma_stream_buffer_bound(1 << 20) + 65536);
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_mt mt = { .threads = 1, .block_size = 65536, .preset = 0, .check = LZMA_CHECK_CRC32 };

	CHECK_EQ(lzma_stream_encoder_mt(&s, &mt), LZMA_OK);
	s.next_in = plain.data;
	s.avail_in = plain.len;
	s.next_out = in.data;
	s.avail_out = in.len;
	CHECK_EQ(lzma_code(&s, LZMA_FINISH), LZMA_STREAM_END);
	in.len = s.total_out;
	lzma_end(&s);
	expect(in, plain.len, 0, NULL, plain);
	free(in.data);
	free(plain.data);
}

TEST(every_xz_check)
{
	static const char refused[] = "its XZ check is not supported (Linux uses CRC32)";
	static const struct {
		lzma_check check;
		const char *message;
	} checks[] = {
		{ LZMA_CHECK_NONE }, { LZMA_CHECK_CRC32 }, { LZMA_CHECK_CRC64, refused }, { LZMA_CHECK_SHA256, refused },
	};
	struct blob plain = sample(50000);

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct blob in = pack_xz_check(plain, checks[i].check, 1536 << 20);

		expect(in, plain.len, checks[i].message ? -EINVAL : 0, checks[i].message, plain);
		free(in.data);
	}
	free(plain.data);
}

TEST(every_lzma_property)
{
	struct blob plain = sample(40000);
	lzma_options_lzma o;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &o }, { .id = LZMA_VLI_UNKNOWN } };

	for (u32 i = 0; i < 9 * 5 * 5; i++) {
		lzma_lzma_preset(&o, i % 10 | (i % 20 < 10 ? LZMA_PRESET_EXTREME : 0));
		o.dict_size = 1 << 20;
		o.lc = i % 9;
		o.lp = i / 9 % 5;
		o.pb = i / 45;
		if (o.lc + o.lp > 4)
			continue;

		struct blob in = pack_xz_filters(plain, filters, LZMA_CHECK_CRC32);

		expect(in, plain.len, 0, NULL, plain);
		free(in.data);
	}
	free(plain.data);
}

TEST(other_xz_filters)
{
	struct blob plain = sample(5000);
	lzma_options_lzma o;
	lzma_options_delta delta = { .type = LZMA_DELTA_TYPE_BYTE, .dist = 4 };
	lzma_options_bcj start = { .start_offset = 16 };
	const lzma_filter lists[][4] = {
		{ { LZMA_FILTER_DELTA, &delta }, { LZMA_FILTER_LZMA2, &o }, { .id = LZMA_VLI_UNKNOWN } },
		{ { LZMA_FILTER_ARM, NULL }, { LZMA_FILTER_LZMA2, &o }, { .id = LZMA_VLI_UNKNOWN } },
		{ { LZMA_FILTER_X86, &start }, { LZMA_FILTER_LZMA2, &o }, { .id = LZMA_VLI_UNKNOWN } },
		{ { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_LZMA2, &o }, { .id = LZMA_VLI_UNKNOWN } },
	};

	lzma_lzma_preset(&o, 1);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct blob in = pack_xz_filters(plain, lists[i], LZMA_CHECK_CRC32);

		expect(in, plain.len, -EINVAL, bad_filter, plain);
		free(in.data);
	}
	free(plain.data);
}

/* LZMA2 data of one chunk. */
static struct blob pack_lzma2(struct blob plain)
{
	lzma_options_lzma o;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &o }, { .id = LZMA_VLI_UNKNOWN } };
	struct blob out = blob_new(plain.len + 1000);
	size_t len = 0;

	lzma_lzma_preset(&o, 1);
	CHECK_EQ(lzma_raw_buffer_encode(filters, NULL, plain.data, plain.len, out.data, &len, out.len), LZMA_OK);
	out.len = len;
	return out;
}

#define XZ_BLOCK	12	/* offset of the first block */

/* An XZ file of one block with that header, from its flags on, and that data, and as many zeroes as index and footer have bytes. */
static struct blob make_xz(struct blob header, struct blob data, struct blob plain)
{
	struct blob out = blob_new(header.len + data.len + 100);
	size_t size = ALIGN_UP(1 + header.len, 4) + 4, at = XZ_BLOCK + size;

	memset(out.data, 0, out.len);
	memcpy(out.data, "\xfd" "7zXZ\0\0\1", 8);
	put_le32(out.data + 8, lzma_crc32(out.data + 6, 2, 0));
	out.data[XZ_BLOCK] = (u8)(size / 4 - 1);
	memcpy(out.data + XZ_BLOCK + 1, header.data, header.len);
	put_le32(out.data + at - 4, lzma_crc32(out.data + XZ_BLOCK, size - 4, 0));
	memcpy(out.data + at, data.data, data.len);
	at += ALIGN_UP(data.len, 4);
	put_le32(out.data + at, lzma_crc32(plain.data, plain.len, 0));
	out.len = at + 4 + 20;
	return out;
}

TEST(xz_block_headers)
{
	struct blob plain = { (u8 *)"one two three four five six seven eight", 39 }, data = pack_lzma2(plain);
	const struct {
		u8 header[16];
		size_t len;
		const char *message;
	} cases[] = {
		{ { 0x00, 0x21, 1, 22 }, 4 },
		{ { 0x40, (u8)data.len, 0x21, 1, 22 }, 5 },
		{ { 0x80, 39, 0x21, 1, 22 }, 5 },
		{ { 0xc0, (u8)data.len, 39, 0x21, 1, 22 }, 6 },
		{ { 0x01, 0x04, 0, 0x21, 1, 22 }, 6 },
		{ { 0x40, (u8)data.len - 1, 0x21, 1, 22 }, 5, corrupt },
		{ { 0x80, 40, 0x21, 1, 22 }, 5, corrupt },
		{ { 0x04, 0x21, 1, 22 }, 4, bad_filter },
		{ { 0x00, 0x03, 1, 0 }, 4, bad_filter },
		{ { 0x00, 0x04, 0 }, 3, bad_filter },
		{ { 0x00, 0x21, 0 }, 3, bad_filter },
		{ { 0x00, 0x21, 2, 22, 0 }, 5, bad_filter },
		{ { 0x00, 0x21, 1, 41 }, 4, bad_filter },
		{ { 0x00, 0x21, 1, 22, 1 }, 5, bad_filter },
		{ { 0x01, 0x21, 1, 22, 0x21, 1, 22 }, 7, bad_filter },
		{ { 0x02, 0x04, 0, 0x04, 0, 0x21, 1, 22 }, 8, bad_filter },
		{ { 0x00, 0x21, 120, 22 }, 4, corrupt },
		{ { 0x00, 0xa1, 0, 1, 22 }, 5, corrupt },
		{ { 0x00, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x0a, 1, 22 }, 13, corrupt },
		{ { 0xc0, 0x80, 0x80 }, 3, corrupt },
	};

	CHECK(data.len < 60 && data.len % 4);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct blob in = make_xz((struct blob){ (u8 *)cases[i].header, cases[i].len }, data, plain);

		expect(in, plain.len, cases[i].message ? -EINVAL : 0, cases[i].message, plain);
		free(in.data);
	}

	/* Each of these bytes matters, though the checksums that would notice are right: the stream's flags, a checksum, padding. */
	struct blob in = make_xz((struct blob){ (u8 *)cases[0].header, cases[0].len }, data, plain);
	const size_t bytes[] = { 6, 8, XZ_BLOCK + 8, in.len - 20 - 4, in.len - 20 - 4 - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		in.data[bytes[i]] ^= 1;
		if (bytes[i] == 6)
			put_le32(in.data + 8, lzma_crc32(in.data + 6, 2, 0));
		expect(in, plain.len, -EINVAL, corrupt, plain);
		in.data[bytes[i]] ^= 1;
		put_le32(in.data + 8, lzma_crc32(in.data + 6, 2, 0));
	}
	expect(in, plain.len, 0, NULL, plain);
	free(in.data);
	free(data.data);
}

/* Stored bytes between two chunks, of which the second goes on with the state of the first: only if they do not begin a new dictionary. */
TEST(xz_stored_chunk)
{
	static const u8 header[] = { 0x00, 0x21, 1, 22 };
	static const struct {
		u8 control;
		const char *message;
	} cases[] = { { 2 }, { 1, corrupt }, { 3, corrupt }, { 0x7f, corrupt } };
	struct blob plain = blob_new((2 << 20) + 5000), whole = blob_new(plain.len + 16);

	memset(whole.data, 0, whole.len);
	memset(plain.data, 0, plain.len);

	struct blob data = pack_lzma2(plain), more = blob_new(data.len + 3 + 16);
	size_t first = 6 + (size_t)(data.data[3] << 8 | data.data[4]) + 1;

	CHECK(data.data[0] == 0xff && first < data.len && data.data[first] == 0x80);
	memset(more.data, 0, more.len);
	memcpy(more.data, data.data, first);
	more.data[first + 2] = 16 - 1;
	memcpy(more.data + first + 3 + 16, data.data + first, data.len - first);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		more.data[first] = cases[i].control;

		struct blob in = make_xz((struct blob){ (u8 *)header, 4 }, more, whole);

		expect(in, whole.len, cases[i].message ? -EINVAL : 0, cases[i].message, whole);
		free(in.data);
	}
	free(plain.data);
	free(whole.data);
	free(data.data);
	free(more.data);
}

/* A chunk that claims to be shorter than its symbols are, and nothing behind it: the decoder reads on, but not past the end. */
TEST(xz_chunk_cut_short)
{
	static const u8 header[] = { 0x00, 0x21, 1, 22 };
	struct blob plain = sample(3000), data = pack_lzma2(plain), in = make_xz((struct blob){ (u8 *)header, 4 }, data, plain);
	u8 *chunk = in.data + XZ_BLOCK + 12;
	size_t packed = (size_t)(chunk[3] << 8 | chunk[4]) + 1;

	CHECK(chunk[0] == 0xe0 && 6 + packed + 1 == data.len);
	for (size_t n = 1; n < packed; n += 3) {
		for (size_t behind = 0; behind < 25; behind += 12) {
			in.len = (size_t)(chunk + 6 + n + behind - in.data);
			chunk[3] = (u8)((n - 1) >> 8);
			chunk[4] = (u8)(n - 1);
			expect(in, plain.len, -EINVAL, behind <= 20 ? truncated : corrupt, plain);
		}
	}
	free(plain.data);
	free(data.data);
	free(in.data);
}

/* Bytes that the x86 filter looks at, in all mixtures: opcodes among displacements, near, far, and cut off. */
TEST(x86_filter)
{
	static const u8 bytes[] = { 0xe8, 0xe9, 0x00, 0xff, 0xe8, 0x01, 0xfe, 0x7f };
	const size_t plain_max = 60000;
	struct blob plain = blob_new(plain_max);

	for (int round = 0; round < 80; round++) {
		u32 mix = 1 + test_below(ARRAY_SIZE(bytes));

		plain.len = round < 50 ? (size_t)round : test_below(plain_max);
		for (size_t i = 0; i < plain.len; i++)
			plain.data[i] = test_below(20) ? bytes[test_below(mix)] : (u8)test_random();

		struct blob in = pack_xz(plain);

		expect(in, plain.len, 0, NULL, plain);
		free(in.data);
	}
	free(plain.data);
}

TEST(size_bomb)
{
	/* 64 MiB of zeroes in a few kB, where 1 MiB is expected. */
	struct blob plain = blob_new(64 << 20);

	memset(plain.data, 0, plain.len);
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob in = packers[i].pack(plain);

		expect(in, 1 << 20, -EINVAL,
		       packers[i].format == UNPACK_LZ4 ? corrupt : too_large, plain);
		free(in.data);
	}
	free(plain.data);
}

TEST(unsupported)
{
	static const struct {
		char start[8];
		const char *message;
	} cases[] = {
		{ "BZh91AY", "unsupported compression bzip2 (supported: gzip, XZ, LZ4, ZSTD)" },
		{ "\x5d\0\0\x80", "unsupported compression LZMA (supported: gzip, XZ, LZ4, ZSTD)" },
		{ "\x89LZO\0\r\n", "unsupported compression LZO (supported: gzip, XZ, LZ4, ZSTD)" },
		{ "\x04\x22\x4d\x18", "unsupported variant of LZ4 (kernels use the legacy frame, lz4 -l)" },
		{ "\x7f" "ELF", "it is not compressed" },
		{ "hello", "it is neither ELF nor in a compression format known to us" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect((struct blob){ (u8 *)cases[i].start, 8 }, 100, -EOPNOTSUPP, cases[i].message,
		       (struct blob){ });
	expect((struct blob){ (u8 *)"", 0 }, 100, -EOPNOTSUPP,
	       "it is neither ELF nor in a compression format known to us", (struct blob){ });
}
