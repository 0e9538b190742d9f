/* SPDX-License-Identifier: MIT */
/* For sources that ask which CPU they run on: the test decides. A per-CPU variable exists once. Included before everything else (cflags: -include fake_cpu.h). */
#ifndef TESTS_UNIT_FAKE_CPU_H
#define TESTS_UNIT_FAKE_CPU_H

/* The C library first, as test.h has it. */
#include <stdint.h>
#undef __always_inline
#include <x86/regs.h>
#include <core/percpu.h>

#undef current
#undef this_cpu
#undef smp_processor_id
#define current			(fake_current[fake_cpu])
#define smp_processor_id()	fake_cpu
#define this_cpu(var)		(var)

extern unsigned fake_cpu;
extern struct vcpu *fake_current[];

#endif
