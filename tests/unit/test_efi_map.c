/* SPDX-License-Identifier: MIT */
/* Unit tests: UEFI's memory map in E820 form, and maps that make no sense. */
/* sources: boot/efi_map.c */
#include "test.h"

#include <boot/bootinfo.h>
#include <core/panic.h>
#include <setjmp.h>

static jmp_buf failed;
void boot_fail(const char *fmt __unused, ...) { longjmp(failed, 1); }

/* Larger than what is looked at, as firmware may have it. */
struct descriptor { u32 type, pad; u64 start, virtual, pages, attributes, more; };

static struct boot_info bi;

static void give(const struct descriptor *d, unsigned n)
{
	/* A block of its own, so that ASan sees reads beyond it. */
	static void *copy;

	free(copy);
	copy = malloc(n * sizeof(*d));
	memcpy(copy, d, n * sizeof(*d));
	bootinfo_efi_map(&bi, copy, (u32)(n * sizeof(*d)), sizeof(*d));
}

#define REFUSED(...) ({ volatile bool f_ = true; if (!setjmp(failed)) { __VA_ARGS__; f_ = false; } f_; })

static u32 type_of(u32 type, u64 attributes)
{
	struct descriptor d = { .type = type, .start = 0x1000, .pages = 1, .attributes = attributes };

	give(&d, 1);
	CHECK_EQ(bi.nr_e820, 1);
	CHECK_EQ(bi.e820[0].addr, 0x1000);
	CHECK_EQ(bi.e820[0].size, 0x1000);
	return bi.e820[0].type;
}

TEST(types)
{
	static const u32 ram[] = { EFI_MEM_LOADER_CODE, EFI_MEM_LOADER_DATA, EFI_MEM_BOOT_CODE, EFI_MEM_BOOT_DATA, EFI_MEM_CONVENTIONAL };
	static const u32 reserved[] = { EFI_MEM_RESERVED, EFI_MEM_RUNTIME_CODE, EFI_MEM_RUNTIME_DATA, EFI_MEM_MMIO, EFI_MEM_MMIO_PORTS,
					EFI_MEM_PAL_CODE, EFI_MEM_PERSISTENT, 15, 0x70000000, 0x80000000, 0xffffffff };

	for (unsigned i = 0; i < ARRAY_SIZE(ram); i++) {
		CHECK_EQ(type_of(ram[i], EFI_ATTR_WB), E820_RAM);
		CHECK_EQ(type_of(ram[i], 0), E820_RESERVED);
		CHECK_EQ(type_of(ram[i], EFI_ATTR_WB | EFI_ATTR_RUNTIME), E820_RESERVED);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(reserved); i++)
		CHECK_EQ(type_of(reserved[i], EFI_ATTR_WB), E820_RESERVED);
	CHECK_EQ(type_of(EFI_MEM_UNUSABLE, EFI_ATTR_WB), E820_UNUSABLE);
	CHECK_EQ(type_of(EFI_MEM_ACPI_RECLAIM, EFI_ATTR_WB), E820_ACPI);
	CHECK_EQ(type_of(EFI_MEM_ACPI_NVS, EFI_ATTR_WB), E820_NVS);
}

/* Neighbours of one E820 type become one range; of UEFI's map only what is alike. */
TEST(neighbours)
{
	static const struct descriptor d[] = {
		{ .type = EFI_MEM_BOOT_DATA, .start = 0x0, .pages = 4, .attributes = EFI_ATTR_WB },
		{ .type = EFI_MEM_CONVENTIONAL, .start = 0x4000, .pages = 4, .attributes = EFI_ATTR_WB },
		{ .type = EFI_MEM_CONVENTIONAL, .start = 0x8000, .pages = 4, .attributes = EFI_ATTR_WB },
		{ .type = EFI_MEM_RUNTIME_DATA, .start = 0xc000, .pages = 4, .attributes = EFI_ATTR_WB | EFI_ATTR_RUNTIME },
		{ .type = EFI_MEM_CONVENTIONAL, .start = 0x10000, .pages = 0, .attributes = EFI_ATTR_WB },
		{ .type = EFI_MEM_CONVENTIONAL, .start = 0x20000, .pages = 1, .attributes = EFI_ATTR_WB },
	};

	give(d, ARRAY_SIZE(d));
	CHECK_EQ(bi.nr_e820, 3);
	CHECK_EQ(bi.e820[0].size, 0xc000);
	CHECK_EQ(bi.e820[1].type, E820_RESERVED);
	CHECK_EQ(bi.e820[2].addr, 0x20000);
	CHECK_EQ(bi.nr_efi_memory, 4);
	CHECK_EQ(bi.efi_memory[0].pages, 4);
	CHECK_EQ(bi.efi_memory[1].pages, 8);
	CHECK_EQ(bi.efi_memory[2].attributes, EFI_ATTR_WB | EFI_ATTR_RUNTIME);
}

TEST(nonsense)
{
	static struct descriptor d[MAX_EFI_MEMORY + 1];
	static u8 bytes[64];
	static u32 size;

	for (size = 0; size < 40; size++)
		CHECK(REFUSED(bootinfo_efi_map(&bi, bytes, sizeof(bytes), size)));
	/* A part of a descriptor at the end is none. */
	bootinfo_efi_map(&bi, bytes, 39, 40);
	CHECK_EQ(bi.nr_e820, 0);

	d[0] = (struct descriptor){ .start = 0x1800, .pages = 1 };
	CHECK(REFUSED(give(d, 1)));
	d[0] = (struct descriptor){ .start = ~0xfffUL, .pages = 1 };
	CHECK(REFUSED(give(d, 1)));
	d[0] = (struct descriptor){ .start = 0x1000, .pages = 1UL << 52 };
	CHECK(REFUSED(give(d, 1)));
	d[0] = (struct descriptor){ .start = 0x1000, .pages = ~0UL };
	CHECK(REFUSED(give(d, 1)));

	for (unsigned i = 0; i < ARRAY_SIZE(d); i++)
		d[i] = (struct descriptor){ .type = EFI_MEM_RESERVED, .start = i * 0x1000UL, .pages = 1, .attributes = i };
	give(d, MAX_EFI_MEMORY);
	CHECK_EQ(bi.nr_efi_memory, MAX_EFI_MEMORY);
	CHECK_EQ(bi.nr_e820, 1);
	CHECK(REFUSED(give(d, MAX_EFI_MEMORY + 1)));
	for (unsigned i = 0; i < ARRAY_SIZE(d); i++)
		d[i].start *= 2;
	CHECK(REFUSED(give(d, MAX_E820 + 1)));
}
