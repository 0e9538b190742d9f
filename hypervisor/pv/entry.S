/* SPDX-License-Identifier: MIT */
/*
 * Every way into the hypervisor from an exception, an interrupt or a guest's SYSCALL, and the one way back to a PV guest.
 *
 * All of them build a struct cpu_user_regs (ABI layout) on this CPU's stack: for an entry from a guest it is cpu_info's guest_regs.
 * NMI, #MC, #DF and #DB come on their own IST stacks.
 */
#include <lib/errno.h>
#include <x86/layout.h>
#include <x86/segment.h>
#include <x86/fixup.h>
#include <xen/xen.h>
#include "asm_offsets.h"

/* entry_vector, no exception's: of a frame that SYSRET can produce, if it likes rip (pv.h: PV_VECTOR_SYSCALL); of a system call that it cannot return from. */
#define VECTOR_SYSCALL		0x100
#define VECTOR_OTHER_CALL	0x101

/* struct hypercall_row (hypercall/dispatch.h): how many there are, their size as a shift, and where a row says that every PV guest may call it. */
#define HYPERCALL_ROWS	64
#define ROW_SHIFT	4
#define ROW_PLAIN	8

/* The direction flag is clear already where SYSCALL has cleared it. */
.macro SAVE_REGS clear_direction=1
	.if \clear_direction
	cld
	.endif
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %rax
	push %r8
	push %r9
	push %r10
	push %r11
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
.endm

/* What C functions keep. Leaves rsp at r11. */
.macro RESTORE_KEPT_REGS
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
.endm

/* Leaves rsp at the hardware frame, the error code word dropped. */
.macro RESTORE_REGS
	RESTORE_KEPT_REGS
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	add $8, %rsp
.endm

	.section .text.entry, "ax", @progbits

/* One stub per vector, 16 bytes each, found by index. */
	.balign 16
	.globl vector_stubs
vector_stubs:
	.set vec, 0
	.rept 256
	.balign 16
	.if (vec == 8) || ((vec >= 10) && (vec <= 14)) || (vec == 17) || (vec == 21)
	.else
	push $0
	.endif
	movl $vec, 4(%rsp)
	.if (vec == 1) || (vec == 2) || (vec == 8) || (vec == 18)
	jmp ist_entry
	.elseif (vec >= 32) && (vec != 0x80)
	jmp irq_entry
	.else
	jmp trap_entry
	.endif
	.set vec, vec + 1
	.endr

trap_entry:
	SAVE_REGS
	mov %rsp, %rdi
	testb $3, REGS_CS(%rsp)
	jz 1f
	xor %ebp, %ebp
	call trap_dispatch
	jmp ret_to_guest
1:	call trap_dispatch
	jmp ret_to_hypervisor

irq_entry:
	SAVE_REGS
	mov %rsp, %rdi
	testb $3, REGS_CS(%rsp)
	jz 1f
	xor %ebp, %ebp
	call irq_dispatch
	jmp ret_to_guest
1:	call irq_dispatch

ret_to_hypervisor:
	RESTORE_REGS
	iretq

/*
 * NMI, #MC, #DF and #DB. From the hypervisor: straight back to what was interrupted, which may be the first instruction of the SYSCALL stub with a
 * guest's rsp. From a guest: guest_regs is free, so the frame moves there and all goes on as for any trap.
 */
ist_entry:
	SAVE_REGS
	testb $3, REGS_CS(%rsp)
	jz 1f
	mov %rsp, %rsi
	mov %rsp, %rdi
	or $STACK_SIZE - 1, %rdi
	lea 1 - CPU_INFO_SIZE(%rdi), %rdi
	mov %rdi, %rsp
	mov $REGS_END / 8, %ecx
	rep movsq
	mov %rsp, %rdi
	xor %ebp, %ebp
	call trap_dispatch
	jmp ret_to_guest
1:	mov %rsp, %rdi
	call trap_dispatch
	jmp ret_to_hypervisor

/* SYSCALL from 32-bit code (AMD; Intel processors raise #UD instead). */
	.globl syscall32_entry
syscall32_entry:
	push %r11
	pushq $SEL_RING3_CS32
	push %rcx
	pushq $0
	movl $VECTOR_OTHER_CALL, 4(%rsp)
	mov CPU_INFO_SCRATCH - REGS_ERROR(%rsp), %rax
	SAVE_REGS
	xor %ebp, %ebp
	sti
	mov %rsp, %rdi
	call pv_syscall32
	jmp ret_to_guest

/* SYSENTER: loses rip and rsp; the guest kernel's handler knows where to return. rsp: end of guest_regs' hardware frame. */
	.globl sysenter_entry
sysenter_entry:
	pushq $SEL_RING3_DS
	pushq $0
	pushfq
	pushq $SEL_RING3_CS32
	pushq $0
	pushq $0
	movl $VECTOR_OTHER_CALL, 4(%rsp)
	SAVE_REGS
	pushq $2		/* the guest's NT would make our IRETs fault */
	popfq
	xor %ebp, %ebp
	sti
	mov %rsp, %rdi
	call pv_sysenter
	jmp ret_to_guest

