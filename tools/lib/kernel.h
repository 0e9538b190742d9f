/* SPDX-License-Identifier: MIT */
/* Guest kernels: unpacked once, kept for all guests that use the same file. docs/design/009-kernel-cache.md */
#ifndef TOOLS_LIB_KERNEL_H
#define TOOLS_LIB_KERNEL_H

#include <lib/err.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_CACHE		"/var/cache/lodge/kernels"	/* $LODGE_KERNEL_CACHE overrides it */
#define KERNEL_MAX		(512UL << 20)			/* bytes, unpacked */
#define KERNEL_CACHE_LIMIT	(256UL << 20)			/* bytes on disk of all entries; the newest is kept whatever its size */
#define KERNEL_PAGE		4096UL

struct kernel_image;

/* A kernel's ELF image, mapped read-only. It stays as it is, whatever happens to the file. */
struct kernel {
	const void *elf;
	size_t size;
	const uint8_t *filled;		/* bit n: page n (KERNEL_PAGE bytes) of the image has a byte that is not 0; NULL: not known */
	struct kernel_image *image;
};

/*
 * Open a kernel file: an ELF (plain or gzip'ed), or a bzImage with a gzip, XZ, LZ4 or ZSTD payload. What has to be unpacked is
 * unpacked by a child process without privileges (other user, no new files, limits on memory and time; the file may be a guest's)
 * into the cache, whose entry is named by device, inode, size and modification time of the file; entries not used for long are
 * removed when the cache exceeds its limit. The last ones used stay mapped in this process. Whether the image is a proper 64-bit
 * ELF file has been checked (elf_open()), no more. -ENOENT, -ENOEXEC, -EFBIG, … with a message that names the path. May be called
 * by several threads; while one unpacks, others wait.
 */
int kernel_open(const char *path, void (*progress)(const char *text, void *ctx), void *ctx, struct kernel *k, struct err *e);
void kernel_close(struct kernel *k);
/* Unmap the images that nobody uses: for tests, and before memory gets tight. */
void kernel_forget(void);

#endif
