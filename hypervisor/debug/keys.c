/* SPDX-License-Identifier: MIT */
/* Debug keys: the queue from the interrupt to the tasklet, and the keys that print what other modules know. */
#include <core/console.h>
#include <core/debug_key.h>
#include <core/irq.h>
#include <core/nmi_watchdog.h>
#include <core/panic.h>
#include <core/softirq.h>
#include <core/time.h>
#include <core/timer.h>
#include <core/trace.h>
#include <debug/dump.h>
#include <domain/domain.h>
#include <ipc/evtchn.h>
#include <ipc/gnttab.h>
#include <memory/heap.h>
#include <sched/sched.h>
#include <x86/atomic.h>
#include <x86/cr.h>

/*
 * Keys arrive in interrupt context and are noted in `waiting`, a set; a tasklet takes them one at a time, and gives other
 * soft-IRQs a turn between two. What a key prints comes from its own tasklet run, so a long dump delays the CPU it runs on, and no other.
 */

extern const struct debug_key debug_keys_start[], debug_keys_end[];

static void work(void *unused);

static u64 waiting[2];	/* a bit per ASCII character */
static struct tasklet worker = { .fn = work };

static const struct debug_key *find(char key)
{
	for (const struct debug_key *k = debug_keys_start; k < debug_keys_end; k++)
		if (k->key == key)
			return k;
	return NULL;
}

static void run(const struct debug_key *k)
{
	bool prints = !(k->flags & DEBUG_KEY_ACTS);

	/* On a slow line that takes its time. */
	if (prints)
		nmi_watchdog_suspend();
	log_everything(true);
	log_info("'%c': %s\n", k->key, k->what);
	k->fn();
	log_everything(false);
	if (prints)
		nmi_watchdog_resume();
}

static void work(void *unused)
{
	for (unsigned c = 0; c < 128; c++)
		if (test_and_clear_bit(c % 64, &waiting[c / 64])) {
			const struct debug_key *k = find((char)c);

			if (k)
				run(k);
			/* The next one in a run of its own. */
			if (waiting[0] | waiting[1])
				tasklet_schedule(&worker);
			return;
		}
}

bool debug_key_handle(char key)
{
	const struct debug_key *k = find(key);

	if (!k)
		return false;
	if (k->flags & DEBUG_KEY_NOW) {
		run(k);
		return true;
	}
	set_bit((u8)key % 64, &waiting[(u8)key / 64]);
	tasklet_schedule(&worker);
	return true;
}

/* --- keys --------------------------------------------------------------------------------------------------------------------- */

static void list_keys(void)
{
	for (char c = '!'; c < 127; c++) {
		const struct debug_key *k = find(c);

		if (k)
			log_info("  %c  %s\n", c, k->what);
	}
}

static void all_keys(void)
{
	for (const struct debug_key *k = debug_keys_start; k < debug_keys_end; k++)
		if (!(k->flags & (DEBUG_KEY_ACTS | DEBUG_KEY_NOW)) && k->fn != all_keys && k->fn != list_keys)
			debug_key_handle(k->key);
}

static void reboot(void)
{
	machine_restart();
}

static void crash(void)
{
	panic("debug key C");
}

/* For the watchdog, or for a debugger, to find. */
static void hang(void)
{
	local_irq_disable();
	for (;;)
		cpu_relax();
}

/* Does nothing: the place for a debugger's breakpoint (./run --gdb, "break debugger_stop"). */
void __noinline debugger_stop(void)
{
	barrier();
}

static void trace_key(void)
{
	if (trace_on)
		trace_dump();
	else if (trace_enable(true) == 0)
		log_info("tracing has begun\n");
}

static void say_time(void)
{
	log_info("system time %ld.%09ld s, wall clock %lu.%09lu s, TSC %lu kHz\n", time_now() / NS_PER_SEC, time_now() % NS_PER_SEC,
		(wallclock_base() + (u64)time_now()) / NS_PER_SEC, (wallclock_base() + (u64)time_now()) % NS_PER_SEC, time_tsc_khz());
}

static void dump_timers(void)
{
	say_time();
	timer_dump();
}

DEBUG_KEY('h', "list the keys", 0, list_keys);
DEBUG_KEY('*', "all keys that only print", 0, all_keys);
DEBUG_KEY('d', "registers of all CPUs", 0, registers_dump);
DEBUG_KEY('a', "audit of the page-table reference counts", 0, audit_run);
DEBUG_KEY('T', "trace ring: print, or start it", 0, trace_key);
DEBUG_KEY('q', "domains and vCPUs", 0, domains_dump);
DEBUG_KEY('r', "run queues", 0, sched_dump);
DEBUG_KEY('m', "memory", 0, heap_dump);
DEBUG_KEY('t', "time and timers", 0, dump_timers);
DEBUG_KEY('e', "event channels", 0, evtchn_dump);
DEBUG_KEY('g', "grant tables", 0, gnttab_dump);
DEBUG_KEY('i', "interrupts", 0, irq_dump);
DEBUG_KEY('R', "reboot the machine at once", DEBUG_KEY_ACTS | DEBUG_KEY_NOW, reboot);
DEBUG_KEY('C', "crash Lodge, to see a panic", DEBUG_KEY_ACTS, crash);
DEBUG_KEY('H', "hang this processor, to see the watchdog", DEBUG_KEY_ACTS, hang);
DEBUG_KEY('%', "call debugger_stop(), where a debugger may have set a breakpoint", DEBUG_KEY_ACTS, debugger_stop);
