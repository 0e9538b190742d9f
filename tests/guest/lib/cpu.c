/* SPDX-License-Identifier: MIT */
/* Per-vCPU data, and work for other vCPUs. */
#include "lib/cpu.h"
#include "lib/hypercall.h"
#include "lib/memory.h"
#include "lib/print.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

_Static_assert(offsetof(struct cpu, user_sp) == 0, "entry.S: CPU_USER_SP");

/* Before shared_info is mapped, traps and catches use this. */
static struct vcpu_info early_info;

struct cpu *cpu_get(unsigned id)
{
	return (struct cpu *)cpu_stacks[id];
}

void cpu_init_this(unsigned id)
{
	struct cpu *c = cpu_get(id);

	c->id = id;
	c->info = shared_info ? &shared_info->vcpu_info[id] : &early_info;
	c->started = true;
	/* On from the start in Xen, 100 times a second. */
	HCALL(vcpu_op, VCPUOP_stop_periodic_timer, id, NULL);
}

unsigned cpu_count(void)
{
	unsigned n = 0;

	while (n < MAX_CPUS && HCALL(vcpu_op, VCPUOP_is_up, n, NULL) >= 0)
		n++;
	return n;
}

void cpu_context(unsigned id, struct vcpu_guest_context *ctx, void (*entry)(void))
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->flags = VGCF_in_kernel;
	ctx->user_regs.rip = (u64)entry;
	ctx->user_regs.cs = FLAT_KERNEL_CS;
	ctx->user_regs.ss = FLAT_KERNEL_SS;
	ctx->user_regs.rsp = (u64)cpu_stacks[id] + STACK_SIZE;
	ctx->user_regs.rflags = 0;
	ctx->kernel_ss = FLAT_KERNEL_SS;
	ctx->kernel_sp = ctx->user_regs.rsp;
	ctx->event_callback_eip = (u64)event_stub;
	ctx->failsafe_callback_eip = (u64)failsafe_stub;
	ctx->syscall_callback_eip = (u64)syscall_stub;
	ctx->ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(current_l4()));
}

void cpu_main(void)
{
	struct cpu *c = this_cpu();

	cpu_init_this((u32)(((u64)c - (u64)cpu_stacks) / STACK_SIZE));
	trap_init_this();
	for (unsigned idle = 0;; idle++) {
		u32 wanted = __atomic_load_n(&c->job_wanted, __ATOMIC_ACQUIRE);
		struct trap t;

		if (c->job_done == wanted) {
			/* Idle for long: leave the processor, and TLB flushes, alone. */
			if (idle > 20000)
				block_until(now() + MSEC);
			else
				cpu_relax();
			continue;
		}
		idle = 0;
		CATCH(&t, c->job(c->arg));
		if (t.vector != VEC_NONE)
			test_fail(__FILE__, __LINE__, "vCPU %u: trap %d error %x cr2 %lx at rip %lx", c->id, t.vector,
				  t.error, t.cr2, t.frame.rip);
		__atomic_store_n(&c->job_done, wanted, __ATOMIC_RELEASE);
	}
}

void cpu_run(unsigned id, void (*job)(void *), void *arg)
{
	struct cpu *c = cpu_get(id);

	c->job = job;
	c->arg = arg;
	__atomic_store_n(&c->job_wanted, c->job_wanted + 1, __ATOMIC_RELEASE);
	if (!c->started) {
		static struct vcpu_guest_context ctx;
		long rc;

		cpu_context(id, &ctx, cpu_entry);
		rc = HCALL(vcpu_op, VCPUOP_initialise, id, &ctx);
		if (!rc)
			rc = HCALL(vcpu_op, VCPUOP_up, id, NULL);
		if (rc) {
			print("vCPU %u does not start: %ld\n", id, rc);
			test_die();
		}
		c->started = true;
	}
}

int cpu_wait(unsigned id)
{
	struct cpu *c = cpu_get(id);

	return WAIT_FOR(__atomic_load_n(&c->job_done, __ATOMIC_ACQUIRE) == c->job_wanted, PATIENCE) ? 0 : -1;
}
