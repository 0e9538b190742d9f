/* SPDX-License-Identifier: MIT */
/* Error numbers, with the values the guest ABI fixes (source: <xen/errno.h>). */
#ifndef LIB_ERRNO_H
#define LIB_ERRNO_H

#ifndef __ASSEMBLY__
#define XEN_ERRNO(name, value)	name = value,
enum lodge_errno {
#include <xen/errno.h>
};
#endif

/*
 * Internal: the operation must be restarted through a hypercall continuation.
 * Never seen by a guest; see hypercall/dispatch.h.
 */
#define ERESTART	512

#endif
