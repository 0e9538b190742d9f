/* SPDX-License-Identifier: MIT */
/* What of the machine, besides memory of its own, a domain may use: device memory, I/O ports, interrupts. */
#ifndef DOMAIN_PERMISSION_H
#define DOMAIN_PERMISSION_H

#include <domain/domain.h>

/* May the domain use all of first..last: machine frame numbers, ports, pirqs? Interrupts on, no lock of level >= LOCK_RANGESET. */
bool domain_allowed(struct domain *d, enum domain_permission what, u64 first, u64 last);
/* Give or take first..last. Mappings that exist stay. 0, -EINVAL first > last, -ENOMEM: nothing changed. Context as above. */
int __must_check domain_allow(struct domain *d, enum domain_permission what, u64 first, u64 last, bool allow);
/* Does it drive devices: has it device memory or ports? Any context. */
bool domain_has_devices(const struct domain *d);

#endif
