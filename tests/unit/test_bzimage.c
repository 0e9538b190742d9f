/* SPDX-License-Identifier: MIT */
/* Unit tests: finding the kernel in a boot module. */
/* sources: boot/bzimage.c boot/packformat.c boot/unpack.c boot/unpack_shim.c boot/unpack_codecs.c boot/unpack_lzma2.c boot/unpack_xz.c */
/* libs: -lz -llzma -llz4 -lzstd */
#include "test.h"

#include <boot/bzimage.h>
#include <lib/errno.h>

#include "fake_unpack_run.h"
#include "pack.h"

static void refused(const void *file, size_t len, int rc, const char *message)
{
	struct bzimage k = { };
	const char *error = NULL;

	CHECK_EQ(bzimage_parse(file, len, &k, &error), rc);
	CHECK_STR(error, message);
	CHECK(!k.data);
}

TEST(good_images)
{
	static const struct {
		u8 sectors;
		u32 gap;
	} shapes[] = { { 0, 0 }, { 1, 716 }, { 39, 716 }, { 255, 100000 } };
	struct blob plain = sample(20000);

	for (size_t i = 0; i < ARRAY_SIZE(packers) * ARRAY_SIZE(shapes); i++) {
		const struct packer *p = &packers[i % ARRAY_SIZE(packers)];
		u8 sectors = shapes[i / ARRAY_SIZE(packers)].sectors;
		u32 gap = shapes[i / ARRAY_SIZE(packers)].gap;
		struct blob packed = p->pack(plain);
		struct blob image = make_bzimage(packed, (u32)plain.len, p->format == UNPACK_GZIP, sectors, gap);
		struct bzimage k = { };
		const char *error = NULL;

		CHECK_EQ(bzimage_parse(image.data, image.len, &k, &error), 0);
		CHECK_EQ(k.format, p->format);
		CHECK_EQ(k.size, plain.len);
		CHECK_EQ(k.len, packed.len);
		CHECK((const u8 *)k.data == image.data + (sectors ? sectors + 1 : 5) * 512 + gap);
		free(packed.data);
		free(image.data);
	}
	free(plain.data);
}

TEST(elf_and_gzip_without_a_header)
{
	struct blob plain = sample(5000), gz = pack_gzip(plain), xz = pack_xz(plain);
	struct bzimage k;
	const char *error;

	CHECK_EQ(bzimage_parse(plain.data, plain.len, &k, &error), 0);
	CHECK(k.format == UNPACK_ELF && k.data == plain.data && k.len == 5000 && k.size == 5000);
	CHECK_EQ(bzimage_parse(gz.data, gz.len, &k, &error), 0);
	CHECK(k.format == UNPACK_GZIP && k.data == gz.data && k.len == gz.len && k.size == 5000);
	/* Only in a bzImage does XZ data have its size behind it. */
	refused(xz.data, xz.len, -EINVAL, "it is neither a Linux bzImage nor an ELF file");
	free(plain.data);
	free(gz.data);
	free(xz.data);
}

TEST(uncompressed_payload)
{
	struct blob plain = sample(5000), image = make_bzimage(plain, 0, true, 4, 0);
	struct bzimage k;
	const char *error;

	CHECK_EQ(bzimage_parse(image.data, image.len, &k, &error), 0);
	CHECK(k.format == UNPACK_ELF && k.size == 5000 && k.len == 5000);
	free(plain.data);
	free(image.data);
}

TEST(bad_headers)
{
	struct blob plain = sample(5000), packed = pack_xz(plain);
	struct blob image = make_bzimage(packed, 5000, false, 4, 16);
	u8 *payload = image.data + 5 * 512 + 16, *size = payload + packed.len;

	image.data[0x206] = 7;
	refused(image.data, image.len, -EINVAL, "its boot protocol is older than 2.08 (Linux 2.6.26)");
	image.data[0x206] = 8;
	refused(image.data, 0x24f, -EINVAL, "the file is truncated");

	put_le32(image.data + 0x24c, 0);
	refused(image.data, image.len, -EINVAL, "its header names no payload");
	put_le32(image.data + 0x24c, 0xffffffff);
	refused(image.data, image.len, -EINVAL, "the file is truncated: its payload lies beyond its end");
	put_le32(image.data + 0x24c, (u32)packed.len + 4);
	put_le32(image.data + 0x248, 0xffffffff);
	refused(image.data, image.len, -EINVAL, "the file is truncated: its payload lies beyond its end");
	put_le32(image.data + 0x248, 16);
	refused(image.data, image.len - 101, -EINVAL, "the file is truncated: its payload lies beyond its end");

	struct bzimage k;
	const char *error;

	CHECK_EQ(bzimage_parse(image.data, image.len - 100, &k, &error), 0);
	put_le32(size, BZIMAGE_MAX_SIZE);
	CHECK_EQ(bzimage_parse(image.data, image.len, &k, &error), 0);
	put_le32(size, 0);
	refused(image.data, image.len, -EINVAL,
		"its unpacked size is implausible; the file is damaged or truncated");
	put_le32(size, (1 << 30) + 1);
	refused(image.data, image.len, -EINVAL,
		"its unpacked size is implausible; the file is damaged or truncated");

	memcpy(payload, "BZh9", 4);
	refused(image.data, image.len, -EOPNOTSUPP,
		"unsupported compression bzip2 (supported: gzip, XZ, LZ4, ZSTD)");
	memcpy(payload, "what", 4);
	refused(image.data, image.len, -EOPNOTSUPP,
		"it is neither ELF nor in a compression format known to us");
	memcpy(payload, "\x1f\x8b", 2);
	put_le32(image.data + 0x24c, 4);
	refused(image.data, image.len, -EINVAL, "the compressed data is truncated");

	image.data[0x1ff] = 0;
	refused(image.data, image.len, -EINVAL, "it is neither a Linux bzImage nor an ELF file");
	refused("", 0, -EINVAL, "it is neither a Linux bzImage nor an ELF file");
	free(plain.data);
	free(packed.data);
	free(image.data);
}

/* Whatever the bytes, the result lies within the file. */
TEST(random_damage)
{
	struct blob plain = sample(2000), packed = pack_zstd(plain);
	struct blob image = make_bzimage(packed, 2000, false, 1, 16);
	static const u16 fields[] = { 0x1f1, 0x1fe, 0x202, 0x206, 0x207, 0x248, 0x249, 0x24a, 0x24b,
				      0x24c, 0x24d, 0x24e, 0x24f };

	for (int step = 0; step < 200000; step++) {
		/* An allocation of the exact size, for ASan to see the end. */
		size_t len = test_below(4) ? image.len : test_below(image.len + 1);
		u8 *file = malloc(len ? len : 1);
		struct bzimage k;
		const char *error = NULL;

		memcpy(file, image.data, len);
		for (size_t n = test_below(4); n && len > 0x250; n--)
			file[fields[test_below(ARRAY_SIZE(fields))]] = (u8)test_random();
		if (bzimage_parse(file, len, &k, &error) == 0) {
			CHECK((const u8 *)k.data >= file && k.len <= len);
			CHECK((size_t)((const u8 *)k.data - file) <= len - k.len);
			CHECK(k.size && k.size <= BZIMAGE_MAX_SIZE);
		} else {
			CHECK(error);
		}
		free(file);
	}
	free(plain.data);
	free(packed.data);
	free(image.data);
}
