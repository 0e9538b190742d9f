/* SPDX-License-Identifier: MIT */
/* Restarting, halting and switching off the machine. */
#include <core/acpi.h>
#include <core/console.h>
#include <core/panic.h>
#include <core/param.h>
#include <core/smp.h>
#include <core/time.h>
#include <domain/efi_runtime.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <x86/cr.h>
#include <x86/io.h>
#include <x86/segment.h>

#define KEYBOARD_COMMAND	0x64
#define KEYBOARD_PULSE_RESET	0xfe
#define KEYBOARD_BUSY		0x02
#define RESET_CONTROL		0xcf9	/* PCI chipsets: bit 1 hard reset, bit 2 do it, bit 3 power cycle */

/* The others stop before the console's lock is ignored: one that holds it would else never note that it has let go. */
static void go_quiet(void)
{
	console_flush();
	local_irq_disable();
	smp_stop_others();
	console_force();
}

void machine_halt(void)
{
	go_quiet();
	for (;;)
		cpu_halt();
}

static void reset_by_efi(void)
{
	efi_reset_system(EFI_RESET_COLD);
}

static void reset_by_keyboard(void)
{
	for (unsigned n = 0; n < 5; n++) {
		for (unsigned i = 0; i < 100000 && (inb(KEYBOARD_COMMAND) & KEYBOARD_BUSY); i++)
			cpu_relax();
		outb(KEYBOARD_COMMAND, KEYBOARD_PULSE_RESET);
		time_udelay(50000);
	}
}

static void reset_by_pci(void)
{
	outb(RESET_CONTROL, 0x02);
	outb(RESET_CONTROL, 0x0e);
}

/* An exception without an IDT shuts the processor down, and the chipset resets it. */
static void reset_by_triple_fault(void)
{
	static const struct table_ptr empty_idt;

	__asm__ volatile("lidt %0; ud2" :: "m"(empty_idt));
}

/* From the politest way to the one that cannot fail; each is given time to work. */
static const struct way { const char *name; void (*reset)(void); } ways[] = {
	{ "acpi", acpi_reset }, { "efi", reset_by_efi }, { "kbd", reset_by_keyboard }, { "pci", reset_by_pci },
	{ "triple", reset_by_triple_fault },
};

static const struct way *opt_first;	/* tried before all others */

static int parse_reboot(const char *value)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++)
		if (!strcmp(value, ways[i].name)) {
			opt_first = &ways[i];
			return 0;
		}
	return -EINVAL;
}
BOOT_PARAM("reboot", parse_reboot, "acpi|efi|kbd|pci|triple", "how the machine is reset: try this first");

void machine_restart(void)
{
	go_quiet();
	if (opt_first) {
		log_info("resetting the machine: %s\n", opt_first->name);
		opt_first->reset();
		time_udelay(50000);
		log_warn("that had no effect\n");
	}
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		ways[i].reset();
		time_udelay(50000);
	}
	__builtin_unreachable();
}

void machine_poweroff(void)
{
	/*
	 * The sleep type of S5 is in AML, which only Domain 0 interprets: it switches the machine off itself by XENPF_enter_acpi_sleep. Who comes
	 * here has no such values: UEFI can do without, else this is a halt with a message.
	 */
	go_quiet();
	efi_reset_system(EFI_RESET_SHUTDOWN);
	log_info("the machine may be switched off now\n");
	machine_halt();
}
