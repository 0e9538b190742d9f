/* SPDX-License-Identifier: MIT */
/* A user's own scripts for disks and networks (`script=` in a definition), run as those of this ABI's other toolstacks are. */
#ifndef LODGED_SCRIPT_H
#define LODGED_SCRIPT_H

#include <lib/err.h>
#include <lodged/session.h>
#include <stdbool.h>
#include <stddef.h>

enum script_job { SCRIPT_VIF_ONLINE, SCRIPT_VIF_OFFLINE, SCRIPT_BLOCK_ADD, SCRIPT_BLOCK_REMOVE };

/* Where it is: as given when absolute, else in /etc/xen/scripts. "no-script": missing or not executable. */
int script_find(const char *name, char *path, size_t size, struct err *e);
/*
 * backend: "/local/domain/0/backend/vif/3/0"; vif: the interface, or NULL. Waits for it, a minute at most. "script-failed":
 * says what the script has written to hotplug-error, or where its output is.
 */
int script_run(struct session *s, const char *name, enum script_job job, const char *backend, const char *vif, struct err *e);

#endif
