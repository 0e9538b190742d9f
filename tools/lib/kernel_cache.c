/* SPDX-License-Identifier: MIT */
/*
 * Unpacked kernels in files.
 *
 * An entry is a header page, the image, and a bitmap of its pages (kernel_unpack.h). It is written without a name (O_TMPFILE) and
 * gets its name when it is complete and on the disk, so whoever is killed leaves nothing behind, and of several creators one wins
 * and the others use what they have. An entry is never written again. It is trusted because nobody else can have made it: the
 * folder belongs to us and no other user can enter it; both are looked at each time. Its name says which file it was made from; its
 * header says it in full.
 *
 * The time of last use is the entry's modification time.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/kernel.h>
#include <lib/kernel_cache.h>
#include <lib/kernel_unpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#define MAGIC	0x314e4b4547444f4cUL	/* "LODGEKN1": the version is part of it */
#define NAME_MAX_LEN	96

struct header {
	uint64_t magic;
	struct kernel_id id;
	uint64_t size;
	uint64_t check;		/* CRC-32 of what is before */
};

static uint64_t header_check(const struct header *h)
{
	return crc32(0, (const void *)h, offsetof(struct header, check));
}

struct kernel_id kernel_id_of(const struct stat *st)
{
	return (struct kernel_id){
		.dev = st->st_dev, .ino = st->st_ino, .size = (uint64_t)st->st_size,
		.mtime_s = st->st_mtim.tv_sec, .mtime_ns = st->st_mtim.tv_nsec,
		.ctime_s = st->st_ctim.tv_sec, .ctime_ns = st->st_ctim.tv_nsec,
	};
}

bool kernel_id_equal(const struct kernel_id *a, const struct kernel_id *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;	/* no padding in it */
}

static const char *cache_path(void)
{
	const char *path = secure_getenv("LODGE_KERNEL_CACHE");

	return path ? path : KERNEL_CACHE;
}

static void entry_name(char name[NAME_MAX_LEN], const struct kernel_id *id)
{
	snprintf(name, NAME_MAX_LEN, "%lx-%lx-%lx-%lx.%09lx", id->dev, id->ino, id->size, id->mtime_s, id->mtime_ns);
}

/* Ours alone? Then nobody but us can have put something there. */
static bool is_private(int fd, mode_t type)
{
	struct stat st;

	return !fstat(fd, &st) && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() && !(st.st_mode & 077);
}

static int open_folder(void)
{
	int fd = open(cache_path(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (!is_private(fd, S_IFDIR)) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

/* With the folders above it. */
static void make_folder(void)
{
	char path[4096];

	if (strlen(cache_path()) >= sizeof(path))
		return;
	strcpy(path, cache_path());
	for (char *c = path + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		mkdir(path, 0755);
		*c = '/';
	}
	mkdir(path, 0700);
}

static bool entry_good(int fd, const struct kernel_id *id, size_t *size)
{
	struct header h;
	struct stat st;

	if (!is_private(fd, S_IFREG) || fstat(fd, &st) || pread(fd, &h, sizeof(h), 0) != sizeof(h))
		return false;
	if (h.magic != MAGIC || h.check != header_check(&h) || !kernel_id_equal(&h.id, id) || h.size == 0 || h.size > KERNEL_MAX ||
	    (size_t)st.st_size != kernel_file_size(KERNEL_CACHE_BASE, h.size))
		return false;
	*size = h.size;
	return true;
}

int kernel_cache_find(const struct kernel_id *id, size_t *size)
{
	int folder = open_folder(), fd;
	char name[NAME_MAX_LEN];

	if (folder < 0)
		return folder;
	entry_name(name, id);
	fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		fd = -errno;
	} else if (!entry_good(fd, id, size)) {
		unlinkat(folder, name, 0);
		close(fd);
		fd = -ENOENT;
	} else {
		futimens(fd, NULL);
	}
	close(folder);
	return fd;
}

int kernel_cache_new(void)
{
	int folder, fd;

	make_folder();
	folder = open_folder();
	fd = folder < 0 ? -1 : openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (folder >= 0)
		close(folder);
	if (fd < 0)
		fd = memfd_create("kernel", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

struct entry {
	struct timespec used;
	size_t bytes;
	char name[NAME_MAX_LEN];
};

static int by_use(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;

	if (a->used.tv_sec != b->used.tv_sec)
		return a->used.tv_sec < b->used.tv_sec ? 1 : -1;
	return (a->used.tv_nsec < b->used.tv_nsec) - (a->used.tv_nsec > b->used.tv_nsec);
}

/* The entries, the last used first. NULL: none, or no memory. */
static struct entry *list_entries(DIR *dir, size_t *n)
{
	struct entry *entries = NULL;
	struct dirent *d;
	struct stat st;

	*n = 0;
	while ((d = readdir(dir))) {
		struct entry *grown;

		if (d->d_name[0] == '.' || strlen(d->d_name) >= NAME_MAX_LEN ||
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		grown = realloc(entries, (*n + 1) * sizeof(*entries));
		if (!grown)
			break;
		entries = grown;
		entries[*n] = (struct entry){ .used = st.st_mtim, .bytes = st.st_blocks ? (size_t)st.st_blocks * 512 : (size_t)st.st_size };
		strcpy(entries[(*n)++].name, d->d_name);
	}
	if (entries)
		qsort(entries, *n, sizeof(*entries), by_use);
	return entries;
}

static void remove_old(const char *newest)
{
	int folder = open_folder();
	DIR *dir = folder < 0 ? NULL : fdopendir(folder);
	size_t n = 0, sum = 0;
	struct entry *entries;

	if (!dir) {
		if (folder >= 0)
			close(folder);
		return;
	}
	entries = list_entries(dir, &n);
	for (size_t i = 0; i < n; i++) {
		sum += entries[i].bytes;
		if (sum > KERNEL_CACHE_LIMIT && strcmp(entries[i].name, newest) != 0)
			unlinkat(folder, entries[i].name, 0);
	}
	free(entries);
	closedir(dir);
}

void kernel_cache_add(int fd, const struct kernel_id *id, size_t size, bool keep)
{
	struct header h = { .magic = MAGIC, .id = *id, .size = size };
	char name[NAME_MAX_LEN], self[32];
	int folder;

	h.check = header_check(&h);
	if (!keep || fdatasync(fd) || pwrite(fd, &h, sizeof(h), 0) != sizeof(h) || fsync(fd))
		return;
	folder = open_folder();
	if (folder < 0)
		return;
	entry_name(name, id);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	/* -EEXIST: another was faster. -EXDEV: this one is in memory. */
	if (!linkat(AT_FDCWD, self, folder, name, AT_SYMLINK_FOLLOW))
		remove_old(name);
	close(folder);
}
