/* SPDX-License-Identifier: MIT */
/* Memory and bytes: allocation that cannot fail, a growing byte queue, a bounded reader. */
#include <stored/mem.h>
#include <stored/log.h>
#include <stdlib.h>
#include <string.h>

#define SMALL	4096	/* an empty queue larger than this gives its memory back */

static void *checked(void *p)
{
	if (!p) {
		log_line("out of memory");
		abort();
	}
	return p;
}

void *mem_alloc(size_t size)
{
	return checked(calloc(1, size ? size : 1));
}

void *mem_resize(void *p, size_t size)
{
	return checked(realloc(p, size ? size : 1));
}

void *mem_copy(const void *p, size_t size)
{
	return size ? memcpy(checked(malloc(size)), p, size) : NULL;
}

char *bytes_room(struct bytes *b, size_t n)
{
	size_t len = bytes_len(b);

	if (b->size - b->end >= n)
		return b->data + b->end;
	if (b->start && b->size - len >= n && b->start >= len) {
		memcpy(b->data, b->data + b->start, len);
	} else {
		size_t size = b->size ? b->size : 256;

		while (size - len < n)
			size *= 2;
		char *data = checked(malloc(size));

		if (len)
			memcpy(data, b->data + b->start, len);
		free(b->data);
		b->data = data;
		b->size = size;
	}
	b->start = 0;
	b->end = len;
	return b->data + len;
}

void bytes_add(struct bytes *b, const void *p, size_t n)
{
	if (n) {
		memcpy(bytes_room(b, n), p, n);
		b->end += n;
	}
}

void bytes_drop(struct bytes *b, size_t n)
{
	b->start += n;
	if (b->start < b->end)
		return;
	b->start = b->end = 0;
	if (b->size > SMALL)
		bytes_free(b);
}

void bytes_free(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){ 0 };
}

const char *reader_take(struct reader *r, size_t n)
{
	const char *p = r->p;

	if (n > r->left) {
		r->bad = true;
		r->left = 0;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

u64 reader_u(struct reader *r, unsigned int width)
{
	const char *p = reader_take(r, width);
	u64 v = 0;

	if (p)
		memcpy(&v, p, width);
	return v;
}
