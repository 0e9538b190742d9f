/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor needs for one operation of a PV kernel: tests/bench/ops counts the instructions between the marks. "op NAME COUNT" says what was between
 * two of them: COUNT operations. Two vCPUs on one processor.
 */
#include "bench/mark.h"
#include "lib/event.h"
#include "lib/grant.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/callback.h>
#include <xen/sched.h>
#include <xen/version.h>

/* Once unmeasured, so that everything is in memory and has its type. */
#define MEASURE(name, count, statement)						\
	do {									\
		statement;							\
		for (unsigned r_ = 0; r_ < MARK_REPEATS; r_++) {		\
			print("op %s %u\n", name, (unsigned)(count));		\
			MARK(MARK_BEGIN);					\
			for (unsigned i_ = 0; i_ < (count); i_++)		\
				statement;					\
			MARK(MARK_END);						\
		}								\
	} while (0)

#define ROUNDS	200u

TEST(nothing)
{
	/* The hypervisor clears free memory when it has nothing else to do: let it finish. */
	block_until(now() + 10 * SEC);
	MEASURE("nothing", ROUNDS, barrier());
}

TEST(null_hypercall)
{
	MEASURE("null_hypercall", ROUNDS, HCALL(xen_version, XENVER_version, NULL));
}

/* --- user mode --- */

/*
 * The shortest handlers that a kernel can have. From the hypervisor: rcx, r11, (error code,) rip, cs, rflags, rsp, ss; to it: rax, r11, rcx, flags, and
 * the same.
 */
#define TEXT(x)	TEXT_(x)
#define TEXT_(x) #x
#define IRET(flags)	"push $" flags "\n push %rcx\n push %r11\n push %rax\n mov $" TEXT(__HYPERVISOR_iret) ", %eax\n syscall\n ud2\n"
asm(".pushsection .text\n"
    "short_syscall: pop %rcx\n pop %r11\n" IRET("0x100")		/* VGCF_in_syscall */
    "short_page_fault: pop %rcx\n pop %r11\n add $8, %rsp\n addq $2, (%rsp)\n" IRET("0")	/* behind the two bytes of user_fault's access */
    ".popsection");
extern char short_syscall[], short_page_fault[];
_Static_assert(VGCF_in_syscall == 0x100, "short_syscall");

/* User code is measured by itself. */
static void user_syscalls(u64 count)
{
	MARK(MARK_BEGIN);
	for (u64 i = 0; i < count; i++)
		asm volatile("xor %%eax, %%eax; syscall" ::: "rax", "rcx", "r11", "memory");
	MARK(MARK_END);
}

static void user_faults(u64 count)
{
	MARK(MARK_BEGIN);
	for (u64 i = 0; i < count; i++)
		asm volatile("movb (%%rdi), %%al" :: "D"(0x1000) : "rax", "memory");
	MARK(MARK_END);
}

static void measure_user(const char *name, void (*fn)(u64))
{
	struct trap_frame f;

	for (unsigned r = 0; r < MARK_REPEATS; r++) {
		print("op %s %u\n", name, ROUNDS);
		CHECK_EQ(user_call(fn, ROUNDS, &f), VEC_BP);
	}
}

TEST(user)
{
	struct callback_register cb = { .type = CALLBACKTYPE_syscall, .flags = CALLBACKF_mask_events, .address = (u64)short_syscall };
	struct trap_info table[2] = { { .vector = VEC_PF, .cs = FLAT_KERNEL_CS, .address = (u64)short_page_fault } };

	user_init();
	REQUIRE_EQ(HCALL(callback_op, CALLBACKOP_register, &cb), 0);
	measure_user("system_call", user_syscalls);
	REQUIRE_EQ(HCALL(set_trap_table, table), 0);
	measure_user("page_fault", user_faults);
	trap_init_this();
}

/* --- page tables --- */

#define BATCH	64u

static void batch(struct mmu_update (*updates)[BATCH], u32 n)
{
	if (HCALL(mmu_update, updates[0], n, NULL, DOMID_SELF) || HCALL(mmu_update, updates[1], n, NULL, DOMID_SELF))
		test_fail(__FILE__, __LINE__, "mmu_update of %u", n);
}

