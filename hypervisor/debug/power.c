/* SPDX-License-Identifier: MIT */
/* Restarting, halting and switching off the machine. */
#include <core/acpi.h>
#include <core/console.h>
#include <core/panic.h>
#include <core/smp.h>
#include <core/time.h>
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

static void keyboard_reset(void)
{
	for (unsigned i = 0; i < 100000 && (inb(KEYBOARD_COMMAND) & KEYBOARD_BUSY); i++)
		cpu_relax();
	outb(KEYBOARD_COMMAND, KEYBOARD_PULSE_RESET);
}

/* From the politest way to the one that cannot fail; each is given time to work. */
void machine_restart(void)
{
	static const struct table_ptr empty_idt;

	go_quiet();
	acpi_reset();
	time_udelay(50000);
	for (unsigned i = 0; i < 5; i++) {
		keyboard_reset();
		time_udelay(50000);
	}
	outb(RESET_CONTROL, 0x02);
	outb(RESET_CONTROL, 0x0e);
	time_udelay(50000);
	/* An exception without an IDT shuts the processor down, and the chipset resets it. */
	__asm__ volatile("lidt %0; ud2" :: "m"(empty_idt));
	__builtin_unreachable();
}

void machine_poweroff(void)
{
	/*
	 * The sleep type of S5 is in AML, which only Domain 0 interprets: it switches the machine off itself by XENPF_enter_acpi_sleep. Who comes
	 * here has no such values, so this is a halt with a message.
	 */
	log_info("the machine may be switched off now\n");
	machine_halt();
}
