/* SPDX-License-Identifier: MIT */
/* Unit tests: guest kernels: unpacking in the jail, and the cache. */
/* sources: tools/lib/kernel.c tools/lib/kernel_cache.c tools/lib/kernel_unpack.c tools/lib/err.c lib/elf.c boot/bzimage.c boot/packformat.c boot/unpack_codecs.c boot/unpack_lzma2.c boot/unpack_xz.c */
/* libs: -lz -llzma -llz4 -lzstd */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <boot/unpack.h>
#include <lib/elf.h>
#include <lib/kernel.h>

#include "pack.h"

static char folder[64], cache[80];
static int unpacked;

static void count_unpack(const char *text, void *ctx)
{
	(void)ctx;
	CHECK(strstr(text, "unpacking /"));
	unpacked++;
}

static void enter(void)
{
	strcpy(folder, "/tmp/test-kernel-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	chmod(folder, 0755);	/* the jail's user may go through it */
	snprintf(cache, sizeof(cache), "%s/some/cache", folder);
	setenv("LODGE_KERNEL_CACHE", cache, 1);
}

static void leave(void)
{
	char command[128];

	kernel_forget();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	CHECK_EQ(system(command), 0);
}

/* A file that was not changed just now: of others nothing is kept. */
static const char *put(const char *name, const void *data, size_t len)
{
	static char path[8][160];
	static int next;
	char *p = path[next++ % 8];
	FILE *f;

	snprintf(p, 160, "%s/%s", folder, name);
	f = fopen(p, "w");
	CHECK_EQ(fwrite(data, 1, len, f), len);
	fclose(f);
	return p;
}

static void settle(void)
{
	usleep(200000);
}

/* An ELF file with one segment, a page of zeroes in it. */
static struct blob make_elf(size_t len)
{
	struct blob b = sample(len);
	struct elf_header h = { .ident = "\x7f" "ELF\2\1\1", .type = 2, .machine = 62, .version = 1, .phoff = 64,
				.ehsize = 64, .phentsize = 56, .phnum = 1 };
	struct elf_phdr ph = { .type = ELF_PT_LOAD, .filesz = len, .memsz = len };

	memcpy(b.data, &h, 64);
	memcpy(b.data + 64, &ph, 56);
	if (len > 4 * PAGE_SIZE)
		memset(b.data + 2 * PAGE_SIZE, 0, PAGE_SIZE);
	return b;
}

/* Opened, the same as the blob, and its bitmap right. */
static void opens(const char *path, struct blob want)
{
	struct kernel k = { 0 };
	struct err e = { 0 };

	CHECK_EQ(kernel_open(path, count_unpack, NULL, &k, &e), 0);
	if (!k.elf) {
		TEST_FAIL("%s", e.text);
		return;
	}
	CHECK_EQ(k.size, want.len);
	CHECK(k.size == want.len && memcmp(k.elf, want.data, want.len) == 0);
	for (size_t at = 0; k.filled && at < want.len; at += PAGE_SIZE) {
		bool zero = true;

		for (size_t i = at; i < want.len && i < at + PAGE_SIZE; i++)
			zero &= want.data[i] == 0;
		CHECK_EQ(k.filled[at / PAGE_SIZE / 8] >> at / PAGE_SIZE % 8 & 1, !zero);
	}
	kernel_close(&k);
}

static void refused(const char *path, int error, const char *part)
{
	struct kernel k = { 0 };
	struct err e = { 0 };

	CHECK_EQ(kernel_open(path, NULL, NULL, &k, &e), -error);
	CHECK_EQ(e.error, error);
	CHECK(strstr(e.text, path));
	if (!strstr(e.text, part))
		TEST_FAIL("\"%s\" does not say \"%s\"", e.text, part);
	CHECK(!k.elf);
}

static unsigned entries(void)
{
	DIR *d = opendir(cache);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n ? n - 2 : 0;
}

/* The path of the only entry. */
static const char *entry(void)
{
	static char path[400];
	struct dirent *e;
	DIR *d = opendir(cache);

	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			snprintf(path, sizeof(path), "%s/%s", cache, e->d_name);
	closedir(d);
	return path;
}

TEST(every_format)
{
	struct blob elf = make_elf(300000), gz = pack_gzip(elf);

	enter();
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob packed = packers[i].pack(elf);
		struct blob image = make_bzimage(packed, (u32)elf.len, packers[i].format == UNPACK_GZIP, 27, 716);

		opens(put(packers[i].name, image.data, image.len), elf);
		free(packed.data);
		free(image.data);
	}
	opens(put("plain", elf.data, elf.len), elf);
	opens(put("elf.gz", gz.data, gz.len), elf);
	CHECK_EQ(unpacked, 6);
	free(elf.data);
	free(gz.data);
	leave();
}