/* Half of the calls map pages that were not mapped, half unmap them. */
TEST(page_tables)
{
	static struct mmu_update updates[2][BATCH];
	u64 *entry, pte;

	for (unsigned i = 0; i < BATCH; i++) {
		u64 va = SCRATCH_VA + i * PAGE_SIZE;

		REQUIRE_EQ(map_new(va, 0), 0);
		updates[0][i].ptr = updates[1][i].ptr = virt_to_maddr(pt_walk(va, 1)) | MMU_NORMAL_PT_UPDATE;
		updates[0][i].val = MAKE_PTE(virt_to_mfn(page_alloc()), PTE_RW);
	}
	MEASURE("mmu_update_1_twice", ROUNDS, batch(updates, 1));
	MEASURE("mmu_update_8_twice", ROUNDS / 4, batch(updates, 8));
	MEASURE("mmu_update_64_twice", ROUNDS / 16, batch(updates, 64));
	pte = updates[0][0].val;
	MEASURE("update_va_mapping_twice", ROUNDS, ({ map_va(SCRATCH_VA, pte); map_va(SCRATCH_VA, 0); }));
	/* The kernel writes where it may only read: the hypervisor does it in its place. */
	entry = pt_walk(SCRATCH_VA, 1);
	MEASURE("page_table_write_twice", ROUNDS, ({ WRITE_ONCE(*entry, pte); WRITE_ONCE(*entry, 0); }));
	CHECK_EQ(*entry, 0);
}

/* --- grants --- */

/* As a backend does it: the pages of one request in one call. */
#define PAGES	11u

static void map_pages(struct gnttab_map_grant_ref *maps, struct gnttab_unmap_grant_ref *unmaps)
{
	long rc = HCALL(grant_table_op, GNTTABOP_map_grant_ref, maps, PAGES);

	for (unsigned i = 0; i < PAGES; i++)
		unmaps[i] = (struct gnttab_unmap_grant_ref){ .host_addr = maps[i].host_addr, .handle = maps[i].handle };
	if (rc || HCALL(grant_table_op, GNTTABOP_unmap_grant_ref, unmaps, PAGES) || maps[PAGES - 1].status || unmaps[PAGES - 1].status)
		test_fail(__FILE__, __LINE__, "mapping %u pages", PAGES);
}

static void copy_pages(struct gnttab_copy *copies)
{
	if (HCALL(grant_table_op, GNTTABOP_copy, copies, PAGES) || copies[PAGES - 1].status)
		test_fail(__FILE__, __LINE__, "copying to %u pages", PAGES);
}

/* The peer offers pages from entry FIRST_REF on. */
static void measure_grant_batches(struct peer *p)
{
	static struct gnttab_map_grant_ref maps[PAGES];
	static struct gnttab_unmap_grant_ref unmaps[PAGES];
	static struct gnttab_copy copies[PAGES];

	for (unsigned i = 0; i < PAGES; i++) {
		u64 va = SCRATCH_VA + i * PAGE_SIZE;

		REQUIRE_EQ(map_new(va, 0), 0);
		maps[i] = (struct gnttab_map_grant_ref){ .host_addr = va, .flags = GNTMAP_host_map, .ref = FIRST_REF + i, .dom = (domid_t)peer_id(p) };
		copies[i] = (struct gnttab_copy){ .flags = GNTCOPY_dest_gref, .len = 64 };
		copies[i].source.domid = DOMID_SELF;
		copies[i].source.u.gmfn = virt_to_mfn(page_alloc());
		copies[i].dest.domid = (domid_t)peer_id(p);
		copies[i].dest.u.ref = FIRST_REF + i;
	}
	MEASURE("grant_map_and_unmap_11", ROUNDS / 4, map_pages(maps, unmaps));
	MEASURE("grant_copy_64_to_11", ROUNDS / 4, copy_pages(copies));
}

