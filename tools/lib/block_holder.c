/* SPDX-License-Identifier: MIT */
/*
 * Who else has a disk.
 *
 * A block device: the kernel's own exclusive openers (mounts, swap, RAID, device mapper) are found by asking for
 * exclusiveness. A file: a lease is only given while nobody has it open for writing, or (a write lease) at all, and that
 * counts the loop driver, so that no list of anything has to be read when all is well. Both are tests, not locks: what keeps
 * two guests apart is the manager's own table.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/block_holder.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define WAIT_STEP_NS	10000000L
#define WAIT_STEPS	100
#define OPEN_STEP_NS	1000000L
#define OPEN_STEPS	1000

/* "\040" of mountinfo back to the character. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && isdigit((unsigned char)s[1]) && isdigit((unsigned char)s[2]) && isdigit((unsigned char)s[3])) {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

bool block_find_mount(
	FILE *mountinfo, bool (*match)(dev_t dev, const void *arg), const void *arg, char *where, size_t size, bool *writable)
{
	char *line = NULL;
	size_t cap = 0;
	bool found = false;

	*writable = false;
	while (getline(&line, &cap, mountinfo) > 0) {
		unsigned int maj, min;
		char point[1024], options[256];

		if (sscanf(line, "%*d %*d %u:%u %*s %1023s %255s", &maj, &min, point, options) != 4 || !match(makedev(maj, min), arg))
			continue;
		if (!found) {
			unescape(point);
			snprintf(where, size, "%s", point);
		}
		found = true;
		/* A read-only mount of a superblock that may be written is no safer; its options come last. */
		*writable |= !strncmp(options, "rw", 2) || strstr(line, " rw,") || strstr(line, " rw\n");
	}
	free(line);
	return found;
}

void block_each_loop(bool (*fn)(int fd, dev_t dev, const struct loop_info64 *info, void *arg), void *arg)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *d;
	bool more = true;

	while (dir && more && (d = readdir(dir))) {
		struct loop_info64 info;
		struct stat st;
		char path[300];
		int fd;

		if (strncmp(d->d_name, "loop", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", d->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		if (!fstat(fd, &st) && !ioctl(fd, LOOP_GET_STATUS64, &info))
			more = fn(fd, st.st_rdev, &info, arg);
		close(fd);
	}
	if (dir)
		closedir(dir);
}

struct search {
	const struct block_id *id;
	char *text;
	size_t size;
	enum block_holder found;
};

static bool same_device(dev_t dev, const void *arg)
{
	return dev == *(const dev_t *)arg;
}

static bool find_mount(bool (*match)(dev_t dev, const void *arg), const void *arg, char *where, size_t size, bool *writable)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool found = f && block_find_mount(f, match, arg, where, size, writable);

	if (f)
		fclose(f);
	return found;
}

/* A loop device that has our file. */
static bool loop_of_file(int fd, dev_t dev, const struct loop_info64 *info, void *arg)
{
	struct search *s = arg;
	bool reads = info->lo_flags & LO_FLAGS_READ_ONLY, writable;
	char where[256];

	if (info->lo_device != s->id->dev || info->lo_inode != s->id->ino)
		return true;
	if (!strncmp((const char *)info->lo_file_name, BLOCK_TAG, strlen(BLOCK_TAG))) {
		snprintf(s->text, s->size, "is the disk of a guest (/dev/loop%u)", minor(dev));
		s->found = HOLDER_OURS;
	} else if (find_mount(same_device, &dev, where, sizeof(where), &writable)) {
		snprintf(s->text, s->size, "is mounted in Domain 0 on %s (by /dev/loop%u): unmount it first", where, minor(dev));
		s->found = writable || !reads ? HOLDER_OTHER : HOLDER_MOUNT_RO;
	} else {
		snprintf(s->text, s->size, "is in use in Domain 0 by /dev/loop%u: `losetup -d /dev/loop%u` first", minor(dev),
			minor(dev));
		s->found = reads ? HOLDER_READERS : HOLDER_OTHER;
	}
	return s->found == HOLDER_READERS;
}

/* Does an open file of this process count? Its flags are in fdinfo, in octal. */
static bool fd_writes(const char *pid, const char *fd)
{
	char path[600], line[128];
	unsigned int flags = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "flags: %o", &flags) == 1)
			break;
	if (f)
		fclose(f);
	return (flags & O_ACCMODE) != O_RDONLY;
}

