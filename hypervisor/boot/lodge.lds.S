/* SPDX-License-Identifier: MIT */
/* Layout of the hypervisor's image. Linked at IMAGE_START, loaded at IMAGE_PHYS. */
#include <x86/layout.h>

OUTPUT_FORMAT("elf64-x86-64")
OUTPUT_ARCH(i386:x86-64)
ENTRY(image_start)

SECTIONS
{
	. = IMAGE_START;
	image_start = .;
	.text : {
		*(.multiboot)
		KEEP(*(.multiboot))
		*(.text.entry)
		*(.text .text.*)
		. = ALIGN(4096);
	}
	/* Freed once Domain 0 has been built, together with .init.data. */
	.init.text : ALIGN(4096) {
		init_text_start = .;
		*(.init.text)
		*(.init.unpack.text)
		. = ALIGN(4096);
		init_text_end = .;
	}
	text_end = .;
	.rodata : ALIGN(4096) {
		*(.rodata .rodata.*)
		. = ALIGN(8);
		fixup_table_start = .;
		KEEP(*(.fixup_table))
		fixup_table_end = .;
		. = ALIGN(8);
		boot_params_start = .;
		KEEP(*(.boot_params))
		boot_params_end = .;
		domain_modules_start = .;
		KEEP(*(.domain_modules))
		domain_modules_end = .;
		audit_sources_start = .;
		KEEP(*(.audit_sources))
		audit_sources_end = .;
		. = ALIGN(8);
		debug_keys_start = .;
		KEEP(*(.debug_keys))
		debug_keys_end = .;
		. = ALIGN(8);
	}
	.note.gnu.build-id : {
		build_id_start = .;
		KEEP(*(.note.gnu.build-id))
		build_id_end = .;
		. = ALIGN(4096);
	}
	rodata_end = .;
	.data : ALIGN(4096) {
		*(.data.page_aligned)
		percpu_start = .;
		*(.data.percpu)
		. = ALIGN(64);
		percpu_end = .;
		*(.data .data.* .got .got.plt)
		. = ALIGN(4096);
	}
	. = ALIGN(4096);
	.init.data : ALIGN(4096) {
		init_data_start = .;
		*(.init.data)
		*(.init.unpack.data)
		. = ALIGN(4096);
		init_data_end = .;
	}
	.bss (NOLOAD) : ALIGN(4096) {
		bss_start = .;
		*(.bss.page_aligned)
		. = ALIGN(64);
		percpu_template = .;
		. += percpu_end - percpu_start;
		*(.bss .bss.* COMMON)
		. = ALIGN(4096);
		bss_end = .;
	}
	/* Last, so that filling the symbol table in moves nothing. */
	.symtab_embedded : ALIGN(4096) {
		KEEP(*(.symtab_embedded))
		. = ALIGN(4096);
	}
	image_end = .;

	/DISCARD/ : { *(.comment) *(.eh_frame*) *(.note.GNU-stack) *(.note.gnu.property) *(.note*) *(.interp) *(.dyn*) *(.hash) *(.gnu.*) }
}
