/* SPDX-License-Identifier: MIT */
/* vcpu_op: bringing vCPUs up and down, registered areas, run state, timers, NMI. */
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

static long op(unsigned cmd, u64 vcpu, void *arg)
{
	return HCALL(vcpu_op, cmd, vcpu, arg);
}

TEST(is_up)
{
	CHECK_EQ(op(VCPUOP_is_up, 0, NULL), 1);
	if (cpu_count() > 1)
		CHECK_EQ(op(VCPUOP_is_up, 1, NULL), 0);
	CHECK_EQ(op(VCPUOP_is_up, cpu_count(), NULL), -XEN_ENOENT);
	CHECK_EQ(op(VCPUOP_is_up, 4000, NULL), -XEN_ENOENT);
	CHECK_EQ(op(VCPUOP_is_up, 0xffffffff, NULL), -XEN_ENOENT);
}

TEST(initialise_refused)
{
	static struct vcpu_guest_context ctx;

	if (cpu_count() < 2) {
		test_note("needs two vCPUs");
		return;
	}
	/* Already running; no such vCPU; not initialised yet. */
	cpu_context(0, &ctx, cpu_entry);
	CHECK_EQ(op(VCPUOP_initialise, 0, &ctx), -XEN_EEXIST);
	CHECK_EQ(op(VCPUOP_initialise, 4000, &ctx), -XEN_ENOENT);
	CHECK_LT(op(VCPUOP_up, 1, NULL), 0);
	CHECK_LT(op(VCPUOP_initialise, 1, NULL), 0);
	CHECK_LT(op(VCPUOP_initialise, 1, (void *)XEN_VA_INSIDE), 0);
	CHECK_LT(op(VCPUOP_initialise, 1, (void *)NONCANONICAL), 0);

	/* Contexts that must not be accepted. */
	static const struct {
		const char *what;
		size_t offset;
		u64 value;
	} bad[] = {
		{ "cr3 of nobody", offsetof(struct vcpu_guest_context, ctrlreg[3]), 0x100000 },
		{ "cr3 far away", offsetof(struct vcpu_guest_context, ctrlreg[3]), 0x000ffffffffff000 },
		{ "GDT too long", offsetof(struct vcpu_guest_context, gdt_ents), 8192 },
		{ "GDT of nobody", offsetof(struct vcpu_guest_context, gdt_ents), 512 },
		{ "LDT in the hypervisor", offsetof(struct vcpu_guest_context, ldt_base), XEN_VA_INSIDE },
		{ "fs base", offsetof(struct vcpu_guest_context, fs_base), NONCANONICAL },
		{ "gs base", offsetof(struct vcpu_guest_context, gs_base_kernel), NONCANONICAL },
		{ "user gs base", offsetof(struct vcpu_guest_context, gs_base_user), NONCANONICAL },
		{ "event callback", offsetof(struct vcpu_guest_context, event_callback_eip), NONCANONICAL },
		{ "failsafe callback", offsetof(struct vcpu_guest_context, failsafe_callback_eip), NONCANONICAL },
		{ "syscall callback", offsetof(struct vcpu_guest_context, syscall_callback_eip), NONCANONICAL },
		{ "rip", offsetof(struct vcpu_guest_context, user_regs.rip), NONCANONICAL },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		long rc;

		cpu_context(1, &ctx, cpu_entry);
		*(u64 *)((u8 *)&ctx + bad[i].offset) = bad[i].value;
		if (bad[i].offset == offsetof(struct vcpu_guest_context, ldt_base))
			ctx.ldt_ents = 512;
		rc = op(VCPUOP_initialise, 1, &ctx);
		if (rc >= 0) {
			test_fail(__FILE__, __LINE__, "%s: accepted (%ld)", bad[i].what, rc);
			return;
		}
	}
}

/* What a fresh vCPU sees at its start, stored by start_probe below. */
u64 probe[8];
void start_probe(void);
asm(".pushsection .text\n.globl start_probe\n"
    "start_probe:\n"
    "mov %rax, probe + 0\n"
    "mov %rdi, probe + 8\n"
    "mov %rsp, probe + 16\n"
    "pushfq\n pop %rax\n mov %rax, probe + 24\n"
    "mov %cs, %eax\n mov %rax, probe + 32\n"
    "mov %ss, %eax\n mov %rax, probe + 40\n"
    "mov %gs:0, %rax\n mov %rax, probe + 48\n"
    "cld\n"
    "jmp cpu_entry\n"
    ".popsection\n");

