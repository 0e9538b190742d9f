/* SPDX-License-Identifier: MIT */
/* A ring of bytes with positions that only grow. */
#ifndef CORE_RING_H
#define CORE_RING_H

#include <lib/types.h>

/*
 * Positions count bytes since the beginning of time; the byte at position p lies at buf[p % size]. The bytes from tail to head are
 * held. The caller provides the locking.
 */
struct ring {
	char *buf;
	u32 size;	/* a power of two */
	u64 head, tail;
};

#define RING_INIT(storage)	{ .buf = (storage), .size = sizeof(storage) }

static inline u32 ring_used(const struct ring *r) { return (u32)(r->head - r->tail); }
static inline u32 ring_free(const struct ring *r) { return r->size - ring_used(r); }

/* Append; false, and no change, when full. */
bool ring_put(struct ring *r, char c);
/* Append; the oldest byte makes room when full. */
void ring_put_over(struct ring *r, char c);
/* Take the oldest byte; false when empty. */
bool ring_get(struct ring *r, char *c);
/*
 * Copy what is held from position *pos on, up to cap bytes, and advance *pos. A position older than the ring holds moves up to the oldest
 * byte, one in the future back to the end. Returns the number of bytes.
 */
size_t ring_read_at(const struct ring *r, u64 *pos, char *out, size_t cap);
/* Move to a bigger buffer (a power of two, >= the old), keeping the contents and their positions. */
void ring_grow(struct ring *r, char *buf, u32 size);

#endif
