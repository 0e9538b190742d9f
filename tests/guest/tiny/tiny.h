/* SPDX-License-Identifier: MIT */
/* The parts of the tiny guest: its console, its client of the store, and what it needs of memory. */
#ifndef TINY_H
#define TINY_H

#include "lib/types.h"

/* Maps the machine frame writable at the page-aligned window, in place of what was there. */
void map_frame(void *window, u64 mfn);
/* Waits until one of the two events is pending, and clears both. */
void wait_events(void);
void notify(u32 port);

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
/* Takes in what the store has sent unasked; true if a watch has fired since the last call. */
bool store_watch_fired(void);

#endif
