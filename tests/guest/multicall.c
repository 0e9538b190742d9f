/* SPDX-License-Identifier: MIT */
/* Multicalls: results, errors in the middle, nesting, odd members, and lists that cannot be read or written. */
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/version.h>

static long multicall(struct multicall_entry *list, u32 n)
{
	return HCALL(multicall, list, n);
}

#define CALL(name, ...) { .op = __HYPERVISOR_##name, .result = 0x7777, .args = { __VA_ARGS__ } }

TEST(results)
{
	struct multicall_entry list[] = {
		CALL(xen_version, XENVER_version),
		CALL(xen_version, XENVER_pagesize),
		CALL(sched_op, 77),
		CALL(xen_version, XENVER_version),
	};

	CHECK_EQ(multicall(list, ARRAY_SIZE(list)), 0);
	CHECK_EQ(list[0].result, 4 << 16 | 17);
	CHECK_EQ(list[1].result, PAGE_SIZE);
	/* An error is that call's alone. */
	CHECK_EQ(list[2].result, -XEN_ENOSYS);
	CHECK_EQ(list[3].result, 4 << 16 | 17);
	CHECK_EQ(list[0].op, __HYPERVISOR_xen_version);
	CHECK_EQ(list[0].args[0], XENVER_version);
}

TEST(empty)
{
	CHECK_EQ(multicall(NULL, 0), 0);
}

TEST(page_table_batch)
{
	/* What a kernel does: descriptors, mappings and a stack switch in one go. */
	u64 *a = page_alloc(), *b = page_alloc();
	struct mmu_update u = { 0, MAKE_PTE(virt_to_mfn(b), PTE_RW) };
	struct mmuext_op flush = { .cmd = MMUEXT_TLB_FLUSH_LOCAL };
	struct multicall_entry list[] = {
		CALL(update_va_mapping, SCRATCH_VA, MAKE_PTE(virt_to_mfn(a), PTE_RW), UVMF_INVLPG),
		CALL(mmu_update, (u64)&u, 1, 0, DOMID_SELF),
		CALL(mmuext_op, (u64)&flush, 1, 0, DOMID_SELF),
		CALL(stack_switch, FLAT_KERNEL_SS, (u64)this_cpu() + STACK_SIZE),
		CALL(set_segment_base, SEGBASE_FS, 0x1234),
		CALL(fpu_taskswitch, 0),
	};

	a[0] = 1;
	b[0] = 2;
	CHECK_EQ(map_new(SCRATCH_VA, 0), 0);
	u.ptr = virt_to_maddr(pt_walk(SCRATCH_VA, 1)) + 8;
	CHECK_EQ(multicall(list, ARRAY_SIZE(list)), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
		CHECK_EQ(list[i].result, 0);
	CHECK_EQ(READ_ONCE(*(u64 *)SCRATCH_VA), 1);
	CHECK_EQ(READ_ONCE(*(u64 *)(SCRATCH_VA + PAGE_SIZE)), 2);
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	CHECK_EQ(map_va(SCRATCH_VA + PAGE_SIZE, 0), 0);
	page_free(a);
	page_free(b);
}

TEST(nested)
{
	/* A multicall in a multicall is refused, or done once; never for ever. */
	struct multicall_entry inner[] = { CALL(xen_version, XENVER_version) };
	struct multicall_entry outer[] = {
		CALL(multicall, (u64)inner, 1),
		CALL(xen_version, XENVER_pagesize),
	};
	struct multicall_entry self[1] = { CALL(multicall, 0, 1) };
	long rc;

	CHECK_EQ(multicall(outer, 2), 0);
	CHECK((long)outer[0].result < 0 || inner[0].result == (4 << 16 | 17));
	CHECK_EQ(outer[1].result, PAGE_SIZE);
	self[0].args[0] = (u64)self;
	rc = multicall(self, 1);
	CHECK(rc < 0 || (long)self[0].result < 0);
}

TEST(unknown_members)
{
	static const u64 numbers[] = { 11, 38, 43, 47, 56, 63, 64, 127, 128, 255, 0x10000, 0xffffffff, 1ul << 32, ~0ul, 1ul << 63 };

	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct multicall_entry list[] = { { .op = numbers[i] }, CALL(xen_version, XENVER_version) };

		CHECK_EQ(multicall(list, 2), 0);
		if ((long)list[0].result != -XEN_ENOSYS)
			test_fail(__FILE__, __LINE__, "number %lx: %ld", numbers[i], (long)list[0].result);
		CHECK_EQ(list[1].result, 4 << 16 | 17);
	}
}

TEST(number_with_high_half)
{
	/* Only a whole number names a hypercall: bits above the first 32 must not be dropped on the way. */
	struct multicall_entry list[] = { { .op = __HYPERVISOR_xen_version | 1ul << 32, .args = { XENVER_version } } };

	CHECK_EQ(multicall(list, 1), 0);
	CHECK_EQ((long)list[0].result, -XEN_ENOSYS);
}

