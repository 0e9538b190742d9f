/* SPDX-License-Identifier: MIT */
/* Parts of platform_op that have files of their own. */
#ifndef HYPERCALL_PLATFORM_H
#define HYPERCALL_PLATFORM_H

#include <lib/types.h>
#include <xen/platform.h>

/* XENPF_firmware_info with XEN_FW_EFI_INFO. index: XEN_FW_EFI_*. */
int platform_efi_info(u32 index, union xenpf_efi_info *info);
/* XENPF_efi_runtime_call. -EBUSY: another vCPU is in the firmware, to be tried again. */
int platform_efi_call(struct xenpf_efi_runtime_call *op);

#endif
