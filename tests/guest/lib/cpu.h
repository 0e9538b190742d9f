/* SPDX-License-Identifier: MIT */
/* Per-vCPU data, and work for other vCPUs. */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include "lib/trap.h"

#define MAX_CPUS 8
#define STACK_SIZE 0x4000ul

/* Lives at the bottom of the vCPU's stack, so that it is found without segment registers. */
struct cpu {
	u64 user_sp;			/* kernel stack of the user run under way (entry.S), or 0 */
	struct catch *catch;		/* innermost armed catch */
	struct trap_frame *user_frame;	/* where the trap that ends a user run is stored */
	u32 id;
	struct vcpu_info *info;		/* moves when VCPUOP_register_vcpu_info is used */
	void (*job)(void *);
	void *arg;
	u32 job_done;			/* jobs finished */
	u32 job_wanted;			/* jobs handed out */
	bool started;
};

static inline struct cpu *this_cpu(void)
{
	u64 sp;

	asm volatile("mov %%rsp, %0" : "=r"(sp));
	return (struct cpu *)(sp & ~(STACK_SIZE - 1));
}

struct cpu *cpu_get(unsigned id);

/*
 * Number of vCPUs that the hypervisor gives us, at most MAX_CPUS.
 * Tests that need two report themselves as skipped when this is one.
 */
unsigned cpu_count(void);

/* Fills a context that starts at entry on the vCPU's own stack with the runtime's callbacks, in our page table. */
void cpu_context(unsigned id, struct vcpu_guest_context *ctx, void (*entry)(void));

/*
 * cpu_run: starts vCPU id (1…) if it is not up yet and makes it run job(arg); does not wait.
 * cpu_wait: waits until its last job is done; returns 0, or -1 after PATIENCE (time.h).
 */
void cpu_run(unsigned id, void (*job)(void *), void *arg);
int cpu_wait(unsigned id);

static inline void cpu_relax(void)
{
	asm volatile("pause" ::: "memory");
}

void cpu_init_this(unsigned id);
void cpu_main(void);
extern char cpu_stacks[MAX_CPUS][STACK_SIZE];
extern void cpu_entry(void);

#endif
