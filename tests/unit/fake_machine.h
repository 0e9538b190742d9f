/* SPDX-License-Identifier: MIT */
/* A machine for unit tests of memory and page tables: RAM, frame table, M2P at addresses that a process can have; several processors. */
#ifndef TESTS_UNIT_FAKE_MACHINE_H
#define TESTS_UNIT_FAKE_MACHINE_H

/*
 * Given to the compiler by -include for the test and the sources it tests, so that the real headers come after this one:
 * x86/layout.h is replaced, privileged instructions and "which CPU am I" are redirected.
 */

#if __STDC_HOSTED__
/* For the test itself, whose C library headers would otherwise come too late. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#else
#include <stdint.h>
#endif
#undef __always_inline

#define X86_LAYOUT_H
#define HYP_SLOT_FIRST		256
#define HYP_SLOT_LAST		271
#define HYP_SLOT_PERDOMAIN	260
#define HYP_VIRT_START		0xffff800000000000UL
#define HYP_VIRT_END		0xffff880000000000UL
#define M2P_GUEST_START		0xffff800000000000UL
#define M2P_START		0x310000000000UL
#define FRAMETABLE_START	0x320000000000UL
#define PERDOMAIN_START		0xffff820000000000UL
#define IOMAP_START		0xffff828000000000UL
#define IOMAP_END		0xffff82c000000000UL
#define IMAGE_START		0x330000000000UL
#define DIRECTMAP_START		0x340000000000UL
#define DIRECTMAP_END		0x350000000000UL
#define IMAGE_PHYS		0x200000UL
#define STACK_ORDER		3
#define STACK_SIZE		(4096UL << STACK_ORDER)

#define read_cr3		hw_read_cr3
#define write_cr3		hw_write_cr3
#define swapgs			hw_swapgs
#define local_irq_disable	hw_local_irq_disable
#define local_irq_enable	hw_local_irq_enable
#define local_irq_save		hw_local_irq_save
#define local_irq_restore	hw_local_irq_restore
#include <x86/cr.h>
#undef read_cr3
#undef write_cr3
#undef swapgs
#undef local_irq_disable
#undef local_irq_enable
#undef local_irq_save
#undef local_irq_restore

static inline u64 read_cr3(void) { return 0; }
/* Implemented by the test: a full TLB flush of the current CPU. */
void write_cr3(u64 v);
void swapgs(void);
/* Likewise: a word of the guest's. False: a fault. */
bool fake_guest_put(u64 addr, u64 val);
#define guest_put(addr, val, fault)	do { if (!fake_guest_put((u64)(addr), (val))) goto fault; } while (0)
static inline void local_irq_disable(void) { }
static inline void local_irq_enable(void) { }
static inline u64 local_irq_save(void) { return 0; }
static inline void local_irq_restore(u64 f) { (void)f; }

#define X86_TLB_H
static inline void invlpg(u64 va) { (void)va; }

#include <x86/regs.h>
#undef current
#undef smp_processor_id
#ifndef FAKE_CPU_LOCAL
#define FAKE_CPU_LOCAL		/* -DFAKE_CPU_LOCAL=__thread: each thread of the test is a CPU */
#endif
extern FAKE_CPU_LOCAL struct vcpu *current;
extern FAKE_CPU_LOCAL unsigned fake_cpu;
#define smp_processor_id()	fake_cpu
#undef guest_regs
extern struct cpu_user_regs fake_guest_regs;
#define guest_regs()		(&fake_guest_regs)

#ifdef FAKE_RACE
/* Called before every compare-and-exchange: a chance for the other threads to come in between. */
void fake_race(void);
#include <x86/atomic.h>
#undef atomic_try_cmpxchg
#define atomic_try_cmpxchg(p, oldp, new) \
	(fake_race(), __atomic_compare_exchange_n(p, oldp, (new), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
#endif

/* A per-CPU variable is an array. */
#define CORE_PERCPU_H
#include <core/cpumask.h>
#define DEFINE_PER_CPU(type, name)	__typeof__(type) name[MAX_CPUS]
#define DECLARE_PER_CPU(type, name)	extern __typeof__(type) name[MAX_CPUS]
#define per_cpu(var, cpu)		((var)[cpu])
#define this_cpu(var)			((var)[fake_cpu])

/* Life-cycle rows are reached by name instead of through a section. */
#include <domain/domain.h>
#undef DOMAIN_MODULE
#define DOMAIN_MODULE(var)	extern const struct domain_module var; const struct domain_module var

#endif
