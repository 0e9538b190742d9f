/* SPDX-License-Identifier: MIT */
/* Page-table entries: bits, indices, construction (source: Intel SDM vol. 3 ch. 4). */
#ifndef X86_PTE_H
#define X86_PTE_H

#include <lib/types.h>

typedef struct { u64 v; } pte_t;	/* an entry of any level */

#define PTE_P		BIT(0)
#define PTE_RW		BIT(1)
#define PTE_US		BIT(2)
#define PTE_PWT		BIT(3)
#define PTE_PCD		BIT(4)
#define PTE_A		BIT(5)
#define PTE_D		BIT(6)
#define PTE_PSE		BIT(7)	/* levels 2, 3: a large page */
#define PTE_PAT		BIT(7)	/* level 1 */
#define PTE_PAT_LARGE	BIT(12)	/* levels 2, 3 with PSE */
#define PTE_G		BIT(8)
#define PTE_AVAIL	(BIT(9) | BIT(10) | BIT(11))
#define PTE_AVAIL_HIGH	(0x7ffUL << 52)
#define PTE_NX		BIT(63)
#define PTE_ADDR_MASK	0x000ffffffffff000UL

/* Attributes of the hypervisor's own mappings. */
#define PTE_HYP_RW	(PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX)
#define PTE_HYP_RO	(PTE_P | PTE_A | PTE_NX)
#define PTE_HYP_RX	(PTE_P | PTE_A)
#define PTE_HYP_UC	(PTE_HYP_RW | PTE_PCD | PTE_PWT)
#define PTE_HYP_TABLE	(PTE_P | PTE_RW | PTE_A)

#define PT_ENTRIES	512
#define PT_SHIFT(level)	(PAGE_SHIFT + 9 * ((level) - 1))
/* Index of va in its level 1..4 table. */
#define PT_INDEX(va, level)	(((u64)(va) >> PT_SHIFT(level)) & (PT_ENTRIES - 1))

static inline pte_t pte_make(mfn_t m, u64 flags) { return (pte_t){ (m.v << PAGE_SHIFT) | flags }; }
static inline mfn_t pte_mfn(pte_t e) { return mfn((e.v & PTE_ADDR_MASK) >> PAGE_SHIFT); }
static inline u64 pte_flags(pte_t e) { return e.v & ~PTE_ADDR_MASK; }
static inline bool pte_present(pte_t e) { return e.v & PTE_P; }

#endif
