/* SPDX-License-Identifier: MIT */
/* The LZMA2 decoder: chunks of LZMA data, decoded from memory to memory. */

/*
 * The whole output is in memory, and so serves as the dictionary. The whole input is
 * too, so that its end is looked for once per symbol and not once per bit: that, and
 * the decoder's state in registers, is what liblzma cannot do, which must be able to
 * stop at any byte (docs/design/001-boot-decompressors.md has the figures).
 *
 * A symbol is a literal byte or a match: a length and a distance back. What an
 * invalid symbol reads too much: it has at most 22 modelled bits, each of which divides
 * the range by at most 2048 / 31, and 26 direct ones, which halve it. The range is
 * above 2^17.9 before it and below 2^32 behind any byte read, so 8 n < 32 - 17.9 +
 * 22 * 6.05 + 26 for the n bytes read, one to complete the last symbol included:
 * at most 21, LZMA2_TAIL. (Source: the LZMA specification of the LZMA SDK, and
 * The .xz File Format, section 5.3.1, for what is a valid LZMA2 chunk.)
 */

#include <stdbool.h>
#include <string.h>

#include <boot/unpack_lzma2.h>

#define INLINE	static inline __attribute__((always_inline))

/*
 * How likely a 0 is, in units of 1 / 2048. Each 0 brings it nearer to 1 by a 32nd,
 * each 1 to 0; rounding ends that at the limits.
 */
typedef uint16_t prob;
#define PROB_BITS	11
#define PROB_INITIAL	(1 << (PROB_BITS - 1))
#define PROB_MIN	31
#define PROB_MAX	((1 << PROB_BITS) - PROB_MIN)

#define STATES		12		/* what the last symbols were; from FIRST_MATCHED on, the last was a match */
#define FIRST_MATCHED	7
#define POSITIONS	16		/* of the output, modulo 1 << pb, at most */
#define LITERALS	16		/* sets of probabilities for literals: 1 << (lc + lp), at most */
#define MIN_MATCH	2
#define SLOTS		64		/* of distances: their two highest bits, and how many follow */
#define FIRST_MODELLED	4		/* slots below say it all */
#define FIRST_DIRECT	14		/* from here on, all but the last ALIGN_BITS are direct bits */
#define ALIGN_BITS	4

struct lengths {
	prob choice[2];
	prob low[POSITIONS][8], middle[POSITIONS][8], high[256];
};

struct model {
	prob is_match[STATES][POSITIONS];
	prob is_rep[STATES];			/* a distance used before */
	prob is_rep_older[STATES][3];		/* not the last one; not the one before; not the one before that */
	prob is_rep_long[STATES][POSITIONS];	/* more than one byte */
	struct lengths match_length, rep_length;
	prob slot[4][SLOTS];			/* by length */
	prob distance[128 - FIRST_DIRECT + 1];	/* a tree for each slot below FIRST_DIRECT */
	prob align[1 << ALIGN_BITS];
	prob literal[LITERALS][3][256];		/* plain; after a match, its next byte's bit being 0; being 1 */
};

/* What symbols depend on, besides the model. */
struct context {
	unsigned int state;
	uint32_t rep[4];			/* the last distances, less one; latest first */
};

struct lzma2 {
	union {
		struct model model;
		prob probs[sizeof(struct model) / sizeof(prob)];
	};
	struct context context;
	unsigned int lc, lp_mask, pb_mask;
	const uint8_t *dict;			/* where the output begins to which distances may reach; NULL: not yet set */
	bool has_props;				/* lc, the masks and the probabilities are set */
};

/* The range decoder. */
struct range {
	const uint8_t *in;
	uint32_t range, code;
};

INLINE void normalize(struct range *r)
{
	if (r->range < 1 << 24) {
		r->range <<= 8;
		r->code = r->code << 8 | *r->in++;
	}
}

INLINE size_t bit(struct range *r, prob *p)
{
	normalize(r);

	int zero = *p;
	uint32_t bound = (r->range >> PROB_BITS) * (uint32_t)zero;

	if (r->code < bound) {
		r->range = bound;
		*p = (prob)(zero - ((zero - PROB_MAX) >> 5));
		return 0;
	}
	r->range -= bound;
	r->code -= bound;
	*p = (prob)(zero - (zero >> 5));
	return 1;
}

/* @n equally likely bits. */
INLINE uint32_t direct(struct range *r, unsigned int n)
{
	uint32_t value = 0;

	while (n--) {
		normalize(r);
		r->range >>= 1;
		value <<= 1;
		if (r->code >= r->range) {
			r->code -= r->range;
			value++;
		}
	}
	return value;
}

