/* SPDX-License-Identifier: MIT */
/* The hypervisor's own recount of all references and types. */
#ifndef GUEST_AUDIT_H
#define GUEST_AUDIT_H

/*
 * Has the hypervisor audit itself (debug key 'a') and reads the verdict off its console: the number of differences, 0 for none,
 * -1 on a hypervisor that has no such audit and in a domain that may not ask, -2 when it gave no verdict. The details of a difference are on the console.
 */
int audit(void);

#endif
