/* SPDX-License-Identifier: MIT */
/* Unit tests: unpacking, with good, lying and damaged streams. */
/* sources: boot/packformat.c boot/unpack.c boot/unpack_shim.c boot/unpack_codecs.c */
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

	size_t size = unpack_work_size(src.data, in.len, cap);
	void *work = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*dst = guarded_new(cap);
	*out = 0;
	*error = NULL;

	int rc = unpack(src.data, in.len, dst->data, cap, work, size, out, error);

	CHECK_EQ(rc == 0, *error == NULL);
	CHECK(*out <= cap);
	guarded_free(&src);
	munmap(work, size);
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
	static const lzma_check checks[] = { LZMA_CHECK_NONE, LZMA_CHECK_CRC32, LZMA_CHECK_CRC64,
					     LZMA_CHECK_SHA256 };
	struct blob plain = sample(50000);

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct blob in = pack_xz_check(plain, checks[i], 1536 << 20);

		expect(in, plain.len, 0, NULL, plain);
		free(in.data);
	}
	free(plain.data);
}

TEST(work_size)
{
	struct blob plain = sample(20000), xz = pack_xz_check(plain, LZMA_CHECK_CRC32, 32 << 20);
	struct blob gz = pack_gzip(plain);
	size_t base = unpack_work_size(gz.data, gz.len, 1 << 30);

	CHECK(base <= 1 << 20);
	CHECK_EQ(unpack_work_size(xz.data, xz.len, 64 << 20), base + (32 << 20));
	CHECK_EQ(unpack_work_size(xz.data, xz.len, 16 << 20), base + (16 << 20));
	CHECK_EQ(unpack_work_size(xz.data, 16, 64 << 20), base + (64 << 20));
	free(plain.data);
	free(xz.data);
	free(gz.data);

	/* A block with both sizes in its header, as multi-threaded xz writes it, and 3 MiB of dictionary. */
	static const u8 mt[] = "\xfd" "7zXZ\0\0\1\x69\x22\xde\x36\3\xc1\x80\x80\4\x80\x80\4\4\0\x21\1\x13";

	CHECK_EQ(unpack_work_size(mt, sizeof(mt) - 1, 64 << 20), base + (3 << 20));
	CHECK_EQ(unpack_work_size(mt, sizeof(mt) - 2, 64 << 20), base + (64 << 20));
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

	/* Too little working memory is refused at once. */
	u8 gz[] = { 0x1f, 0x8b, 8 }, work[64];
	const char *error;
	size_t out;

	CHECK_EQ(unpack(gz, 3, work, 1, work, sizeof(work), &out, &error), -ENOMEM);
}