/*
 * Bits, the highest first; each has a probability for every value of those before
 * it, @node: they, below a 1. There are enough when @node is @end, a power of two, or more.
 */
INLINE size_t tree(struct range *r, prob *p, size_t node, size_t end)
{
	while (node < end)
		node = node << 1 | bit(r, &p[node]);
	return node - end;
}

/* @n bits, the lowest first. */
INLINE uint32_t reverse_tree(struct range *r, prob *p, unsigned int n)
{
	size_t node = 1, value = 0;

	for (unsigned int i = 0; i < n; i++) {
		size_t b = bit(r, &p[node]);

		node = node << 1 | b;
		value |= b << i;
	}
	return (uint32_t)value;
}

INLINE uint8_t literal(struct range *r, struct lzma2 *l, struct context *c, const uint8_t *out)
{
	size_t at = (size_t)(out - l->dict), node = 1;
	unsigned int before = at ? out[-1] : 0;
	prob (*p)[256] = l->model.literal[((at & l->lp_mask) << l->lc) + (before >> (8 - l->lc))];

	/* Behind a match, the byte with which it would go on is the first to differ, most likely in its low bits. */
	if (c->state >= FIRST_MATCHED) {
		unsigned int expected = out[-(ptrdiff_t)c->rep[0] - 1];
		size_t guess, b;

		do {
			guess = expected >> 7 & 1;
			expected <<= 1;
			b = bit(r, &p[1 + guess][node]);
			node = node << 1 | b;
		} while (b == guess && node < 256);
	}
	c->state = c->state < 4 ? 0 : c->state < 10 ? c->state - 3 : c->state - 6;
	return (uint8_t)tree(r, p[0], node, 256);
}

INLINE size_t length(struct range *r, struct lengths *p, unsigned int position)
{
	if (!bit(r, &p->choice[0]))
		return MIN_MATCH + tree(r, p->low[position], 1, 8);

	bool high = bit(r, &p->choice[1]);

	return MIN_MATCH + (high ? 16 : 8) + tree(r, high ? p->high : p->middle[position], 1, high ? 256 : 8);
}

/* A new distance, less one, for a match of @length. */
INLINE uint32_t distance(struct range *r, struct model *m, size_t length)
{
	uint32_t slot = (uint32_t)tree(r, m->slot[length < 5 ? length - MIN_MATCH : 3], 1, SLOTS);

	if (slot < FIRST_MODELLED)
		return slot;

	uint32_t bits = (slot >> 1) - 1, base = (2 | (slot & 1)) << bits;
	prob *p = m->align;

	if (slot < FIRST_DIRECT) {
		p = m->distance + (base - slot);
	} else {
		base += direct(r, bits - ALIGN_BITS) << ALIGN_BITS;
		bits = ALIGN_BITS;
	}
	return base + reverse_tree(r, p, bits);
}

/* @rep, new or until now the @n-th, becomes the latest distance. */
INLINE void latest(struct context *c, uint32_t rep, unsigned int n)
{
	for (; n; n--)
		c->rep[n] = c->rep[n - 1];
	c->rep[0] = rep;
}

/* A match; its distance is then c->rep[0]. Returns its length. */
INLINE size_t match(struct range *r, struct model *m, struct context *c, unsigned int position)
{
	unsigned int state = c->state;
	bool matched = state >= FIRST_MATCHED;

	if (!bit(r, &m->is_rep[state])) {
		size_t n = length(r, &m->match_length, position);

		latest(c, distance(r, m, n), 3);
		c->state = matched ? 10 : 7;
		return n;
	}
	if (!bit(r, &m->is_rep_older[state][0])) {
		if (!bit(r, &m->is_rep_long[state][position])) {
			c->state = matched ? 11 : 9;
			return 1;
		}
	} else if (!bit(r, &m->is_rep_older[state][1])) {
		latest(c, c->rep[1], 1);
	} else if (!bit(r, &m->is_rep_older[state][2])) {
		latest(c, c->rep[2], 2);
	} else {
		latest(c, c->rep[3], 3);
	}
	c->state = matched ? 11 : 8;
	return length(r, &m->rep_length, position);
}

/*
 * Repeat what is @back bytes back, which may reach into the copy itself. Up to seven
 * bytes behind it are overwritten, but none from @limit on.
 */
INLINE void copy(uint8_t *out, size_t back, size_t n, const uint8_t *limit)
{
	const uint8_t *from = out - back;
	uint8_t *end = out + n;

	/* What was copied may be copied in turn, from twice as far back. */
	while (out < end && (back < 8 || limit - end < 8)) {
		for (const uint8_t *p = from; p < from + back && out < end; p++)
			*out++ = *p;
		back *= 2;
	}
	for (; out < end; out += 8, from += 8)
		__builtin_memcpy(out, from, 8);
}

