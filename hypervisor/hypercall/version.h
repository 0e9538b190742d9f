/* SPDX-License-Identifier: MIT */
/* Who we are: for the boot message and XENVER_*. */
#ifndef HYPERCALL_VERSION_H
#define HYPERCALL_VERSION_H

const char *lodge_version(void);
const char *lodge_changeset(void);
const char *lodge_date(void);
const char *lodge_compiler(void);

#endif
