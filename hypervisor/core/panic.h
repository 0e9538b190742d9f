/* SPDX-License-Identifier: MIT */
/* Stopping for good: panic, BUG and assertions. They stay on in every build. */
#ifndef CORE_PANIC_H
#define CORE_PANIC_H

#include <x86/regs.h>

/* Print the message, registers, a symbolised backtrace and the current domain; stop all CPUs; reboot unless noreboot. */
void panic(const char *fmt, ...) __printf(1, 2) __noreturn;
/* The same with the frame of the exception that led here. */
void panic_regs(const struct cpu_user_regs *regs, const char *fmt, ...) __printf(2, 3) __noreturn;
/* A boot that cannot go on because of what the user gave us: "Lodge cannot boot: …", no backtrace. */
void boot_fail(const char *fmt, ...) __printf(1, 2) __noreturn;

#define BUG()		panic("BUG at %s:%d", __FILE__, __LINE__)
#define BUG_ON(cond)	do { if (unlikely(cond)) panic("BUG at %s:%d: %s", __FILE__, __LINE__, #cond); } while (0)
#define ASSERT(cond)	BUG_ON(!(cond))
/* Report once per site with a backtrace and go on. */
#define WARN_ON(cond) ({						\
	static bool _warned;						\
	bool _c = (cond);						\
	if (unlikely(_c) && !_warned) {					\
		_warned = true;						\
		panic_warn(__FILE__, __LINE__, #cond);			\
	}								\
	_c; })
void panic_warn(const char *file, int line, const char *cond);

/* Machine power: the noreboot parameter is obeyed by machine_restart's automatic callers, not here. */
void machine_restart(void) __noreturn;
void machine_halt(void) __noreturn;
/* Switch off by UEFI; without it, only Domain 0 could have (XENPF_enter_acpi_sleep): says so and halts. */
void machine_poweroff(void) __noreturn;
/* The noreboot parameter. */
bool panic_noreboot(void);

#endif
