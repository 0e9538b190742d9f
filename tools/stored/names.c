/* SPDX-License-Identifier: MIT */
/* Trees of names: the shape shared by the store's nodes, the watches' paths and a transaction's changes. */
#include <stored/names.h>
#include <stored/mem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Not known to clients, so that they cannot choose names that collide. */
static u64 seed[2];

static u64 mix(u64 a, u64 b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (u64)product ^ (u64)(product >> 64);
}

static u32 name_hash(const struct name *parent, const char *text, size_t len)
{
	u64 h = mix(seed[0] ^ (uintptr_t)parent, seed[1] ^ len);

	for (; len >= 8; text += 8, len -= 8) {
		u64 word;

		memcpy(&word, text, 8);
		h = mix(h ^ word, seed[1]);
	}
	u64 tail = 0;

	memcpy(&tail, text, len);
	h = mix(h ^ tail, seed[1]);
	return (u32)(h ^ h >> 32);
}

void names_init(struct names *t)
{
	while (!seed[0] || !(seed[1] & 1)) {
		if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
			abort();
		seed[1] |= 1;
	}
	memset(t, 0, sizeof(*t));
	t->bucket = t->small;
	t->mask = NAMES_SMALL - 1;
}

void names_free(struct names *t)
{
	if (t->bucket != t->small)
		free(t->bucket);
}

static void names_grow(struct names *t)
{
	size_t mask = t->mask * 2 + 1;
	struct name **bucket = mem_alloc((mask + 1) * sizeof(*bucket));

	for (size_t i = 0; i <= t->mask; i++) {
		while (t->bucket[i]) {
			struct name *n = t->bucket[i];

			t->bucket[i] = n->next;
			n->next = bucket[n->hash & mask];
			bucket[n->hash & mask] = n;
		}
	}
	names_free(t);
	t->bucket = bucket;
	t->mask = mask;
}

void name_init_root(struct name *n)
{
	memset(n, 0, sizeof(*n));
	list_init(&n->siblings);
	list_init(&n->children);
	n->text = "";
}

struct name *name_find(const struct names *t, const struct name *parent, const char *text, size_t len)
{
	if (list_empty(&parent->children))
		return NULL;

	u32 hash = name_hash(parent, text, len);
	struct name *n = t->bucket[hash & t->mask];

	while (n && (n->hash != hash || n->parent != parent || n->len != len || memcmp(n->text, text, len) != 0))
		n = n->next;
	return n;
}

void *name_add(struct names *t, size_t size, struct name *parent, const char *text, size_t len)
{
	if (t->count++ > t->mask)
		names_grow(t);

	struct name *n = mem_alloc(size + len + 1);

	n->parent = parent;
	n->text = (char *)n + size;
	memcpy(n->text, text, len);
	n->len = (u32)len;
	n->hash = name_hash(parent, text, len);
	n->next = t->bucket[n->hash & t->mask];
	t->bucket[n->hash & t->mask] = n;
	list_init(&n->children);
	list_add_tail(&parent->children, &n->siblings);
	return n;
}

void name_free(struct names *t, struct name *n)
{
	struct name **at = &t->bucket[n->hash & t->mask];

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	t->count--;
	list_del(&n->siblings);
	free(n);
}

size_t name_path(const struct name *n, char *buf, size_t size)
{
	size_t len = 0;

	for (const struct name *i = n; i->parent; i = i->parent)
		len += i->len + 1;
	if (len + 2 > size)
		return 0;
	if (!len) {
		memcpy(buf, "/", 2);
		return 1;
	}
	buf[len] = '\0';
	for (char *end = buf + len; n->parent; n = n->parent) {
		end -= n->len;
		memcpy(end, n->text, n->len);
		*--end = '/';
	}
	return len;
}

bool path_next(const char **path, const char **name, size_t *len)
{
	const char *p = *path;

	if (*p == '/')
		p++;
	if (!*p)
		return false;
	*name = p;
	*path = strchrnul(p, '/');
	*len = (size_t)(*path - p);
	return true;
}
