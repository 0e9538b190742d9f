/* SPDX-License-Identifier: MIT */
/* The console ring that a guest shares with the daemon (<xen/io/console.h>). */
#ifndef TOOLS_CONSOLED_RING_H
#define TOOLS_CONSOLED_RING_H

#include <stddef.h>
#include <stdint.h>
#include <xen/io/console.h>

#define RING_OUT	sizeof(((struct xencons_interface *)0)->out)	/* bytes the guest can have written and nobody taken */
#define RING_IN		sizeof(((struct xencons_interface *)0)->in)

/*
 * The guest can change any byte of the page at any moment, so each index is read once, and data is used only after it was copied.
 * A guest with nonsense in its indices gets nonsense or nothing; nobody else is touched.
 */

/* Copy what the guest has written to buf (RING_OUT bytes) without taking it. *cons: index of its first byte. Count; -EPROTO: the indices are corrupt. */
int ring_peek(const struct xencons_interface *ring, char *buf, uint32_t *cons);

/* Everything before index cons is taken: the guest may write there again. */
void ring_consume(struct xencons_interface *ring, uint32_t cons);

/* Drop whatever is there: cons becomes prod. Its value. */
uint32_t ring_reset(struct xencons_interface *ring);

/* Bytes that can be given to the guest now; 0 also when its indices are corrupt. */
size_t ring_space(const struct xencons_interface *ring);

/* Give at most len bytes to the guest; how many it took. */
size_t ring_put(struct xencons_interface *ring, const char *data, size_t len);

#endif
