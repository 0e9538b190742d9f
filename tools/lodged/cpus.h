/* SPDX-License-Identifier: MIT */
/* Lists of processors, of this machine. */
#ifndef LODGED_CPUS_H
#define LODGED_CPUS_H

#include <lib/definition.h>
#include <lodged/session.h>

/* definition_cpus(), and -EINVAL "bad-definition" if the machine has none of them. */
int cpus_read(struct session *s, const char *text, uint8_t bits[DEFINITION_CPUS_MAX / 8], struct err *e);

#endif
