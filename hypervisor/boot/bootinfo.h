/* SPDX-License-Identifier: MIT */
/* What the boot loader handed over, whichever protocol it speaks: copied out of its memory before anything is allocated. */
#ifndef BOOT_BOOTINFO_H
#define BOOT_BOOTINFO_H

#include <core/e820.h>
#include <core/efi.h>
#include <lib/types.h>

#define MAX_MODULES	8
#define MAX_E820	256
#define CMDLINE_MAX	2048
#define MAX_EFI_MEMORY	512

struct boot_module {
	paddr_t start;
	u64 size;
	char cmdline[CMDLINE_MAX];	/* without the file's name */
};

/* What the firmware or the loader left on the screen. */
enum boot_screen { SCREEN_TEXT, SCREEN_GRAPHICS, SCREEN_NONE };

/* A linear frame buffer; positions and sizes of its colours are in bits. */
struct boot_graphics {
	u64 base;
	u32 pitch, width, height;	/* bytes, pixels, pixels */
	u8 bpp;
	u8 red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
};

struct boot_info {
	char cmdline[CMDLINE_MAX];
	char loader[64];
	unsigned nr_modules;
	struct boot_module modules[MAX_MODULES];
	unsigned nr_e820;
	struct e820entry e820[MAX_E820];
	u8 rsdp[36];			/* ACPI's root pointer as the loader found it */
	bool have_rsdp;
	enum boot_screen screen;
	struct boot_graphics graphics;	/* with SCREEN_GRAPHICS */
	paddr_t efi_system_table;	/* 0: the firmware is no UEFI, or not a 64-bit one */
	unsigned nr_efi_memory;
	struct efi_memory efi_memory[MAX_EFI_MEMORY];
};

/*
 * Parse what `magic` says the loader left at machine address `info`. The result has the raw memory map (unsorted). boot_fail() when the magic is unknown or
 * there is no memory map.
 */
void bootinfo_parse(u32 magic, u32 info, struct boot_info *out);

/*
 * A memory map as UEFI's GetMemoryMap() gives it: n bytes of descriptors of `size` bytes each. Becomes the e820 of bi, in place of the loader's, and
 * efi_memory. boot_fail() when it cannot be one. (boot/efi_map.c)
 */
void bootinfo_efi_map(struct boot_info *bi, const void *descriptors, u32 n, u32 size);

#endif
