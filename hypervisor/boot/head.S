/* SPDX-License-Identifier: MIT */
/*
 * First instructions: from a Multiboot loader (32-bit protected mode, paging off) to C in long mode.
 *
 * The image is linked at IMAGE_START and runs at IMAGE_PHYS until paging is on: PHYS(sym) is where a symbol is in the meantime. The boot page
 * tables map the low 4 GiB twice (identity, and at the start of the direct map) and the image, all by 2 MiB pages.
 */
#include <x86/layout.h>
#include <x86/segment.h>
#include "asm_offsets.h"

#define PHYS(sym)	((sym) - IMAGE_START + IMAGE_PHYS)

#define MB1_MAGIC	0x1badb002
#define MB1_FLAGS	0x00000003	/* modules on page boundaries, memory information */
#define MB2_MAGIC	0xe85250d6

	.section .multiboot, "ax", @progbits
	.globl image_start
	.code32
	/* The flat image is entered at its first byte. */
	jmp start32

	.balign 4
	.long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)

	.balign 8
mb2_header:
	.long MB2_MAGIC, 0, mb2_end - mb2_header, -(MB2_MAGIC + (mb2_end - mb2_header))
	/* information request: command line, loader name, modules, memory info, memory map, ACPI old/new RSDP */
	.balign 8
	.word 1, 0
	.long 8 + 4 * 7
	.long 1, 2, 3, 4, 6, 14, 15
	/* modules on page boundaries */
	.balign 8
	.word 6, 0
	.long 8
	.balign 8
	.word 0, 0
	.long 8
mb2_end:

	.section .text.entry, "ax", @progbits
	.code32
start32:
	cli
	cld
	mov $PHYS(boot_stack_top), %esp
	push $0
	popf
	mov %eax, %ebp			/* loader's magic */
	mov %ebx, %edi			/* loader's information */

	/* Our own segments: the loader's GDT may lie anywhere. */
	lgdt PHYS(boot_gdtr)
	mov $0x18, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	ljmp $0x10, $PHYS(1f)
1:
	/* Long mode and SYSCALL-age features are needed before anything in C can run. */
	mov $0x80000000, %eax
	cpuid
	cmp $0x80000001, %eax
	jb no_long_mode
	mov $0x80000001, %eax
	cpuid
	bt $29, %edx
	jnc no_long_mode
	bt $20, %edx
	jnc no_nx

	/* Boot page tables. */
	mov $PHYS(boot_l3), %eax
	or $0x23, %eax
	mov %eax, PHYS(boot_l4)
	mov %eax, PHYS(boot_l4) + 8 * ((DIRECTMAP_START >> 39) & 511)
	mov $PHYS(boot_l3_image), %eax
	or $0x23, %eax
	mov %eax, PHYS(boot_l4) + 8 * ((IMAGE_START >> 39) & 511)
	mov $PHYS(boot_l2_image), %eax
	or $0x23, %eax
	mov %eax, PHYS(boot_l3_image) + 8 * ((IMAGE_START >> 30) & 511)

	xor %ecx, %ecx
	mov $PHYS(boot_l2) + 0x23, %eax
1:	mov %eax, PHYS(boot_l3)(, %ecx, 8)
	add $0x1000, %eax
	inc %ecx
	cmp $4, %ecx
	jb 1b

	xor %ecx, %ecx
	mov $0xe3, %eax			/* P RW A D PSE */
1:	mov %eax, PHYS(boot_l2)(, %ecx, 8)
	add $0x200000, %eax
	inc %ecx
	cmp $2048, %ecx
	jb 1b

	xor %ecx, %ecx
	mov $IMAGE_PHYS + 0xe3, %eax
1:	mov %eax, PHYS(boot_l2_image)(, %ecx, 8)
	add $0x200000, %eax
	inc %ecx
	cmp $8, %ecx
	jb 1b

	mov $PHYS(boot_l4), %eax
	call enter_long_mode
	ljmp $0x08, $PHYS(start64_low)

/* eax: level-4 table. Leaves the CPU in compatibility mode. Also used by the other processors. */
enter_long_mode:
	mov %eax, %cr3
	mov $0x20, %eax			/* PAE */
	mov %eax, %cr4
	mov $0xc0000080, %ecx		/* EFER: SCE, LME, NX */
	rdmsr
	or $0x901, %eax
	wrmsr
	mov $0x80010033, %eax		/* PG WP NE ET MP PE */
	mov %eax, %cr0
	ret

	.code64
start64_low:
	movabs $start64, %rax
	jmp *%rax
