/* SPDX-License-Identifier: MIT */
/*
 * UEFI runtime services.
 *
 * `busy` is who may use the buffer and the services. Whoever finds it taken does not spin but comes back later, as a call can take long (flash
 * memory is written), and a guest could hold the buffer while we read its memory.
 *
 * During a call no guest state is loaded: switch_from() and switch_to() of the guest's kind put it away and bring it back, as if another vCPU
 * ran in between. Interrupts stay on and are handled on the same stack (the firmware is content with 4 KiB, UEFI 2.9 §2.3.4); soft-IRQs,
 * and with them the scheduler, wait for the end. The services that use the clock chip are the exception: they hold its lock.
 *
 * An exception in firmware code ends the call. What it was doing is then half done, so that no service is called ever after.
 */
#include <core/console.h>
#include <core/param.h>
#include <core/percpu.h>
#include <core/rtc.h>
#include <core/segments.h>
#include <domain/domain.h>
#include <domain/efi_runtime.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <memory/efi_space.h>
#include <memory/heap.h>
#include <memory/tlbflush.h>
#include <x86/cr.h>
#include <x86/xstate.h>

_Static_assert(sizeof(struct efi_buffer) <= PAGE_SIZE << EFI_BUFFER_ORDER, "the buffer does not fit");
_Static_assert(sizeof(struct efi_time) == 16, "UEFI 2.9 §8.3");

static bool opt_services = true;

static int parse_efi(const char *value)
{
	bool no = !strcmp(value, "no-rs");

	if (!no && strcmp(value, "rs"))
		return -EINVAL;
	opt_services = !no;
	return 0;
}
BOOT_PARAM("efi", parse_efi, "rs|no-rs", "no-rs: never call UEFI runtime services");

static struct efi_buffer *buffer;
static bool usable;			/* written at boot, and when a service crashes */
static u32 busy;			/* the buffer is in use */
static u32 calling_cpu;			/* + 1: it is in the firmware */
static u64 recovery;			/* stack pointer for efi_call_recover */
static bool crashed;

void efi_runtime_init(void)
{
	paddr_t address;
	int rc;

	if (!efi_system_table())
		return;
	if (!opt_services || !efi_service(EFI_GET_VARIABLE)) {
		log_info("EFI: runtime services are not used (%s)\n", opt_services ? "the firmware has none" : "efi=no-rs");
		return;
	}
	rc = efi_space_init(EFI_BUFFER_ORDER, &address);
	if (rc) {
		log_warn("EFI: runtime services cannot be used (error %d)\n", rc);
		return;
	}
	buffer = paddr_to_virt(address);
	memset(buffer, 0, sizeof(*buffer));
	usable = true;
}

int efi_runtime_begin(struct efi_buffer **out)
{
	if (!READ_ONCE(usable))
		return -EOPNOTSUPP;
	if (atomic_cmpxchg(&busy, 0, 1))
		return -EBUSY;
	*out = buffer;
	return 0;
}

void efi_runtime_end(void)
{
	atomic_store(&busy, 0);
}

u64 efi_buffer_address(const void *part)
{
	return virt_to_paddr(part).v;
}

/* The state of the processor that the firmware expects (UEFI 2.9 §2.3.4). Selectors that it may save and load again must not be a guest's. */
static void load_firmware_state(void)
{
	segments_load_boot_gdt();
	segments_load_ldt(0, 0);
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs" :: "r"(0) : "memory");
	clts();
	xstate_init_registers();
	tlb_write_cr3(efi_space_root().v);
}

static u64 enter_firmware(enum efi_service which, const u64 args[5])
{
	u64 status;

	WRITE_ONCE(calling_cpu, smp_processor_id() + 1);
	status = efi_call(efi_service(which), args, &recovery);
	WRITE_ONCE(calling_cpu, 0);
	return status;
}

static bool uses_clock_chip(enum efi_service which)
{
	return which <= EFI_SET_WAKEUP_TIME;
}

int efi_runtime_call(enum efi_service which, u64 *status, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
	const u64 args[5] = { a1, a2, a3, a4, a5 };
	struct vcpu *v = current;
	u64 rtc = 0;

	if (!READ_ONCE(usable) || !efi_service(which))
		return -EOPNOTSUPP;
	local_irq_disable();
	v->domain->ops->switch_from(v);
	load_firmware_state();
	if (uses_clock_chip(which))
		rtc = rtc_hold();
	else
		local_irq_enable();
	*status = enter_firmware(which, args);
	if (uses_clock_chip(which))
		rtc_release(rtc);
	local_irq_disable();
	v->domain->ops->switch_to(v);
	local_irq_enable();
	if (!crashed)
		return 0;
	log_err("EFI: the firmware crashed in runtime service %u: none is called any more\n", which);
	WRITE_ONCE(usable, false);
	return -EIO;
}

void efi_reset_system(enum efi_reset how)
{
	const u64 args[5] = { how, EFI_SUCCESS };

	/* Another CPU, or this one, may have been stopped in the middle of a service. */
	if (!READ_ONCE(usable) || READ_ONCE(calling_cpu) || !efi_service(EFI_RESET_SYSTEM))
		return;
	usable = false;
	load_firmware_state();
	enter_firmware(EFI_RESET_SYSTEM, args);
}

bool efi_runtime_fault(struct cpu_user_regs *regs, u64 cr2)
{
	/* The lower half is the firmware's alone while it runs; what interrupts it runs in the upper half. */
	if (READ_ONCE(calling_cpu) != smp_processor_id() + 1 || regs->rip >= HYP_VIRT_START)
		return false;
	log_err("EFI: exception %u, error code %#x, in the firmware at %#lx, address %#lx\n", regs->entry_vector, regs->error_code, regs->rip, cr2);
	crashed = true;
	regs->rip = (u64)efi_call_recover;
	regs->rsp = recovery;
	regs->rflags = RFLAGS_MBS;
	return true;
}
