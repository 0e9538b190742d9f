/* SPDX-License-Identifier: MIT */
/*
 * Message-signalled interrupts: MSI and MSI-X capabilities (source: PCI Local Bus 3.0 §6.8).
 *
 * An MSI belongs to an irq above the GSIs. Its vector is allocated with it, the message is written to the device at once, masked
 * where the device can mask. All functions take pci_lock; thread context.
 */
#ifndef CORE_MSI_H
#define CORE_MSI_H

#include <core/pci.h>

#define MSI_MAX_VECTORS	32

/*
 * Set up n messages (power of two) of a device's MSI capability, or with msix the table entry `entry` (n is 1; table_base: address
 * of the BAR that holds the table). *irq: the first of n consecutive irqs. 0; -ENODEV unknown device or no such capability; -EINVAL
 * n or entry out of the device's range; -EEXIST in use; -ENOSPC no vectors; -ENOMEM.
 */
int __must_check msi_create(sbdf_t dev, bool msix, unsigned n, unsigned entry, u64 table_base, unsigned *irq);
/* Take down the n irqs of an msi_create(). The irqs have no handler any more. */
void msi_destroy(unsigned irq);
/* After the device lost its state (reset, power management): write all its messages again. 0, -ENODEV. */
int __must_check msi_restore(sbdf_t dev);
/*
 * PHYSDEVOP_prepare_msix and _release_msix: the device's MSI-X resources are about to be handed out, or taken back. 0, -ENODEV no
 * such device or capability, -EBUSY entries are in use.
 */
int __must_check msix_handover(sbdf_t dev);
void msi_dump(void);

#endif
