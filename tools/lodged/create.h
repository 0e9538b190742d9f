/* SPDX-License-Identifier: MIT */
/* From a definition to a running guest. */
#ifndef LODGED_CREATE_H
#define LODGED_CREATE_H

#include <lodged/devices.h>
#include <lodged/memory.h>

/*
 * Everything that create would refuse, one after the other, until fn has enough; nothing is changed. *f: where memory is now; all
 * 0 when it did not come to that.
 */
void create_check(struct session *s, const struct definition *d, struct memory_figures *f, problem_fn *fn, void *ctx);
/*
 * Make and start (or with paused only make) a guest that is not there. A failure has undone everything. *out: with a
 * reference, not locked. *p: what memory it has got from Domain 0.
 */
int create_guest(
	struct session *s, const struct definition *d, bool paused, struct guest **out, struct memory_promise *p, struct err *e);
/*
 * Start a guest again whose domain is gone; its record is there, with the mark `again`. The caller has it to himself. On
 * failure what has been made is taken down again, but the guest's record, name and claims are still there: end_forget().
 */
int create_again(struct session *s, struct guest *g, const struct definition *d, struct err *e);

#endif
