/* SPDX-License-Identifier: MIT */
/*
 * void panic(const char *fmt, ...): notes the registers as the caller has them, before C changes any, and goes on with the same arguments
 * (panic.c). The first call counts: there is at most one CPU that prints, and the buffer tells by its rsp whether it is that CPU's.
 */
#include "asm_offsets.h"

	.text
	.globl panic
panic:
	pushfq
	lock btsl $0, registers_noted(%rip)
	jc 1f
	.set at, REGS_R15
	.irp reg, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
	mov %\reg, panic_registers + at(%rip)
	.set at, at + 8
	.endr
	mov %cs, panic_registers + REGS_CS(%rip)
	mov %ss, panic_registers + REGS_SS(%rip)
	mov (%rsp), %rax
	mov %rax, panic_registers + REGS_RFLAGS(%rip)
	mov 8(%rsp), %rax
	mov %rax, panic_registers + REGS_RIP(%rip)
	lea 16(%rsp), %rax
	mov %rax, panic_registers + REGS_RSP(%rip)
1:	add $8, %rsp
	jmp panic_with_registers

	.local registers_noted
	.comm registers_noted, 4, 4
	.section .note.GNU-stack, "", @progbits
