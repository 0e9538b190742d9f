/* SPDX-License-Identifier: MIT */
/* Disks of guests: identity of paths, loop devices. */
#include <errno.h>
#include <fcntl.h>
#include <lib/block.h>
#include <lib/block_holder.h>
#include <lib/small_file.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LOOP_MAJOR_NUMBER	7
#define LOOP_TRIES		64	/* others take loop devices, too */

/* The disk that a partition is on: the device above it in sysfs. */
static dev_t whole_disk(dev_t dev)
{
	char path[80], text[32];
	unsigned int maj, min;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(dev), minor(dev));
	if (access(path, F_OK))
		return dev;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
	small_file_read(path, text, sizeof(text));
	return sscanf(text, "%u:%u", &maj, &min) == 2 ? makedev(maj, min) : dev;
}

static int identify(const char *path, const struct stat *st, struct block_id *id, struct err *e)
{
	*id = (struct block_id){ 0 };
	if (S_ISBLK(st->st_mode)) {
		id->dev = st->st_rdev;
		id->whole = whole_disk(st->st_rdev);
		return 0;
	}
	if (!S_ISREG(st->st_mode))
		return err_set(e, EINVAL, "bad-disk", "%s is neither a file nor a block device", path);
	if (st->st_size < 512)
		return err_set(e, EINVAL, "bad-disk", "%s is too small for a disk: %lld bytes", path, (long long)st->st_size);
	id->is_file = true;
	id->dev = id->whole = st->st_dev;
	id->ino = st->st_ino;
	return 0;
}

bool block_same(const struct block_id *a, const struct block_id *b)
{
	return a->is_file == b->is_file && a->dev == b->dev && a->ino == b->ino;
}

int block_identify(const char *path, struct block_id *id, struct err *e)
{
	struct stat st;

	if (stat(path, &st))
		return err_set(e, errno, "no-disk",
			errno == ENOENT ? "the disk %s does not exist" : "the disk %s cannot be opened (%m)", path);
	return identify(path, &st, id, e);
}

/* The status of an open loop device; -ENXIO: it has no file. */
static int loop_status(int fd, struct loop_info64 *info)
{
	return ioctl(fd, LOOP_GET_STATUS64, info) ? -errno : 0;
}

static const char *loop_tag(const struct loop_info64 *info, char tag[BLOCK_TAG_MAX])
{
	memcpy(tag, info->lo_file_name, BLOCK_TAG_MAX - 1);
	tag[BLOCK_TAG_MAX - 1] = '\0';
	return tag;
}

/* Tie a free loop device to the configuration's file. The number, or -errno. */
static int loop_configure(const struct loop_config *config)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int rc = -EBUSY;

	if (control < 0)
		return -errno;
	for (int i = 0; i < LOOP_TRIES && rc == -EBUSY; i++) {
		char path[32];
		int number = ioctl(control, LOOP_CTL_GET_FREE), fd;

		if (number < 0) {
			rc = -errno;
			break;
		}
		snprintf(path, sizeof(path), "/dev/loop%d", number);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			rc = -errno;
			break;
		}
		rc = ioctl(fd, LOOP_CONFIGURE, config) ? -errno : number;
		close(fd);
	}
	close(control);
	return rc;
}

/* Open it as the guest is to have it. It may be another one than it was when it was identified. The descriptor, or -errno. */
static int open_as(const char *path, const struct block_id *id, bool readonly, struct err *e)
{
	int fd = block_open(path, readonly ? O_RDONLY : O_RDWR);
	struct block_id now;
	struct stat st;

	if (fd < 0)
		return err_set(
			e, errno, "bad-disk", "the disk %s cannot be opened for %s (%m)", path, readonly ? "reading" : "writing");
	if (fstat(fd, &st) || identify(path, &st, &now, e) || !block_same(&now, id)) {
		close(fd);
		return err_set(e, EBUSY, "disk-in-use", "the disk %s was replaced by another one just now", path);
	}
	return fd;
}

int block_check_open(const char *path, const struct block_id *id, bool readonly, struct err *e)
{
	int fd = open_as(path, id, readonly, e);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int block_attach(const char *path, const struct block_id *id, bool readonly, const char *tag, dev_t *dev, struct err *e)
{
	struct loop_config config = { .info = { .lo_flags = LO_FLAGS_DIRECT_IO | (readonly ? LO_FLAGS_READ_ONLY : 0) } };
	int fd = open_as(path, id, readonly, e), number = 0;

	if (fd < 0)
		return fd;
	config.fd = (unsigned int)fd;
	snprintf((char *)config.info.lo_file_name, sizeof(config.info.lo_file_name), "%s", tag);
	if (id->is_file)
		number = loop_configure(&config);
	close(fd);
	if (number < 0)
		return err_set(e, -number, "bad-disk", "no loop device for the disk %s: %s (is the module loop loaded?)", path,
			strerror(-number));
	*dev = id->is_file ? makedev(LOOP_MAJOR_NUMBER, (unsigned int)number) : id->dev;
	return 0;
}

void block_detach(dev_t dev, const char *tag)
{
	struct loop_info64 info;
	char path[32], found[BLOCK_TAG_MAX];
	int fd;

	if (major(dev) != LOOP_MAJOR_NUMBER)
		return;
	snprintf(path, sizeof(path), "/dev/loop%u", minor(dev));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* With others that have it open, this makes it go with the last of them. */
	if (!loop_status(fd, &info) && !strcmp(loop_tag(&info, found), tag))
		ioctl(fd, LOOP_CLR_FD);
	close(fd);
}

struct sweep {
	bool (*keep)(const char *tag, void *ctx);
	void *ctx;
};

static bool sweep_one(int fd, dev_t dev, const struct loop_info64 *info, void *arg)
{
	struct sweep *s = arg;
	char tag[BLOCK_TAG_MAX];

	loop_tag(info, tag);
	if (!strncmp(tag, BLOCK_TAG, strlen(BLOCK_TAG)) && !s->keep(tag, s->ctx))
		ioctl(fd, LOOP_CLR_FD);
	return true;
}

void block_sweep(bool (*keep)(const char *tag, void *ctx), void *ctx)
{
	struct sweep s = { keep, ctx };

	block_each_loop(sweep_one, &s);
}

void block_device_name(dev_t dev, char *buf, size_t size)
{
	char link[64], target[512];
	ssize_t n;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	n = readlink(link, target, sizeof(target) - 1);
	if (n > 0) {
		const char *name;

		target[n] = '\0';
		name = strrchr(target, '/');
		snprintf(buf, size, "/dev/%s", name ? name + 1 : target);
		for (char *p = buf + 5; *p; p++)	/* sysfs has ! for / */
			if (*p == '!')
				*p = '/';
	} else {
		snprintf(buf, size, "%u:%u", major(dev), minor(dev));
	}
}