/*
 * SYSCALL from ring 3. The CPU's stub (x86/segment.c) has saved rax in cpu_info.scratch[0], loaded rsp with the end of guest_regs' hardware
 * frame, and pushed ss and the guest's rsp. rcx: return address; r11: rflags.
 */
	.globl syscall_entry
syscall_entry:
	push %r11
	pushq $SEL_RING3_CS64
	push %rcx
	pushq $0
	movl $VECTOR_SYSCALL, 4(%rsp)
	mov CPU_INFO_SCRATCH - REGS_ERROR(%rsp), %rax
	SAVE_REGS clear_direction=0
	xor %ebp, %ebp
	sti
	mov CPU_INFO_CURRENT(%rsp), %rbx
	mov VCPU_PV(%rbx), %rcx
	cmpb $0, PV_KERNEL_MODE(%rcx)
	je syscall_from_user
	/* What a guest kernel does most, and has no arguments in registers. */
	cmp $__HYPERVISOR_iret, %rax
	jne syscall_hypercall
	call hypercall_iret
	/* fall through */

/* The way back to a PV guest. rsp: cpu_info's guest_regs. */
	.globl ret_to_guest
ret_to_guest:
	cli
	mov CPU_INFO_CURRENT(%rsp), %rbx
	mov VCPU_INFO(%rbx), %rax
	movzbl VINFO_PENDING(%rax), %eax
	orw VCPU_DUE(%rbx), %ax		/* areas_due and pv_pending */
	jnz maybe_deliver
check_softirqs:		/* after delivery, which may have crashed the guest */
	cmpl $0, CPU_INFO_SOFTIRQS(%rsp)
	jne do_softirqs
	/*
	 * Where rcx and r11 are nobody's (the end of a SYSCALL; a handler, which finds them on its stack) SYSRET does. It would fault here, with the guest's
	 * rsp, on an address that is not canonical.
	 */
	cmpl $VECTOR_SYSCALL, REGS_VECTOR(%rsp)
	jne restore_by_iret
	mov REGS_RIP(%rsp), %rcx
	mov %rcx, %rax
	sar $47, %rax
	inc %rax
	cmp $1, %rax
	ja restore_by_iret
	RESTORE_KEPT_REGS
	mov REGS_RFLAGS - REGS_R11(%rsp), %r11
	mov REGS_R10 - REGS_R11(%rsp), %r10
	mov REGS_R9 - REGS_R11(%rsp), %r9
	mov REGS_R8 - REGS_R11(%rsp), %r8
	mov REGS_RAX - REGS_R11(%rsp), %rax
	mov REGS_RDX - REGS_R11(%rsp), %rdx
	mov REGS_RSI - REGS_R11(%rsp), %rsi
	mov REGS_RDI - REGS_R11(%rsp), %rdi
	mov REGS_RSP - REGS_R11(%rsp), %rsp
	sysretq

restore_by_iret:
	RESTORE_REGS
guest_iret:
	iretq
	FIXUP guest_iret, guest_iret_failed

/* rdi, rsi, rdx, r8 and r9 are the arguments of a C function as they are; rax: the number. */
syscall_hypercall:
	mov %r10, %rcx
	cmp $HYPERCALL_ROWS, %rax
	jae 1f
	sbb %r10, %r10		/* all ones; zero where the processor has only guessed that it gets here */
	and %r10, %rax
	shl $ROW_SHIFT, %rax
	lea hypercall_table(%rip), %r10
	add %r10, %rax
	cmpb $0, ROW_PLAIN(%rax)
	je 1f
	call *(%rax)
	cmp $-ERESTART, %rax
	je ret_to_guest
	mov %rax, REGS_RAX(%rsp)
	jmp ret_to_guest
1:	call hypercall_dispatch
	jmp ret_to_guest

syscall_from_user:
	mov %rsp, %rdi
	call pv_syscall
	jmp ret_to_guest

do_softirqs:
	sti
	call softirq_run
	jmp ret_to_guest

maybe_deliver:
	mov %rsp, %rdi
	call pv_deliver_pending
	jmp check_softirqs

/* iretq refused the guest's frame: rsp points at it, all other registers are the guest's. */
guest_iret_failed:
	pushq $0
	SAVE_REGS
	xor %ebp, %ebp
	mov %rsp, %rdi
	call pv_iret_failed
	jmp ret_to_guest

/* void enter_guest(void): drop the hypervisor's stack and enter the current vCPU's guest. */
	.globl enter_guest
enter_guest:
	mov %rsp, %rax
	or $STACK_SIZE - 1, %rax
	lea 1 - CPU_INFO_SIZE(%rax), %rsp
	xor %ebp, %ebp
	jmp ret_to_guest

/* void jump_with_fresh_stack(void (*fn)(void)): fn does not return. */
	.globl jump_with_fresh_stack
jump_with_fresh_stack:
	mov %rsp, %rax
	or $STACK_SIZE - 1, %rax
	lea 1 - CPU_INFO_SIZE(%rax), %rsp
	and $-16, %rsp
	xor %ebp, %ebp
	call *%rdi
	ud2
	.section .note.GNU-stack, "", @progbits
