/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's part of every address space. Usable from C, assembly and linker scripts.
 *
 * A 64-bit PV guest leaves level-4 slots 256..271 to the hypervisor (ABI: <xen/arch-x86/xen-x86_64.h>).
 * Each slot is 512 GiB:
 *
 *   256       machine-to-phys table, guest readable (fixed by the ABI)
 *   258       the same table, writable by the hypervisor only
 *   259       frame table: one u64 per machine frame
 *   260       per-domain area: each vCPU's GDT and LDT windows; the only slot that differs between domains
 *   261       I/O and temporary mappings, the hypervisor's image, boot-time stubs
 *   262..271  direct map of all RAM (5 TiB)
 *
 * The level-3 tables of all slots but 260 are made at boot and never replaced, so a level-4 page
 * needs its hypervisor slots filled in only once.
 */
#ifndef X86_LAYOUT_H
#define X86_LAYOUT_H

#ifdef __ASSEMBLY__
#define LAYOUT_UL(x)	x
#else
#define LAYOUT_UL(x)	x##UL
#endif

#define HYP_SLOT_FIRST		256
#define HYP_SLOT_LAST		271
#define HYP_SLOT_PERDOMAIN	260

#define HYP_VIRT_START		LAYOUT_UL(0xffff800000000000)
#define HYP_VIRT_END		LAYOUT_UL(0xffff880000000000)

#define M2P_GUEST_START		LAYOUT_UL(0xffff800000000000)
#define M2P_START		LAYOUT_UL(0xffff810000000000)
#define FRAMETABLE_START	LAYOUT_UL(0xffff818000000000)
#define PERDOMAIN_START		LAYOUT_UL(0xffff820000000000)
#define IOMAP_START		LAYOUT_UL(0xffff828000000000)
#define IOMAP_END		LAYOUT_UL(0xffff82c000000000)
#define IMAGE_START		LAYOUT_UL(0xffff82d040000000)
#define DIRECTMAP_START		LAYOUT_UL(0xffff830000000000)
#define DIRECTMAP_END		LAYOUT_UL(0xffff880000000000)

/* Machine address the image is loaded at; IMAGE_START maps it. */
#define IMAGE_PHYS		LAYOUT_UL(0x200000)

/* Per-CPU stack region: aligned to its size; struct cpu_info sits at its very top. */
#define STACK_ORDER		3
#define STACK_SIZE		(LAYOUT_UL(4096) << STACK_ORDER)
/* From the bottom of the region: one page per IST stack, a guard page, then the main stack. */
#define IST_STACK_SIZE		LAYOUT_UL(4096)
#define IST_NMI			1
#define IST_MCE			2
#define IST_DF			3
#define IST_DB			4

#endif
