/* SPDX-License-Identifier: MIT */
/* When the manager starts: what is there, and what its predecessor left half done. */
#ifndef LODGED_RECOVER_H
#define LODGED_RECOVER_H

#include <lodged/session.h>

/*
 * Fill the registry with the guests that run; take down those that were being made or taken down; queue those that are to
 * start again or whose end has not been dealt with; remove what belongs to no guest. 0, or -errno and a message when
 * hypervisor or store do not answer.
 */
int recover(struct session *s, struct err *e);

#endif
