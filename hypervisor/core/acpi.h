/* SPDX-License-Identifier: MIT */
/*
 * ACPI: the static tables that describe the machine, and the few fixed registers that the hypervisor uses itself
 * (source: ACPI specification 6.4, ch. 4 and 5). There is no AML interpreter: what needs one is done by Domain 0.
 *
 * Every length in a table is the firmware's claim: readers check it before use, and a table with a bad checksum is reported and
 * ignored.
 */
#ifndef CORE_ACPI_H
#define CORE_ACPI_H

#include <lib/types.h>

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem_id[6], oem_table_id[8];
	u32 oem_revision, creator_id, creator_revision;
} __packed;

/* Generic address structure: a register in I/O space or memory. */
struct acpi_gas { u8 space, width, offset, access; u64 address; } __packed;
#define ACPI_SPACE_MEMORY	0
#define ACPI_SPACE_IO		1

/*
 * Find and parse the tables. rsdp: machine address of the RSDP, or of a copy of it, as the boot loader gave it; 0: search the BIOS
 * areas. The direct map of 0..4 GiB must exist; no memory is allocated. A machine without ACPI gets one CPU, one IO-APIC and the
 * PIT.
 */
void acpi_init(paddr_t rsdp);
/* Machine address of the RSDP, 0 when there is none. */
paddr_t acpi_rsdp(void);
/* The nth (from 0) table with the 4-character signature, checked; NULL when there is none. */
const struct acpi_header *acpi_table(const char *signature, unsigned nth);

/* --- MADT: processors and interrupt controllers (acpi_madt.c) --- */
struct acpi_cpu {
	u32 apic_id, acpi_id;
	bool enabled;		/* usable now; otherwise only a place to plug one in */
};
struct acpi_ioapic { u8 id; u32 gsi_base; paddr_t base; };
struct acpi_gsi_setting { bool level, active_low; };

/* Processors in table order, each APIC id once. At least one entry. */
unsigned acpi_cpus(const struct acpi_cpu **cpus);
unsigned acpi_ioapics(const struct acpi_ioapic **ioapics);
paddr_t acpi_lapic_base(void);
/* What the MADT says of a GSI (ISA defaults and overrides included); others are PCI: level, low. */
struct acpi_gsi_setting acpi_gsi_default(u32 gsi);
/* GSI of an ISA interrupt 0..15. */
u32 acpi_isa_gsi(u8 isa_irq);
/* LINT pin (0 or 1) that delivers NMIs to the processor with this ACPI id, or -1. */
int acpi_nmi_lint(u32 acpi_id);

/* --- FADT: fixed hardware (acpi_fadt.c) --- */
/* Port of the PM timer, 0 when there is none; *bits is 24 or 32. */
u16 acpi_pm_timer(unsigned *bits);
/* CMOS index of the century, 0 when there is none. */
u8 acpi_century_register(void);
/*
 * Enter sleep state S4 or S5 for good, with the PM1 control values that Domain 0 computed (XENPF_enter_acpi_sleep: val_a, val_b).
 * The caller has stopped the other CPUs. -EINVAL bad state, -EOPNOTSUPP S1-S3 or no such registers; otherwise does not return, or
 * -EIO when the machine stayed on.
 */
int acpi_enter_sleep(u8 state, u16 pm1a, u16 pm1b);
/* True when acpi_enter_sleep() would accept the state. */
bool acpi_sleep_possible(u8 state);
/* Write the reset register, if the FADT has one. Returns when that did not reset the machine. */
void acpi_reset(void);

/* --- others (acpi.c) --- */
/* Registers of the HPET; .v is 0 when there is none. */
paddr_t acpi_hpet_base(void);
/* PCI configuration windows of the MCFG table. */
struct acpi_mcfg { u64 base; u16 segment; u8 bus_start, bus_end; u32 reserved; } __packed;
unsigned acpi_mcfg(const struct acpi_mcfg **windows);

/* For the parsers of the single tables; called by acpi_init(). */
void acpi_parse_madt(void);
void acpi_parse_fadt(void);

#endif
