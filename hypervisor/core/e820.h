/* SPDX-License-Identifier: MIT */
/* The machine's memory map as the firmware describes it, in E820 form, sorted and without overlaps. */
#ifndef CORE_E820_H
#define CORE_E820_H

#include <lib/types.h>

enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4, E820_UNUSABLE = 5 };

struct e820entry { u64 addr, size; u32 type; } __packed;

/* Number of entries; *map points at them. Constant after boot. */
unsigned e820_get(const struct e820entry **map);

#endif
