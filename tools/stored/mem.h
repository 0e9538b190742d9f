/* SPDX-License-Identifier: MIT */
/* Memory and bytes: allocation that cannot fail, a growing byte queue, a bounded reader. */
#ifndef STORED_MEM_H
#define STORED_MEM_H

#include <lib/types.h>

/*
 * What guests can make the daemon allocate is bounded by quotas, so an allocation that fails means that Domain 0 itself is out of
 * memory. These end the program then; it is started again and continues from its state file.
 */
void *mem_alloc(size_t size);		/* zeroed; for free() */
void *mem_resize(void *p, size_t size);
void *mem_copy(const void *p, size_t size);	/* a copy; NULL for size 0 */

/* A queue of bytes: data[start..end) are in it. All zero is an empty one. */
struct bytes {
	char *data;
	size_t start, end, size;
};

static inline size_t bytes_len(const struct bytes *b) { return b->end - b->start; }
static inline char *bytes_at(struct bytes *b) { return b->data ? b->data + b->start : NULL; }
/* Room for n more bytes at the end; where. The caller then adds to b->end. */
char *bytes_room(struct bytes *b, size_t n);
void bytes_add(struct bytes *b, const void *p, size_t n);
/* Drop n bytes, at most all, from the start. */
void bytes_drop(struct bytes *b, size_t n);
void bytes_free(struct bytes *b);

/* Takes fields from p[0..left); what runs over the end sets bad and yields zeros. */
struct reader {
	const char *p;
	size_t left;
	bool bad;
};

const char *reader_take(struct reader *r, size_t n);
u64 reader_u(struct reader *r, unsigned int width);	/* little-endian, of 1, 2, 4 or 8 bytes */

#endif
