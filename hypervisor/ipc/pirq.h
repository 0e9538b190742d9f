/* SPDX-License-Identifier: MIT */
/* Physical interrupts handed to a domain: pirq number <-> irq <-> event channel. */
#ifndef IPC_PIRQ_H
#define IPC_PIRQ_H

#include <domain/domain.h>

/*
 * Called by ipc/evtchn.c with the domain's event lock held: connect the pirq to the event port. 0, -EINVAL unmapped pirq, -EPERM, -EBUSY.
 */
int __must_check pirq_bind(struct vcpu *v, u32 pirq, u32 port, bool will_share);
void pirq_unbind(struct domain *d, u32 pirq);
/* The guest has dealt with the interrupt (PHYSDEVOP_eoi, or the event was unmasked with the pirq_eoi map in use). */
void pirq_eoi(struct domain *d, u32 pirq);
/* The port's vCPU changed. */
void pirq_set_vcpu(struct domain *d, u32 pirq, struct vcpu *v);

#endif
