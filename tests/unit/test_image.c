/* SPDX-License-Identifier: MIT */
/* Unit tests: disk images: qcow2 headers, what an image lies upon, the first words with a server, where that runs. */
/* sources: tools/lib/qcow2.c tools/lib/image.c tools/lib/image_jail.c tools/lib/nbd_greet.c tools/lib/block.c tools/lib/block_holder.c tools/lib/err.c */
/* cflags: -Wno-unused-parameter */
/* libs: -ljansson */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <lib/image_jail.h>
#include <lib/nbd.h>
#include <lib/qcow2.h>
#include <linux/landlock.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SIZE	4096

/* An image of version 3 with clusters of 4 KiB, as the format's description says. */
struct header {
	uint8_t bytes[SIZE];
	size_t end;		/* of the extensions */
};

static void put32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void put64(uint8_t *at, uint64_t v)
{
	put32(at, (uint32_t)(v >> 32));
	put32(at + 4, (uint32_t)v);
}

static void begin(struct header *h, uint32_t version)
{
	*h = (struct header){ .bytes = "QFI\xfb", .end = version == 2 ? 72 : 104 };
	put32(h->bytes + 4, version);
	put32(h->bytes + 20, 12);
	put64(h->bytes + 24, 1 << 20);
	if (version != 3)
		return;
	put32(h->bytes + 96, 4);
	put32(h->bytes + 100, 104);
}

static void extension(struct header *h, uint32_t type, const char *text)
{
	put32(h->bytes + h->end, type);
	put32(h->bytes + h->end + 4, (uint32_t)strlen(text));
	memcpy(h->bytes + h->end + 8, text, strlen(text));
	h->end += 8 + ((strlen(text) + 7) & ~7ul);
}

/* Behind the end of the extensions; format may be NULL. */
static void backing(struct header *h, const char *name, const char *format)
{
	if (format)
		extension(h, 0xe2792aca, format);
	put32(h->bytes + h->end, 0);
	put64(h->bytes + 8, h->end + 8);
	put32(h->bytes + 16, (uint32_t)strlen(name));
	memcpy(h->bytes + h->end + 8, name, strlen(name));
}

static const char *parse(const struct header *h, struct qcow2 *q)
{
	/* Exactly as large as it is, for the sanitizer. */
	uint8_t *copy = malloc(SIZE);
	const char *wrong;

	memcpy(copy, h->bytes, SIZE);
	wrong = qcow2_parse(copy, SIZE, q);
	free(copy);
	return wrong;
}

static void wrong(const struct header *h, const char *expected)
{
	struct qcow2 q;
	const char *found = parse(h, &q);

	CHECK(found && strstr(found, expected));
}

TEST(headers)
{
	struct header h;
	struct qcow2 q;

	for (uint32_t version = 2; version <= 3; version++) {
		begin(&h, version);
		CHECK(!parse(&h, &q));
		CHECK_EQ(q.size, 1 << 20);
		CHECK(!*q.backing && !*q.backing_format && !q.corrupt);
		extension(&h, 0x6803f857, "a table of features, of which nothing is to be known");
		backing(&h, "base image.img", "raw");
		CHECK(!parse(&h, &q));
		CHECK_STR(q.backing, "base image.img");
		CHECK_STR(q.backing_format, "raw");
	}
	/* Without an end mark, the name ends the extensions. */
	begin(&h, 3);
	extension(&h, 0xe2792aca, "qcow2");
	put64(h.bytes + 8, h.end);
	put32(h.bytes + 16, 4);
	memcpy(h.bytes + h.end, "abcd\xff\xff\xff\xff", 8);
	CHECK(!parse(&h, &q));
	CHECK_STR(q.backing, "abcd");
	begin(&h, 3);
	h.bytes[79] = 2;
	CHECK(!parse(&h, &q) && q.corrupt);
	h.bytes[79] = 1;
	CHECK(!parse(&h, &q) && !q.corrupt);
}

