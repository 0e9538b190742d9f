/* SPDX-License-Identifier: MIT */
/* The parts of the tiny guest: its console, its client of the store, what it needs of memory, and what harm it tries to do. */
#ifndef TINY_H
#define TINY_H

#include "lib/types.h"

/* Maps the machine frame writable at the page-aligned window, in place of what was there. */
void map_frame(void *window, u64 mfn);
/* The machine frame of a page of the image that no other was mapped over. */
u64 frame_of(const void *page);
/* Waits until one of the two events is pending, and clears both. */
void wait_events(void);
/* The same, a millisecond at most. */
void wait_events_briefly(void);
void notify(u32 port);
/* The next of a row of numbers without sense, the same each time. */
u32 noise(void);
bool equal(const char *a, const char *b);
/* "tiny: WHAT" on the console. */
void say(const char *what);
/* Ends the guest as a crash. */
void die(void);

void console_init(u64 mfn, u32 port);
/* Writes all of it, waiting while the ring is full. '\n' alone ends a line. */
void console_write(const char *text);
/* A character that was typed, or -1. */
int console_read(void);
/* Writes nonsense into the ring's indices, and tells of it, for ever. */
void console_corrupt(void);

void store_init(u64 mfn, u32 port);
/*
 * Store operations on paths relative to the domain's own. They return 0, or -1 if there is no store or it refuses.
 * store_read: the value, cut at len - 1, always terminated.
 */
int store_write(const char *path, const char *value);
int store_read(const char *path, char *value, u32 len);
int store_watch(const char *path);
/* A transaction, which is never ended. */
int store_begin(void);
/* Waits until a watch has fired, as it does at once when it is set. */
void store_wait(void);
/* Takes in what the store has sent unasked; true if a watch has fired since the last call. */
bool store_watch_fired(void);

/* The ring itself (NULL: there is no store) and its event; bytes into it, waiting while it is full. */
struct xenstore_domain_interface *store_ring(u32 *event);
void store_send(const void *data, u32 len);

/* The mischief of that name, which may never return; NULL: none. */
void (*mischief_find(const char *word))(void);
/* Of the store's ring; they never return. */
void store_indices(void);	/* nonsense in its indices */
void store_flood(void);		/* nodes, watches and transactions without end, beyond all quotas */
void store_deaf(void);		/* requests without end, and no answer is taken */
void store_header(void);	/* dies within the header of a request */
void store_body(void);		/* dies within its body */
void store_long(void);		/* announces a body of 4 GiB, asks to be connected anew, and so on */

/* A page for Domain 0 under that reference; the same page may have several. */
void grant(u32 ref, const void *page);
/* Changes everything about the grants that a guest can: those in use as well. One round. */
void grant_mischief(void);

/* Of the block device xvda, and the network interface 0. */
void vbd_nowhere(void);		/* names a ring and an event channel that are none */
void vbd_half(void);		/* dies with half of its handshake in the store */
void vbd_initialised(void);	/* dies when all of it is there */
void vbd_connected(void);	/* dies when the backend is ready, and it is not */
void vbd_busy(void);		/* dies with its ring full of requests */
void vbd_closing(void);		/* closes, and dies, with its ring full of requests */
void vbd_restless(void);	/* comes and goes without end */
void vbd_garbage(void);		/* requests without sense, without end */
void vbd_indices(void);		/* nonsense in its ring's indices */
void vbd_grants(void);		/* grant_mischief() beside proper requests, without end */
void vif_busy(void);		/* dies when it is connected, with packets on their way */
void vif_garbage(void);		/* packets without sense, without end */

#endif
