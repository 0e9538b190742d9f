/* SPDX-License-Identifier: MIT */
/* A file of groups of bytes, each of which is there wholly or not at all. */
#include <stored/journal.h>
#include <stored/log.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define FILE_NAME	"state"
#define NEW_NAME	"state.new"
#define LOCK_NAME	"lock"
#define STEP		(256UL << 10)	/* the file grows by */
#define LIMIT		(1UL << 30)	/* address space for it */

static const char magic[16] = "lodge store 1\n";

struct group {
	u32 len;	/* 0: the end */
	u32 crc;
	char data[];
};

struct file {
	int fd;
	char *map;	/* LIMIT bytes, of which `size` exist */
	size_t size, end;
	bool full;	/* a group was refused */
};

static int dir_fd = -1;
static struct file current = { .fd = -1 }, old = { .fd = -1 };

/* Room in the file for groups whose data is len bytes. */
static size_t group_size(size_t len)
{
	return ALIGN_UP(sizeof(struct group) + len, 8UL);
}

int journal_open(const char *dir)
{
	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	int lock = openat(dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (lock < 0)
		return -errno;
	return flock(lock, LOCK_EX | LOCK_NB) ? -EBUSY : 0;
}

static int read_groups(const char *map, size_t size, bool (*apply)(struct reader *))
{
	size_t at = sizeof(magic);
	int n = 0;

	if (size < at || memcmp(map, magic, at) != 0)
		return -EPROTO;
	for (; at + sizeof(struct group) <= size; n++) {
		const struct group *g = (const struct group *)(map + at);

		if (!g->len)
			break;
		if (g->len > size - at - sizeof(*g) || g->crc != crc32(0, (const Bytef *)g->data, g->len)) {
			log_line("the state file is torn behind %zu bytes", at);
			break;
		}
		struct reader r = { g->data, g->len, false };

		if (!apply(&r)) {
			log_line("the state file is wrong behind %zu bytes", at);
			break;
		}
		at += group_size(g->len);
	}
	return n;
}

int journal_read(bool (*apply)(struct reader *))
{
	int fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC), rc = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		rc = -errno;
	} else if (st.st_size) {
		char *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

		rc = map == MAP_FAILED ? -errno : read_groups(map, (size_t)st.st_size, apply);
		if (map != MAP_FAILED)
			munmap(map, (size_t)st.st_size);
	}
	close(fd);
	return rc;
}

static void file_close(struct file *f)
{
	if (f->fd >= 0) {
		munmap(f->map, LIMIT);
		close(f->fd);
	}
	*f = (struct file){ .fd = -1 };
}

/* Blocks for the file's first `size` bytes: touching the map must not fail. */
static int file_grow(struct file *f, size_t size)
{
	int rc;

	if (size <= f->size)
		return 0;
	size = ALIGN_UP(size, STEP);
	if (size > LIMIT)
		return -ENOSPC;
	rc = posix_fallocate(f->fd, (off_t)f->size, (off_t)(size - f->size));
	if (rc)
		return -rc;
	f->size = size;
	return 0;
}

int journal_rewrite_begin(void)
{
	struct file f = { .end = sizeof(magic) };
	int rc;

	f.fd = openat(dir_fd, NEW_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (f.fd < 0)
		return -errno;
	f.map = mmap(NULL, LIMIT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, f.fd, 0);
	if (f.map == MAP_FAILED) {
		rc = -errno;
		close(f.fd);
		return rc;
	}
	rc = file_grow(&f, f.end);
	if (rc) {
		file_close(&f);
		return rc;
	}
	memcpy(f.map, magic, sizeof(magic));
	old = current;
	current = f;
	return 0;
}

int journal_rewrite_end(void)
{
	int rc = current.full ? -ENOSPC : renameat(dir_fd, NEW_NAME, dir_fd, FILE_NAME) ? -errno : 0;

	if (rc) {
		file_close(&current);
		unlinkat(dir_fd, NEW_NAME, 0);
		current = old;
	} else {
		file_close(&old);
	}
	old = (struct file){ .fd = -1 };
	return rc;
}

int journal_add(const void *group, size_t len)
{
	struct file *f = &current;
	int rc = f->fd < 0 || len > UINT32_MAX ? -ENOSPC : file_grow(f, f->end + group_size(len) + sizeof(struct group));

	if (rc) {
		f->full = true;
		return rc;
	}
	struct group *g = (struct group *)(f->map + f->end);

	memcpy(g->data, group, len);
	g->crc = (u32)crc32(0, group, (uInt)len);
	__atomic_store_n(&g->len, (u32)len, __ATOMIC_RELEASE);
	f->end += group_size(len);
	return 0;
}

size_t journal_size(void)
{
	return current.end;
}
