/* SPDX-License-Identifier: MIT */
/*
 * Disks of guests in Domain 0: what a path is, who else uses it, and a block device for the backend.
 *
 * A block device is used as it is, a file through a loop device. Our loop devices carry a tag ("lodge:UUID:VDEV") in their
 * file name field, so that what was left over by a manager that was killed can be found (block_sweep()).
 */
#ifndef TOOLS_LIB_BLOCK_H
#define TOOLS_LIB_BLOCK_H

#include <lib/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define BLOCK_TAG	"lodge:"	/* what all of ours begin with */
#define BLOCK_TAG_MAX	64	/* with the 0 */

/* What a path is, independent of its name. */
struct block_id {
	bool is_file;
	dev_t dev;	/* the block device, or where the file is */
	ino_t ino;	/* the file */
	dev_t whole;	/* block device: the disk that it is a partition of, or itself */
};

bool block_same(const struct block_id *a, const struct block_id *b);
/* -ENOENT "no-disk"; -EINVAL "bad-disk": neither file nor block device, or empty. */
int block_identify(const char *path, struct block_id *id, struct err *e);
/*
 * May a guest have it, as far as Domain 0 is concerned? -EBUSY "disk-in-use" says who has it: mounted, swap, part of a RAID, a
 * loop device, open for writing. Cheap when nobody has it. A loop device of ours is waited for, since its guest has ended (up
 * to a second): the caller knows which guests run.
 */
int block_check_free(const char *path, const struct block_id *id, bool write, struct err *e);
/* Can it be opened as the guest is to have it? "bad-disk": no; else as block_attach(). */
int block_check_open(const char *path, const struct block_id *id, bool readonly, struct err *e);
/*
 * A block device for the backend: itself, or a new loop device with the tag, which exists until block_detach(). -EBUSY
 * "disk-in-use": the path is not any more what id says.
 */
int block_attach(const char *path, const struct block_id *id, bool readonly, const char *tag, dev_t *dev, struct err *e);
/*
 * Let go of a device that block_attach() gave; a loop device goes as soon as nobody has it open. Does nothing if it is not a
 * loop device with this tag.
 */
void block_detach(dev_t dev, const char *tag);
/* Detach the loop devices with tags that begin with "lodge:" and that keep() does not want. */
void block_sweep(bool (*keep)(const char *tag, void *ctx), void *ctx);
/* "/dev/loop3", or the device's name as the kernel knows it. */
void block_device_name(dev_t dev, char *buf, size_t size);

#endif
