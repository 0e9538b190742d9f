/* SPDX-License-Identifier: MIT */
/* The machine's memory map, made usable: sorted, without overlaps, cut to the `mem` parameter; and the RAM that is free at boot. */
#ifndef BOOT_MEMMAP_H
#define BOOT_MEMMAP_H

#include <boot/bootinfo.h>
#include <memory/init.h>

#define MAX_RAM_RANGES	128

/* Take the loader's map over; e820_get() answers from now on. */
void memmap_init(const struct boot_info *bi);
/*
 * RAM free for use: all RAM above 1 MiB without the image and the boot modules, sorted. Returns how many ranges, at most MAX_RAM_RANGES; *top is the end of
 * the highest RAM.
 */
unsigned memmap_free_ranges(const struct boot_info *bi, struct ram_range *out, paddr_t *top);
/* A page of RAM below 640 KiB that nothing uses, for starting processors. */
paddr_t memmap_low_page(void);

#endif
