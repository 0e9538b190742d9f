/* SPDX-License-Identifier: MIT */
/* Trap table, dispatch, catching, and user-mode runs. */
#include "lib/trap.h"
#include "lib/cpu.h"
#include "lib/hypercall.h"
#include "lib/memory.h"
#include "lib/print.h"
#include "lib/test.h"

#include <xen/callback.h>

extern char trap_stubs[256][16];

static trap_hook hooks[VEC_COUNT];
static u64 *user_l4;

u64 trap_stub(unsigned vector)
{
	return (u64)trap_stubs[vector];
}

trap_hook trap_set_hook(unsigned vector, trap_hook hook)
{
	trap_hook old = hooks[vector];

	hooks[vector] = hook;
	return old;
}

void trap_init_this(void)
{
	static struct trap_info table[64];
	static const struct {
		u16 type, flags;
		void (*stub)(void);
	} callbacks[] = {
		{ CALLBACKTYPE_event, 0, event_stub },
		{ CALLBACKTYPE_failsafe, CALLBACKF_mask_events, failsafe_stub },
		{ CALLBACKTYPE_syscall, CALLBACKF_mask_events, syscall_stub },
	};
	unsigned n = 0;

	for (unsigned v = 0; v < 32; v++)
		if (v != 2 && v != 15)
			table[n++] = (struct trap_info){
				.vector = v, .cs = FLAT_KERNEL_CS, .address = trap_stub(v),
				.flags = v == VEC_BP || v == VEC_OF ? 3 : 0,
			};
	table[n++] = (struct trap_info){ .vector = 0x80, .cs = FLAT_KERNEL_CS, .address = trap_stub(0x80), .flags = 3 };
	table[n] = (struct trap_info){ 0 };
	if (HCALL(set_trap_table, table))
		print("set_trap_table refused\n");
	for (unsigned i = 0; i < ARRAY_SIZE(callbacks); i++) {
		struct callback_register cb = {
			.type = callbacks[i].type, .flags = callbacks[i].flags, .address = (u64)callbacks[i].stub,
		};

		if (HCALL(callback_op, CALLBACKOP_register, &cb))
			print("callback %u refused\n", cb.type);
	}
}

void catch_arm(struct catch *c, struct trap *result)
{
	struct cpu *cpu = this_cpu();

	*result = (struct trap){ .vector = VEC_NONE };
	c->outer = cpu->catch;
	c->result = result;
	c->upcall_mask = cpu->info->evtchn_upcall_mask;
	cpu->catch = c;
}

void catch_disarm(struct catch *c)
{
	this_cpu()->catch = c->outer;
}

static void print_frame(const struct trap_frame *f)
{
	print("  vector %lu error %lx cr2 %lx rip %lx cs %lx flags %lx rsp %lx ss %lx\n",
	      f->vector, f->error, f->cr2, f->rip, f->cs, f->rflags, f->rsp, f->ss);
	print("  rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx r8 %lx r9 %lx r10 %lx r11 %lx\n",
	      f->rax, f->rbx, f->rcx, f->rdx, f->rsi, f->rdi, f->r8, f->r9, f->r10, f->r11);
}

void trap_dispatch(struct trap_frame *on_stack)
{
	static bool dying;
	struct cpu *cpu = this_cpu();
	struct trap_frame f;

	/* The saved frame has no cr2 of its own: its last word would be above the stack's frame. */
	memcpy(&f, on_stack, offsetof(struct trap_frame, cr2));
	f.cr2 = cpu->info->arch.cr2;

	if (hooks[f.vector] && hooks[f.vector](&f)) {
		memcpy(on_stack, &f, offsetof(struct trap_frame, cr2));
		return;
	}
	if (trap_from_user(&f) && cpu->user_sp) {
		*cpu->user_frame = f;
		user_leave();
	}
	if (cpu->catch) {
		struct catch *c = cpu->catch;

		*c->result = (struct trap){ (int)f.vector, (u32)f.error, f.cr2, f };
		cpu->catch = c->outer;
		cpu->user_sp = 0;
		cpu->info->evtchn_upcall_mask = c->upcall_mask;
		catch_resume(c);
	}
	if (__atomic_exchange_n(&dying, true, __ATOMIC_SEQ_CST))
		test_die();
	print("trap without a catch on vCPU %u\n", cpu->id);
	print_frame(&f);
	test_die();
}

void user_init(void)
{

	if (user_l4)
		return;
	user_l4 = table_alloc();
	table_set(user_l4, pt_index(VIRT_BASE, 4), *pt_walk(VIRT_BASE, 4));
	if (mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(user_l4), 0))
		print("user page table refused\n");
}

u64 user_pgd_mfn(void)
{
	user_init();
	return virt_to_mfn(user_l4);
}

u64 *user_pgd(void)
{
	user_init();
	return user_l4;
}

static void user_end(void)
{
	asm volatile("int3");
}

void user_frame(struct trap_frame *frame, void (*entry)(u64), u64 arg)
{
	static u8 stacks[MAX_CPUS][PAGE_SIZE] __attribute__((aligned(4096)));
	u64 *sp = (u64 *)(stacks[this_cpu()->id] + PAGE_SIZE - 64);

	*--sp = (u64)user_end;
	*frame = (struct trap_frame){
		.rip = (u64)entry, .rdi = arg, .rsp = (u64)sp,
		.cs = FLAT_USER_CS, .ss = FLAT_USER_SS, .rflags = FLAG_IF,
	};
}

int user_run(struct trap_frame *frame)
{
	struct cpu *cpu = this_cpu();
	u8 mask = cpu->info->evtchn_upcall_mask;

	mmuext(MMUEXT_NEW_USER_BASEPTR, user_pgd_mfn(), 0);
	cpu->user_frame = frame;
	user_enter(frame);
	cpu->info->evtchn_upcall_mask = mask;
	return (int)frame->vector;
}

int user_call(void (*fn)(u64), u64 arg, struct trap_frame *frame)
{
	user_frame(frame, fn, arg);
	return user_run(frame);
}