static u64 gs_word = 0x6006;

TEST(initialise_and_up)
{
	static struct vcpu_guest_context ctx;

	if (cpu_count() < 2)
		return;
	cpu_context(1, &ctx, start_probe);
	ctx.user_regs.rax = 0x1234;
	ctx.user_regs.rdi = 0x5678;
	ctx.user_regs.rflags = FLAG_CF | FLAG_IOPL | FLAG_NT | FLAG_IF;
	ctx.gs_base_kernel = (u64)&gs_word;
	REQUIRE_EQ(op(VCPUOP_initialise, 1, &ctx), 0);
	CHECK_EQ(op(VCPUOP_initialise, 1, &ctx), -XEN_EEXIST);
	CHECK_EQ(op(VCPUOP_is_up, 1, NULL), 0);
	CHECK_EQ(op(VCPUOP_up, 1, NULL), 0);
	cpu_get(1)->started = true;
	CHECK(WAIT_FOR(READ_ONCE(probe[6]) != 0, PATIENCE));
	CHECK_EQ(op(VCPUOP_is_up, 1, NULL), 1);
	CHECK_EQ(op(VCPUOP_up, 1, NULL), 0);
	CHECK_EQ(probe[0], 0x1234);
	CHECK_EQ(probe[1], 0x5678);
	CHECK_EQ(probe[2], ctx.user_regs.rsp);
	CHECK(probe[3] & FLAG_CF);
	CHECK(probe[3] & FLAG_IF);
	CHECK_EQ(probe[3] & FLAG_IOPL, 0);
	CHECK_EQ(probe[4] & 0xffff, FLAT_KERNEL_CS);
	CHECK_EQ(probe[5] & 0xffff, FLAT_KERNEL_SS);
	CHECK_EQ(probe[6], 0x6006);
}

static volatile u64 ran_on;

static void note_cpu(void *arg)
{
	ran_on = this_cpu()->id + 100;
	(void)arg;
}

TEST(runs_jobs)
{
	if (cpu_count() < 2)
		return;
	cpu_run(1, note_cpu, NULL);
	CHECK_EQ(cpu_wait(1), 0);
	CHECK_EQ(ran_on, 101);
}

static volatile u64 beats;
static volatile bool stop_beating;

static void beat(void *arg)
{
	(void)arg;
	while (!stop_beating)
		beats++;
}

TEST(down_from_outside_and_up)
{
	u64 b;

	if (cpu_count() < 2)
		return;
	beats = 0;
	stop_beating = false;
	cpu_run(1, beat, NULL);
	CHECK(WAIT_FOR(beats > 1000, PATIENCE));
	CHECK_EQ(op(VCPUOP_down, 1, NULL), 0);
	/* It may run on for a moment; then it stands still until it is up again, and goes on where it was. */
	CHECK_EQ(op(VCPUOP_is_up, 1, NULL), 0);
	struct vcpu_runstate_info rs;

	CHECK(WAIT_FOR(op(VCPUOP_get_runstate_info, 1, &rs) == 0 && rs.state == RUNSTATE_offline, PATIENCE));
	b = beats;
	pause_for(20 * MSEC);
	CHECK_EQ(beats, b);
	CHECK_EQ(op(VCPUOP_up, 1, NULL), 0);
	CHECK(WAIT_FOR(beats > b, PATIENCE));
	stop_beating = true;
	CHECK_EQ(cpu_wait(1), 0);
}

static void go_down(void *arg)
{
	(void)arg;
	op(VCPUOP_down, this_cpu()->id, NULL);
	WRITE_ONCE(beats, 7);
}

TEST(down_from_inside)
{
	if (cpu_count() < 2)
		return;
	beats = 0;
	cpu_run(1, go_down, NULL);
	CHECK(WAIT_FOR(op(VCPUOP_is_up, 1, NULL) == 0, PATIENCE));
	pause_for(5 * MSEC);
	CHECK_EQ(beats, 0);
	CHECK_EQ(op(VCPUOP_up, 1, NULL), 0);
	CHECK_EQ(cpu_wait(1), 0);
	CHECK_EQ(beats, 7);
}

