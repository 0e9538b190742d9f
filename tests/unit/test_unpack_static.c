/* SPDX-License-Identifier: MIT */
/* Unit tests: unpacking as it is linked into the hypervisor, without a C library. */
/* sources: boot/bzimage.c boot/packformat.c boot/unpack.c boot/unpack_shim.c boot/unpack_codecs.c boot/unpack_lzma2.c boot/unpack_xz.c */
/* libs: -lz -llzma -llz4 -lzstd */
#include "test.h"

#include <fcntl.h>
#include <glob.h>

#include <boot/bzimage.h>

#include "fake_unpack_run.h"
#include "pack.h"

/* The directory of this program, where the filter and temporary files are. */
static const char *out_dir(void)
{
	static char dir[4000];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);

	CHECK(n > 0);
	dir[n] = '\0';
	*strrchr(dir, '/') = '\0';
	return dir;
}

static void save(const char *path, struct blob b)
{
	FILE *f = fopen(path, "w");

	CHECK(f && fwrite(b.data, 1, b.len, f) == b.len && fclose(f) == 0);
}

static struct blob load(const char *path)
{
	FILE *f = fopen(path, "r");

	if (!f)
		return (struct blob){ };
	fseek(f, 0, SEEK_END);

	struct blob b = blob_new((size_t)ftell(f));

	rewind(f);
	CHECK(fread(b.data, 1, b.len, f) == b.len);
	fclose(f);
	return b;
}

/* Run the filter on a file; what it wrote, and in @said what it said. Returns its exit status. */
static int filter(const char *in, struct blob *result, char *said, size_t size)
{
	char out[4096], err[4096], cmd[16384];

	snprintf(out, sizeof(out), "%s/filter.%d.out", out_dir(), getpid());
	snprintf(err, sizeof(err), "%s/filter.%d.err", out_dir(), getpid());
	snprintf(cmd, sizeof(cmd), "'%s/unpack_filter' <'%s' >'%s' 2>'%s'", out_dir(), in, out, err);

	int status = system(cmd);
	struct blob text = load(err);

	*result = load(out);
	snprintf(said, size, "%.*s", (int)text.len, (char *)text.data);
	free(text.data);
	unlink(out);
	unlink(err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect_unpacked(const char *name, const char *file, struct blob expected)
{
	struct blob got;
	char said[256];
	int rc = filter(file, &got, said, sizeof(said));

	if (rc != 0 || got.len != expected.len || memcmp(got.data, expected.data, got.len) != 0)
		TEST_FAIL("%s: exit status %d, %zu bytes of %zu, \"%s\"", name, rc, got.len, expected.len, said);

	/* The private stack has 32 KiB; stay well away from its end. */
	int stack = rc ? 0 : atoi(said + 3);

	printf("%s: %d bytes of stack\n", name, stack);
	CHECK(stack < 16384);
	free(got.data);
}

TEST(all_formats)
{
	struct blob plain = sample(25 << 20);
	char path[4096];

	snprintf(path, sizeof(path), "%s/kernel.%d", out_dir(), getpid());
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob packed = packers[i].pack(plain);
		struct blob image = make_bzimage(packed, (u32)plain.len, packers[i].format == UNPACK_GZIP, 39, 716);

		save(path, image);
		expect_unpacked(packers[i].name, path, plain);
		free(packed.data);
		free(image.data);
	}

	struct blob packed = pack_xz(plain);
	struct blob image = make_bzimage(packed, (u32)plain.len, false, 0, 0);

	/* Corruption is noticed there too. */
	struct blob got;
	char said[256];

	image.data[image.len / 2] ^= 1;
	save(path, image);
	CHECK_EQ(filter(path, &got, said, sizeof(said)), 1);
	CHECK_STR(said, "the compressed data is corrupt");
	free(got.data);
	free(packed.data);
	free(image.data);
	free(plain.data);
	unlink(path);
}

/* Debian's kernels, where there are any: $VMLINUZ, or those of the machine and of ./run. */
TEST(real_kernels)
{
	const char *given = getenv("VMLINUZ");
	glob_t found = { };

	char cached[4096];

	snprintf(cached, sizeof(cached), "%s/../cache/kernel/vmlinuz", out_dir());
	glob(given ? given : "/boot/vmlinuz-*", 0, NULL, &found);
	if (!given)
		glob(cached, GLOB_APPEND, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct blob file = load(found.gl_pathv[i]);
		struct bzimage k;
		const char *error;
		u64 limit = ~0UL;
		size_t in = 0, out = 0;

		CHECK_EQ(bzimage_parse(file.data, file.len, &k, &error), 0);
		if (k.format != UNPACK_XZ) {
			printf("%s: not XZ, no reference for it here\n", found.gl_pathv[i]);
			free(file.data);
			continue;
		}

		struct blob plain = blob_new(k.size);

		CHECK_EQ(lzma_stream_buffer_decode(&limit, 0, NULL, k.data, &in, k.len,
						   plain.data, &out, plain.len), LZMA_OK);
		CHECK_EQ(out, k.size);
		expect_unpacked(found.gl_pathv[i], found.gl_pathv[i], plain);
		free(file.data);
		free(plain.data);
	}
	if (found.gl_pathc == 0)
		printf("no kernel found: set VMLINUZ to test one\n");
	globfree(&found);
}
