/* SPDX-License-Identifier: MIT */
/*
 * Guest kernels: from a path to an image in memory.
 *
 * Images stay mapped after use (`images`, the last used first), since mapping tens of MiB costs more than all else that building a
 * guest does with a kernel. They are recognised by the identity of the file they came from. The mapping is of a cache entry that
 * nobody can write to, or of memory of this process; never of the file itself, which somebody might cut short.
 */
#include <errno.h>
#include <fcntl.h>
#include <lib/kernel.h>
#include <lib/kernel_cache.h>
#include <lib/kernel_unpack.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <lib/elf.h>

#define KEEP		4		/* images that nobody uses stay, if there are no more than this many in all */
#define SMALL		(256UL << 10)	/* an ELF file up to this size is just read */

struct kernel_image {
	struct kernel_image *next;
	unsigned users;			/* guarded by the lock, as all of the list */
	struct kernel_id id;
	void *map;
	size_t map_size;
	const void *elf;
	size_t size;
	const uint8_t *filled;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kernel_image *images;

struct source {
	const char *path;
	int fd;
	struct kernel_id id;
	void (*progress)(const char *text, void *ctx);
	void *ctx;
};

static int source_open(struct source *s, struct err *e)
{
	struct stat st;

	s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (s->fd < 0)
		return err_set(e, errno, errno == ENOENT ? "kernel-missing" : "bad-kernel", "kernel %s: %s", s->path,
			       errno == ENOENT ? "there is no such file" : strerror(errno));
	if (fstat(s->fd, &st))
		err_set(e, errno, "bad-kernel", "kernel %s: %s", s->path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		err_set(e, ENOEXEC, "bad-kernel", "kernel %s: it is not a file", s->path);
	else if (st.st_size == 0)
		err_set(e, ENOEXEC, "bad-kernel", "kernel %s: it is empty", s->path);
	else if (st.st_size > (off_t)KERNEL_MAX)
		err_set(e, EFBIG, "bad-kernel", "kernel %s: it is larger than %lu MiB", s->path, KERNEL_MAX >> 20);
	else
		return s->id = kernel_id_of(&st), 0;
	close(s->fd);
	return -e->error;
}

static int source_changed(const struct source *s, struct err *e)
{
	return err_set(e, EAGAIN, "bad-kernel",
		       "kernel %s: it was changed while it was being read: try again when it is complete", s->path);
}

/*
 * A file's times do not tell apart changes within a tick of the clock, or within a second on file systems without fractions of it.
 * So nothing is kept of a file that may still be in the making.
 */
static bool source_settled(const struct source *s)
{
	const int64_t second = 1000000000;
	struct timespec now;
	int64_t age;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec - s->id.ctime_s > 3)
		return true;
	age = (now.tv_sec - s->id.ctime_s) * second + now.tv_nsec - s->id.ctime_ns;
	return age > (s->id.ctime_ns ? second / 10 : 2 * second);
}

static void image_free(struct kernel_image *i)
{
	munmap(i->map, i->map_size);
	free(i);
}

/* A plain small ELF file: into memory. 0 and no map: not such a file. */
static int read_small(const struct source *s, struct kernel_image *i, struct err *e)
{
	size_t size = s->id.size;
	char magic[4];
	void *p;

	if (size > SMALL || pread(s->fd, magic, 4, 0) != 4 || memcmp(magic, "\x7f" "ELF", 4))
		return 0;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED)
		return err_set(e, ENOMEM, "no-memory", "no memory left to read kernel %s", s->path);
	if (pread(s->fd, p, size, 0) != (ssize_t)size) {
		munmap(p, size);
		return source_changed(s, e);
	}
	i->map = p;
	i->elf = p;
	i->map_size = i->size = size;
	return 0;
}

