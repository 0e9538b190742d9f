/* SPDX-License-Identifier: MIT */
/*
 * Physical interrupts handed to a domain: pirq number <-> irq <-> event channel.
 *
 * A pirq is the guest's name for an irq. Those of GSIs have the GSI's number unless the guest asks for another; MSIs get numbers
 * above the GSIs.
 */
#ifndef IPC_PIRQ_H
#define IPC_PIRQ_H

#include <core/pci.h>
#include <domain/domain.h>

/* --- the event channel's side: called by ipc/evtchn*.c --- */

/*
 * Connect the pirq to the event port and let the line send. 0, -EINVAL unmapped pirq, -EPERM, -EBUSY bound already, or the
 * hypervisor's own.
 */
int __must_check pirq_bind(struct vcpu *v, u32 pirq, u32 port, bool will_share);
/* Disconnect; the line is masked. An event that is on its way may still arrive at the port. */
void pirq_unbind(struct domain *d, u32 pirq);
/* The port's vCPU changed. */
void pirq_set_vcpu(struct domain *d, u32 pirq, struct vcpu *v);

/* --- the guest's side: physdev_op --- */

/* The guest has dealt with the interrupt (PHYSDEVOP_eoi): a level-triggered line may come again. 0, -EINVAL. */
int __must_check pirq_eoi(struct domain *d, u32 pirq);
/* XENIRQSTAT_* flags of a pirq. 0, -EINVAL. */
int __must_check pirq_status(struct domain *d, u32 pirq, u32 *flags);
/*
 * Show in a page of d which pirqs need PHYSDEVOP_eoi (bit array by pirq). unmask: that operation then also unmasks the event. 0,
 * -EINVAL not d's or not usable memory, -EBUSY there is one.
 */
int __must_check pirq_set_eoi_page(struct domain *d, mfn_t m, bool unmask);

/*
 * Give a number (*pirq < 0: the GSI's, or any free one) to a GSI. 0; also when it is so already. -EINVAL, -EPERM, -EEXIST number or
 * GSI is taken, -ENOSPC.
 */
int __must_check pirq_map_gsi(struct domain *d, u32 gsi, s32 *pirq);
/*
 * Set up MSIs (see msi_create()) and give them n consecutive numbers, from *pirq or (< 0) any. The errors of msi_create(), -EEXIST,
 * -ENOSPC.
 */
int __must_check pirq_map_msi(struct domain *d, sbdf_t dev, bool msix, u32 n, u32 entry, u64 table_base, s32 *pirq);
/* Undo it: for several MSIs, name the first. 0, -EINVAL, -EBUSY bound to an event port. */
int __must_check pirq_unmap(struct domain *d, u32 pirq);
/* Reserve a number for a later mapping. 0, -ENOSPC. */
int __must_check pirq_get_free(struct domain *d, bool msi, u32 *pirq);

/* Print the pirqs of the hardware domain: debug key 'I'. */
void pirq_dump(void);

#endif