TEST(bad_headers)
{
	struct header h, good;
	struct qcow2 q;

	begin(&good, 3);
	backing(&good, "base", "raw");
	for (size_t n = 0; n < 72; n++)
		CHECK(qcow2_parse(good.bytes, n, &q));
	for (size_t n = 72; n < 104; n++)
		CHECK(strstr(qcow2_parse(good.bytes, n, &q), "ends within its header"));
#define BAD(change, text) do { h = good; change; wrong(&h, text); } while (0)
	BAD(h.bytes[3] = 0, "no qcow2 image");
	BAD(h.bytes[7] = 1, "version");
	BAD(h.bytes[7] = 4, "version");
	BAD(h.bytes[23] = 8, "cluster size");
	BAD(h.bytes[23] = 22, "cluster size");
	BAD(put64(h.bytes + 24, 0), "size of its disk");
	BAD(put64(h.bytes + 24, ~0ull), "size of its disk");
	BAD(h.bytes[35] = 1, "encrypted");
	BAD(h.bytes[79] = 4, "another file");
	BAD(h.bytes[72] = 1, "newer version");
	BAD(put32(h.bytes + 100, 103), "impossible length");
	BAD(put32(h.bytes + 100, 96), "impossible length");
	BAD(put32(h.bytes + 100, SIZE + 8), "impossible length");
	BAD(put32(h.bytes + 16, 0), "not where it is said");
	BAD(put32(h.bytes + 16, 1024), "not where it is said");
	BAD(put64(h.bytes + 8, SIZE - 3), "not where it is said");
	BAD(put64(h.bytes + 8, ~0ull), "not where it is said");
	BAD(put64(h.bytes + 8, 0xfffffffffffffff0ull), "not where it is said");
	BAD(h.bytes[h.end + 8] = '\n', "control characters");
	BAD(h.bytes[h.end + 8] = '\0', "control characters");
	BAD(put32(h.bytes + 108, SIZE), "too long");
	BAD(put32(h.bytes + 108, ~0u), "too long");
	BAD(put32(h.bytes + 108, 0), "no name");
	BAD(h.bytes[113] = '\0', "no name");
	begin(&h, 3);
	extension(&h, 0xe2792aca, "raw");
	extension(&h, 0xe2792aca, "raw");
	wrong(&h, "no name");
	begin(&h, 3);
	extension(&h, 0xe2792aca, "a name of more than 15");
	wrong(&h, "no name");
	begin(&h, 3);
	extension(&h, 0x44415441, "/etc/shadow");
	wrong(&h, "another file");
}

/* --- files --- */

static char dir[64];

static void make_dir(void)
{
	strcpy(dir, "/tmp/lodge-image-XXXXXX");
	CHECK(mkdtemp(dir));
}

static void remove_dir(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	CHECK_EQ(system(command), 0);
}

static const char *path_of(const char *name)
{
	static char paths[4][128];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, 128, "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const void *data, size_t size)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK_EQ(write(fd, data, size), (ssize_t)size);
	close(fd);
}

static void write_image(const char *name, const char *base, const char *format)
{
	struct header h;

	begin(&h, 3);
	if (base)
		backing(&h, base, format);
	write_file(name, h.bytes, SIZE);
}

static void refused(const char *name, int error, const char *code, const char *text)
{
	struct image im;
	struct err e;

	CHECK_EQ(image_read(path_of(name), DISK_QCOW2, &im, &e), -error);
	CHECK_STR(e.code, code);
	CHECK(strstr(e.text, text));
	image_free(&im);
}

