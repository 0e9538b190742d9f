/* SPDX-License-Identifier: MIT */
/* Grant tables: memory that a domain lets another map, copy or take. ABI: <xen/grant_table.h>. */
#ifndef IPC_GNTTAB_H
#define IPC_GNTTAB_H

#include <domain/domain.h>

void gnttab_dump(void);	/* debug key 'g' */

#endif
