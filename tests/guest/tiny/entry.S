/* SPDX-License-Identifier: MIT */
/* Where the tiny guest starts, and what it tells the domain builder. */
#include <xen/xen.h>
#include <xen/elfnote.h>

	.text
	.globl _start
_start:
	cld
	lea	stack_top(%rip), %rsp
	mov	%rsi, %rdi
	xor	%ebp, %ebp
	call	tiny_main
	ud2

	.bss
	.balign	4096
	.globl hypercall_page
hypercall_page:
	.skip	4096
	.skip	8192
stack_top:

.macro NOTE type, kind, value:vararg
	.pushsection .note.Xen, "a", @note
	.balign	4
	.long	4, 2f - 1f, \type
	.asciz	"Xen"
1:	\kind	\value
2:	.balign	4
	.popsection
.endm
	NOTE	XEN_ELFNOTE_GUEST_OS, .asciz, "lodge-tiny"
	NOTE	XEN_ELFNOTE_GUEST_VERSION, .asciz, "1"
	NOTE	XEN_ELFNOTE_XEN_VERSION, .asciz, "xen-3.0"
	NOTE	XEN_ELFNOTE_LOADER, .asciz, "generic"
	NOTE	XEN_ELFNOTE_VIRT_BASE, .quad, 0xffffffff80000000
	NOTE	XEN_ELFNOTE_ENTRY, .quad, _start
	NOTE	XEN_ELFNOTE_HYPERCALL_PAGE, .quad, hypercall_page
	NOTE	XEN_ELFNOTE_FEATURES, .asciz, "!writable_page_tables|pae_pgdir_above_4gb"
	NOTE	XEN_ELFNOTE_PAE_MODE, .asciz, "yes"

	.section .note.GNU-stack, "", @progbits
