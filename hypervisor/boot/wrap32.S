/* SPDX-License-Identifier: MIT */
/* The flat image as a 32-bit ELF: QEMU's and GRUB's Multiboot loaders want one. */
	.section .image, "awx", @progbits
	.globl start32
start32:
	.incbin IMAGE
	.section .note.GNU-stack, "", @progbits
