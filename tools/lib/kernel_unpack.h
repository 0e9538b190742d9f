/* SPDX-License-Identifier: MIT */
/* Unpacking of a kernel file by a child process in a jail. */
#ifndef TOOLS_LIB_KERNEL_UNPACK_H
#define TOOLS_LIB_KERNEL_UNPACK_H

#include <lib/err.h>
#include <stddef.h>

/*
 * Find the kernel in the file (read-only, in_size bytes) and write it to out from offset base on, with holes for pages of zeroes as
 * far as the file system has them; behind it, at the next page, the bitmap that struct kernel describes. *size: of the kernel. out
 * is empty before. Errors name path.
 */
int kernel_unpack(const char *path, int in, size_t in_size, int out, size_t base, size_t *size, struct err *e);

/* Offset of the bitmap and end of the file, for an image of size bytes at base. */
size_t kernel_bitmap_offset(size_t base, size_t size);
size_t kernel_file_size(size_t base, size_t size);

/*
 * What the child does, in memory: in[0..in_size) to a new mapping *out of *size bytes. NULL, or a message to follow "kernel PATH:
 * ". For the fuzzer.
 */
const char *kernel_unpack_here(const void *in, size_t in_size, size_t max, void *(*output)(void *ctx, size_t size), void *ctx,
			       size_t *size);

#endif
