/* SPDX-License-Identifier: MIT */
/* The IO-APICs: one redirection entry per GSI (source: Intel 82093AA datasheet). */
#ifndef CORE_IOAPIC_H
#define CORE_IOAPIC_H

#include <lib/types.h>

/*
 * All interrupts come through IO-APICs: move the 8259s to vectors nobody uses, then mask every input. To be called while the local
 * APIC still listens to them (before apic_init()): QEMU's never forgets an interrupt that was raised before and lowered after its
 * LINT0 is masked.
 */
void pic_disable(void);
/* Map all IO-APICs of the MADT, mask every entry. Boot. */
void ioapic_init(void);
/* One more than the highest GSI of any IO-APIC. */
unsigned ioapic_nr_gsi(void);
/* Does any IO-APIC have this input? There may be holes. */
bool ioapic_has_gsi(unsigned gsi);

/* The entry of a GSI that exists. The caller serialises accesses to one GSI (core/irq.c: the irq's lock). */
void ioapic_program(unsigned gsi, u8 vector, u32 apic_id, bool level, bool active_low, bool masked);
/* The same for an edge-triggered, active-high line that is to raise NMIs. */
void ioapic_program_nmi(unsigned gsi, u32 apic_id);
void ioapic_mask(unsigned gsi, bool masked);

/*
 * PHYSDEVOP_apic_read and _write. base: machine address that names the IO-APIC. Reads see the hardware. Writes are checked, and
 * only set trigger and polarity of lines not in use. 0, -EINVAL no such IO-APIC or register.
 */
int __must_check ioapic_guest_read(u64 base, u32 reg, u32 *value);
int __must_check ioapic_guest_write(u64 base, u32 reg, u32 value);
void ioapic_dump(void);

#endif
