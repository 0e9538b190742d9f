/* SPDX-License-Identifier: MIT */
/*
 * Each CPU has a timer that beats once per second, and watches the beat of the CPU after it, the last one that of the first. When that has stood still
 * for `watchdog_timeout` beats of the watcher in a row, the watcher sends it an NMI, which interrupts whatever it does, and in the handler of which it panics
 * with its own registers and backtrace. If it does not even take the NMI until the next beat, the watcher panics.
 *
 * What is counted is beats, not time: when the whole machine stands still, being a virtual one, nobody has missed anything. Why neighbours and
 * no performance counter: docs/design/011-nmi-watchdog.md.
 */
#include <core/apic.h>
#include <core/console.h>
#include <core/nmi_watchdog.h>
#include <core/panic.h>
#include <core/param.h>
#include <core/percpu.h>
#include <core/timer.h>
#include <x86/atomic.h>

#define PERIOD		NS_PER_SEC
#define TIMEOUT_MAX	3600

static bool opt_watchdog;
static u64 opt_timeout = 5;	/* beats */

static int parse_watchdog(const char *value) { return param_bool(value, &opt_watchdog); }
static int parse_watchdog_timeout(const char *value) { return param_uint(value, 1, TIMEOUT_MAX, &opt_timeout); }
BOOT_PARAM("watchdog", parse_watchdog, "yes|no", "panic when a processor hangs in Lodge");
BOOT_PARAM("watchdog_timeout", parse_watchdog_timeout, "SECONDS (1..3600)", "after how long a processor is taken to hang");

/* Written by the CPU itself, but for `accused`. */
struct watch {
	struct timer timer;
	u32 beats;		/* of this CPU; read by its watcher */
	u32 seen, missed;	/* of the watched CPU: its beats when last looked at, and how often they were the same */
	u32 accused;		/* set by the watcher when it sends an NMI: beats + 1 */
};
static DEFINE_PER_CPU(struct watch, watch);

static u32 suspended;	/* nesting */

void nmi_watchdog_suspend(void) { atomic_fetch_add(&suspended, 1); }
void nmi_watchdog_resume(void) { atomic_sub_fetch(&suspended, 1); }

static unsigned next_cpu(unsigned cpu)
{
	cpu = cpumask_next(cpu + 1, &cpu_online);
	return cpu == MAX_CPUS ? cpumask_first(&cpu_online) : cpu;
}

static void look(struct watch *w, unsigned cpu)
{
	struct watch *other = &per_cpu(watch, cpu);
	u32 beats = READ_ONCE(other->beats);

	if (beats != w->seen || READ_ONCE(suspended)) {
		w->seen = beats;
		w->missed = 0;
		return;
	}
	w->missed++;
	if (w->missed == opt_timeout) {
		atomic_store(&other->accused, beats + 1);
		apic_send_nmi(cpu);
	} else if (w->missed > opt_timeout) {
		panic("watchdog: CPU%u has not run its timers for %u seconds, and takes no NMI", cpu, w->missed);
	}
}

static void beat(void *unused)
{
	struct watch *w = &this_cpu(watch);

	WRITE_ONCE(w->beats, w->beats + 1);
	timer_set(&w->timer, time_now() + PERIOD);
	look(w, next_cpu(smp_processor_id()));
}

bool nmi_watchdog_nmi(const struct cpu_user_regs *regs)
{
	struct watch *w = &this_cpu(watch);
	u32 accused = atomic_xchg(&w->accused, 0);

	if (!accused)
		return false;
	/* It may have come to itself while the NMI was on its way. */
	if (accused == w->beats + 1)
		panic_regs(regs, "watchdog: CPU%u has not run its timers for %lu seconds", smp_processor_id(), opt_timeout);
	return true;
}

void nmi_watchdog_start(void)
{
	if (!opt_watchdog)
		return;
	if (cpumask_weight(&cpu_online) < 2) {
		log_warn("watchdog: off, as there is no second processor that could watch the first\n");
		return;
	}
	for_each_online_cpu(cpu) {
		struct watch *w = &per_cpu(watch, cpu);

		timer_init(&w->timer, beat, NULL, cpu);
		timer_set(&w->timer, time_now() + PERIOD);
	}
	log_info("watchdog: processors watch each other, timeout %lu s\n", opt_timeout);
}