static void search_process(struct search *s, const char *pid)
{
	char path[600], name[64] = "?";
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && s->found != HOLDER_OTHER && (d = readdir(dir))) {
		struct stat st;
		FILE *f;

		if (fstatat(dirfd(dir), d->d_name, &st, 0) || !S_ISREG(st.st_mode) || st.st_dev != s->id->dev ||
			st.st_ino != s->id->ino || atol(pid) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", pid);
		f = fopen(path, "re");
		if (f && fgets(name, sizeof(name), f))
			name[strcspn(name, "\n")] = '\0';
		if (f)
			fclose(f);
		s->found = fd_writes(pid, d->d_name) ? HOLDER_OTHER : HOLDER_READERS;
		snprintf(s->text, s->size, "is open in Domain 0 by %s (process %s)", name, pid);
	}
	if (dir)
		closedir(dir);
}

static void search_processes(struct search *s)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;

	while (dir && s->found != HOLDER_OTHER && (d = readdir(dir)))
		if (isdigit((unsigned char)d->d_name[0]))
			search_process(s, d->d_name);
	if (dir)
		closedir(dir);
}

/* The device itself, its partitions, or the disk that it is on. */
static bool overlapping_device(dev_t dev, const void *arg)
{
	const struct block_id *id = arg;
	char path[80], text[32] = "";
	unsigned int maj, min;
	FILE *f;

	if (dev == id->dev || dev == id->whole)
		return true;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return id->dev == id->whole && sscanf(text, "%u:%u", &maj, &min) == 2 && makedev(maj, min) == id->dev;
}

enum block_holder block_find_holder(const struct block_id *id, char *text, size_t size)
{
	struct search s = { .id = id, .text = text, .size = size };
	char where[256];
	bool writable;

	if (id->is_file) {
		block_each_loop(loop_of_file, &s);
		if (s.found == HOLDER_NONE || s.found == HOLDER_READERS)
			search_processes(&s);
		return s.found;
	}
	if (find_mount(overlapping_device, id, where, sizeof(where), &writable)) {
		snprintf(text, size, "is mounted in Domain 0 on %s: unmount it first", where);
		return writable ? HOLDER_OTHER : HOLDER_MOUNT_RO;
	}
	snprintf(text, size, "is in use in Domain 0 (swap, RAID, LVM or a program that has it for itself)");
	return HOLDER_OTHER;
}

int block_open(const char *path, int flags)
{
	for (int i = 0;; i++) {
		struct timespec step = { .tv_nsec = OPEN_STEP_NS };
		int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);

		/* Somebody has a lease, as probe() does for a moment. */
		if (fd >= 0 || errno != EWOULDBLOCK || i == OPEN_STEPS)
			return fd;
		nanosleep(&step, NULL);
	}
}

/* 0: nobody has it; 1: somebody may. */
static int probe(const char *path, const struct block_id *id, bool write, struct err *e)
{
	int fd = block_open(path, O_RDONLY | (id->is_file ? 0 : O_EXCL)), busy = 0;

	if (fd < 0 && errno == EBUSY)
		return 1;
	if (fd < 0)
		return err_set(e, errno, "bad-disk", "the disk %s cannot be opened (%m)", path);
	/* Whoever opens the file meanwhile makes the kernel send a signal: one that does nothing, in place of the deadly SIGIO. */
	if (id->is_file)
		fcntl(fd, F_SETSIG, SIGURG);
	/* File systems without leases answer EINVAL or the like: nothing is known then. */
	if (id->is_file && fcntl(fd, F_SETLEASE, write ? F_WRLCK : F_RDLCK))
		busy = errno == EAGAIN;
	close(fd);
	return busy;
}

int block_check_free(const char *path, const struct block_id *id, bool write, struct err *e)
{
	char text[400] = "is in use in Domain 0";

	for (int i = 0; i < WAIT_STEPS; i++) {
		struct timespec step = { .tv_nsec = WAIT_STEP_NS };
		int rc = probe(path, id, write, e);
		enum block_holder holder;

		if (rc <= 0)
			return rc;
		holder = block_find_holder(id, text, sizeof(text));
		if (holder == HOLDER_READERS || (holder == HOLDER_MOUNT_RO && !write))
			return 0;
		if (holder == HOLDER_OTHER || holder == HOLDER_MOUNT_RO)
			break;
		/* The last user is on its way out: the kernel closes files a little later. */
		nanosleep(&step, NULL);
	}
	return err_set(e, EBUSY, "disk-in-use", "the disk %s %s", path, text);
}
