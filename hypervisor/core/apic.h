/* SPDX-License-Identifier: MIT */
/* The local APIC: xAPIC and x2APIC (source: Intel SDM vol. 3 ch. 10, AMD APM vol. 2 ch. 16). */
#ifndef CORE_APIC_H
#define CORE_APIC_H

#include <core/cpumask.h>

/* APIC id of each CPU, filled in by CPU bring-up before the CPU runs; APIC_ID_NONE where there is no CPU. */
#define APIC_ID_NONE	(~0u)
extern u32 cpu_apic_id[MAX_CPUS];

/* Boot CPU: choose xAPIC or x2APIC, find the registers, enable. After acpi_init(); sets cpu_apic_id[0]. */
void apic_init(void);
/* Any other CPU: the same mode as the boot CPU. Interrupts off. */
void apic_init_cpu(void);
/* Stop the calling CPU's APIC from delivering anything but NMI and INIT. */
void apic_disable_cpu(void);
/* Id of the calling CPU's APIC. */
u32 apic_id(void);

void apic_eoi(void);
/*
 * Fixed interrupt to one CPU (the calling one included), or each CPU of a set. Stores before the call are visible to the handler.
 * Any context.
 */
void apic_send_ipi(unsigned cpu, u8 vector);
void apic_send_ipi_mask(const cpumask_t *mask, u8 vector);
void apic_send_nmi(unsigned cpu);
/* CPU bring-up: by APIC id. vector: page number (< 256) of the real-mode start address. */
void apic_send_init(u32 apic_id);
void apic_send_sipi(u32 apic_id, u8 vector);

/* Is the vector being serviced on the calling CPU? */
bool apic_isr_test(u8 vector);

/*
 * The one-shot timer of the calling CPU: its own counter, or TSC-deadline mode, which compares with the TSC.
 */
bool apic_timer_is_deadline(void);
/*
 * Raise VECTOR_TIMER ns nanoseconds from now (counter mode; earlier when the counter does not reach so far), or when the TSC
 * reaches tsc (deadline mode).
 */
void apic_timer_arm(u64 ns, u64 tsc);
void apic_timer_stop(void);
/* Calibration, counter mode: start from the greatest value without interrupt; read what is left; stop and say what was found. */
void apic_timer_count_start(void);
u32 apic_timer_count(void);
void apic_timer_set_frequency(u64 hz);
u64 apic_timer_frequency(void);

#endif
