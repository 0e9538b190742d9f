/* SPDX-License-Identifier: MIT */
/*
 * Each CPU has a timer that beats once per second. The PIT's interrupt is delivered to the boot CPU as an NMI, which arrives whatever that CPU does; once per
 * second its handler looks at the beats of all CPUs. One whose beat has stood still for `watchdog_timeout` looks in a row is hung. It panics
 * with its own registers and backtrace: in this handler, if it is the boot CPU, and else in that of an NMI that it is sent. If it does not even take that
 * until the next look, the boot CPU panics.
 *
 * Beats are compared with looks, not with a clock: when the whole machine stands still, being a virtual one, nothing has been missed. Why this source of NMIs:
 * docs/design/012-nmi-watchdog.md.
 *
 * NMI context may have interrupted anything: no lock is taken, nothing is printed unless it is the end.
 */
#include <core/acpi.h>
#include <core/apic.h>
#include <core/console.h>
#include <core/ioapic.h>
#include <core/irq.h>
#include <core/nmi_watchdog.h>
#include <core/panic.h>
#include <core/param.h>
#include <core/percpu.h>
#include <core/platform_timer.h>
#include <core/timer.h>
#include <x86/atomic.h>

#define PERIOD		NS_PER_SEC
#define TIMEOUT_MAX	3600
#define FIRST_NMI_MS	1000	/* so long it may take to come */

static bool opt_watchdog;
static u64 opt_timeout = 5;	/* looks */

static int parse_watchdog(const char *value) { return param_bool(value, &opt_watchdog); }
static int parse_watchdog_timeout(const char *value) { return param_uint(value, 1, TIMEOUT_MAX, &opt_timeout); }
BOOT_PARAM("watchdog", parse_watchdog, "yes|no", "panic when a processor hangs in Lodge");
BOOT_PARAM("watchdog_timeout", parse_watchdog_timeout, "SECONDS (1..3600)", "after how long a processor is taken to hang");

struct watch {
	struct timer timer;
	u32 beats;		/* written by the CPU itself */
	u32 seen, missed;	/* boot CPU, NMI: beats at the last look, and how many looks have found the same */
	u32 accused;		/* set by the boot CPU when it sends an NMI: beats + 1 */
};
static DEFINE_PER_CPU(struct watch, watch);

static bool ticking;	/* NMIs of the boot CPU that have no other reason are the PIT's */
static u32 ticks;
static u32 suspended;	/* nesting */

void nmi_watchdog_suspend(void) { atomic_fetch_add(&suspended, 1); }
void nmi_watchdog_resume(void) { atomic_sub_fetch(&suspended, 1); }

static void beat(void *unused)
{
	struct watch *w = &this_cpu(watch);

	WRITE_ONCE(w->beats, w->beats + 1);
	timer_set(&w->timer, time_now() + PERIOD);
}

static void hangs(const struct cpu_user_regs *regs)
{
	panic_regs(regs, "watchdog: CPU%u has not run its timers for %lu seconds", smp_processor_id(), opt_timeout);
}

static void look(unsigned cpu, const struct cpu_user_regs *regs)
{
	struct watch *w = &per_cpu(watch, cpu);
	u32 beats = READ_ONCE(w->beats);

	if (beats != w->seen || READ_ONCE(suspended)) {
		w->seen = beats;
		w->missed = 0;
		return;
	}
	w->missed++;
	if (w->missed < opt_timeout)
		return;
	if (cpu == smp_processor_id())
		hangs(regs);
	if (w->missed > opt_timeout)
		panic("watchdog: CPU%u has not run its timers for %u seconds, and takes no NMI", cpu, w->missed);
	atomic_store(&w->accused, beats + 1);
	apic_send_nmi(cpu);
}

static bool accused(const struct cpu_user_regs *regs)
{
	struct watch *w = &this_cpu(watch);
	u32 at = atomic_xchg(&w->accused, 0);

	/* It may have come to itself while the NMI was on its way. */
	if (at == w->beats + 1)
		hangs(regs);
	return at != 0;
}

bool nmi_watchdog_nmi(const struct cpu_user_regs *regs, bool has_reason)
{
	if (smp_processor_id() != 0)
		return accused(regs);
	if (!READ_ONCE(ticking) || has_reason)
		return false;
	WRITE_ONCE(ticks, ticks + 1);
	if (ticks % PIT_TICKS == 0)
		for_each_online_cpu(cpu)
			look(cpu, regs);
	return true;
}

static enum irq_verdict no_interrupt(unsigned irq, void *data)
{
	return IRQ_DONE;
}

/* The line is ours, and raises NMIs instead of the interrupt that it was requested for. False: none arrives. */
static bool start_ticks(void)
{
	u32 gsi = acpi_isa_gsi(0);

	if (irq_request(gsi, no_interrupt, NULL, "watchdog"))
		return false;
	WRITE_ONCE(ticking, true);
	ioapic_program_nmi(gsi, cpu_apic_id[0]);
	pit_tick();
	for (unsigned ms = 0; ms < FIRST_NMI_MS && !READ_ONCE(ticks); ms++)
		time_udelay(1000);
	if (READ_ONCE(ticks))
		return true;
	irq_free(gsi);
	WRITE_ONCE(ticking, false);
	return false;
}

void nmi_watchdog_start(void)
{
	if (!opt_watchdog)
		return;
	for_each_online_cpu(cpu) {
		struct watch *w = &per_cpu(watch, cpu);

		timer_init(&w->timer, beat, NULL, cpu);
		timer_set(&w->timer, time_now() + PERIOD);
	}
	if (start_ticks())
		log_info("watchdog: on, timeout %lu s\n", opt_timeout);
	else
		log_warn("watchdog: off, as this machine's PIT raises no NMI\n");
}
