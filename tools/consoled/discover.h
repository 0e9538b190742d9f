/* SPDX-License-Identifier: MIT */
/* Which guests there are: by watches of the store, and by asking the hypervisor what is new. */
#ifndef TOOLS_CONSOLED_DISCOVER_H
#define TOOLS_CONSOLED_DISCOVER_H

#include <lib/err.h>
#include <stdint.h>

/* Waits for the store; then every guest that is there is attached. */
int discover_start(struct err *e);
/* What is due; milliseconds until the next time, -1: none. */
int discover_timers(void);
/* Look at a domain now, and do not wait for its watch. */
void discover_look(uint16_t domid);

#endif
