/* SPDX-License-Identifier: MIT */
/* Event channels: one-bit messages between domains, from the hypervisor (VIRQs), and from devices (pirqs). ABI: <xen/event_channel.h>. */
#ifndef IPC_EVTCHN_H
#define IPC_EVTCHN_H

#include <domain/domain.h>

/* Send along a local port, as EVTCHNOP_send does. 0, -EINVAL. */
int evtchn_send(struct domain *d, u32 port);
/* Raise a per-vCPU VIRQ (VIRQ_TIMER, VIRQ_DEBUG …). Any context. */
void virq_send_vcpu(struct vcpu *v, u32 virq);
/* Raise a global VIRQ at whoever holds it: the domain that bound it (hardware domain by default). Any context. */
void virq_send_global(u32 virq);
/* A device's interrupt for d's port (bound to a pirq). Interrupt context. */
void evtchn_send_pirq(struct domain *d, u32 port);

/* Is an event pending that the vCPU would be told about (evtchn_upcall_pending and not masked)? */
bool vcpu_event_pending(const struct vcpu *v);
/* For SCHEDOP_poll: is this local port pending? -EINVAL for a bad port. */
int evtchn_port_is_pending(struct domain *d, u32 port);

/* The vcpu_info page moved (VCPUOP_register_vcpu_info): carry pending state over. Implemented here, called by hypercall/vcpu_op.c. */
void evtchn_vcpu_info_moved(struct vcpu *v);

void evtchn_dump(void);	/* debug key 'e' */

#endif
