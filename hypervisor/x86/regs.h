/* SPDX-License-Identifier: MIT */
/* The register frame that every entry builds, exception numbers, and the block at the top of each CPU's stack. */
#ifndef X86_REGS_H
#define X86_REGS_H

#include <lib/types.h>
#include <x86/layout.h>
#include <xen/xen.h>

struct vcpu;

enum {
	X86_DE = 0, X86_DB = 1, X86_NMI = 2, X86_BP = 3, X86_OF = 4, X86_BR = 5, X86_UD = 6, X86_NM = 7,
	X86_DF = 8, X86_TS = 10, X86_NP = 11, X86_SS = 12, X86_GP = 13, X86_PF = 14, X86_MF = 16, X86_AC = 17,
	X86_MC = 18, X86_XM = 19, X86_VE = 20, X86_CP = 21,
};
/* Exceptions that push an error code: #DF #TS #NP #SS #GP #PF #AC #CP. */
#define X86_HAS_ERROR_CODE	((1u << 8) | (0xfu << 10) | (1u << 14) | (1u << 17) | (1u << 21))

#define PF_PRESENT	0x01
#define PF_WRITE	0x02
#define PF_USER		0x04
#define PF_RSVD		0x08
#define PF_INSN		0x10

/*
 * struct cpu_user_regs (ABI) is the one frame layout. error_code and entry_vector share the word that the
 * processor's error code occupies; es/ds/fs/gs are not part of an entry frame and are valid only in saved contexts.
 */

/*
 * Sits at the top of each CPU's stack region (STACK_SIZE aligned), so that it is found from RSP alone, on
 * every stack of that CPU, including the IST stacks.
 */
struct cpu_info {
	struct cpu_user_regs guest_regs;	/* the guest's frame; TSS.RSP0 points just above its ss */
	u64 percpu_offset;			/* add to the address of a per-CPU variable */
	struct vcpu *vcpu;			/* whose context is loaded; an idle vCPU when none */
	u32 cpu;
	u32 softirqs;				/* raised, core/softirq.c; entry.S looks at it */
	u64 scratch[3];				/* entry code only; an odd number of words: guest_regs.es must be 16-byte aligned */
};

static __always_inline struct cpu_info *cpu_info(void)
{
	u64 sp;

	__asm__("mov %%rsp, %0" : "=r"(sp));
	return (struct cpu_info *)((sp | (STACK_SIZE - 1)) + 1) - 1;
}

#define current			(cpu_info()->vcpu)
#define smp_processor_id()	(cpu_info()->cpu)
/* The frame of the guest that this CPU last left (meaningless on an idle vCPU). */
#define guest_regs()		(&cpu_info()->guest_regs)

/* True when the frame was pushed by an entry from a guest (ring 3 for PV). */
static inline bool regs_from_guest(const struct cpu_user_regs *regs) { return regs->cs & 3; }

#endif
