/* SPDX-License-Identifier: MIT */
/* Unpacked kernels in files: private to kernel.c. docs/design/009-kernel-cache.md */
#ifndef TOOLS_LIB_KERNEL_CACHE_H
#define TOOLS_LIB_KERNEL_CACHE_H

#include <lib/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* What a file is recognised by: if these are the same, so is its content. */
struct kernel_id {
	uint64_t dev, ino, size;
	int64_t mtime_s, mtime_ns, ctime_s, ctime_ns;
};

#define KERNEL_CACHE_BASE	4096UL	/* offset of the image in an entry */

struct kernel_id kernel_id_of(const struct stat *st);
bool kernel_id_equal(const struct kernel_id *a, const struct kernel_id *b);

/* The entry for id: descriptor and size of the image in it, or -ENOENT. Entries that are not what they should be are removed. */
int kernel_cache_find(const struct kernel_id *id, size_t *size);
/* A new, nameless file in the cache, or in memory if there can be no cache. -errno. */
int kernel_cache_new(void);
/*
 * Make it the entry for id; then remove old entries beyond the limit. keep false, or a failure: it stays nameless, which is no
 * error.
 */
void kernel_cache_add(int fd, const struct kernel_id *id, size_t size, bool keep);

#endif
