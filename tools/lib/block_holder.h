/* SPDX-License-Identifier: MIT */
/* Who has a file or a block device: for the message when somebody has. Slow: looks at all loop devices, mounts and processes. */
#ifndef TOOLS_LIB_BLOCK_HOLDER_H
#define TOOLS_LIB_BLOCK_HOLDER_H

#include <lib/block.h>
#include <linux/loop.h>
#include <stdio.h>

enum block_holder {
	HOLDER_NONE,		/* found nobody */
	HOLDER_OURS,		/* a loop device of a guest */
	HOLDER_READERS,		/* programs that only read: no harm */
	HOLDER_MOUNT_RO,	/* a mount that is read-only: no harm while the guest does not write */
	HOLDER_OTHER,
};

/*
 * open() with O_CLOEXEC and O_NONBLOCK, which waits up to a second while somebody asks who has the file, as block_check_free()
 * does.
 */
int block_open(const char *path, int flags);

/* Who has it, as the end of a sentence ("is mounted on /srv") in text. */
enum block_holder block_find_holder(const struct block_id *id, char *text, size_t size);

/* Call fn for every loop device that has a file, until it returns false. */
void block_each_loop(bool (*fn)(int fd, dev_t dev, const struct loop_info64 *info, void *arg), void *arg);

/*
 * Where the device (or, of a whole disk, one of its partitions) is mounted, from a file in the form of /proc/self/mountinfo.
 * match(dev, arg) says if a mount's device counts. False: nowhere. *writable: mounted read-write.
 */
bool block_find_mount(
	FILE *mountinfo, bool (*match)(dev_t dev, const void *arg), const void *arg, char *where, size_t size, bool *writable);

#endif