TEST(layers)
{
	struct image im;
	struct err e;
	json_t *j;
	char *text;

	make_dir();
	write_file("base.img", dir, sizeof(dir));
	CHECK_EQ(truncate(path_of("base.img"), 4096), 0);
	write_image("two", "file:base.img", "raw");
	write_image("one", path_of("two"), "qcow2");
	CHECK_EQ(image_read(path_of("one"), DISK_QCOW2, &im, &e), 0);
	CHECK_EQ(im.n, 3);
	CHECK_EQ(im.size, 1 << 20);
	CHECK_STR(im.layers[2].path, path_of("base.img"));
	CHECK(im.layers[2].format == DISK_RAW && im.layers[1].format == DISK_QCOW2);
	j = image_to_qemu(&im);
	text = json_dumps(j, JSON_COMPACT);
	CHECK(strstr(text, "{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"/tmp/") == text);
	CHECK(strstr(text, "\"backing\":{\"driver\":\"raw\""));
	free(text);
	json_decref(j);
	image_free(&im);
	/* What an image says is the business of images alone. */
	CHECK_EQ(image_read(path_of("one"), DISK_RAW, &im, &e), 0);
	CHECK_EQ(im.n, 1);
	image_free(&im);
	CHECK_EQ(image_read(path_of("none"), DISK_QCOW2, &im, &e), -ENOENT);
	image_free(&im);
	write_image("alone", NULL, NULL);
	CHECK_EQ(image_read(path_of("alone"), DISK_QCOW2, &im, &e), 0);
	j = image_to_qemu(&im);
	CHECK(json_is_null(json_object_get(j, "backing")));
	json_decref(j);
	image_free(&im);
	remove_dir();
}

TEST(bad_layers)
{
	char name[16], below[16];

	make_dir();
	write_image("loop", "loop2", "qcow2");
	write_image("loop2", "loop", "qcow2");
	refused("loop", ELOOP, "bad-image", "its own backing file");
	write_image("d0", NULL, NULL);
	for (int i = 1; i <= IMAGE_LAYERS_MAX; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		snprintf(below, sizeof(below), "d%d", i - 1);
		write_image(name, below, "qcow2");
	}
	refused("d64", ELOOP, "bad-image", "more than 63");
	write_image("missing", "gone", "raw");
	refused("missing", ENOENT, "backing-file", "does not exist");
	write_image("guess", "d0", NULL);
	refused("guess", EPERM, "backing-file", "does not say what format");
	write_image("vmdk", "d0", "vmdk");
	refused("vmdk", EOPNOTSUPP, "not-supported", "vmdk");
	write_image("raw", "d0", "qcow2");
	write_file("d0", dir, 64);
	CHECK_EQ(truncate(path_of("d0"), 4096), 0);
	refused("raw", EINVAL, "bad-image", "no qcow2 image");
	for (const char *const *bad = (const char *const[]){ "nbd://x/y", "json:{}", "file:", "file:nbd:x", "fat:/etc", NULL }; *bad; bad++) {
		write_image("protocol", *bad, "raw");
		refused("protocol", EPERM, "backing-file", "not the name of a file");
	}
	remove_dir();
}

TEST(folders)
{
	char allowed[200];
	struct image im;
	struct err e;

	make_dir();
	mkdir(path_of("in"), 0700);
	mkdir(path_of("in/below"), 0700);
	mkdir(path_of("in2"), 0700);
	write_image("base", NULL, NULL);
	write_image("in2/base", NULL, NULL);
	write_image("in/below/base", NULL, NULL);
	write_image("in/up", "../base", "qcow2");
	write_image("in/beside", "../in2/base", "qcow2");
	write_image("in/down", "below/base", "qcow2");
	CHECK_EQ(symlink(path_of("base"), path_of("in/link")), 0);
	write_image("in/linked", "link", "qcow2");
	write_image("in/shadow", "/etc/passwd", "raw");
	image_allow_folders("");
	CHECK_EQ(image_read(path_of("in/down"), DISK_QCOW2, &im, &e), 0);
	image_free(&im);
	refused("in/up", EPERM, "backing-file", "another folder");
	refused("in/beside", EPERM, "backing-file", "another folder");
	refused("in/linked", EPERM, "backing-file", "another folder");
	refused("in/shadow", EPERM, "backing-file", "image_folders");
	snprintf(allowed, sizeof(allowed), "/none::%s/in2/", dir);
	image_allow_folders(allowed);
	refused("in/up", EPERM, "backing-file", "another folder");
	CHECK_EQ(image_read(path_of("in/beside"), DISK_QCOW2, &im, &e), 0);
	image_free(&im);
	/* An image that is reached by a link is still where it is. */
	CHECK_EQ(symlink(path_of("in/down"), path_of("down")), 0);
	image_allow_folders("");
	refused("down", ENOENT, "backing-file", "does not exist");
	remove_dir();
}

/* --- the server --- */

/* What a server says, all at once. */
static int greet(const void *words, size_t size, struct nbd_export *x)
{
	struct timeval limit = { .tv_sec = 5 };
	int pair[2], rc;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	CHECK_EQ(write(pair[1], words, size), (ssize_t)size);
	shutdown(pair[1], SHUT_WR);
	rc = nbd_greet(pair[0], x);
	close(pair[0]);
	close(pair[1]);
	return rc;
}

TEST(first_words)
{
	uint8_t words[28] = "NBDMAGICIHAVEOPT\0\3\0\0\0\0\0\x10\0\0\x01\x0d";
	struct nbd_export x;

	CHECK_EQ(greet(words, 28, &x), 0);
	CHECK_EQ(x.size, 1 << 20);
	CHECK_EQ(x.flags, 0x10d);
	for (size_t n = 0; n < 28; n++)
		CHECK_EQ(greet(words, n, &x), -EPROTO);
	words[17] = 1;
	CHECK_EQ(greet(words, 28, &x), -EPROTO);
	words[17] = 3;
	words[9] = 0;
	CHECK_EQ(greet(words, 28, &x), -EPROTO);
}

/* In the jail: the exit status says what was not as it should be. */
static int try_jail(const char *image, int rules, bool confined)
{
	int fd;

	if (image_jail_enter(rules))
		return 1;
	fd = open(image, O_RDWR);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return 2;
	if (confined && (open("/etc/passwd", O_RDONLY) >= 0 || open("/proc/self/maps", O_RDONLY) >= 0 || open("/tmp/new", O_RDWR | O_CREAT, 0600) >= 0))
		return 3;
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || syscall(SYS_fork) >= 0 || syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0 || !kill(getppid(), 0) ||
		!truncate(image, 512) || syscall(SYS_clone3, NULL, 0) >= 0 || errno != ENOSYS)
		return 4;
	return getuid() ? 0 : 5;
}

TEST(jail)
{
	struct image im;
	struct err e;
	int rules, status;
	pid_t pid;

	if (geteuid())
		return;		/* as in Domain 0 */
	make_dir();
	write_image("image", NULL, NULL);
	CHECK_EQ(chmod(dir, 0700), 0);
	CHECK_EQ(image_read(path_of("image"), DISK_QCOW2, &im, &e), 0);
	rules = image_jail_rules(&im, false, &e);
	CHECK(rules >= 0 || rules == -EOPNOTSUPP);
	pid = fork();
	if (!pid)
		_exit(try_jail(path_of("image"), rules, rules >= 0));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	if (rules >= 0)
		close(rules);
	/* Another file under its name is another file. */
	write_image("other", NULL, NULL);
	CHECK_EQ(rename(path_of("other"), path_of("image")), 0);
	rules = image_jail_rules(&im, false, &e);
	CHECK(rules == -EBUSY || rules == -EOPNOTSUPP);
	image_free(&im);
	remove_dir();
}