TEST(grants)
{
	static struct peer p;
	static struct grant_entry_v1 *theirs;
	u64 va = SCRATCH_VA, own = virt_to_mfn(page_alloc());
	u32 h;

	REQUIRE_EQ(peer_start(&p, 1), 0);
	theirs = grant_table_of(&p);
	REQUIRE(theirs);
	for (unsigned i = 0; i < PAGES; i++)
		grant_offer(theirs, FIRST_REF + i, peer_mfn(&p, peer_alloc(&p, 0)), 0, GTF_permit_access);
	REQUIRE_EQ(domctl_simple(XEN_DOMCTL_pausedomain, peer_id(&p)), 0);
	REQUIRE_EQ(map_new(va, 0), 0);
	REQUIRE_EQ(grant_map(va, peer_id(&p), FIRST_REF, GNTMAP_host_map, &h), GNTST_okay);
	REQUIRE_EQ(grant_unmap(va, h), GNTST_okay);
	MEASURE("grant_map_and_unmap", ROUNDS, ({ grant_map(va, peer_id(&p), FIRST_REF, GNTMAP_host_map, &h); grant_unmap(va, h); }));
	for (unsigned len = 64; len <= PAGE_SIZE; len *= 64) {
		struct copy_end from = { .ref = true, .dom = peer_id(&p), .id = FIRST_REF }, to = { .dom = DOMID_SELF, .id = own };

		REQUIRE_EQ(grant_copy(from, to, (u16)len), GNTST_okay);
		MEASURE(len == 64 ? "grant_copy_64" : "grant_copy_4096", ROUNDS, grant_copy(from, to, (u16)len));
	}
	measure_grant_batches(&p);
	peer_destroy(&p);
}

/* --- events --- */

static volatile u32 upcalls[2];

static bool on_event(struct trap_frame *f)
{
	struct vcpu_info *info = this_cpu()->info;

	(void)f;
	info->evtchn_upcall_pending = 0;
	__atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < 64; i++)
		if (!(READ_ONCE(shared_info->evtchn_mask[0]) >> i & 1))
			event_clear(i);
	upcalls[this_cpu()->id]++;
	return true;
}

static void set_upcall_mask(bool masked)
{
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, masked);
}

TEST(event_to_self)
{
	long port = event_bind_ipi(0);
	u32 before;

	REQUIRE(port > 0 && port < 64);
	event_clear((u32)port);
	event_mask((u32)port, false);
	trap_set_hook(VEC_EVENT, on_event);
	this_cpu()->info->evtchn_upcall_pending = 0;
	set_upcall_mask(false);
	before = upcalls[0];
	MEASURE("event_to_self", ROUNDS, event_send((u32)port));
	set_upcall_mask(true);
	CHECK_EQ(upcalls[0] - before, MARK_REPEATS * ROUNDS + 1);
	event_close((u32)port);
}

/* Until this vCPU has had an upcall more; it gives the processor away. */
static void wait_upcall(u32 *seen)
{
	unsigned me = this_cpu()->id;

	while (upcalls[me] == *seen) {
		HCALL(sched_op, SCHEDOP_block);
		set_upcall_mask(true);
	}
	++*seen;
}

static void set_and_wait(u32 *seen)
{
	if (HCALL(set_timer_op, now() + MSEC / 4))
		test_fail(__FILE__, __LINE__, "set_timer_op");
	wait_upcall(seen);
}

TEST(timer)
{
	long port = event_bind_virq(VIRQ_TIMER, 0);
	u64 far = now() + 1000 * SEC;
	u32 seen;

	REQUIRE(port > 0 && port < 64);
	event_clear((u32)port);
	event_mask((u32)port, false);
	trap_set_hook(VEC_EVENT, on_event);
	set_upcall_mask(true);
	MEASURE("timer_set", ROUNDS, HCALL(set_timer_op, far++));
	HCALL(set_timer_op, 0);
	seen = upcalls[0];
	MEASURE("timer_set_and_fire", ROUNDS, set_and_wait(&seen));
	event_close((u32)port);
}

static long ports[2];

static void answer(void *rounds)
{
	u32 seen = upcalls[1];

	for (u64 i = 0; i < (u64)rounds; i++) {
		wait_upcall(&seen);
		event_send((u32)ports[0]);
	}
}

static void ask(u32 *seen)
{
	event_send((u32)ports[1]);
	wait_upcall(seen);
}

/* There and back, each of the two blocking until the other's event comes. */
TEST(ipi)
{
	u32 seen = upcalls[0];

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		ports[i] = event_bind_ipi(i);
		REQUIRE(ports[i] > 0 && ports[i] < 64);
		event_clear((u32)ports[i]);
		event_mask((u32)ports[i], false);
	}
	trap_set_hook(VEC_EVENT, on_event);
	set_upcall_mask(true);
	cpu_run(1, answer, (void *)(u64)(MARK_REPEATS * ROUNDS + 1));
	MEASURE("ipi_there_and_back", ROUNDS, ask(&seen));
	CHECK_EQ(cpu_wait(1), 0);
}
