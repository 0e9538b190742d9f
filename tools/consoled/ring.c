/* SPDX-License-Identifier: MIT */
/* The console ring, seen from the daemon. */
#include <consoled/ring.h>
#include <errno.h>
#include <string.h>

static uint32_t load(const XENCONS_RING_IDX *index)
{
	return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

int ring_peek(const struct xencons_interface *ring, char *buf, uint32_t *cons)
{
	uint32_t from = load(&ring->out_cons), used = load(&ring->out_prod) - from;
	size_t start = MASK_XENCONS_IDX(from, ring->out), first;

	*cons = from;
	if (used > RING_OUT)
		return -EPROTO;
	first = used < RING_OUT - start ? used : RING_OUT - start;
	memcpy(buf, ring->out + start, first);
	memcpy(buf + first, ring->out, used - first);
	return (int)used;
}

void ring_consume(struct xencons_interface *ring, uint32_t cons)
{
	/* Release: the copy was made before the guest sees the room. */
	__atomic_store_n(&ring->out_cons, cons, __ATOMIC_RELEASE);
}

uint32_t ring_reset(struct xencons_interface *ring)
{
	uint32_t prod = load(&ring->out_prod);

	ring_consume(ring, prod);
	return prod;
}

static size_t space(const struct xencons_interface *ring, uint32_t prod)
{
	uint32_t used = prod - load(&ring->in_cons);

	return used > RING_IN ? 0 : RING_IN - used;
}

size_t ring_space(const struct xencons_interface *ring)
{
	return space(ring, load(&ring->in_prod));
}

size_t ring_put(struct xencons_interface *ring, const char *data, size_t len)
{
	uint32_t prod = load(&ring->in_prod);
	size_t start = MASK_XENCONS_IDX(prod, ring->in), room = space(ring, prod), first;

	if (len > room)
		len = room;
	first = len < RING_IN - start ? len : RING_IN - start;
	memcpy(ring->in + start, data, first);
	memcpy(ring->in, data + first, len - first);
	__atomic_store_n(&ring->in_prod, prod + (uint32_t)len, __ATOMIC_RELEASE);
	return len;
}
