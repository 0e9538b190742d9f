/* SPDX-License-Identifier: MIT */
/* What the boot loader handed over, whichever protocol it speaks: copied out of its memory before anything is allocated. */
#ifndef BOOT_BOOTINFO_H
#define BOOT_BOOTINFO_H

#include <core/e820.h>
#include <lib/types.h>

#define MAX_MODULES	8
#define MAX_E820	256
#define CMDLINE_MAX	2048

struct boot_module {
	paddr_t start;
	u64 size;
	char cmdline[CMDLINE_MAX];	/* without the file's name */
};

struct boot_info {
	char cmdline[CMDLINE_MAX];
	char loader[64];
	unsigned nr_modules;
	struct boot_module modules[MAX_MODULES];
	unsigned nr_e820;
	struct e820entry e820[MAX_E820];
	paddr_t rsdp;			/* 0: look for it */
};

/*
 * Parse what `magic` says the loader left at machine address `info`. The result has the raw memory map (unsorted). boot_fail() when the magic is unknown or
 * there is no memory map.
 */
void bootinfo_parse(u32 magic, u32 info, struct boot_info *out);

#endif
