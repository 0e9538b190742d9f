/* SPDX-License-Identifier: MIT */
/* What follows when a guest ends by itself: on_poweroff, on_reboot, on_crash. */
#ifndef LODGED_LIFE_H
#define LODGED_LIFE_H

#include <lib/err.h>
#include <lib/hv.h>

/* Start the threads that follow the ends of domains. They need nothing but hypervisor and store to know what is to be done. */
int life_start(struct err *e);

/* "poweroff", "reboot" … of SHUTDOWN_*. */
const char *life_reason(int reason);
/* SHUTDOWN_* of a domain that is shut down. */
int life_reason_of(const xen_domctl_getdomaininfo_t *info);

/* All domains there are: allocated, *n of them. 0 or -errno. */
int life_domains(struct hv *hv, xen_domctl_getdomaininfo_t **infos, size_t *n);

#endif
