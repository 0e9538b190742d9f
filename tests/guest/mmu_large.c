/* SPDX-License-Identifier: MIT */
/* Large page-table trees: validation and release that take long are preempted by events, and come out right. */
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/memory.h>

#define TABLES 512	/* level-1 tables, all entries in use: a quarter of a million references, */
#define PAGES 8		/* to these: one frame may have a limit of 2^16 and more writable mappings */
#define PERIOD MSEC

static u64 *l1[TABLES], *l2, *l3, *l4, *pages[PAGES];
static u32 timer_port;
static volatile u64 upcalls, last_upcall, longest;

static bool on_event(struct trap_frame *f)
{
	u64 t = now();

	(void)f;
	this_cpu()->info->evtchn_upcall_pending = 0;
	this_cpu()->info->evtchn_pending_sel = 0;
	event_clear(timer_port);
	if (last_upcall && t - last_upcall > longest)
		longest = t - last_upcall;
	last_upcall = t;
	upcalls++;
	HCALL(set_timer_op, t + PERIOD);
	return true;
}

/* From here to events_off() a timer event comes every millisecond. */
static void events_on(void)
{
	upcalls = longest = last_upcall = 0;
	event_mask(timer_port, false);
	HCALL(set_timer_op, now() + PERIOD);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 0);
}

static void events_off(const char *what)
{
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 1);
	HCALL(set_timer_op, 0);
	print("  %s: %lu events, %lu us apart at most\n", what, upcalls, longest / 1000);
}

TEST(build)
{
	long port = event_bind_virq(VIRQ_TIMER, 0);

	REQUIRE(port > 0);
	timer_port = (u32)port;
	event_clear(timer_port);
	trap_set_hook(VEC_EVENT, on_event);
	for (unsigned i = 0; i < PAGES; i++) {
		pages[i] = page_alloc();
		pages[i][0] = 0x600d;
	}
	l2 = page_alloc();
	l3 = page_alloc();
	l4 = page_alloc();
	for (unsigned i = 0; i < TABLES; i++) {
		l1[i] = page_alloc();
		for (unsigned k = 0; k < 512; k++)
			l1[i][k] = MAKE_PTE(virt_to_mfn(pages[k % PAGES]), PTE_RW);
		l2[i] = MAKE_PTE(virt_to_mfn(l1[i]), PTE_TABLE);
		CHECK_EQ(HCALL(update_va_mapping, l1[i], MAKE_PTE(virt_to_mfn(l1[i]), PTE_RO), UVMF_NONE), 0);
	}
	l3[3] = MAKE_PTE(virt_to_mfn(l2), PTE_TABLE);
	l4[3] = MAKE_PTE(virt_to_mfn(l3), PTE_TABLE);
	CHECK_EQ(page_protect(l2, false), 0);
	CHECK_EQ(page_protect(l3, false), 0);
	CHECK_EQ(page_protect(l4, false), 0);
}

TEST(pin_and_unpin)
{
	u64 mfn = virt_to_mfn(l4), start = now(), between;

	events_on();
	CHECK_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn, 0), 0);
	between = now();
	CHECK_LT(page_protect(l1[TABLES - 1], true), 0);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn, 0), 0);
	CHECK_EQ(page_protect(l1[TABLES - 1], true), 0);
	CHECK_EQ(page_protect(l1[TABLES - 1], false), 0);
	events_off("pin and unpin");
	print("  %lu us and %lu us\n", (between - start) / 1000, (now() - between) / 1000);
}

TEST(bad_entry_at_the_end)
{
	/* All the work is undone, however often it is interrupted. */
	u64 mfn = virt_to_mfn(l4), *last = &l1[TABLES - 1][511], good = *last;

	CHECK_EQ(mmu_update(virt_to_maddr(last), MAKE_PTE(virt_to_mfn(current_l4()), PTE_RW)), 0);
	events_on();
	CHECK_LT(mmuext(MMUEXT_PIN_L4_TABLE, mfn, 0), 0);
	events_off("failed pin");
	for (unsigned i = 0; i < TABLES; i++)
		if (page_protect(l1[i], true) || page_protect(l1[i], false)) {
			CHECK_EQ(i, TABLES);
			break;
		}
	CHECK_EQ(mmu_update(virt_to_maddr(last), good), 0);
}

