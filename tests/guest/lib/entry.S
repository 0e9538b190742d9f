/* SPDX-License-Identifier: MIT */
/* Where the hypervisor enters a test kernel: start, ELF notes, trap and callback stubs, and the ways back. */
#include <xen/xen.h>
#include <xen/elfnote.h>

/* Must agree with struct cpu in cpu.h. */
#define STACK_MASK	(~0x3fff)
#define CPU_USER_SP	0

/* Must agree with enum vector in trap.h. */
#define VEC_EVENT	256
#define VEC_FAILSAFE	257
#define VEC_SYSCALL	258
#define VEC_SYSCALL32	259
#define VEC_SYSENTER	260
#define VEC_NMI		261

	.section .text.entry, "ax"
	.globl _start
_start:
	mov	%rsp, boot_rsp(%rip)
	pushfq
	pop	boot_rflags(%rip)
	mov	%rsi, start_info(%rip)
	mov	%cs, boot_cs(%rip)
	mov	%ss, boot_ss(%rip)
	cld
	lea	cpu_stacks + 0x4000(%rip), %rsp
	xor	%ebp, %ebp
	call	guest_main
	ud2

	/* A secondary vCPU starts here, on its own stack. */
	.globl cpu_entry
cpu_entry:
	cld
	xor	%ebp, %ebp
	call	cpu_main
	ud2

	.section .text.hypercall_page, "ax"
	.balign	4096
	.globl hypercall_page
hypercall_page:
	.skip	4096, 0xcc

	.text
/*
 * Trap stubs. The hypervisor pushes ss, rsp, rflags, cs (upcall mask in its upper half), rip, the error code
 * where the vector has one, r11 and rcx. Each stub is 16 bytes long so that C can compute its address.
 */
	.balign	16
	.globl trap_stubs
trap_stubs:
	vector = 0
	.rept	256
	.balign	16
	pop	%rcx
	pop	%r11
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
	      vector == 29 || vector == 30)
	push	$0
	.endif
	push	$vector
	jmp	trap_common
	vector = vector + 1
	.endr

.macro CALLBACK name, number
	.balign	16
	.globl \name
\name:
	pop	%rcx
	pop	%r11
	push	$0
	push	$\number
	jmp	trap_common
.endm
	CALLBACK event_stub, VEC_EVENT
	CALLBACK syscall_stub, VEC_SYSCALL
	CALLBACK syscall32_stub, VEC_SYSCALL32
	CALLBACK sysenter_stub, VEC_SYSENTER
	CALLBACK nmi_stub, VEC_NMI

/* The failsafe callback has ds, es, fs and gs between r11 and rip. */
	.balign	16
	.globl failsafe_stub
failsafe_stub:
	pop	%rcx
	pop	%r11
	pop	failsafe_segments + 0(%rip)
	pop	failsafe_segments + 8(%rip)
	pop	failsafe_segments + 16(%rip)
	pop	failsafe_segments + 24(%rip)
	push	$0
	push	$VEC_FAILSAFE
	jmp	trap_common

trap_common:
	push	%rdi
	push	%rsi
	push	%rdx
	push	%rcx
	push	%rax
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	trap_dispatch
	mov	%rbp, %rsp
trap_restore:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
	/* vector and error become the iret hypercall's flags; vector's slot is dropped. */
	add	$8, %rsp
	push	%rax
	mov	iret_flags(%rip), %rax
	mov	%rax, 8(%rsp)
	pop	%rax
	push	%rcx
	push	%r11
	push	%rax
	mov	$__HYPERVISOR_iret, %eax
	syscall
	ud2

/*
 * void user_enter(const struct trap_frame *frame): leaves for the frame by the iret hypercall; comes back through
 * user_leave() when a trap from user mode has been recorded.
 */
	.globl user_enter
user_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	mov	%rsp, %rax
	and	$STACK_MASK, %rax
	mov	%rsp, CPU_USER_SP(%rax)
	mov	%rsp, %rsi
	mov	$FLAT_KERNEL_SS, %edi
	mov	$3, %eax			/* __HYPERVISOR_stack_switch */
	syscall
	pop	%rsi
	sub	$(22 * 8), %rsp
	mov	%rsp, %rdi
	mov	$22, %ecx
	rep movsq
	jmp	trap_restore

	.globl user_leave
user_leave:
	mov	%rsp, %rax
	and	$STACK_MASK, %rax
	mov	CPU_USER_SP(%rax), %rsp
	movq	$0, CPU_USER_SP(%rax)
	pop	%rdi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

/* int catch_save(struct catch *): 0 now, 1 when catch_resume() comes back here. */
	.globl catch_save
catch_save:
	mov	(%rsp), %rax
	mov	%rax, 0(%rdi)
	lea	8(%rsp), %rax
	mov	%rax, 8(%rdi)
	mov	%rbx, 16(%rdi)
	mov	%rbp, 24(%rdi)
	mov	%r12, 32(%rdi)
	mov	%r13, 40(%rdi)
	mov	%r14, 48(%rdi)
	mov	%r15, 56(%rdi)
	xor	%eax, %eax
	ret

	.globl catch_resume
catch_resume:
	mov	8(%rdi), %rsp
	mov	16(%rdi), %rbx
	mov	24(%rdi), %rbp
	mov	32(%rdi), %r12
	mov	40(%rdi), %r13
	mov	48(%rdi), %r14
	mov	56(%rdi), %r15
	mov	$1, %eax
	jmp	*0(%rdi)

	.data
	.balign	8
	.globl boot_rsp, boot_rflags, start_info, boot_cs, boot_ss, iret_flags, failsafe_segments
boot_rsp:	.quad 0
boot_rflags:	.quad 0
start_info:	.quad 0
boot_cs:	.quad 0
boot_ss:	.quad 0
iret_flags:	.quad 0
failsafe_segments: .quad 0, 0, 0, 0

	.bss
	.balign	0x4000
	.globl cpu_stacks
cpu_stacks:
	.skip	0x4000 * 8

.macro NOTE type, kind, value:vararg
	.pushsection .note.Xen, "a", @note
	.balign	4
	.long	4, 2f - 1f, \type
	.asciz	"Xen"
1:	\kind	\value
2:	.balign	4
	.popsection
.endm

#ifndef GUEST_FEATURES
#define GUEST_FEATURES "!writable_page_tables|pae_pgdir_above_4gb"
#endif
	NOTE	XEN_ELFNOTE_GUEST_OS, .asciz, "lodge-test"
	NOTE	XEN_ELFNOTE_GUEST_VERSION, .asciz, "1"
	NOTE	XEN_ELFNOTE_XEN_VERSION, .asciz, "xen-3.0"
	NOTE	XEN_ELFNOTE_VIRT_BASE, .quad, 0xffffffff80000000
	NOTE	XEN_ELFNOTE_ENTRY, .quad, _start
	NOTE	XEN_ELFNOTE_HYPERCALL_PAGE, .quad, hypercall_page
	NOTE	XEN_ELFNOTE_FEATURES, .asciz, GUEST_FEATURES
	NOTE	XEN_ELFNOTE_SUPPORTED_FEATURES, .long, (1 << 11)
	NOTE	XEN_ELFNOTE_PAE_MODE, .asciz, "yes"
	NOTE	XEN_ELFNOTE_LOADER, .asciz, "generic"
	NOTE	XEN_ELFNOTE_SUSPEND_CANCEL, .quad, 1
	NOTE	XEN_ELFNOTE_HV_START_LOW, .quad, 0xffff800000000000

	.section .note.GNU-stack, "", @progbits
