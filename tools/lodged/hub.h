/* SPDX-License-Identifier: MIT */
/* Where threads wait for what happens to a device, and the thread that hears of it tells them. */
#ifndef LODGED_HUB_H
#define LODGED_HUB_H

#include <lib/err.h>
#include <stdbool.h>

#define HUB_KEY_MAX	48

/* On the stack of who waits; begins before the event can happen, so that it cannot be missed. */
struct hub_wait {
	char key[HUB_KEY_MAX];	/* "connect vif-3-0", "bind vbd-3-51712", "remove vbd-3-51712" */
	bool told;
	struct err e;		/* what was told; error 0: well */
	struct hub_wait *next;
};

void __attribute__((format(printf, 2, 3))) hub_begin(struct hub_wait *w, const char *key_fmt, ...);
/* False: not within that time. recheck() (may be NULL) is asked when events may have been lost; true: it has happened. */
bool hub_wait(struct hub_wait *w, int milliseconds, bool (*recheck)(const struct hub_wait *w));
void hub_end(struct hub_wait *w);

/* e NULL: well. Nobody waiting is no error. */
void hub_tell(const char *key, const struct err *e);
/* Events may have been lost. */
void hub_recheck(void);

#endif
