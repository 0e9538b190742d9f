/* SPDX-License-Identifier: MIT */
/* Event channels: one-bit messages between domains, from the hypervisor (VIRQs), and from devices (pirqs). ABI: <xen/event_channel.h>. */
#ifndef IPC_EVTCHN_H
#define IPC_EVTCHN_H

#include <domain/domain.h>
#include <xen/event_channel.h>

/* Boot, before the first domain is created: connect the console's and domain/'s hooks to their VIRQs. */
void evtchn_init(void);

/* Send along a local port, as EVTCHNOP_send does: interrupts on; in any context. 0, -EINVAL. */
int evtchn_send(struct domain *d, u32 port);
int evtchn_send_anywhere(struct domain *d, u32 port);
/* Raise a per-vCPU VIRQ (VIRQ_TIMER, VIRQ_DEBUG …). Any context. */
void virq_send_vcpu(struct vcpu *v, u32 virq);
/* Raise a global VIRQ at the domain that handles it, if it has bound it. Any context. */
void virq_send_global(u32 virq);
/*
 * Let d handle a global VIRQ, until it dies or another one does; before and after that it is the hardware domain. 0, -EINVAL not
 * a global VIRQ, or d is dying.
 */
int __must_check virq_set_handler(struct domain *d, u32 virq);
/* d is dying: it handles none any more. */
void virq_forget_handler(struct domain *d);
/* A device's interrupt for d's port (bound, or being bound, to a pirq). Interrupt context. */
void evtchn_send_pirq(struct domain *d, u32 port);

/* Is an event pending that the vCPU would be told about (evtchn_upcall_pending and not masked)? */
bool vcpu_event_pending(const struct vcpu *v);

/*
 * SCHEDOP_poll of the current vCPU, in this order: evtchn_poll_port(); sched_poll_begin(); if evtchn_port_is_pending() for any port,
 * sched_poll_cancel(). An event on the port (0: on any port, which may be too early) clears VPF_POLL, also when it is masked.
 */
void evtchn_poll_port(struct vcpu *v, u32 port);
/* Is this local port pending? 0 or 1; -EINVAL for a bad port. */
int evtchn_port_is_pending(struct domain *d, u32 port);

/*
 * v->info points at another page now (VCPUOP_register_vcpu_info), which the caller has filled from the old one before
 * it changed the pointer: make sure that no event is missed.
 */
void evtchn_vcpu_info_moved(struct vcpu *v);

/* --- EVTCHNOP_*, for hypercall/event_channel_op.c and whoever acts for a domain. -errno as the ABI has it. -------------------- */
/* A new port of d that the domain with id `remote` may connect to. -ENOSPC; -EINVAL when d is dying. */
int __must_check evtchn_alloc_unbound(struct domain *d, u16 remote, u32 *port);
/* Connect a new port of ld with rd's port, which must be unbound and meant for ld (else -EINVAL). Sets the new port pending. */
int __must_check evtchn_bind_interdomain(struct domain *ld, struct domain *rd, u32 rport, u32 *port);
/* -ENOENT no such vCPU, -EEXIST bound already, -EINVAL. */
int __must_check evtchn_bind_virq(struct domain *d, u32 virq, u32 vcpu, u32 *port);
int __must_check evtchn_bind_ipi(struct domain *d, u32 vcpu, u32 *port);
int __must_check evtchn_bind_pirq(struct domain *d, u32 pirq, bool will_share, u32 *port);
int __must_check evtchn_close(struct domain *d, u32 port);
int __must_check evtchn_status(struct domain *d, struct evtchn_status *status);
int __must_check evtchn_bind_vcpu(struct domain *d, u32 port, u32 vcpu);
/* Clear the port's mask bit on the guest's behalf, and tell it when the event is pending. */
int evtchn_unmask(struct domain *d, u32 port);
/* Close everything and go back to the 2-level ABI. -ERESTART: call again with start false; -EAGAIN: ports were bound meanwhile. */
int __must_check evtchn_reset(struct domain *d, bool start);
/* FIFO ABI. A first init_control switches the domain over. */
int __must_check evtchn_fifo_init_control(struct domain *d, u32 vcpu, u64 gfn, u32 offset);
int __must_check evtchn_fifo_expand_array(struct domain *d, u64 gfn);
int __must_check evtchn_set_priority(struct domain *d, u32 port, u32 priority);

void evtchn_dump(void);	/* debug key 'e' */

#endif
