/* SPDX-License-Identifier: MIT */
/* The failsafe callback: segment registers that can no longer be loaded when the vCPU is switched in. */
#include "lib/test.h"
#include "lib/time.h"

#include <xen/sched.h>

#define DATA3 0x00cff3000000fffful

static volatile u64 taken;
static volatile u64 segment_words[4];
static volatile u8 mask_seen;

static bool on_failsafe(struct trap_frame *f)
{
	(void)f;
	taken++;
	for (unsigned i = 0; i < 4; i++)
		segment_words[i] = failsafe_segments[i];
	mask_seen = this_cpu()->info->evtchn_upcall_mask;
	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs" :: "r"(0));
	return true;
}

static volatile bool stop;

static void keep_busy(void *arg)
{
	(void)arg;
	while (!stop)
		HCALL(sched_op, SCHEDOP_yield);
}

TEST(selector_gone_after_switch)
{
	/*
	 * ES holds an LDT selector, then the LDT goes away. The next switch to this vCPU cannot load it and enters the
	 * failsafe callback, or loads null. Two vCPUs share one processor here (failsafe.args).
	 */
	u64 *ldt = page_alloc(), end;
	u16 es = 0;

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	ldt[0] = DATA3;
	CHECK_EQ(page_protect(ldt, false), 0);
	stop = false;
	cpu_run(1, keep_busy, NULL);
	trap_set_hook(VEC_FAILSAFE, on_failsafe);
	for (unsigned round = 0; round < 20; round++) {
		u64 before = taken;

		CHECK_EQ(mmuext(MMUEXT_SET_LDT, (u64)ldt, 512), 0);
		asm volatile("mov %0, %%es" :: "r"(0x7));
		/* In one go: loaded, then withdrawn, with the register still holding it. */
		CHECK_EQ(mmuext(MMUEXT_SET_LDT, 0, 0), 0);
		for (end = now() + 50 * MSEC; now() < end && taken == before;)
			HCALL(sched_op, SCHEDOP_yield);
		asm volatile("mov %%es, %0" : "=r"(es));
		CHECK(es == 0 || es == 7);
		asm volatile("mov %0, %%es" :: "r"(0));
	}
	stop = true;
	CHECK_EQ(cpu_wait(1), 0);
	trap_set_hook(VEC_FAILSAFE, NULL);
	print("  %lu failsafe callbacks\n", taken);
	if (taken) {
		CHECK_EQ(segment_words[1] & 0xffff, 7);
		/* Registered with CALLBACKF_mask_events. */
		CHECK_EQ(mask_seen, 1);
	}
	table_free(ldt);
}

TEST(gs_selector_gone)
{
	/* GS is special: its base must survive, or be null, and the kernel's is not the user's. */
	u64 *ldt = page_alloc(), end;

	if (cpu_count() < 2)
		return;
	ldt[0] = DATA3;
	CHECK_EQ(page_protect(ldt, false), 0);
	stop = false;
	taken = 0;
	cpu_run(1, keep_busy, NULL);
	trap_set_hook(VEC_FAILSAFE, on_failsafe);
	CHECK_EQ(mmuext(MMUEXT_SET_LDT, (u64)ldt, 512), 0);
	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_USER_SEL, 7), 0);
	CHECK_EQ(mmuext(MMUEXT_SET_LDT, 0, 0), 0);
	for (end = now() + 50 * MSEC; now() < end;)
		HCALL(sched_op, SCHEDOP_yield);
	CHECK_EQ(HCALL(set_segment_base, SEGBASE_GS_USER_SEL, 0), 0);
	stop = true;
	CHECK_EQ(cpu_wait(1), 0);
	trap_set_hook(VEC_FAILSAFE, NULL);
	table_free(ldt);
}
