/* SPDX-License-Identifier: MIT */
/*
 * Debug keys: one letter typed on the hypervisor's console (or sent by XEN_SYSCTL_debug_keys) prints something or does something.
 * One table row per key, in any file:
 *
 *   DEBUG_KEY('t', "timers", 0, timer_dump);
 */
#ifndef CORE_DEBUG_KEY_H
#define CORE_DEBUG_KEY_H

#include <lib/types.h>

struct debug_key {
	char key;
	u8 flags;		/* DEBUG_KEY_* */
	const char *what;	/* for the list that 'h' prints */
	void (*fn)(void);	/* runs as a soft-IRQ: interrupts on, no lock held */
};

#define DEBUG_KEY_ACTS	1	/* does not only print: left out by '*' */
#define DEBUG_KEY_NOW	2	/* runs in the interrupt: for a machine that no longer reaches its soft-IRQs */

#define DEBUG_KEY(k, text, fl, function)						\
	static const struct debug_key debug_key_##function __used __section(".debug_keys") __aligned(8) = \
		{ .key = (k), .flags = (fl), .what = (text), .fn = (function) }

/* Do what the key says, soon; false when the key is not known (nothing is printed). Any context. Implemented in debug/keys.c. */
bool debug_key_handle(char key);

#endif