/* Decode the LZMA data from @in to @end to @out, of which @size bytes must come out and @room may be written to. */
static __attribute__((noinline)) bool lzma_chunk(struct lzma2 *l, const uint8_t *in, const uint8_t *end, uint8_t *out,
						 size_t size, size_t room)
{
	struct range r = { .in = in + 5, .range = ~0u,
			   .code = (uint32_t)in[1] << 24 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 8 | in[4] };
	struct context c = l->context;
	uint8_t *stop = out + size;
	const uint8_t *limit = out + room;

	if (in[0])
		return false;
	while (out < stop && r.in <= end) {
		unsigned int position = (unsigned int)(out - l->dict) & l->pb_mask;

		if (!bit(&r, &l->model.is_match[c.state][position])) {
			*out = literal(&r, l, &c, out);
			out++;
			continue;
		}

		size_t n = match(&r, &l->model, &c, position);

		if (c.rep[0] >= (size_t)(out - l->dict) || n > (size_t)(stop - out))
			return false;
		copy(out, (size_t)c.rep[0] + 1, n, limit);
		out += n;
	}
	normalize(&r);
	l->context = c;
	return out == stop && r.in == end && r.code == 0;
}

static void reset_state(struct lzma2 *l)
{
	for (size_t i = 0; i < sizeof(l->probs) / sizeof(l->probs[0]); i++)
		l->probs[i] = PROB_INITIAL;
	l->context = (struct context){ 0 };
}

static bool set_props(struct lzma2 *l, unsigned int byte)
{
	unsigned int lc = byte % 9, lp = byte / 9 % 5, pb = byte / 45;

	if (pb > 4 || lc + lp > 4)
		return false;
	l->lc = lc;
	l->lp_mask = (1u << lp) - 1;
	l->pb_mask = (1u << pb) - 1;
	l->has_props = true;
	return true;
}

/*
 * The resets that a chunk's control byte asks for. 1 and 2 are stored bytes, with
 * and without a new dictionary; in a chunk of LZMA, bits 5 and 6 say: 0 none, 1 the
 * state, 2 the state and properties, 3 those and the dictionary.
 */
static bool reset(struct lzma2 *l, unsigned int control, unsigned int props, const uint8_t *out)
{
	bool lzma = control & 0x80;
	unsigned int resets = lzma ? control >> 5 & 3 : 0;

	if (control == 1 || resets == 3) {
		l->dict = out;
		l->has_props = false;
	}
	if (!l->dict || (!lzma && control > 2))
		return false;
	if (resets >= 2 && !set_props(l, props))
		return false;
	if (resets)
		reset_state(l);
	return !lzma || l->has_props;
}

/*
 * A chunk: the control byte; the unpacked size less one in two bytes, whose bits from
 * 16 on are the control byte's lowest five; and if it is LZMA, the packed size less
 * one, the properties if they are new, and the data.
 */
static const char *chunk(struct lzma2 *l, struct unpack_job *job, size_t *pos)
{
	const uint8_t *p = job->src + *pos;
	unsigned int control = p[0];
	bool lzma = control & 0x80;
	size_t size = (size_t)(p[1] << 8 | p[2]) + 1, packed = size, header = 3;

	if (lzma) {
		size += (size_t)(control & 0x1f) << 16;
		packed = (size_t)(p[3] << 8 | p[4]) + 1;
		header = control >= 0xc0 ? 6 : 5;
	}

	/* There are LZMA2_TAIL bytes at p, more than any header has. */
	size_t left = job->len - *pos - header;

	if (left < packed || left - packed < LZMA2_TAIL)
		return UNPACK_TRUNCATED;
	if (!reset(l, control, p[5], job->dst + job->out))
		return UNPACK_CORRUPT;
	if (size > job->cap - job->out)
		return UNPACK_TOO_LARGE;
	p += header;
	if (!lzma)
		memcpy(job->dst + job->out, p, size);
	else if (!lzma_chunk(l, p, p + packed, job->dst + job->out, size, job->cap - job->out))
		return UNPACK_CORRUPT;
	job->out += size;
	*pos += header + packed;
	return NULL;
}

const char *unpack_lzma2(struct unpack_job *job, size_t *pos)
{
	struct lzma2 *l = unpack_calloc(1, sizeof(*l));
	const char *error = l ? NULL : UNPACK_NO_MEMORY;

	while (!error && job->len - *pos >= LZMA2_TAIL && job->src[*pos])
		error = chunk(l, job, pos);
	if (!error && job->len - *pos < LZMA2_TAIL)
		error = UNPACK_TRUNCATED;
	++*pos;
	unpack_free(l);
	return error;
}
