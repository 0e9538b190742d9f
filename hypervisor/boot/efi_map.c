/* SPDX-License-Identifier: MIT */
/* UEFI's memory map in E820 form (source: UEFI specification 2.9, §7.2, and ACPI specification 6.4, §15.4, which has the same table). */
#include <boot/bootinfo.h>
#include <core/panic.h>
#include <lib/string.h>

/* What every version of the descriptor begins with. */
struct descriptor {
	u32 type, pad;
	u64 start, virtual, pages, attributes;
};

static u32 e820_type(const struct descriptor *d)
{
	switch (d->type) {
	case EFI_MEM_LOADER_CODE:
	case EFI_MEM_LOADER_DATA:
	case EFI_MEM_BOOT_CODE:
	case EFI_MEM_BOOT_DATA:
	case EFI_MEM_CONVENTIONAL:
		/* Free once boot services have ended, unless runtime services want it or it cannot be cached. */
		return (d->attributes & (EFI_ATTR_WB | EFI_ATTR_RUNTIME)) == EFI_ATTR_WB ? E820_RAM : E820_RESERVED;
	case EFI_MEM_UNUSABLE:
		return E820_UNUSABLE;
	case EFI_MEM_ACPI_RECLAIM:
		return E820_ACPI;
	case EFI_MEM_ACPI_NVS:
		return E820_NVS;
	default:
		return E820_RESERVED;
	}
}

static void add_e820(struct boot_info *bi, u64 start, u64 size, u32 type)
{
	struct e820entry *last = bi->nr_e820 ? &bi->e820[bi->nr_e820 - 1] : NULL;

	if (last && last->type == type && last->addr + last->size == start)
		last->size += size;
	else if (bi->nr_e820 < MAX_E820)
		bi->e820[bi->nr_e820++] = (struct e820entry){ start, size, type };
	else
		boot_fail("UEFI's memory map has more than %d ranges", MAX_E820);
}

static void add_memory(struct boot_info *bi, const struct descriptor *d)
{
	struct efi_memory *last = bi->nr_efi_memory ? &bi->efi_memory[bi->nr_efi_memory - 1] : NULL;

	if (last && last->type == d->type && last->attributes == d->attributes && last->start + (last->pages << PAGE_SHIFT) == d->start)
		last->pages += d->pages;
	else if (bi->nr_efi_memory < MAX_EFI_MEMORY)
		bi->efi_memory[bi->nr_efi_memory++] = (struct efi_memory){ d->start, d->pages, d->attributes, d->type, 0 };
	else
		boot_fail("UEFI's memory map has more than %d entries", MAX_EFI_MEMORY);
}

void bootinfo_efi_map(struct boot_info *bi, const void *descriptors, u32 n, u32 size)
{
	if (size < sizeof(struct descriptor))
		boot_fail("the boot loader's copy of UEFI's memory map has entries of %u bytes", size);
	bi->nr_e820 = bi->nr_efi_memory = 0;
	for (u32 off = 0; off + size <= n; off += size) {
		struct descriptor d;

		memcpy(&d, (const char *)descriptors + off, sizeof(d));
		if (!d.pages)
			continue;
		if (!IS_ALIGNED(d.start, PAGE_SIZE) || d.pages > PFN_DOWN(~0UL - d.start))
			boot_fail("UEFI's memory map has an entry of %#lx pages at %#lx", d.pages, d.start);
		add_e820(bi, d.start, d.pages << PAGE_SHIFT, e820_type(&d));
		add_memory(bi, &d);
	}
}
