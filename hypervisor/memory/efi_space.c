/* SPDX-License-Identifier: MIT */
/*
 * The address space of UEFI runtime services.
 *
 * SetVirtualAddressMap() is not called: the firmware goes on using machine addresses, as it has from the start (UEFI 2.9 §8.4), and whoever
 * runs on the machine afterwards can still call it. What is mapped is what the memory map says and not more: firmware that touches memory
 * which it promised to be done with faults, and that is dealt with where it is called. Code and data of the firmware lie mixed in ranges of
 * the type RuntimeServicesCode, which are therefore writable and executable, here only; all else is not executable.
 */
#include <core/console.h>
#include <core/efi.h>
#include <lib/errno.h>
#include <memory/efi_space.h>
#include <memory/heap.h>
#include <memory/map.h>
#include <x86/layout.h>

#define LOWER_HALF_END	BIT(47)

static pte_t *root;

/* The entry of an address at a level, with tables made on the way. NULL: no memory, or a large page is in the way. */
static pte_t *entry_of(u64 va, unsigned level)
{
	pte_t *table = root;

	for (unsigned l = 4; l > level; l--) {
		pte_t *e = &table[PT_INDEX(va, l)];

		if (!pte_present(*e)) {
			void *t = alloc_page_zeroed();

			if (!t)
				return NULL;
			*e = pte_make(virt_to_mfn(t), PTE_HYP_TABLE);
		} else if (e->v & PTE_PSE) {
			return NULL;
		}
		table = mfn_to_virt(pte_mfn(*e));
	}
	return &table[PT_INDEX(va, level)];
}

static int map_identity(u64 start, u64 pages, u64 flags)
{
	u64 end = start + (pages << PAGE_SHIFT);

	if (!IS_ALIGNED(start, PAGE_SIZE) || pages > PFN_DOWN(LOWER_HALF_END) || end > LOWER_HALF_END)
		return -EINVAL;
	for (u64 va = start; va < end;) {
		unsigned level = IS_ALIGNED(va, MiB(2)) && end - va >= MiB(2) ? 2 : 1;
		pte_t *e = entry_of(va, level);

		if (!e)
			return -ENOMEM;
		*e = pte_make(mfn(PFN_DOWN(va)), flags | (level > 1 ? PTE_PSE : 0));
		va += BIT(PT_SHIFT(level));
	}
	return 0;
}

static u64 flags_for(const struct efi_memory *m)
{
	if (m->type == EFI_MEM_RUNTIME_CODE)
		return PTE_HYP_RW & ~PTE_NX;
	return m->type == EFI_MEM_MMIO || !(m->attributes & EFI_ATTR_WB) ? PTE_HYP_UC : PTE_HYP_RW;
}

int efi_space_init(unsigned order, paddr_t *buffer)
{
	const struct efi_memory *map;
	unsigned n = efi_memory_map(&map);
	void *pages = alloc_pages(order);
	int rc = 0;

	root = alloc_page_zeroed();
	if (!root || !pages)
		return -ENOMEM;
	map_fill_hyp_slots(root);
	for (unsigned i = 0; i < n && !rc; i++)
		if (map[i].attributes & EFI_ATTR_RUNTIME)
			rc = map_identity(map[i].start, map[i].pages, flags_for(&map[i]));
	*buffer = virt_to_paddr(pages);
	return rc ? rc : map_identity(buffer->v, BIT(order), PTE_HYP_RW);
}

paddr_t efi_space_root(void)
{
	return virt_to_paddr(root);
}

bool efi_space_contains(u64 address)
{
	const struct efi_memory *m = efi_memory_find(address);

	return m && m->attributes & EFI_ATTR_RUNTIME;
}
