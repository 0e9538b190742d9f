/* SPDX-License-Identifier: MIT */
/*
 * UEFI: the system table and what it leads to. Every pointer and count in it is the firmware's claim: what lies outside its memory map
 * is not followed.
 */
#include <core/console.h>
#include <core/efi.h>
#include <core/hooks.h>
#include <lib/string.h>

#define SYSTEM_SIGNATURE	0x5453595320494249UL	/* "IBI SYST" */
#define RUNTIME_SIGNATURE	0x56524553544e5552UL	/* "RUNTSERV" */
#define MAX_CONFIG_TABLES	256
#define MAX_VENDOR	64
#define PAGES_TO_BYTES(n)	((n) << PAGE_SHIFT)

struct runtime_table { struct efi_table_header h; u64 services[EFI_NR_SERVICES]; };

static const struct efi_guid acpi_10 = { { 0x30, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11, 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d } };
static const struct efi_guid acpi_20 = { { 0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11, 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } };

static const struct efi_memory *memory;
static unsigned nr_memory;
static const struct efi_system_table *system_table;
static const struct efi_config_table *config_tables;
static unsigned nr_config_tables;
static u16 vendor[MAX_VENDOR];
static struct runtime_table runtime;	/* a copy: it is small, and looked at by address-space code */

const struct efi_memory *efi_memory_find(u64 address)
{
	for (unsigned i = 0; i < nr_memory; i++)
		if (address >= memory[i].start && address - memory[i].start < PAGES_TO_BYTES(memory[i].pages))
			return &memory[i];
	return NULL;
}

/* Firmware data of len bytes, mapped for good; NULL when it is not all in memory that stays the firmware's. */
static const void *map_data(u64 address, size_t len)
{
	const struct efi_memory *m = efi_memory_find(address);

	if (!m || !(m->attributes & EFI_ATTR_RUNTIME || m->type == EFI_MEM_ACPI_RECLAIM || m->type == EFI_MEM_ACPI_NVS) ||
	    len > m->start + PAGES_TO_BYTES(m->pages) - address)
		return NULL;
	return core_map_table(paddr(address), len);
}

static void find_config_tables(void)
{
	u64 n = system_table->nr_tables;

	if (n > MAX_CONFIG_TABLES) {
		log_warn("EFI: only the first %u of %lu configuration tables are used\n", MAX_CONFIG_TABLES, n);
		n = MAX_CONFIG_TABLES;
	}
	config_tables = n ? map_data(system_table->tables, n * sizeof(*config_tables)) : NULL;
	if (config_tables)
		nr_config_tables = (unsigned)n;
	else
		log_warn("EFI: no configuration tables\n");
}

static void find_runtime(void)
{
	const struct efi_table_header *h = system_table->runtime ? map_data(system_table->runtime, sizeof(*h)) : NULL;
	const struct runtime_table *t;

	if (!h || h->signature != RUNTIME_SIGNATURE || h->size < sizeof(*h))
		return;
	t = map_data(system_table->runtime, min((size_t)h->size, sizeof(*t)));
	/* Services that an older table lacks stay 0. */
	if (t)
		memcpy(&runtime, t, min((size_t)h->size, sizeof(*t)));
}

static void copy_vendor(void)
{
	const struct efi_memory *m = efi_memory_find(system_table->vendor);
	u64 left = m ? m->start + PAGES_TO_BYTES(m->pages) - system_table->vendor : 0;
	size_t n = min(left / sizeof(u16), (u64)MAX_VENDOR - 1);
	const u16 *text = n ? map_data(system_table->vendor, n * sizeof(u16)) : NULL;

	memset(vendor, 0, sizeof(vendor));
	for (size_t i = 0; text && i < n && text[i]; i++)
		vendor[i] = text[i];
}

void efi_init(paddr_t table, const struct efi_memory *map, unsigned n)
{
	memory = map;
	nr_memory = n;
	nr_config_tables = 0;
	memset(&runtime, 0, sizeof(runtime));
	system_table = table.v ? map_data(table.v, sizeof(*system_table)) : NULL;
	if (!table.v)
		return;
	if (!system_table || system_table->h.signature != SYSTEM_SIGNATURE || system_table->h.size < sizeof(*system_table)) {
		log_warn("EFI: what the boot loader calls the system table (%#lx) is none: ignored\n", table.v);
		system_table = NULL;
		return;
	}
	find_config_tables();
	find_runtime();
	copy_vendor();
	log_info("EFI: version %u.%u, system table at %#lx, %u configuration tables, %u memory ranges\n", system_table->h.revision >> 16,
		 (system_table->h.revision & 0xffff) / 10, table.v, nr_config_tables, n);
}

const struct efi_system_table *efi_system_table(void)
{
	return system_table;
}

u16 efi_vendor_char(u64 i)
{
	return i < MAX_VENDOR ? vendor[i] : 0;
}

unsigned efi_memory_map(const struct efi_memory **map)
{
	*map = memory;
	return nr_memory;
}

paddr_t efi_config_table(const struct efi_guid *guid)
{
	for (unsigned i = 0; i < nr_config_tables; i++)
		if (!memcmp(&config_tables[i].guid, guid, sizeof(*guid)))
			return paddr(config_tables[i].address);
	return paddr(0);
}

paddr_t efi_acpi_rsdp(void)
{
	paddr_t rsdp = efi_config_table(&acpi_20);

	return rsdp.v ? rsdp : efi_config_table(&acpi_10);
}

u64 efi_service(enum efi_service which)
{
	return runtime.services[which];
}

u32 efi_runtime_revision(void)
{
	return runtime.h.revision;
}
