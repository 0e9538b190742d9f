/* SPDX-License-Identifier: MIT */
/* Bringing a processor into the state that the hypervisor runs it in. */
#ifndef BOOT_CPU_H
#define BOOT_CPU_H

#include <lib/types.h>

/* boot_fail() when the boot processor lacks something that we cannot do without. After cpuid_init(). */
void cpu_check_features(void);
/* Control registers, memory types, extended state of the calling CPU. Interrupts off. */
void cpu_setup(bool boot_cpu);
/* Start all other processors of the MADT, up to the maxcpus parameter. They are online when this returns. */
void smp_boot(void);
/* C entry of a started processor, from head.S. */
void ap_start(void) __noreturn;

#endif