TEST(up_and_down_many_times)
{
	if (cpu_count() < 2)
		return;
	beats = 0;
	stop_beating = false;
	cpu_run(1, beat, NULL);
	for (unsigned i = 0; i < 300; i++) {
		CHECK_EQ(op(VCPUOP_down, 1, NULL), 0);
		CHECK_EQ(op(VCPUOP_up, 1, NULL), 0);
	}
	u64 b = beats;

	CHECK(WAIT_FOR(beats > b, PATIENCE));
	stop_beating = true;
	CHECK_EQ(cpu_wait(1), 0);
}

TEST(runstate)
{
	struct vcpu_runstate_info a, b;
	u64 sum, t;

	REQUIRE_EQ(op(VCPUOP_get_runstate_info, 0, &a), 0);
	CHECK_EQ(a.state, RUNSTATE_running);
	CHECK(a.state_entry_time <= now());
	pause_for(20 * MSEC);
	t = now();
	REQUIRE_EQ(op(VCPUOP_get_runstate_info, 0, &b), 0);
	CHECK_GE(b.time[RUNSTATE_running] - a.time[RUNSTATE_running], 10 * MSEC);
	sum = b.time[0] + b.time[1] + b.time[2] + b.time[3];
	/* The sum follows system time since the vCPU was made. */
	CHECK(sum <= now() + MSEC);
	CHECK(t - (b.time[0] + b.time[1] + b.time[2] + b.time[3]) < 100 * SEC);
	CHECK_LT(op(VCPUOP_get_runstate_info, 0, (void *)XEN_VA_INSIDE), 0);
	CHECK_LT(op(VCPUOP_get_runstate_info, 4000, &a), 0);
}

TEST(runstate_area)
{
	static struct vcpu_runstate_info area;
	struct vcpu_register_runstate_memory_area reg = { .addr.v = &area };
	struct vcpu_runstate_info direct;
	u64 before;

	memset(&area, 0xee, sizeof(area));
	REQUIRE_EQ(op(VCPUOP_register_runstate_memory_area, 0, &reg), 0);
	CHECK_EQ(READ_ONCE(area.state), RUNSTATE_running);
	before = READ_ONCE(area.time[RUNSTATE_blocked]);
	/* After a block the area shows it. */
	block_until(now() + 20 * MSEC);
	CHECK_EQ(op(VCPUOP_get_runstate_info, 0, &direct), 0);
	CHECK_EQ(READ_ONCE(area.state), RUNSTATE_running);
	CHECK_GE(direct.time[RUNSTATE_blocked], READ_ONCE(area.time[RUNSTATE_blocked]));
	CHECK_GE(READ_ONCE(area.time[RUNSTATE_blocked]) - before, 10 * MSEC);
	CHECK_EQ(READ_ONCE(area.state_entry_time) >> 63, 0);
	reg.addr.v = NULL;
	op(VCPUOP_register_runstate_memory_area, 0, &reg);
}

TEST(runstate_area_refused)
{
	/* Registered or not, what cannot be written is not written. */
	static const u64 bad[] = { XEN_VA_INSIDE, XEN_VA_M2P, NONCANONICAL, SCRATCH_VA, 0x00007ffffffffff0, ~7ul };
	struct vcpu_register_runstate_memory_area reg;
	u64 first = machine_to_phys_mapping[0];

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		reg.addr.p = bad[i];
		op(VCPUOP_register_runstate_memory_area, 0, &reg);
		HCALL(sched_op, SCHEDOP_yield);
		block_until(now() + MSEC);
	}
	CHECK_EQ(machine_to_phys_mapping[0], first);
	reg.addr.p = 0;
	op(VCPUOP_register_runstate_memory_area, 0, &reg);
	CHECK_LT(op(VCPUOP_register_runstate_memory_area, 0, (void *)XEN_VA_INSIDE), 0);
}

TEST(time_area)
{
	static struct vcpu_time_info area;
	struct vcpu_register_time_memory_area reg = { .addr.v = &area };
	u64 a, b;

	REQUIRE_EQ(op(VCPUOP_register_vcpu_time_memory_area, 0, &reg), 0);
	CHECK_NE(READ_ONCE(area.tsc_to_system_mul), 0);
	a = now();
	b = now_from(&area);
	CHECK(b >= a);
	CHECK(b - a < PATIENCE);
	reg.addr.p = XEN_VA_INSIDE;
	CHECK_LT(op(VCPUOP_register_vcpu_time_memory_area, 0, &reg), 0);
	reg.addr.p = 0;
	op(VCPUOP_register_vcpu_time_memory_area, 0, &reg);
}

