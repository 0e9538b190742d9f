/* SPDX-License-Identifier: MIT */
/* Runs library code in the environment it was compiled for. */

#include <boot/unpack_run.h>
#include <lib/compiler.h>
#include <x86/cr.h>
#include <x86/layout.h>
#include <x86/msr.h>
#include <x86/regs.h>

/* What user-space code sees at %fs:0. The canary has the usual zero byte, which ends strings. */
static struct {
	u64 other[5];
	u64 canary;		/* at 0x28 */
} thread_block __initdata;

/* Call fn(arg) on the stack below @stack_top, which is aligned to 16 bytes. */
static void __init call_on(void *stack_top, void (*fn)(void *), void *arg)
{
	/* The callee preserves rbx. */
	__asm__ volatile("mov %%rsp, %%rbx\n\t"
			 "mov %[stack], %%rsp\n\t"
			 "call *%[fn]\n\t"
			 "mov %%rbx, %%rsp"
			 : "+D" (arg), [stack] "+&r" (stack_top), [fn] "+&r" (fn)
			 :: "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
}

struct call {
	void (*codec)(struct unpack_job *job);
	struct unpack_job *job;
};

static void __init on_private_stack(void *arg)
{
	struct call *call = arg;

	call->codec(call->job);
}

void __init unpack_run(void (*codec)(struct unpack_job *job), struct unpack_job *job, void *stack)
{
	struct cpu_info *info = (struct cpu_info *)((u8 *)stack + STACK_SIZE) - 1;
	struct call call = { .codec = codec, .job = job };
	u64 flags = local_irq_save(), cr0 = read_cr0(), cr4 = read_cr4(), fs = rdmsr(MSR_FS_BASE);
	u32 mxcsr = 0x1f80;	/* all exceptions masked */

	write_cr4(cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT);
	write_cr0((cr0 & ~(CR0_EM | CR0_TS)) | CR0_MP);
	__asm__ volatile("fninit; ldmxcsr %0" :: "m" (mxcsr));
	thread_block.canary = rdtsc() << 8;
	wrmsr(MSR_FS_BASE, (u64)&thread_block);

	/* An exception, which can only end in a panic, finds its CPU through the stack pointer. */
	*info = *cpu_info();
	call_on((void *)ALIGN_DOWN((u64)info, 16), on_private_stack, &call);

	wrmsr(MSR_FS_BASE, fs);
	write_cr0(cr0);
	write_cr4(cr4);
	local_irq_restore(flags);
}
