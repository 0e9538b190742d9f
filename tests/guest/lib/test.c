/* SPDX-License-Identifier: MIT */
/* Runs the tests of the kernel and reports. */
#include "lib/test.h"
#include "lib/audit.h"

#include <xen/sched.h>

extern const struct test _tests[], _tests_end[];

static const struct test *running;
static bool failed;
static unsigned failures;	/* in the running test */

/* A loop that fails says so this often and no more. */
#define MAX_REPORTS 12

bool test_failed(void)
{
	return failed;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (__atomic_fetch_add(&failures, 1, __ATOMIC_SEQ_CST) >= MAX_REPORTS)
		return;
	if (!__atomic_exchange_n(&failed, true, __ATOMIC_SEQ_CST))
		format(text, sizeof(text), "TEST %s: FAIL %s:%d ", running ? running->name : "start", file, line);
	else
		format(text, sizeof(text), "  also %s:%d ", file, line);
	print("%s", text);
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	print("\n");
}

void test_note(const char *fmt, ...)
{
	char text[400] = "  note: ";
	va_list ap;

	print("%s", text);
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	print("\n");
}

void test_die(void)
{
	static bool dead;
	struct sched_shutdown s = { .reason = SHUTDOWN_poweroff };

	if (!__atomic_exchange_n(&dead, true, __ATOMIC_SEQ_CST))
		print("GUEST-DEAD in %s\n", running ? running->name : "start");
	HCALL(sched_op, SCHEDOP_shutdown, &s);
	for (;;)
		HCALL(sched_op, SCHEDOP_block);
}

static void run_one(const struct test *t)
{
	struct trap trap;

	running = t;
	failed = false;
	failures = 0;
	CATCH(&trap, t->run());
	if (trap.vector != VEC_NONE)
		test_fail(__FILE__, __LINE__, "unexpected trap %d error %x cr2 %lx at rip %lx", trap.vector, trap.error,
			  trap.cr2, trap.frame.rip);
	if (!failed)
		print("TEST %s: ok\n", t->name);
}

/* Whatever the tests did, the books of the hypervisor balance. */
static void test_audit(void)
{
	int n = audit();

	if (n != 0 && n != -1)
		test_fail(__FILE__, __LINE__, "the audit says %d", n);
}

static const struct test audit_test = { "audit", test_audit };

void guest_main(void);

void guest_main(void)
{
	unsigned passed = 0, bad = 0;
	struct sched_shutdown s = { .reason = SHUTDOWN_poweroff };

	cpu_init_this(0);
	trap_init_this();
	memory_init();
	this_cpu()->info = &shared_info->vcpu_info[0];
	for (const struct test *t = _tests; t <= _tests_end; t++) {
		run_one(t < _tests_end ? t : &audit_test);
		if (failed)
			bad++;
		else
			passed++;
	}
	print("GUEST-DONE passed=%u failed=%u\n", passed, bad);
	HCALL(sched_op, SCHEDOP_shutdown, &s);
	for (;;)
		HCALL(sched_op, SCHEDOP_block);
}
