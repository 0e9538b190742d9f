/* SPDX-License-Identifier: MIT */
/*
 * Segment selectors and the system tables of a CPU: GDT, TSS, IDT.
 *
 * A PV guest's GDT occupies pages 0..13 of a 15-page window (ABI: FIRST_RESERVED_GDT_PAGE is 14); page 14 is the
 * CPU's own page with the reserved selectors, mapped behind whatever GDT the guest has loaded, so that
 * the reserved selectors are valid under every GDT.
 */
#ifndef X86_SEGMENT_H
#define X86_SEGMENT_H

/* Selectors in the reserved page. Ring-3 ones are fixed by the ABI (FLAT_RING3_*). */
#define SEL_HYP_CS	0xe008
#define SEL_HYP_DS	0xe010
#define SEL_RING3_CS32	0xe023
#define SEL_RING3_DS	0xe02b	/* FLAT_RING3_SS64, DS32 */
#define SEL_RING3_CS64	0xe033
#define SEL_TSS		0xe040	/* 16 bytes */
#define SEL_LDT		0xe050	/* 16 bytes */
#define RESERVED_GDT_PAGE 14

#ifndef __ASSEMBLY__
#include <lib/types.h>

struct tss {
	u32 pad0;
	u64 rsp[3];
	u64 pad1;
	u64 ist[7];	/* ist[0] is IST 1 */
	u64 pad2;
	u16 pad3, iomap_base;
} __packed;

struct idt_gate { u64 lo, hi; };
struct table_ptr { u16 limit; u64 base; } __packed;
#endif
#endif
