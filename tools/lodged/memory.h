/* SPDX-License-Identifier: MIT */
/* Machine memory for new guests. */
#ifndef LODGED_MEMORY_H
#define LODGED_MEMORY_H

#include <lib/definition.h>
#include <lodged/session.h>

/* What a guest takes from the machine, KiB: its own memory, and the hypervisor's for it. */
uint64_t memory_needed(const struct definition *d);
/* "no-memory": how much is missing. *available (may be NULL): what is there for a new guest now. Promises nothing. */
int memory_check(struct session *s, const struct definition *d, uint64_t *available, struct err *e);
/*
 * The same as a promise, so that guests that are built at the same time do not count on the same memory. It is kept by
 * memory_release() (the guest has it, or is not going to).
 */
int memory_reserve(struct session *s, const struct definition *d, struct err *e);
void memory_release(const struct definition *d);
/* "no-memory" for a guest that is there, and is to have more. Promises nothing. */
int memory_check_more(struct session *s, const char *name, uint64_t more_kib, struct err *e);

#endif
