/* SPDX-License-Identifier: MIT */
/* The end: panics, warnings, and boots that cannot go on. */
#include <core/console.h>
#include <core/panic.h>
#include <core/param.h>
#include <core/smp.h>
#include <core/spinlock.h>
#include <core/time.h>
#include <debug/backtrace.h>
#include <domain/domain.h>
#include <lib/printf.h>
#include <x86/atomic.h>
#include <x86/cr.h>
#include <x86/io.h>

/*
 * The first CPU to panic prints; the others are stopped, and one that panics by itself meanwhile stops silently. A panic
 * while printing a panic prints its message only. From the start, nothing is locked, buffered or driven by interrupts.
 */

#define REBOOT_DELAY	5	/* seconds */

static bool opt_noreboot;
static int parse_noreboot(const char *s) { return param_bool(s, &opt_noreboot); }
BOOT_PARAM("noreboot", parse_noreboot, "yes|no", "after a crash, halt instead of rebooting");

static u32 panicking;	/* CPU + 1 */

bool panic_noreboot(void)
{
	return opt_noreboot;
}

const char *console_current_name(char *buf, size_t size)
{
	const struct vcpu *v = current;

	if (!v || is_idle_vcpu(v))
		snprintf(buf, size, "idle");
	else
		snprintf(buf, size, "d%uv%u", v->domain->id, v->id);
	return buf;
}

/* The clock may not have been calibrated: count port accesses, about a microsecond each. */
static void wait_seconds(unsigned s)
{
	if (time_tsc_khz()) {
		time_udelay(s * 1000000UL);
		return;
	}
	for (u64 i = 0; i < s * 1000000UL; i++)
		inb(0x80);
}

static void __noreturn finish(void)
{
	if (opt_noreboot) {
		log_err("*** halted (noreboot)\n");
		machine_halt();
	}
	log_err("*** rebooting in %u seconds\n", REBOOT_DELAY);
	wait_seconds(REBOOT_DELAY);
	machine_restart();
}

/* Become the CPU that prints. False: this is a panic within a panic. */
static bool begin(void)
{
	u32 me = smp_processor_id() + 1, was;

	local_irq_disable();
	was = atomic_cmpxchg(&panicking, 0, me);
	if (was == me)
		return false;
	if (was)
		for (;;)
			cpu_halt();
	smp_stop_others();
	spinlocks_bust();
	console_force();
	return true;
}

/* fp: 0 when regs are those of an exception. */
static void __noreturn die(const struct cpu_user_regs *regs, u64 fp, const char *fmt, va_list args)
{
	char text[256];
	bool first = begin();

	vsnprintf(text, sizeof(text), fmt, args);
	log_err("\n");
	log_err("*** PANIC on CPU%u: %s\n", smp_processor_id(), text);
	if (!first)
		machine_halt();
	if (fp) {
		if (backtrace_on_stack(regs->rsp))
			registers_print(regs);
		log_err("called from:\n");
		backtrace_from(fp);
	} else {
		backtrace_regs(regs);
	}
	backtrace_guest();
	finish();
}

/* panic() in panic_entry.S fills this in and jumps to the function. */
struct cpu_user_regs panic_registers;
void panic_with_registers(const char *fmt, ...) __noreturn;

void panic_with_registers(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	die(&panic_registers, (u64)__builtin_frame_address(0), fmt, args);
}

void panic_regs(const struct cpu_user_regs *regs, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	die(regs, 0, fmt, args);
}

void boot_fail(const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	begin();
	log_err("\n");
	log_err("*** Lodge cannot boot: %s\n", text);
	finish();
}

void panic_warn(const char *file, int line, const char *cond)
{
	log_err("*** warning at %s:%d: %s\n", file, line, cond);
	backtrace_from((u64)__builtin_frame_address(0));
	backtrace_guest();
}
