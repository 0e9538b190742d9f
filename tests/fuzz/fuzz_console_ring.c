/* SPDX-License-Identifier: MIT */
/* Fuzzing: the console ring, with indices and contents of the guest's choice that change between any two steps. */
/* sources: tools/consoled/ring.c */
/* flags: -max_len=400 */
#include <consoled/ring.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) do { if (!(condition)) abort(); } while (0)

/* What the daemon may change of the page: the input, its index, and the other's consumer index. */
static void only_ours_changed(const struct xencons_interface *before, const struct xencons_interface *after)
{
	REQUIRE(memcmp(before->out, after->out, sizeof(before->out)) == 0);
	REQUIRE(before->in_cons == after->in_cons && before->out_prod == after->out_prod);
}

static void take(struct xencons_interface *ring)
{
	char buf[RING_OUT];
	uint32_t cons, used = ring->out_prod - ring->out_cons;
	int n = ring_peek(ring, buf, &cons);

	REQUIRE(cons == ring->out_cons);
	if (used > RING_OUT) {
		REQUIRE(n == -EPROTO);
		REQUIRE(ring_reset(ring) == ring->out_prod && ring->out_cons == ring->out_prod);
		return;
	}
	REQUIRE(n == (int)used);
	for (int i = 0; i < n; i++)
		REQUIRE(buf[i] == ring->out[MASK_XENCONS_IDX(cons + (uint32_t)i, ring->out)]);
	ring_consume(ring, cons + (uint32_t)n);
	REQUIRE(ring_peek(ring, buf, &cons) == 0);
}

static void give(struct xencons_interface *ring, const char *data, size_t len)
{
	uint32_t prod = ring->in_prod, used = prod - ring->in_cons;
	size_t room = ring_space(ring), n = ring_put(ring, data, len);

	REQUIRE(room == (used > RING_IN ? 0 : RING_IN - used));
	REQUIRE(n == (len < room ? len : room) && ring->in_prod == prod + (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		REQUIRE(ring->in[MASK_XENCONS_IDX(prod + (uint32_t)i, ring->in)] == data[i]);
}

/* Steps of five bytes: which index the guest sets and to what, then the daemon's turn. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xencons_interface *ring = calloc(1, sizeof(*ring)), before;
	char input[RING_IN + 64];

	memset(input, 'i', sizeof(input));
	for (size_t i = 0; i < sizeof(ring->out); i++)
		ring->out[i] = (char)(size ? data[i % size] : 0);
	for (; size >= 5; data += 5, size -= 5) {
		uint32_t value;

		memcpy(&value, data + 1, sizeof(value));
		switch (data[0] & 7) {
		case 0: ring->out_prod = value; break;
		case 1: ring->out_cons = value; break;
		case 2: ring->in_prod = value; break;
		case 3: ring->in_cons = value; break;
		case 4: ring->out_prod += value % (RING_OUT + 2); break;
		case 5: ring->in_cons += value % (RING_IN + 2); break;
		}
		before = *ring;
		if (data[0] & 8)
			take(ring);
		else
			give(ring, input, value % sizeof(input));
		only_ours_changed(&before, ring);
	}
	free(ring);
	return 0;
}
