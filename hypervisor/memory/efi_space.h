/* SPDX-License-Identifier: MIT */
/*
 * The address space in which UEFI runtime services run: the hypervisor's own slots, and in the lower half, each at its machine address, only
 * what the firmware's memory map marks for runtime use, and one buffer for arguments. No guest's memory is in the lower half.
 */
#ifndef MEMORY_EFI_SPACE_H
#define MEMORY_EFI_SPACE_H

#include <lib/types.h>

/*
 * Make it; the buffer is 2^order pages (paddr_to_virt() reaches it as well). 0, -ENOMEM, or -EINVAL: a range where no identity mapping can
 * be. Boot.
 */
int __must_check efi_space_init(unsigned order, paddr_t *buffer);
/* Value for CR3. */
paddr_t efi_space_root(void);
/* Is there code or data of the firmware mapped at this address? */
bool efi_space_contains(u64 address);

#endif