/* Waits for the timer event with the timer interrupt's port bound; elapsed ns. */
static u64 wait_timer(u32 port)
{
	u64 start = now();

	if (!WAIT_FOR(event_pending(port), PATIENCE))
		test_fail(__FILE__, __LINE__, "no timer event");
	event_clear(port);
	return now() - start;
}

TEST(singleshot_timer)
{
	struct vcpu_set_singleshot_timer t = { 0 };
	long port = event_bind_virq(VIRQ_TIMER, 0);
	u64 took;

	REQUIRE(port > 0);
	op(VCPUOP_stop_periodic_timer, 0, NULL);
	event_clear((u32)port);
	t.timeout_abs_ns = now() + 30 * MSEC;
	CHECK_EQ(op(VCPUOP_set_singleshot_timer, 0, &t), 0);
	took = wait_timer((u32)port);
	CHECK_GE(took, 29 * MSEC);
	CHECK_LT(took, PATIENCE);
	/* Stopped before it fires. */
	t.timeout_abs_ns = now() + 400 * MSEC;
	CHECK_EQ(op(VCPUOP_set_singleshot_timer, 0, &t), 0);
	CHECK_EQ(op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
	pause_for(500 * MSEC);
	CHECK(!event_pending((u32)port));
	/* In the past: at once, or refused when so asked. */
	t.timeout_abs_ns = now() - 10 * MSEC;
	CHECK_EQ(op(VCPUOP_set_singleshot_timer, 0, &t), 0);
	CHECK_LT(wait_timer((u32)port), PATIENCE);
	t.timeout_abs_ns = 1;
	t.flags = VCPU_SSHOTTMR_future;
	{
		/* The ABI header lets the hypervisor ignore the flag. */
		long rc = op(VCPUOP_set_singleshot_timer, 0, &t);

		CHECK(rc == -XEN_ETIME || rc == 0);
	}
	/* The far future, and numbers beyond it. */
	t.flags = 0;
	t.timeout_abs_ns = ~0ul;
	CHECK(op(VCPUOP_set_singleshot_timer, 0, &t) <= 0);
	t.timeout_abs_ns = 1ul << 63;
	CHECK(op(VCPUOP_set_singleshot_timer, 0, &t) <= 0);
	t.timeout_abs_ns = (1ul << 63) - 1;
	CHECK_EQ(op(VCPUOP_set_singleshot_timer, 0, &t), 0);
	CHECK_EQ(op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
	CHECK_LT(op(VCPUOP_set_singleshot_timer, 0, (void *)XEN_VA_INSIDE), 0);
	/* Only one's own. */
	if (cpu_count() > 1)
		CHECK_LT(op(VCPUOP_set_singleshot_timer, 1, &t), 0);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(periodic_timer)
{
	struct vcpu_set_periodic_timer t = { .period_ns = 10 * MSEC };
	long port = event_bind_virq(VIRQ_TIMER, 0);
	u64 start;

	REQUIRE(port > 0);
	event_clear((u32)port);
	CHECK_EQ(op(VCPUOP_set_periodic_timer, 0, &t), 0);
	start = now();
	for (unsigned i = 0; i < 10; i++)
		wait_timer((u32)port);
	CHECK_GE(now() - start, 80 * MSEC);
	CHECK_EQ(op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
	event_clear((u32)port);
	pause_for(30 * MSEC);
	/* One may have been on its way. */
	event_clear((u32)port);
	pause_for(30 * MSEC);
	CHECK(!event_pending((u32)port));
	/* Too short a period would be an attack on the machine. */
	t.period_ns = 1;
	CHECK_LT(op(VCPUOP_set_periodic_timer, 0, &t), 0);
	t.period_ns = 0;
	CHECK_LT(op(VCPUOP_set_periodic_timer, 0, &t), 0);
	t.period_ns = ~0ul;
	CHECK_LT(op(VCPUOP_set_periodic_timer, 0, &t), 0);
	CHECK_LT(op(VCPUOP_set_periodic_timer, 0, (void *)XEN_VA_INSIDE), 0);
	op(VCPUOP_stop_periodic_timer, 0, NULL);
	CHECK_EQ(event_close((u32)port), 0);
}

TEST(physical_id)
{
	struct vcpu_get_physid id = { .phys_id = ~0ul };
	long rc = op(VCPUOP_get_physid, 0, &id);

	/* Only for vCPUs that stay where they are. */
	CHECK(rc == 0 || rc == -XEN_EINVAL);
	if (!rc)
		CHECK_LT(xen_vcpu_physid_to_x86_apicid(id.phys_id), 256);
}

static bool keep_quiet(struct trap_frame *f)
{
	(void)f;
	return true;
}

TEST(vcpu_info_refused)
{
	struct vcpu_register_vcpu_info info = { 0 };
	u64 *page = page_alloc();

	info.mfn = 0x100;
	CHECK_LT(op(VCPUOP_register_vcpu_info, 0, &info), 0);
	info.mfn = ~0ul;
	CHECK_LT(op(VCPUOP_register_vcpu_info, 0, &info), 0);
	/* Over the end of the page, or not aligned. */
	info.mfn = virt_to_mfn(page);
	info.offset = PAGE_SIZE - 32;
	CHECK_LT(op(VCPUOP_register_vcpu_info, 0, &info), 0);
	info.offset = PAGE_SIZE;
	CHECK_LT(op(VCPUOP_register_vcpu_info, 0, &info), 0);
	info.offset = 0xffffffc0;
	CHECK_LT(op(VCPUOP_register_vcpu_info, 0, &info), 0);
	CHECK_LT(op(VCPUOP_register_vcpu_info, 0, (void *)NONCANONICAL), 0);
	CHECK_LT(op(VCPUOP_register_vcpu_info, 4000, &info), 0);
	page_free(page);
}

TEST(vcpu_info)
{
	/* Moves the information of vCPU 0 to a page of ours: mask and pending state move along, time goes on there. */
	struct vcpu_register_vcpu_info info = { .offset = 0x140 };
	u64 *page = page_alloc(), before;
	struct vcpu_info *vi;
	long port;

	trap_set_hook(VEC_EVENT, keep_quiet);
	info.mfn = virt_to_mfn(page);
	vi = (void *)((u8 *)page + info.offset);
	before = now();
	REQUIRE_EQ(op(VCPUOP_register_vcpu_info, 0, &info), 0);
	this_cpu()->info = vi;
	CHECK_EQ(vi->evtchn_upcall_mask, 1);
	CHECK_EQ(vi->evtchn_upcall_pending, 1);
	CHECK_NE(vi->time.tsc_to_system_mul, 0);
	CHECK_GE(now(), before);
	CHECK_LT(now() - before, PATIENCE);
	/* Events go there from now on. */
	WRITE_ONCE(vi->evtchn_upcall_pending, 0);
	WRITE_ONCE(vi->evtchn_pending_sel, 0);
	port = event_bind_ipi(0);
	REQUIRE(port > 0);
	event_clear((u32)port);
	event_mask((u32)port, false);
	CHECK_EQ(event_send((u32)port), 0);
	CHECK_EQ(READ_ONCE(vi->evtchn_upcall_pending), 1);
	CHECK_EQ(READ_ONCE(vi->evtchn_pending_sel), 1ul << port / 64);
	WRITE_ONCE(vi->evtchn_upcall_pending, 0);
	trap_set_hook(VEC_EVENT, NULL);
	CHECK_EQ(event_close((u32)port), 0);
	/* CR2 of a fault comes by it too. */
	CHECK_EQ(CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)0x9000)).cr2, 0x9000);
	CHECK_EQ(READ_ONCE(vi->arch.cr2), 0x9000);
	/* Once only; and the page is held as a writable one. */
	CHECK_LT(op(VCPUOP_register_vcpu_info, 0, &info), 0);
	CHECK_EQ(page_protect(page, false), 0);
	CHECK_LT(mmuext(MMUEXT_PIN_L1_TABLE, info.mfn, 0), 0);
	CHECK_EQ(page_protect(page, true), 0);
}

TEST(unknown_operations)
{
	CHECK_EQ(op(14, 0, NULL), -XEN_ENOSYS);
	CHECK_EQ(op(99, 0, NULL), -XEN_ENOSYS);
	CHECK_EQ(op(0xffffffff, 0, NULL), -XEN_ENOSYS);
}
