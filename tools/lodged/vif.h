/* SPDX-License-Identifier: MIT */
/* Network interfaces of guests: connected when the kernel's backend has made them. */
#ifndef LODGED_VIF_H
#define LODGED_VIF_H

#include <lodged/session.h>

/* Start the thread that hears of devices. -errno and a message. */
int vif_start(struct err *e);
/* Connect what is there and not connected yet: at the start, and when events were lost. */
void vif_scan(struct session *s);

#endif
