/* SPDX-License-Identifier: MIT */
/*
 * What UEFI firmware leaves to the operating system: its memory map, the system table, and the configuration tables (source: UEFI
 * specification 2.9, ch. 4 and 7). Boot services have ended before the hypervisor starts.
 *
 * Addresses are machine addresses. Runtime services are called in domain/efi_runtime.h.
 */
#ifndef CORE_EFI_H
#define CORE_EFI_H

#include <lib/types.h>

enum efi_memory_type {
	EFI_MEM_RESERVED = 0, EFI_MEM_LOADER_CODE, EFI_MEM_LOADER_DATA, EFI_MEM_BOOT_CODE, EFI_MEM_BOOT_DATA, EFI_MEM_RUNTIME_CODE,
	EFI_MEM_RUNTIME_DATA, EFI_MEM_CONVENTIONAL, EFI_MEM_UNUSABLE, EFI_MEM_ACPI_RECLAIM, EFI_MEM_ACPI_NVS, EFI_MEM_MMIO,
	EFI_MEM_MMIO_PORTS, EFI_MEM_PAL_CODE, EFI_MEM_PERSISTENT,
};

/* Attributes of memory: can be cached with write-back; is used by runtime services. */
#define EFI_ATTR_WB		BIT(3)
#define EFI_ATTR_RUNTIME	BIT(63)

struct efi_memory {
	u64 start, pages, attributes;
	u32 type, pad;
};

struct efi_guid { u8 bytes[16]; };

struct efi_config_table { struct efi_guid guid; u64 address; };

struct efi_table_header { u64 signature; u32 revision, size, crc32, reserved; };

struct efi_system_table {
	struct efi_table_header h;
	u64 vendor;				/* UTF-16 text */
	u32 firmware_revision, pad;
	u64 con_in_handle, con_in, con_out_handle, con_out, std_err_handle, std_err;
	u64 runtime, boot;
	u64 nr_tables, tables;
};

/* Entry points of the runtime services table behind its header, in this order. */
enum efi_service {
	EFI_GET_TIME, EFI_SET_TIME, EFI_GET_WAKEUP_TIME, EFI_SET_WAKEUP_TIME, EFI_SET_VIRTUAL_ADDRESS_MAP, EFI_CONVERT_POINTER,
	EFI_GET_VARIABLE, EFI_GET_NEXT_VARIABLE_NAME, EFI_SET_VARIABLE, EFI_GET_NEXT_HIGH_MONOTONIC_COUNT, EFI_RESET_SYSTEM,
	EFI_UPDATE_CAPSULE, EFI_QUERY_CAPSULE_CAPABILITIES, EFI_QUERY_VARIABLE_INFO, EFI_NR_SERVICES
};

/*
 * Take the firmware's tables over; once, before acpi_init(). system_table: where it is; 0 when this machine has no UEFI, and then nothing
 * below finds anything. map: kept by the caller for good.
 */
void efi_init(paddr_t system_table, const struct efi_memory *map, unsigned n);
/* The system table, mapped for good; NULL: no UEFI, or a table that is not one. */
const struct efi_system_table *efi_system_table(void);
/* A character of the firmware vendor's name (UTF-16); 0 from its end on. */
u16 efi_vendor_char(u64 i);
/* Number of entries of the firmware's memory map; *map points at them. */
unsigned efi_memory_map(const struct efi_memory **map);
/* The entry that covers an address, or NULL. */
const struct efi_memory *efi_memory_find(u64 address);
/* Address of the configuration table with this GUID, or 0. */
paddr_t efi_config_table(const struct efi_guid *guid);
/* Of the ACPI RSDP, the newer kind if there are both; 0 when there is none. */
paddr_t efi_acpi_rsdp(void);
/* Entry point of a runtime service, 0 when the firmware has no such. Its version in *revision, as in table headers. */
u64 efi_service(enum efi_service which);
u32 efi_runtime_revision(void);

#endif