TEST(list_refused)
{
	static const u64 bad[] = { XEN_VA_INSIDE, XEN_VA_M2P, NONCANONICAL, SCRATCH_VA, 0x00007ffffffffff8 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(multicall((void *)bad[i], 1), -XEN_EFAULT);
	CHECK_LT(multicall((void *)(VIRT_BASE + (memory_pages() << PAGE_SHIFT)), 0xffffffff), 0);
	CHECK_LT(multicall((void *)~63ul, 2), 0);
}

TEST(list_read_only)
{
	/* The result cannot be stored: the multicall ends there. */
	struct multicall_entry *list = (void *)page_alloc();

	list[0] = (struct multicall_entry)CALL(xen_version, XENVER_version);
	list[1] = (struct multicall_entry)CALL(xen_version, XENVER_pagesize);
	CHECK_EQ(page_protect(list, false), 0);
	CHECK_EQ(multicall(list, 2), -XEN_EFAULT);
	CHECK_EQ(list[0].result, 0x7777);
	CHECK_EQ(list[1].result, 0x7777);
	CHECK_EQ(page_protect(list, true), 0);
	page_free(list);
}

TEST(list_straddles)
{
	/* The second member lies half in an absent page; the first has been done. */
	u8 *page = (u8 *)page_alloc();
	struct multicall_entry *list;

	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	list = (void *)(SCRATCH_VA + PAGE_SIZE - sizeof(*list) - 8);
	list[0] = (struct multicall_entry)CALL(xen_version, XENVER_version);
	CHECK_EQ(multicall(list, 2), -XEN_EFAULT);
	CHECK(list[0].result == (4 << 16 | 17) || list[0].result == 0x7777);
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	page_free(page);
}

TEST(list_unmapped_by_itself)
{
	/* A member takes away the page that the list is on. */
	u8 *page = (u8 *)page_alloc();
	struct multicall_entry *list = (void *)SCRATCH_VA;

	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	list[0] = (struct multicall_entry)CALL(update_va_mapping, SCRATCH_VA, 0, UVMF_INVLPG);
	list[1] = (struct multicall_entry)CALL(xen_version, XENVER_version);
	CHECK_LT(multicall(list, 2), 0);
	CHECK_TRAP(VEC_PF, READ_ONCE(list[0].op));
	page_free(page);
}

TEST(long_list)
{
	/* Long enough to be preempted, with an event that arrives on the way. */
	enum { N = 20000 };
	u32 order = 9;
	struct multicall_entry *list = (void *)pages_alloc(order);
	long port = event_bind_virq(VIRQ_TIMER, 0);
	unsigned bad = 0;

	CHECK_LT(N * sizeof(*list), PAGE_SIZE << order);
	event_mask((u32)port, false);
	for (unsigned i = 0; i < N; i++)
		list[i] = (struct multicall_entry)CALL(xen_version, XENVER_version);
	HCALL(set_timer_op, now() + MSEC);
	CHECK_EQ(multicall(list, N), 0);
	for (unsigned i = 0; i < N; i++)
		bad += list[i].result != (4 << 16 | 17);
	CHECK_EQ(bad, 0);
	HCALL(set_timer_op, 0);
	event_clear((u32)port);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(preempted_member)
{
	/* A member that is itself preempted and continued: a long mmu_update inside the list, its count returned whole. */
	enum { N = 4000 };
	static struct mmu_update batch[N];
	struct multicall_entry list[] = {
		CALL(xen_version, XENVER_version),
		CALL(mmu_update, (u64)batch, N, 0, DOMID_SELF),
		CALL(xen_version, XENVER_pagesize),
	};
	u64 *page = page_alloc();
	u32 done = 0;

	CHECK_EQ(map_new(SCRATCH_VA, 0), 0);
	for (unsigned i = 0; i < N; i++)
		batch[i] = (struct mmu_update){
			virt_to_maddr(&pt_walk(SCRATCH_VA, 1)[i % 512]), i < N - 512 ? MAKE_PTE(virt_to_mfn(page), PTE_RW) : 0 };
	list[1].args[2] = (u64)&done;
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_pending, 1);
	CHECK_EQ(multicall(list, 3), 0);
	CHECK_EQ(list[0].result, 4 << 16 | 17);
	CHECK_EQ(list[1].result, 0);
	CHECK_EQ(list[2].result, PAGE_SIZE);
	CHECK_EQ(done, N);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_pending, 0);
	CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
	page_free(page);
}

static struct multicall_entry shared[2];
static volatile bool stop;

static void flip(void *arg)
{
	(void)arg;
	while (!stop) {
		WRITE_ONCE(shared[0].op, 1ul << 40);
		WRITE_ONCE(shared[0].op, __HYPERVISOR_xen_version);
		WRITE_ONCE(shared[0].args[0], 1000);
		WRITE_ONCE(shared[0].args[0], XENVER_version);
	}
}

TEST(changed_by_another_vcpu)
{
	/* Each member is read once: every result is that of one of the forms it had. */
	unsigned odd = 0;

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	shared[0] = (struct multicall_entry)CALL(xen_version, XENVER_version);
	shared[1] = (struct multicall_entry)CALL(xen_version, XENVER_pagesize);
	stop = false;
	cpu_run(1, flip, NULL);
	for (unsigned i = 0; i < 20000; i++) {
		long rc = multicall(shared, 2);

		if (rc) {
			CHECK_EQ(rc, 0);
			odd++;
		}
		if (shared[0].result != (4 << 16 | 17) && (long)shared[0].result != -XEN_ENOSYS) {
			CHECK_EQ(shared[0].result, 4 << 16 | 17);
			odd++;
		}
		if (shared[1].result != PAGE_SIZE)
			odd++;
	}
	stop = true;
	CHECK_EQ(cpu_wait(1), 0);
	CHECK_EQ(odd, 0);
}

TEST(blocking_member)
{
	/* Blocking inside a list: it waits and the list goes on. */
	struct sched_poll poll = { .nr_ports = 0, .timeout = now() + 10 * MSEC };
	struct multicall_entry list[] = {
		CALL(sched_op, SCHEDOP_poll, (u64)&poll),
		CALL(sched_op, SCHEDOP_yield),
		CALL(xen_version, XENVER_version),
	};

	CHECK_EQ(multicall(list, 3), 0);
	CHECK_EQ(list[2].result, 4 << 16 | 17);
	CHECK_GE(now(), poll.timeout - MSEC);
}
