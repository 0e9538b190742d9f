/* SPDX-License-Identifier: MIT */
/* The byte ring of the console: log, output buffer, input buffer. */
#include <core/ring.h>

bool ring_put(struct ring *r, char c)
{
	if (ring_free(r) == 0)
		return false;
	r->buf[r->head++ & (r->size - 1)] = c;
	return true;
}

void ring_put_over(struct ring *r, char c)
{
	if (ring_free(r) == 0)
		r->tail++;
	r->buf[r->head++ & (r->size - 1)] = c;
}

bool ring_get(struct ring *r, char *c)
{
	if (r->head == r->tail)
		return false;
	*c = r->buf[r->tail++ & (r->size - 1)];
	return true;
}

size_t ring_read_at(const struct ring *r, u64 *pos, char *out, size_t cap)
{
	size_t n = 0;

	if (*pos < r->tail)
		*pos = r->tail;
	if (*pos > r->head)
		*pos = r->head;
	while (n < cap && *pos < r->head)
		out[n++] = r->buf[(*pos)++ & (r->size - 1)];
	return n;
}

void ring_grow(struct ring *r, char *buf, u32 size)
{
	for (u64 pos = r->tail; pos < r->head; pos++)
		buf[pos & (size - 1)] = r->buf[pos & (r->size - 1)];
	r->buf = buf;
	r->size = size;
}
