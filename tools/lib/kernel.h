/* SPDX-License-Identifier: MIT */
/* Guest kernels: unpacked once, kept for all guests that use the same file. */
#ifndef TOOLS_LIB_KERNEL_H
#define TOOLS_LIB_KERNEL_H

#include <lib/err.h>
#include <stddef.h>

#define KERNEL_CACHE	"/var/cache/lodge/kernels"
#define KERNEL_MAX	(512UL << 20)	/* bytes, unpacked */

/* A kernel's ELF image, mapped read-only. */
struct kernel {
	const void *elf;
	size_t size;
};

/*
 * Open a kernel file: an ELF (plain or gzip'ed), or a bzImage with a gzip, XZ, LZ4 or ZSTD payload. What has to be unpacked is unpacked by a
 * child process without privileges (other user, no new files, limits on memory and time; the file may be a guest's) into the cache, whose entry is named by device, inode, size
 * and modification time of the file; entries not used for long are removed when the cache exceeds its limit.
 * -ENOENT, -ENOEXEC, -EFBIG, … with a message that names the path.
 */
int kernel_open(const char *path, void (*progress)(const char *text, void *ctx), void *ctx, struct kernel *k, struct err *e);
void kernel_close(struct kernel *k);

#endif