TEST(small_elf_is_just_read)
{
	struct blob elf = make_elf(5000);

	enter();
	opens(put("small", elf.data, elf.len), elf);
	CHECK_EQ(unpacked, 0);
	CHECK_EQ(entries(), 0);
	free(elf.data);
	leave();
}

TEST(unpacked_once)
{
	struct blob elf = make_elf(300000), other = make_elf(300000), gz = pack_gzip(elf), gz2;
	const char *path;

	enter();
	memset(other.data + 4096, 0x55, 100);
	gz2 = pack_gzip(other);
	path = put("k", gz.data, gz.len);
	settle();
	opens(path, elf);
	opens(path, elf);		/* still mapped */
	CHECK_EQ(unpacked, 1);
	kernel_forget();
	opens(path, elf);		/* from the cache */
	CHECK_EQ(unpacked, 1);
	CHECK_EQ(entries(), 1);

	put("k", gz2.data, gz2.len);	/* the same name, other content */
	opens(path, other);
	CHECK_EQ(unpacked, 2);
	free(elf.data);
	free(other.data);
	free(gz.data);
	free(gz2.data);
	leave();
}

/* Times do not tell two changes apart that follow each other within a tick. */
TEST(nothing_is_kept_of_a_new_file)
{
	struct blob elf = make_elf(300000), gz = pack_gzip(elf);
	const char *path;

	enter();
	path = put("k", gz.data, gz.len);
	opens(path, elf);
	opens(path, elf);
	CHECK_EQ(unpacked, 2);
	CHECK_EQ(entries(), 0);
	free(elf.data);
	free(gz.data);
	leave();
}

static void spoil(const char *path, off_t at, const char *bytes, size_t n)
{
	int fd = open(path, O_WRONLY);

	CHECK_EQ(pwrite(fd, bytes, n, at), n);
	close(fd);
}

TEST(bad_entries_are_replaced)
{
	struct blob elf = make_elf(300000), gz = pack_gzip(elf);
	const char *path, *e;
	char other[200];

	enter();
	path = put("k", gz.data, gz.len);
	snprintf(other, sizeof(other), "%s/other", folder);
	settle();
	for (int way = 0; way < 7; way++) {
		opens(path, elf);
		CHECK_EQ(unpacked, way + 1);
		CHECK_EQ(entries(), 1);
		kernel_forget();
		e = entry();
		switch (way) {
		case 0: spoil(e, 0, "X", 1); break;			/* magic */
		case 1: spoil(e, 16, "X", 1); break;			/* identity */
		case 2: spoil(e, 64, "\1", 1); break;			/* size */
		case 3: CHECK_EQ(truncate(e, 4096), 0); break;
		case 4: CHECK_EQ(truncate(e, 0), 0); break;
		case 5: CHECK_EQ(chmod(e, 0604), 0); break;		/* others might have written it */
		case 6: CHECK_EQ(rename(e, other), 0); CHECK_EQ(symlink(other, e), 0); break;
		}
	}
	opens(path, elf);
	free(elf.data);
	free(gz.data);
	leave();
}

TEST(a_folder_of_others_is_not_used)
{
	struct blob elf = make_elf(300000), gz = pack_gzip(elf);
	const char *path;

	enter();
	path = put("k", gz.data, gz.len);
	settle();
	opens(path, elf);
	CHECK_EQ(entries(), 1);
	kernel_forget();
	CHECK_EQ(chmod(cache, 0755), 0);
	opens(path, elf);
	CHECK_EQ(unpacked, 2);
	free(elf.data);
	free(gz.data);
	leave();
}