static int map_entry(const struct source *s, int fd, size_t size, struct kernel_image *i, struct err *e)
{
	i->map_size = kernel_file_size(KERNEL_CACHE_BASE, size);
	i->map = mmap(NULL, i->map_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (i->map == MAP_FAILED) {
		i->map = NULL;
		return err_set(e, ENOMEM, "no-memory", "no memory left to map kernel %s", s->path);
	}
	i->elf = (char *)i->map + KERNEL_CACHE_BASE;
	i->size = size;
	i->filled = (uint8_t *)i->map + kernel_bitmap_offset(KERNEL_CACHE_BASE, size);
	return 0;
}

static int check_elf(const struct source *s, const struct kernel_image *i, struct err *e)
{
	const char *error = NULL;
	struct elf elf;

	if (elf_open(&elf, i->elf, i->size, &error))
		return err_set(e, ENOEXEC, "bad-kernel", "kernel %s: %s", s->path, error);
	return 0;
}

static int unpack(const struct source *s, struct kernel_image *i, struct err *e)
{
	int fd = kernel_cache_new(), rc;
	struct kernel_id id;
	char text[512];
	struct stat st;
	size_t size;

	if (fd < 0)
		return err_set(e, -fd, "no-space", "kernel %s: cannot make a file to unpack it to: %s", s->path, strerror(-fd));
	if (s->progress) {
		snprintf(text, sizeof(text), "unpacking %s", s->path);
		s->progress(text, s->ctx);
	}
	rc = kernel_unpack(s->path, s->fd, s->id.size, fd, KERNEL_CACHE_BASE, &size, e);
	if (!rc && (fstat(fd, &st) || (size_t)st.st_size != kernel_file_size(KERNEL_CACHE_BASE, size)))
		rc = err_set(e, ENOEXEC, "bad-kernel", "kernel %s: unpacking it failed: the file is damaged, or an attack", s->path);
	id = fstat(s->fd, &st) ? (struct kernel_id){ 0 } : kernel_id_of(&st);
	if (!kernel_id_equal(&id, &s->id))
		rc = source_changed(s, e);	/* whatever has come of that */
	if (!rc)
		rc = map_entry(s, fd, size, i, e);
	if (!rc)
		rc = check_elf(s, i, e);
	if (!rc)
		kernel_cache_add(fd, &s->id, size, source_settled(s));
	close(fd);
	return rc;
}

static int load(const struct source *s, struct kernel_image **out, struct err *e)
{
	struct kernel_image *i = calloc(1, sizeof(*i));
	size_t size;
	int rc, fd;

	if (!i)
		return err_set(e, ENOMEM, "no-memory", "no memory left");
	if (source_settled(s))
		i->id = s->id;		/* else it is never found again */
	rc = read_small(s, i, e);
	if (!rc && i->map) {
		rc = check_elf(s, i, e);
	} else if (!rc) {
		fd = kernel_cache_find(&s->id, &size);
		rc = fd >= 0 ? map_entry(s, fd, size, i, e) : unpack(s, i, e);
		if (fd >= 0)
			close(fd);
	}
	if (!rc) {
		*out = i;
		return 0;
	}
	if (i->map)
		munmap(i->map, i->map_size);
	free(i);
	return rc;
}

/* Unmap images that nobody uses, beyond the first keep in the list. */
static void trim(unsigned keep)
{
	for (struct kernel_image **at = &images; *at;) {
		struct kernel_image *i = *at;

		if (keep) {
			keep--;
			at = &i->next;
		} else if (i->users) {
			at = &i->next;
		} else {
			*at = i->next;
			image_free(i);
		}
	}
}

static int find_or_load(const struct source *s, struct kernel_image **out, struct err *e)
{
	struct kernel_image **at = &images, *i;
	int rc;

	while (*at && !kernel_id_equal(&(*at)->id, &s->id))
		at = &(*at)->next;
	i = *at;
	if (i) {
		*at = i->next;
	} else {
		rc = load(s, &i, e);
		if (rc)
			return rc;
	}
	i->next = images;
	images = i;
	i->users++;
	trim(KEEP);
	*out = i;
	return 0;
}

int kernel_open(const char *path, void (*progress)(const char *text, void *ctx), void *ctx, struct kernel *k, struct err *e)
{
	struct source s = { .path = path, .progress = progress, .ctx = ctx };
	struct kernel_image *i = NULL;
	int rc = source_open(&s, e);

	if (rc)
		return rc;
	pthread_mutex_lock(&lock);
	rc = find_or_load(&s, &i, e);
	pthread_mutex_unlock(&lock);
	close(s.fd);
	if (!rc)
		*k = (struct kernel){ .elf = i->elf, .size = i->size, .filled = i->filled, .image = i };
	return rc;
}

void kernel_close(struct kernel *k)
{
	if (!k->image)
		return;
	pthread_mutex_lock(&lock);
	k->image->users--;
	trim(KEEP);
	pthread_mutex_unlock(&lock);
	*k = (struct kernel){ 0 };
}

void kernel_forget(void)
{
	pthread_mutex_lock(&lock);
	trim(0);
	pthread_mutex_unlock(&lock);
}
