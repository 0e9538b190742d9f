/* SPDX-License-Identifier: MIT */
/* Each CPU's own system tables: GDT page, TSS, IDT, SYSCALL entry. */
#ifndef CORE_SEGMENTS_H
#define CORE_SEGMENTS_H

#include <x86/segment.h>

/* GDT page and TSS of one CPU; page-aligned. */
struct cpu_tables {
	u64 gdt[512] __aligned(4096);
	struct tss tss __aligned(64);
};

/*
 * Build and load the calling CPU's GDT page, TSS and IDT, and its SYSCALL entry, for the stack it runs on.
 * tables: memory for them, kept for good; NULL on the boot CPU. Interrupts off.
 */
void segments_init_cpu(unsigned cpu, struct cpu_tables *tables);
/* The CPU's GDT page (page 14 of every GDT window on that CPU). */
mfn_t segments_gdt_page(unsigned cpu);
/* Load GDTR for a window at base va (base of page 0), limit covering page 14. */
void segments_load_gdt(u64 base);
/* Back to the CPU's own GDT, not depending on any domain's mappings. */
void segments_load_boot_gdt(void);
/* Point LDTR at nr_ents descriptors at va; nr_ents 0 loads the null LDT. */
void segments_load_ldt(u64 va, unsigned nr_ents);

#endif