/* A file of that size cannot be made, so memory is used. */
TEST(works_without_a_cache)
{
	struct blob elf = make_elf(300000), gz = pack_gzip(elf);

	enter();
	setenv("LODGE_KERNEL_CACHE", "/proc/nowhere", 1);
	opens(put("k", gz.data, gz.len), elf);
	free(elf.data);
	free(gz.data);
	leave();
}

TEST(several_creators_at_once)
{
	struct blob elf = make_elf(3000000), xz = pack_xz(elf), image = make_bzimage(xz, (u32)elf.len, false, 4, 0);
	const char *path;
	int status;

	enter();
	path = put("k", image.data, image.len);
	settle();
	for (int i = 0; i < 6; i++) {
		if (fork() == 0) {
			opens(path, elf);
			kernel_forget();
			_exit(test_failures != 0);
		}
	}
	for (int i = 0; i < 6; i++) {
		CHECK(wait(&status) > 0);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(entries(), 1);
	opens(path, elf);
	CHECK_EQ(unpacked, 0);
	free(elf.data);
	free(xz.data);
	free(image.data);
	leave();
}

/* Entries are as large as they say on the disk, and the one not used for longest goes first. */
TEST(old_entries_are_removed)
{
	struct blob elf = make_elf(300000), gz = pack_gzip(elf);
	const char *path;
	char old[2][200];

	enter();
	path = put("k", gz.data, gz.len);
	settle();
	opens(path, elf);
	for (int i = 0; i < 2; i++) {
		struct timespec t[2] = { { .tv_sec = 1000 + i }, { .tv_sec = 1000 + i } };
		int fd;

		snprintf(old[i], sizeof(old[i]), "%s/old%d", cache, i);
		fd = open(old[i], O_CREAT | O_WRONLY, 0600);
		CHECK_EQ(posix_fallocate(fd, 0, i ? 1 << 20 : KERNEL_CACHE_LIMIT), 0);
		futimens(fd, t);
		close(fd);
	}
	gz.data[4] ^= 1;		/* another file: the time in its gzip header */
	path = put("k2", gz.data, gz.len);
	settle();
	opens(path, elf);
	CHECK_EQ(access(old[0], F_OK), -1);
	CHECK_EQ(access(old[1], F_OK), 0);
	CHECK_EQ(entries(), 3);
	free(elf.data);
	free(gz.data);
	leave();
}

TEST(bad_files)
{
	struct blob elf = make_elf(300000), xz = pack_xz(elf), image = make_bzimage(xz, 300000, false, 4, 16);
	u8 *size = image.data + 5 * 512 + 16 + xz.len;
	char path[100];

	enter();
	snprintf(path, sizeof(path), "%s/none", folder);
	refused(path, ENOENT, "there is no such file");
	refused(folder, ENOEXEC, "it is not a file");
	refused("/dev/zero", ENOEXEC, "it is not a file");
	snprintf(path, sizeof(path), "%s/fifo", folder);
	CHECK_EQ(mkfifo(path, 0600), 0);
	refused(path, ENOEXEC, "it is not a file");
	refused(put("empty", "", 0), ENOEXEC, "it is empty");
	refused(put("text", "hello, world", 12), ENOEXEC, "neither a Linux bzImage nor an ELF file");
	refused(put("cut", image.data, image.len - 200), ENOEXEC, "truncated");
	put_le32(size, 299999);
	refused(put("small", image.data, image.len), ENOEXEC, "larger than announced");
	put_le32(size, 300001);
	refused(put("large", image.data, image.len), ENOEXEC, "smaller than announced");
	put_le32(size, KERNEL_MAX + 1);
	refused(put("huge", image.data, image.len), ENOEXEC, "larger than 512 MiB");
	image.data[5 * 512 + 16 + xz.len / 2] ^= 0x10;
	put_le32(size, 300000);
	refused(put("corrupt", image.data, image.len), ENOEXEC, "corrupt");
	elf.data[4] = 1;
	refused(put("32bit", elf.data, elf.len), ENOEXEC, "32-bit");
	refused(put("32bit-small", elf.data, 1000), ENOEXEC, "32-bit");
	CHECK_EQ(entries(), 0);
	free(elf.data);
	free(xz.data);
	free(image.data);
	leave();
}

TEST(size_bomb)
{
	size_t len = 600UL << 20;
	struct blob zero = { .data = calloc(1, len), .len = len }, gz = pack_gzip(zero);

	enter();
	put_le32(gz.data + gz.len - 4, 100 << 20);	/* says 100 MiB, is 600 */
	refused(put("bomb", gz.data, gz.len), ENOEXEC, "larger than announced");
	CHECK_EQ(entries(), 0);
	free(zero.data);
	free(gz.data);
	leave();
}

/* Nobody who can cut the file short can hurt more than the child. */
TEST(file_changes_while_it_is_read)
{
	struct blob elf = make_elf(64 << 20), xz = pack_xz(elf), image = make_bzimage(xz, (u32)elf.len, false, 4, 0);
	struct kernel k = { 0 };
	struct err e = { 0 };
	const char *path;
	pid_t pid;

	enter();
	path = put("k", image.data, image.len);
	pid = fork();
	if (pid == 0) {
		usleep(50000);
		_exit(truncate(path, 100000));
	}
	CHECK(kernel_open(path, NULL, NULL, &k, &e) < 0);
	CHECK(strstr(e.text, path) && (strstr(e.text, "changed") || strstr(e.text, "truncated")));
	waitpid(pid, NULL, 0);
	free(elf.data);
	free(xz.data);
	free(image.data);
	leave();
}

/* The number behind a word of a file; -1: not there. */
static long number_after(const char *path, const char *word)
{
	char text[4096] = "", *at;
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	at = strstr(text, word);
	return at ? strtol(at + strlen(word), NULL, 10) : -1;
}

static unsigned open_files(pid_t pid)
{
	unsigned bits = 0;
	char path[64];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			bits |= 1u << (atoi(e->d_name) & 31);
	if (d)
		closedir(d);
	return bits;
}

/* Looked at from outside while it works. */
TEST(the_jail)
{
	struct blob elf = make_elf(64 << 20), xz = pack_xz(elf), image = make_bzimage(xz, (u32)elf.len, false, 4, 0);
	char path[100], children[64];
	const char *kernel;
	pid_t pid;
	long child = -1;

	enter();
	kernel = put("k", image.data, image.len);
	pid = fork();
	if (pid == 0) {
		opens(kernel, elf);
		kernel_forget();
		_exit(test_failures != 0);
	}
	snprintf(children, sizeof(children), "/proc/%d/task/%d/children", pid, pid);
	do {
		child = number_after(children, "");
		snprintf(path, sizeof(path), "/proc/%ld/status", child);
	} while (number_after(path, "Seccomp:") != 2 && waitpid(pid, NULL, WNOHANG) == 0);
	CHECK_EQ(number_after(path, "NoNewPrivs:"), 1);
	CHECK_EQ(number_after(path, "Seccomp:"), 2);
	if (geteuid() == 0) {
		CHECK_EQ(number_after(path, "Uid:"), 65534);
		CHECK_EQ(number_after(path, "Gid:"), 65534);
		CHECK_EQ(number_after(path, "CapEff:"), 0);
		CHECK_EQ(open_files((pid_t)child), 1u << 3 | 1u << 4);
	}
	snprintf(path, sizeof(path), "/proc/%ld/limits", child);
	CHECK_EQ(number_after(path, "Max open files"), 0);
	CHECK_EQ(number_after(path, "Max processes"), 0);
	CHECK_EQ(number_after(path, "Max cpu time"), 120);
	CHECK(number_after(path, "Max address space") > 0);
	CHECK(number_after(path, "Max file size") < 600 << 20);
	waitpid(pid, NULL, 0);
	free(elf.data);
	free(xz.data);
	free(image.data);
	leave();
}
