/* SPDX-License-Identifier: MIT */
/* XZ files as Linux makes its kernels: LZMA2, the x86 filter, CRC32. */

/*
 * A stream is a header, blocks, an index, and a footer. Each block is a header that
 * names its filters, data, zeroes up to a multiple of four, and a checksum of what
 * comes out. The index adds nothing for us. (Source: The .xz File Format.)
 */

#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#include <boot/unpack_lzma2.h>

#define STREAM_HEADER	12
#define CHECK_NONE	0
#define CHECK_CRC32	1

#define FILTER_X86	0x04
#define FILTER_LZMA2	0x21

static const char bad_filter[] = "its XZ filters are not supported (Linux uses LZMA2 and x86)";
static const char bad_check[] = "its XZ check is not supported (Linux uses CRC32)";

static bool crc_is(const uint8_t *data, size_t len, const uint8_t *expected)
{
	return crc32_z(0, data, len) == unpack_le32(expected);
}

/* The next 0xe8 or 0xe9, CALL or JMP with a displacement of 32 bits, from @i on; @end or more if there is none below it. */
static size_t next_branch(const uint8_t *code, size_t i, size_t end)
{
	const uint64_t ones = ~0ul / 255;

	for (; i + 8 <= end; i += 8) {
		uint64_t word;

		__builtin_memcpy(&word, code + i, 8);
		word = (word ^ 0xe8 * ones) & 0xfe * ones;

		/* The lowest byte that is 0 has the lowest of these bits. */
		uint64_t found = (word - ones) & ~word & 0x80 * ones;

		if (found)
			return i + (size_t)__builtin_ctzl(found) / 8;
	}
	while (i < end && (code[i] & 0xfe) != 0xe8)
		i++;
	return i;
}

/* Is it the highest byte of a displacement of less than 16 MiB either way? */
static bool is_near(uint32_t byte)
{
	return byte == 0 || byte == 0xff;
}

/*
 * The x86 filter has replaced displacements of branches by addresses within the file.
 * It goes by bytes and not by instructions, so what it takes for an opcode may be part
 * of something else. @before has bit n - 1 for an opcode n bytes before, up to three,
 * that it left alone because its displacement was not near. With two of them it leaves
 * this one alone too; with one, if the byte that would be highest in that one's
 * displacement looks near now. Nor must the replacement make that byte look near: then
 * it and the bytes below are inverted, and replaced once more. (Once is enough: the
 * byte that comes out is then the inverse of the one that went in.)
 */
static void x86_unfilter(uint8_t *code, size_t size)
{
	size_t end = size > 4 ? size - 4 : 0, at = 0;
	unsigned int before = 0;

	for (size_t i = next_branch(code, 0, end); i < end; i = next_branch(code, at, end)) {
		uint32_t next = (uint32_t)i + 5, value = unpack_le32(code + i + 1);

		before = i - at < 3 ? before << (i - at) & 7 : 0;

		/* Where that byte is in value. */
		unsigned int shift = before & 4 ? 0 : before & 2 ? 8 : 16;

		if (!is_near(value >> 24) || before & (before - 1) || (before && is_near(value >> shift & 0xff))) {
			before = before << 1 | 1;
			at = i + 1;
			continue;
		}
		value -= next;
		if (before && is_near(value >> shift & 0xff))
			value = (value ^ ((2u << (shift + 7)) - 1)) - next;
		value = (uint32_t)((int32_t)(value << 7) >> 7);		/* 25 bits, with sign */
		__builtin_memcpy(code + i + 1, &value, 4);
		before = 0;
		at = i + 5;
	}
}

/* What is left of a block's header. */
struct cursor {
	const uint8_t *p, *end;
};

/* A variable-length integer: seven bits in each byte, the lowest first. False if there is none. */
static bool integer(struct cursor *c, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; c->p < c->end && shift < 63; shift += 7) {
		uint8_t byte = *c->p++;

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return byte || !shift;
	}
	return false;
}

struct block {
	uint64_t packed, unpacked;	/* sizes; NO_SIZE: not told */
	bool x86;
};

#define NO_SIZE	~0ul

/* The filters of a block, LZMA2 the last; the sizes of dictionaries do not matter to us. */
static const char *parse_filters(struct cursor *c, unsigned int n, struct block *b)
{
	uint64_t id, size;

	while (n--) {
		if (!integer(c, &id) || !integer(c, &size) || size > (uint64_t)(c->end - c->p))
			return UNPACK_CORRUPT;
		if (n == 0 ? id != FILTER_LZMA2 || size != 1 || *c->p > 40 : b->x86 || id != FILTER_X86 || size != 0)
			return bad_filter;
		b->x86 |= id == FILTER_X86;
		c->p += size;
	}
	return NULL;
}

/* The header of a block, @len bytes. */
static const char *parse_block(const uint8_t *header, size_t len, struct block *b)
{
	struct cursor c = { header + 2, header + len - 4 };
	unsigned int flags = header[1];
	const char *error;

	*b = (struct block){ .packed = NO_SIZE, .unpacked = NO_SIZE };
	if (!crc_is(header, len - 4, c.end))
		return UNPACK_CORRUPT;
	if (flags & 0x3c)
		return bad_filter;
	if ((flags & 0x40 && !integer(&c, &b->packed)) || (flags & 0x80 && !integer(&c, &b->unpacked)))
		return UNPACK_CORRUPT;
	error = parse_filters(&c, (flags & 3) + 1, b);
	while (!error && c.p < c.end)
		if (*c.p++)
			return bad_filter;
	return error;
}

/* The block at job->src + *pos, where at least one byte is. */
static const char *unpack_block(struct unpack_job *job, size_t *pos, unsigned int check)
{
	size_t header = ((size_t)job->src[*pos] + 1) * 4, data = *pos + header, begin = job->out, end = data;
	const char *error;
	struct block b;

	if (header > job->len - *pos)
		return UNPACK_TRUNCATED;
	error = parse_block(job->src + *pos, header, &b);
	if (!error)
		error = unpack_lzma2(job, &end);
	if (error)
		return error;
	if ((b.packed != NO_SIZE && b.packed != end - data) || (b.unpacked != NO_SIZE && b.unpacked != job->out - begin))
		return UNPACK_CORRUPT;
	if (b.x86)
		x86_unfilter(job->dst + begin, job->out - begin);

	/* There are at least LZMA2_TAIL - 1 bytes at src + end. */
	for (; (end - data) % 4; end++)
		if (job->src[end])
			return UNPACK_CORRUPT;
	if (check == CHECK_CRC32) {
		if (!crc_is(job->dst + begin, job->out - begin, job->src + end))
			return UNPACK_CORRUPT;
		end += 4;
	}
	*pos = end;
	return NULL;
}

void unpack_xz(struct unpack_job *job)
{
	static const uint8_t magic[] = { 0xfd, '7', 'z', 'X', 'Z', 0 };
	size_t pos = STREAM_HEADER;

	if (job->len <= pos)
		job->error = UNPACK_TRUNCATED;
	else if (memcmp(job->src, magic, sizeof(magic)) || job->src[6] || !crc_is(job->src + 6, 2, job->src + 8))
		job->error = UNPACK_CORRUPT;
	else if (job->src[7] != CHECK_NONE && job->src[7] != CHECK_CRC32)
		job->error = bad_check;
	while (!job->error && pos < job->len && job->src[pos])
		job->error = unpack_block(job, &pos, job->src[7]);
	if (!job->error && pos >= job->len)
		job->error = UNPACK_TRUNCATED;
}
