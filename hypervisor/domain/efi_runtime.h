/* SPDX-License-Identifier: MIT */
/*
 * Calling UEFI runtime services. One call at a time on the whole machine, in an address space of its own (memory/efi_space.h), with the guest's
 * processor state put away. Everything that a service reads or writes through a pointer lies in one buffer of ours: a guest's addresses never
 * reach the firmware.
 */
#ifndef DOMAIN_EFI_RUNTIME_H
#define DOMAIN_EFI_RUNTIME_H

#include <core/efi.h>
#include <x86/regs.h>

#define EFI_SUCCESS		0UL
#define EFI_ERROR(n)		(BIT(63) | (n))
#define EFI_BUFFER_TOO_SMALL	EFI_ERROR(5)

#define EFI_NAME_CHARS		2048		/* of a variable, with the final 0 */
#define EFI_BUFFER_ORDER	5

struct efi_time { u16 year; u8 month, day, hour, minute, second, pad; u32 nanosecond; s16 zone; u8 daylight, pad2; };

struct efi_buffer {
	u16 name[EFI_NAME_CHARS];
	struct efi_guid guid;
	struct efi_time time;
	struct { u32 resolution, accuracy; u8 clears_ns; } capabilities;
	u64 size, values[3];
	u32 attributes, count;
	u8 flags[2];
	u8 data[(PAGE_SIZE << EFI_BUFFER_ORDER) - EFI_NAME_CHARS * sizeof(u16) - 128] __aligned(16);
};

enum efi_reset { EFI_RESET_COLD = 0, EFI_RESET_WARM = 1, EFI_RESET_SHUTDOWN = 2 };

/* Make the services callable, if the firmware has any and the efi parameter allows it. Boot, after efi_init(). */
void efi_runtime_init(void);
/*
 * The buffer, for the caller alone until efi_runtime_end(). -EBUSY: another CPU has it, try again later; -EOPNOTSUPP: there are no services (any
 * more).
 */
int __must_check efi_runtime_begin(struct efi_buffer **buffer);
void efi_runtime_end(void);
/* What the firmware knows a part of the buffer by. */
u64 efi_buffer_address(const void *part);
/*
 * Call a service; between begin and end, for current, interrupts on, no lock held. Pointers among the arguments are from
 * efi_buffer_address(). *status: what it returned. -EOPNOTSUPP: the firmware has no such service; -EIO: it crashed, and none will be called
 * any more.
 */
int __must_check efi_runtime_call(enum efi_service which, u64 *status, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);
/* Reset or switch off the machine; the other CPUs are stopped, interrupts off. Returns when the firmware cannot. */
void efi_reset_system(enum efi_reset how);
/* An exception in the hypervisor, if it was in a runtime service: makes the call return, and says true. */
bool efi_runtime_fault(struct cpu_user_regs *regs, u64 cr2);

/* --- efi_call.S --- */
/* Call fn(args…) by the firmware's convention. *recovery: the stack pointer for efi_call_recover, which returns from here with -1. */
u64 efi_call(u64 fn, const u64 args[5], u64 *recovery);
void efi_call_recover(void);

#endif
