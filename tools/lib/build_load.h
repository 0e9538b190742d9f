/* SPDX-License-Identifier: MIT */
/* Writing into a new guest's memory. Private to build*.c. */
#ifndef TOOLS_LIB_BUILD_LOAD_H
#define TOOLS_LIB_BUILD_LOAD_H

#include <lib/err.h>
#include <lib/hv.h>
#include <stdbool.h>

#define BUILD_PIECES	48	/* a kernel may have 32 segments */

/*
 * What is to be at [pa, pa + len) of the guest, in bytes: data; or the file from its start; or, with neither, zeroes. Of pieces
 * that overlap, the later one counts. Outside of all of them the memory stays as it came.
 */
struct build_piece {
	uint64_t pa, len;
	const void *data;
	int file;			/* -1: none */
	const uint8_t *filled;		/* with data: struct kernel's bitmap, or NULL. What is zero is not written if the memory is */
	uint64_t filled_offset;		/* of data in what the bitmap is about */
};

struct build_image {
	struct build_piece pieces[BUILD_PIECES];
	unsigned n;
	const uint64_t *p2m;		/* machine frame of each page */
	uint64_t pages;
	const char *file_path;		/* for messages */
	bool memory_is_zero;		/* the hypervisor gave zeroed memory: pieces of zeroes need no writing */
};

/* Add a piece; one beyond BUILD_PIECES is ignored, so callers bound what they add. */
void build_piece_add(struct build_image *im, struct build_piece piece);
/* Write all pieces. Nothing stays mapped. */
int build_load(struct hv *hv, uint16_t domid, const struct build_image *im, struct err *e);

#endif
