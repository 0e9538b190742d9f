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
/* System time of a TSC value read on this CPU. */
s_time_t time_from_tsc(u64 tsc);
/* Busy-wait. Any context. */
void time_udelay(u64 us);

/*
 * The pvclock parameters of this CPU (ABI: struct vcpu_time_info): tsc_timestamp, system_time, tsc_to_system_mul,
 * tsc_shift, flags. The version field is left alone. Interrupts off.
 */
void time_fill_pvclock(struct vcpu_time_info *out);
/* Number that changes whenever this CPU's pvclock parameters have changed. */
u32 time_pvclock_generation(void);

/* Wall clock: nanoseconds since 1970-01-01 UTC at system time 0. */
u64 wallclock_base(void);
/* Domain 0 says that it was `sec`.`nsec` at system time `at`. Updates every domain's shared info through wallclock_changed hooks. */
void wallclock_set(u64 sec, u32 nsec, s_time_t at);

/* Boot: find a platform timer, calibrate the TSC and the APIC timer, read the RTC. */
void time_init(void);
/* Secondary CPU bring-up: check (and compensate) its TSC against the boot CPU's. */
void time_init_cpu(void);

#endif