start64:
	movabs $boot_stack_top, %rsp
	sub $CPU_INFO_RESERVE, %rsp
	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %eax, %fs
	mov %eax, %gs
	mov %edi, %esi			/* information */
	mov %ebp, %edi			/* magic */
	xor %ebp, %ebp
	call start
	ud2

/* A processor on which C cannot run: say so on the serial port and on the screen. */
	.code32
no_long_mode:
	mov $PHYS(msg_long_mode), %esi
	jmp early_fail
no_nx:
	mov $PHYS(msg_nx), %esi
early_fail:
	/* 115200 8n1 */
	mov $0x3fb, %dx
	mov $0x83, %al
	out %al, %dx
	mov $0x3f8, %dx
	mov $1, %al
	out %al, %dx
	inc %dx
	xor %al, %al
	out %al, %dx
	mov $0x3fb, %dx
	mov $3, %al
	out %al, %dx
	mov $0xb8000, %edi
1:	lodsb
	test %al, %al
	jz 3f
	mov %al, %bl
	mov $0x3fd, %dx
	mov $100000, %ecx
2:	in %dx, %al
	test $0x20, %al
	loopz 2b
	mov %bl, %al
	mov $0x3f8, %dx
	out %al, %dx
	mov $0x07, %ah
	stosw
	jmp 1b
3:	hlt
	jmp 3b

msg_long_mode:
	.asciz "Lodge cannot boot: this processor has no 64-bit mode (long mode), which is needed.\r\n"
msg_nx:
	.asciz "Lodge cannot boot: this processor has no NX (no-execute pages), which is needed; or the firmware has it off.\r\n"

	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 0x08: 64-bit code */
	.quad 0x00cf9b000000ffff	/* 0x10: 32-bit code */
	.quad 0x00cf93000000ffff	/* 0x18: data */
boot_gdt_end:
	.balign 4
	.word 0
boot_gdtr:
	.word boot_gdt_end - boot_gdt - 1
	.long PHYS(boot_gdt)

/*
 * Other processors start here in real mode, at a page below 1 MiB that boot/smp.c copied [ap_trampoline, ap_trampoline_end) to. It patches
 * ap_tramp_base with the page's address. The wait for parameters is none: one processor is started at a time.
 */
	.section .rodata, "a", @progbits
	.globl ap_trampoline, ap_trampoline_end, ap_tramp_gdtr, ap_tramp_jump32
	.balign 16
	.code16
ap_trampoline:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	lgdtl ap_tramp_gdtr - ap_trampoline
	mov $0x11, %eax
	mov %eax, %cr0
	/* ljmpl $0x10, base + ap_tramp32: the offset is patched in */
	.byte 0x66, 0xea
ap_tramp_jump32:
	.long ap_tramp32 - ap_trampoline
	.word 0x10
	.balign 4
	.word 0
ap_tramp_gdtr:
	.word boot_gdt_end - boot_gdt - 1
	.long PHYS(boot_gdt)
	.code32
ap_tramp32:
	mov $0x18, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $PHYS(ap_start32), %eax
	jmp *%eax
ap_trampoline_end:

	.section .text.entry, "ax", @progbits
	.code32
ap_start32:
	mov $PHYS(ap_tmp_stack_top), %esp
	mov PHYS(ap_boot_l4), %eax
	call enter_long_mode
	ljmp $0x08, $PHYS(ap_start64_low)
	.code64
ap_start64_low:
	movabs $ap_start64, %rax
	jmp *%rax
ap_start64:
	mov ap_boot_stack(%rip), %rsp
	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %eax, %fs
	mov %eax, %gs
	xor %ebp, %ebp
	call ap_start
	ud2

	.section .data.page_aligned, "aw", @progbits
	.balign 4096
	.globl boot_l4, boot_l3, boot_l3_image, boot_l2_image
boot_l4:	.fill 512, 8, 0
boot_l3:	.fill 512, 8, 0
boot_l3_image:	.fill 512, 8, 0
boot_l2_image:	.fill 512, 8, 0
boot_l2:	.fill 2048, 8, 0

	.section .data, "aw", @progbits
	.balign 8
	.globl ap_boot_l4, ap_boot_stack
ap_boot_l4:	.quad 0		/* machine address; below 4 GiB */
ap_boot_stack:	.quad 0
	.fill 64, 1, 0
ap_tmp_stack_top:

	.section .bss.page_aligned, "aw", @nobits
	.balign STACK_SIZE
	.globl boot_stack, boot_stack_top
boot_stack:	.skip STACK_SIZE
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
