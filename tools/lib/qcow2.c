/* SPDX-License-Identifier: MIT */
/*
 * The header of qcow2 images. Source: "Qcow2 Image Format", docs/interop/qcow2.txt of QEMU; numbers are big-endian.
 *
 * An image may come from anybody. It is refused here if it names files that it is not to name, or if it does so in a way that this
 * reader and QEMU's might understand differently.
 */
#include <endian.h>
#include <lib/qcow2.h>
#include <string.h>

#define MAGIC			0x514649fbu
#define VERSION_2_LENGTH	72u
#define VERSION_3_LENGTH	104u
#define CLUSTER_BITS_MIN	9u
#define CLUSTER_BITS_MAX	21u
#define SIZE_MAX_BYTES		(1ull << 60)

#define INCOMPATIBLE_CORRUPT	(1ull << 1)
#define INCOMPATIBLE_DATA_FILE	(1ull << 2)
#define INCOMPATIBLE_KNOWN	0x1full		/* dirty, corrupt, data file, compression type, extended L2 entries */

#define EXTENSION_END		0u
#define EXTENSION_FORMAT	0xe2792acau
#define EXTENSION_DATA_FILE	0x44415441u

/* Offsets */
enum { VERSION = 4, BACKING_OFFSET = 8, BACKING_SIZE = 16, CLUSTER_BITS = 20, SIZE = 24, CRYPT = 32, INCOMPATIBLE = 72, LENGTH = 100 };

struct header {
	const uint8_t *data;
	size_t size;		/* not beyond the first cluster */
};

static uint32_t u32(const struct header *h, size_t at)
{
	uint32_t v;

	memcpy(&v, h->data + at, sizeof(v));
	return be32toh(v);
}

static uint64_t u64(const struct header *h, size_t at)
{
	uint64_t v;

	memcpy(&v, h->data + at, sizeof(v));
	return be64toh(v);
}

bool qcow2_magic(const void *data, size_t size)
{
	const struct header h = { data, size };

	return size >= 4 && u32(&h, 0) == MAGIC;
}

static const char *read_backing(const struct header *h, struct qcow2 *q)
{
	uint64_t at = u64(h, BACKING_OFFSET), size = u32(h, BACKING_SIZE);

	if (!at)
		return NULL;
	if (!size || size > QCOW2_NAME_MAX || at > h->size || size > h->size - at)
		return "is damaged: the name of its backing file is not where it is said to be";
	memcpy(q->backing, h->data + at, size);
	q->backing[size] = '\0';
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)q->backing[i] < ' ' || q->backing[i] == 0x7f)
			return "has a backing file with control characters in its name";
	return NULL;
}

/* Type, length, data, padded to eight bytes; from `at` on, up to an end mark or where the name of the backing file stands. */
static const char *read_extensions(const struct header *h, size_t at, struct qcow2 *q)
{
	uint64_t end = u64(h, BACKING_OFFSET);

	if (!end || end > h->size)
		end = h->size;
	while (at < end && end - at >= 8) {
		uint32_t type = u32(h, at), length = u32(h, at + 4);

		at += 8;
		if (type == EXTENSION_END)
			return NULL;
		if (length > end - at)
			return "is damaged: an extension of its header is too long";
		if (type == EXTENSION_DATA_FILE)
			return "keeps its data in another file, which is not supported";
		if (type == EXTENSION_FORMAT) {
			if (*q->backing_format || !length || length >= sizeof(q->backing_format) || memchr(h->data + at, 0, length))
				return "is damaged: the format of its backing file is no name";
			memcpy(q->backing_format, h->data + at, length);
		}
		at += ((size_t)length + 7) & ~(size_t)7;
	}
	return NULL;
}

static const char *read_features(const struct header *h, struct qcow2 *q, size_t *length)
{
	uint64_t bits;

	*length = VERSION_2_LENGTH;
	if (u32(h, VERSION) == 2)
		return NULL;
	if (h->size < VERSION_3_LENGTH)
		return "is damaged: it ends within its header";
	*length = u32(h, LENGTH);
	if (*length < VERSION_3_LENGTH || *length % 8 || *length > h->size)
		return "is damaged: its header has an impossible length";
	bits = u64(h, INCOMPATIBLE);
	if (bits & INCOMPATIBLE_DATA_FILE)
		return "keeps its data in another file, which is not supported";
	if (bits & ~INCOMPATIBLE_KNOWN)
		return "needs a newer version of QEMU's tools: it has features that are unknown here";
	q->corrupt = bits & INCOMPATIBLE_CORRUPT;
	return NULL;
}

const char *qcow2_parse(const void *data, size_t size, struct qcow2 *q)
{
	struct header h = { data, size };
	const char *wrong;
	uint32_t bits;
	size_t length;

	memset(q, 0, sizeof(*q));
	if (!qcow2_magic(data, size))
		return "is no qcow2 image";
	if (size < VERSION_2_LENGTH)
		return "is damaged: it ends within its header";
	if (u32(&h, VERSION) != 2 && u32(&h, VERSION) != 3)
		return "has a version of qcow2 that is unknown here";
	bits = u32(&h, CLUSTER_BITS);
	if (bits < CLUSTER_BITS_MIN || bits > CLUSTER_BITS_MAX)
		return "is damaged: its cluster size is impossible";
	if (h.size > 1ull << bits)
		h.size = 1ull << bits;
	q->size = u64(&h, SIZE);
	if (!q->size || q->size > SIZE_MAX_BYTES)
		return "is damaged: the size of its disk is impossible";
	if (u32(&h, CRYPT))
		return "is encrypted, which is not supported";
	wrong = read_features(&h, q, &length);
	if (!wrong)
		wrong = read_extensions(&h, length, q);
	return wrong ? wrong : read_backing(&h, q);
}
