/* SPDX-License-Identifier: MIT */
/*
 * From our calling convention to the firmware's (Microsoft's for x86-64): rcx, rdx, r8, r9, then the stack above 32 bytes that belong to
 * the callee.
 */
	.section .text, "ax", @progbits
	.code64

/* u64 efi_call(u64 fn, const u64 args[5], u64 *recovery) */
	.globl efi_call
efi_call:
	push %rbp
	mov %rsp, %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, (%rdx)
	mov %rdi, %rax
	mov %rsi, %r10
	and $-16, %rsp
	sub $48, %rsp
	mov 32(%r10), %r11
	mov %r11, 32(%rsp)
	mov (%r10), %rcx
	mov 8(%r10), %rdx
	mov 16(%r10), %r8
	mov 24(%r10), %r9
	call *%rax
	lea -40(%rbp), %rsp
leave:
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	cld
	ret

/* Where an exception in the firmware leads, with rsp as it was stored in *recovery. */
	.globl efi_call_recover
efi_call_recover:
	mov $-1, %rax
	jmp leave
	.section .note.GNU-stack, "", @progbits