TEST(hook_into_the_live_tree)
{
	/* Entered into level 4 of the running page table by mmu_update, used, and taken out. */
	unsigned slot = pt_index(SCRATCH_VA, 4);
	u64 *first = (u64 *)(SCRATCH_VA + (3ul << 30));

	events_on();
	CHECK_EQ(table_set(current_l4(), slot, MAKE_PTE(virt_to_mfn(l3), PTE_TABLE)), 0);
	CHECK_EQ(READ_ONCE(first[0]), 0x600d);
	CHECK_EQ(READ_ONCE(first[(TABLES * 512 - 1) * 512ul]), 0x600d);
	CHECK_EQ(table_set(current_l4(), slot, 0), 0);
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
	events_off("hook and unhook");
	CHECK_TRAP(VEC_PF, READ_ONCE(first[0]));
}

TEST(batch_with_a_pin_in_it)
{
	/* The continuation lies in the middle of a list: what was done before is not done again. */
	struct mmuext_op ops[4] = {
		{ .cmd = MMUEXT_TLB_FLUSH_LOCAL }, { .cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = virt_to_mfn(l4) },
		{ .cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = virt_to_mfn(l4) }, { .cmd = MMUEXT_TLB_FLUSH_LOCAL },
	};
	u32 done = 0;

	events_on();
	CHECK_EQ(HCALL(mmuext_op, ops, 4, &done, DOMID_SELF), 0);
	events_off("batch");
	CHECK_EQ(done, 4);
	CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l4), 0), -XEN_EINVAL);
}

TEST(in_a_multicall)
{
	struct mmuext_op pin = { .cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = virt_to_mfn(l4) };
	struct mmuext_op unpin = { .cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = virt_to_mfn(l4) };
	struct multicall_entry list[3] = {
		{ .op = __HYPERVISOR_mmuext_op, .result = 99, .args = { (u64)&pin, 1, 0, DOMID_SELF } },
		{ .op = __HYPERVISOR_mmuext_op, .result = 99, .args = { (u64)&unpin, 1, 0, DOMID_SELF } },
		{ .op = __HYPERVISOR_xen_version, .result = 99 },
	};

	events_on();
	CHECK_EQ(HCALL(multicall, list, 3), 0);
	events_off("multicall");
	CHECK_EQ(list[0].result, 0);
	CHECK_EQ(list[1].result, 0);
	CHECK_EQ(list[2].result, 4 << 16 | 17);
}

static volatile bool stop;
static volatile u64 other_pins;

static void other(void *arg)
{
	/* Takes and drops a part of the tree, and changes an entry, while the whole is being validated. */
	(void)arg;
	while (!stop) {
		if (!mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(l1[TABLES / 2]), 0)) {
			other_pins++;
			mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l1[TABLES / 2]), 0);
		}
		mmu_update(virt_to_maddr(&l1[TABLES - 1][5]), 0);
		mmu_update(virt_to_maddr(&l1[TABLES - 1][5]), MAKE_PTE(virt_to_mfn(pages[5]), PTE_RO));
	}
}

TEST(against_another_vcpu)
{
	u64 pins = 0;

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	stop = false;
	cpu_run(1, other, NULL);
	for (unsigned i = 0; i < 10; i++)
		if (!mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(l4), 0)) {
			pins++;
			CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(l4), 0), 0);
		}
	stop = true;
	CHECK_EQ(cpu_wait(1), 0);
	print("  %lu and %lu pins\n", pins, other_pins);
	CHECK_NE(pins, 0);
}

TEST(release)
{
	for (unsigned i = 0; i < TABLES; i++)
		table_free(l1[i]);
	table_free(l2);
	table_free(l3);
	table_free(l4);
	for (unsigned i = 0; i < PAGES; i++) {
		CHECK_EQ(page_protect(pages[i], false), 0);
		CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, virt_to_mfn(pages[i]), 0), 0);
		CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, virt_to_mfn(pages[i]), 0), 0);
		CHECK_EQ(page_protect(pages[i], true), 0);
	}
	trap_set_hook(VEC_EVENT, NULL);
	CHECK_EQ(HCALL(memory_op, XENMEM_current_reservation, &(domid_t){ DOMID_SELF }), start_info->nr_pages);
}
