/* SPDX-License-Identifier: MIT */
/* From a definition to a running guest. */
#ifndef LODGED_CREATE_H
#define LODGED_CREATE_H

#include <lodged/devices.h>

/*
 * Everything that create would refuse, one after the other, until fn has enough; nothing is changed. *available_kib: memory
 * free now.
 */
void create_check(struct session *s, const struct definition *d, uint64_t *available_kib, problem_fn *fn, void *ctx);
/*
 * Make and start (or with paused only make) a guest that is not there. A failure has undone everything. *out: with a
 * reference, not locked.
 */
int create_guest(struct session *s, const struct definition *d, bool paused, struct guest **out, struct err *e);
/*
 * Start a guest again whose domain is gone; its record is there, with the mark `again`. The caller has it to himself. On
 * failure what has been made is taken down again, but the guest's record, name and claims are still there: end_forget().
 */
int create_again(struct session *s, struct guest *g, const struct definition *d, struct err *e);

#endif
