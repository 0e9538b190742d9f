/* SPDX-License-Identifier: MIT */
/* Unit tests: UEFI's system table and what it leads to, also where it lies. */
/* sources: core/efi.c */
#include "test.h"

#include <core/console.h>
#include <core/efi.h>
#include <core/hooks.h>

/*
 * A small "machine": every mapping is a heap block of exactly the size asked for, so that ASan sees each byte read beyond it.
 */
#define SYSTEM	0x1000
#define RUNTIME	0x1100
#define CONFIG	0x1200
#define VENDOR	0x1ff0		/* at the end of its range */
#define RSDP_1	0x5000
#define RSDP_2	0x6000
static u8 ram[0x4000];
static void *maps[512];
static unsigned nr_maps;

static const struct efi_memory map[] = {
	{ 0x0000, 1, EFI_ATTR_WB, EFI_MEM_CONVENTIONAL, 0 },
	{ 0x1000, 1, EFI_ATTR_WB | EFI_ATTR_RUNTIME, EFI_MEM_RUNTIME_DATA, 0 },
	{ 0x2000, 1, EFI_ATTR_WB, EFI_MEM_BOOT_DATA, 0 },
};

const void *core_map_table(paddr_t p, size_t len)
{
	void *copy;

	if (p.v > sizeof(ram) || len > sizeof(ram) - p.v || nr_maps == ARRAY_SIZE(maps))
		return NULL;
	copy = malloc(len ? len : 1);
	memcpy(copy, ram + p.v, len);
	maps[nr_maps++] = copy;
	return copy;
}

void printk(enum log_level level __unused, const char *fmt __unused, ...) {}

static const struct efi_guid acpi_1 = { { 0x30, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11, 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d } };
static const struct efi_guid acpi_2 = { { 0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11, 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } };

static struct efi_system_table *st(void) { return (struct efi_system_table *)(ram + SYSTEM); }

static void make(void)
{
	struct efi_table_header *rt = (struct efi_table_header *)(ram + RUNTIME);
	struct efi_config_table *t = (struct efi_config_table *)(ram + CONFIG);

	memset(ram, 0, sizeof(ram));
	*st() = (struct efi_system_table){
		.h = { .signature = 0x5453595320494249UL, .revision = 2 << 16 | 70, .size = sizeof(struct efi_system_table) },
		.vendor = VENDOR, .runtime = RUNTIME, .nr_tables = 2, .tables = CONFIG,
	};
	*rt = (struct efi_table_header){ .signature = 0x56524553544e5552UL, .revision = 2 << 16 | 70, .size = 24 + 8 * EFI_NR_SERVICES };
	for (unsigned i = 0; i < EFI_NR_SERVICES; i++)
		((u64 *)(rt + 1))[i] = 0x1800 + i;
	t[0] = (struct efi_config_table){ acpi_1, RSDP_1 };
	t[1] = (struct efi_config_table){ acpi_2, RSDP_2 };
	/* Without an end in its range. */
	for (unsigned i = 0; i < 8; i++)
		((u16 *)(ram + VENDOR))[i] = (u16)('A' + i);
}

static void init(void)
{
	efi_init(paddr(SYSTEM), map, ARRAY_SIZE(map));
}

static void forget(void)
{
	while (nr_maps)
		free(maps[--nr_maps]);
}

TEST(good)
{
	make();
	init();
	CHECK(efi_system_table());
	CHECK_EQ(efi_acpi_rsdp().v, RSDP_2);
	CHECK_EQ(efi_service(EFI_GET_TIME), 0x1800);
	CHECK_EQ(efi_service(EFI_QUERY_VARIABLE_INFO), 0x1800 + EFI_QUERY_VARIABLE_INFO);
	CHECK_EQ(efi_runtime_revision(), 2 << 16 | 70);
	CHECK_EQ(efi_vendor_char(0), 'A');
	CHECK_EQ(efi_vendor_char(7), 'H');
	CHECK_EQ(efi_vendor_char(8), 0);
	CHECK_EQ(efi_vendor_char(~0UL), 0);
	forget();
}

TEST(only_the_older_acpi)
{
	make();
	st()->nr_tables = 1;
	init();
	CHECK_EQ(efi_acpi_rsdp().v, RSDP_1);
	forget();
}

TEST(no_uefi)
{
	efi_init(paddr(0), NULL, 0);
	CHECK(!efi_system_table());
	CHECK_EQ(efi_acpi_rsdp().v, 0);
	CHECK_EQ(efi_service(EFI_GET_TIME), 0);
	CHECK(!efi_memory_find(0x1000));
}

TEST(memory)
{
	make();
	init();
	CHECK(efi_memory_find(0) == &map[0]);
	CHECK(efi_memory_find(0xfff) == &map[0]);
	CHECK(efi_memory_find(0x1000) == &map[1]);
	CHECK(efi_memory_find(0x2fff) == &map[2]);
	CHECK(!efi_memory_find(0x3000));
	CHECK(!efi_memory_find(~0UL));
	forget();
}

/* Not a table, or not in memory that stays the firmware's: as if there was no UEFI. */
TEST(bad_system_table)
{
	static const u64 places[] = { 0x100, 0x2000, 0x1ff8, 0x3000, 1UL << 40, ~0UL };

	make();
	st()->h.signature++;
	init();
	CHECK(!efi_system_table());
	make();
	st()->h.size = 24;
	init();
	CHECK(!efi_system_table());
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		efi_init(paddr(places[i]), map, ARRAY_SIZE(map));
		CHECK(!efi_system_table());
		CHECK_EQ(efi_service(EFI_GET_TIME), 0);
	}
	forget();
}

TEST(bad_pointers)
{
	static const u64 bad[] = { 0, 0x100, 0x1fff, 0x2000, 0x3000, 1UL << 40, ~0UL - 7, ~0UL };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		make();
		st()->runtime = bad[i];
		init();
		CHECK_EQ(efi_service(EFI_GET_TIME), 0);
		make();
		st()->tables = bad[i];
		init();
		CHECK_EQ(efi_acpi_rsdp().v, 0);
		make();
		st()->vendor = bad[i];
		init();
		CHECK_EQ(efi_vendor_char(0), 0);
		forget();
	}
}

TEST(counts)
{
	static const u64 counts[] = { 0, 1000, 1UL << 32, ~0UL };

	/* As many do not fit into the range. */
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		make();
		st()->nr_tables = counts[i];
		init();
		CHECK_EQ(efi_acpi_rsdp().v, 0);
		forget();
	}
}

/* Services that an older, shorter table does not have; and a length that is none. */
TEST(short_runtime_table)
{
	struct efi_table_header *rt = (struct efi_table_header *)(ram + RUNTIME);

	make();
	rt->size = 24 + 8 * EFI_UPDATE_CAPSULE;
	init();
	CHECK_EQ(efi_service(EFI_RESET_SYSTEM), 0x1800 + EFI_RESET_SYSTEM);
	CHECK_EQ(efi_service(EFI_UPDATE_CAPSULE), 0);
	make();
	rt->size = 23;
	init();
	CHECK_EQ(efi_service(EFI_GET_TIME), 0);
	make();
	rt->size = ~0u;
	init();
	CHECK_EQ(efi_service(EFI_GET_TIME), 0x1800);
	forget();
}
