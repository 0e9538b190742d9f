/* SPDX-License-Identifier: MIT */
/*
 * System time: nanoseconds since boot, monotonic across CPUs, and the wall clock.
 */
#ifndef CORE_TIME_H
#define CORE_TIME_H

#include <lib/types.h>

struct vcpu_time_info;

typedef s64 s_time_t;	/* nanoseconds since boot */
#define STIME_MAX	((s_time_t)(~0UL >> 1))
#define NS_PER_SEC	1000000000L
#define MILLISECS(n)	((s_time_t)(n) * 1000000L)
#define MICROSECS(n)	((s_time_t)(n) * 1000L)

/* System time now. Any context after time_init(); 0 before. */
s_time_t time_now(void);
/* TSC frequency in kHz as calibrated at boot, and "cpu_khz" as told to guests. */
u64 time_tsc_khz(void);
/* System time of a TSC value read on this CPU, and the reverse. */
s_time_t time_from_tsc(u64 tsc);
u64 time_to_tsc(s_time_t t);
/* Busy-wait. Any context. */
void time_udelay(u64 us);

/*
 * The pvclock parameters of this CPU (ABI: struct vcpu_time_info): tsc_timestamp, system_time, tsc_to_system_mul,
 * tsc_shift, flags. The version field is left alone. Interrupts off.
 */
void time_fill_pvclock(struct vcpu_time_info *out);
/* Number that changes whenever this CPU's pvclock parameters have changed. */
u32 time_pvclock_generation(void);
/* Hook: called on a CPU, as a soft-IRQ, after its parameters have changed, so that the running vCPU can be told. */
extern void (*time_pvclock_changed)(void);

/* Wall clock: nanoseconds since 1970-01-01 UTC at system time 0. */
u64 wallclock_base(void);
/* Domain 0 says that it was `sec`.`nsec` at system time `at`. Updates every domain's shared info through wallclock_changed. */
void wallclock_set(u64 sec, u32 nsec, s_time_t at);
/* Hook: the wall clock was set; every domain's shared info needs the new base. */
extern void (*wallclock_changed)(void);

/* Boot: find a platform timer, calibrate the TSC and the APIC timer, read the RTC. After apic_init() and irq_init(). */
void time_init(void);
/*
 * Secondary CPU bring-up: check (and compensate) its TSC against the boot CPU's, which at the same time is in time_sync_cpu().
 * Interrupts off.
 */
void time_init_cpu(void);
/*
 * Boot CPU, after starting that one: take part in its time_init_cpu(); returns when it is through, or does not come within a
 * second.
 */
void time_sync_cpu(unsigned cpu);
/* Boot CPU, just before Domain 0 runs: all the time since time_init() makes the TSC's frequency more exact. */
void time_end_boot(void);
/* Print clocks: debug key 't' does it too. */
void time_dump(void);

#endif
