/* SPDX-License-Identifier: MIT */
/* The images that machines are made from, and the machines, as the methods of the API that make and remove them share them. */
#ifndef LODGED_TEMPLATES_H
#define LODGED_TEMPLATES_H

#include <lib/machine.h>
#include <lodged/session.h>

extern const struct machine_place machine_place;

/* When the manager starts: finish or undo what another was killed in the middle of. */
void templates_recover(void);
/*
 * An image that somebody makes a machine from stays. remove: for whoever wants to remove one; the others wait meanwhile.
 */
void templates_lock(bool remove);
void templates_unlock(void);
/* "percent: text", if somebody wants to hear it. */
void templates_progress(struct session *s, int percent, const char *text);

#endif
