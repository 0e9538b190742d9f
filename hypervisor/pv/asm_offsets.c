/* SPDX-License-Identifier: MIT */
/* Structure offsets for assembly: the build extracts them from this file's compiled form. */
#include <pv/pv.h>

#define OFFSET(sym, type, field)	__asm__ volatile("\n.ascii \"->" #sym " %0 \"" :: "i"(offsetof(type, field)))
#define VALUE(sym, v)			__asm__ volatile("\n.ascii \"->" #sym " %0 \"" :: "i"(v))

_Static_assert(offsetof(struct vcpu, pv_pending) == offsetof(struct vcpu, areas_due) + 1, "VCPU_DUE is both");

void asm_offsets(void);
void asm_offsets(void)
{
	VALUE(CPU_INFO_SIZE, sizeof(struct cpu_info));
	VALUE(CPU_INFO_RESERVE, ALIGN_UP(sizeof(struct cpu_info), 16UL));
	OFFSET(CPU_INFO_SOFTIRQS, struct cpu_info, softirqs);
	OFFSET(CPU_INFO_CURRENT, struct cpu_info, vcpu);
	OFFSET(CPU_INFO_SCRATCH, struct cpu_info, scratch);
	OFFSET(REGS_R15, struct cpu_user_regs, r15);
	OFFSET(REGS_RBP, struct cpu_user_regs, rbp);
	OFFSET(REGS_R11, struct cpu_user_regs, r11);
	OFFSET(REGS_R10, struct cpu_user_regs, r10);
	OFFSET(REGS_R9, struct cpu_user_regs, r9);
	OFFSET(REGS_R8, struct cpu_user_regs, r8);
	OFFSET(REGS_RAX, struct cpu_user_regs, rax);
	OFFSET(REGS_RCX, struct cpu_user_regs, rcx);
	OFFSET(REGS_RDX, struct cpu_user_regs, rdx);
	OFFSET(REGS_RSI, struct cpu_user_regs, rsi);
	OFFSET(REGS_RDI, struct cpu_user_regs, rdi);
	OFFSET(REGS_ERROR, struct cpu_user_regs, error_code);
	OFFSET(REGS_VECTOR, struct cpu_user_regs, entry_vector);
	OFFSET(REGS_RIP, struct cpu_user_regs, rip);
	OFFSET(REGS_CS, struct cpu_user_regs, cs);
	OFFSET(REGS_RFLAGS, struct cpu_user_regs, rflags);
	OFFSET(REGS_RSP, struct cpu_user_regs, rsp);
	OFFSET(REGS_SS, struct cpu_user_regs, ss);
	OFFSET(REGS_END, struct cpu_user_regs, es);
	OFFSET(VCPU_INFO, struct vcpu, info);
	OFFSET(VCPU_DUE, struct vcpu, areas_due);
	OFFSET(VCPU_PV, struct vcpu, pv);
	OFFSET(PV_KERNEL_MODE, struct pv_vcpu, kernel_mode);
	OFFSET(VINFO_PENDING, struct vcpu_info, evtchn_upcall_pending);
	OFFSET(VINFO_MASK, struct vcpu_info, evtchn_upcall_mask);
}
