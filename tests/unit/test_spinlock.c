/* SPDX-License-Identifier: MIT */
/* Unit tests: spin locks, and interrupts at every instruction of theirs. */
/* sources: core/spinlock.c */
/* cflags: -include fake_cpu.h */
#include "test.h"

#include <signal.h>
#include <setjmp.h>

#include <core/panic.h>
#include <core/spinlock.h>

enum { TRAP_FLAG = 0x100 };

unsigned fake_cpu;
struct vcpu *fake_current[1];

static DEFINE_SPINLOCK(outer, LOCK_PT);
static DEFINE_SPINLOCK(middle, LOCK_EVTCHN);
static DEFINE_SPINLOCK(inner, LOCK_HEAP);
static DEFINE_SPINLOCK(handlers, LOCK_IRQ);
static unsigned interrupts;
static jmp_buf panicked;
static bool panic_expected;
static char panic_text[200];

void __noreturn panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(panic_text, sizeof(panic_text), fmt, args);
	va_end(args);
	if (panic_expected)
		longjmp(panicked, 1);
	printf("%s\n", panic_text);
	fflush(stdout);
	_exit(1);
}

/* The processor's single step: after every instruction, what an interrupt handler does. */
static void interrupt(int signal)
{
	struct held_locks before = spinlocks_enter_irq();

	(void)signal;
	interrupts++;
	spin_lock(&handlers);
	spin_unlock(&handlers);
	spinlocks_leave_irq(before);
}

static inline void single_step(bool on)
{
	u64 flags = __builtin_ia32_readeflags_u64();

	__builtin_ia32_writeeflags_u64(on ? flags | TRAP_FLAG : flags & ~(u64)TRAP_FLAG);
}

TEST(interrupts_at_every_instruction)
{
	struct held_locks before;

	signal(SIGTRAP, interrupt);
	/* As a handler that was itself interrupted, so that the locks' use with interrupts on does not matter; the host's are never off. */
	before = spinlocks_enter_irq();
	single_step(true);
	spin_lock(&outer);
	spin_lock(&inner);
	spin_unlock(&outer);
	spin_unlock(&inner);
	if (spin_trylock(&outer))
		spin_unlock(&outer);
	single_step(false);
	spinlocks_leave_irq(before);
	CHECK(interrupts > 100);
	CHECK(!spin_is_locked(&outer));
	CHECK(!spin_is_locked(&inner));
	spinlocks_assert_none_held();
}

static bool takes(struct spinlock *l)
{
	panic_expected = true;
	if (setjmp(panicked))
		return false;
	spin_lock(l);
	return true;
}

TEST(order_is_checked)
{
	spin_lock(&inner);
	CHECK(!takes(&outer));
	CHECK_STR(panic_text, "lock order: outer (level 30) taken while inner (level 80) is held");
	CHECK(!takes(&inner));
	CHECK(takes(&handlers));
	spin_unlock(&handlers);
	spin_unlock(&inner);
	CHECK(takes(&outer));
	spin_unlock(&outer);
}

/* Out of order by trylock: what was taken last does not have the greatest level, but when the others are gone. */
TEST(order_with_all_that_are_held)
{
	struct spinlock *all[] = { &outer, &middle, &inner, &handlers };
	/* In a handler, whose locks are taken the quick way once they are known. */
	struct held_locks before = spinlocks_enter_irq();

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		spin_lock(all[i]);
		spin_unlock(all[i]);
	}
	spin_lock(&inner);
	CHECK(spin_trylock(&outer));
	CHECK(!takes(&middle));
	CHECK_STR(panic_text, "lock order: middle (level 50) taken while inner (level 80) is held");
	CHECK(takes(&handlers));
	spin_unlock(&inner);
	CHECK(!takes(&middle));
	spin_unlock(&handlers);
	CHECK(takes(&middle));
	CHECK(!takes(&outer));
	spin_unlock(&outer);
	CHECK(!takes(&outer));
	spin_unlock(&middle);
	CHECK(takes(&outer));
	spin_unlock(&outer);
	spinlocks_assert_none_held();
	spinlocks_leave_irq(before);
}

/* Below one that handlers take, although not directly. */
TEST(order_with_handlers_locks)
{
	struct held_locks before = spinlocks_enter_irq();

	spin_lock(&outer);
	spin_unlock(&outer);
	spinlocks_leave_irq(before);
	spin_lock(&inner);
	spin_unlock(&inner);
	/* The host cannot turn interrupts off; a trylock does not ask. */
	CHECK(spin_trylock(&outer));
	CHECK(spin_trylock(&middle));
	CHECK(!takes(&inner));
	CHECK_STR(panic_text, "lock order: inner, held elsewhere with interrupts on, taken while outer of interrupt handlers is held");
}

TEST(handlers_lock_needs_interrupts_off)
{
	interrupt(0);
	/* The host's interrupts are on. */
	CHECK(!takes(&handlers));
	CHECK_STR(panic_text, "lock handlers is taken by an interrupt handler, and elsewhere with interrupts on");
}

TEST(released_but_not_held)
{
	panic_expected = true;
	if (!setjmp(panicked))
		spin_unlock(&outer);
	CHECK_STR(panic_text, "lock outer released but not held");
}

TEST(none_held_on_the_way_to_a_guest)
{
	spinlocks_assert_none_held();
	spin_lock(&outer);
	panic_expected = true;
	if (!setjmp(panicked))
		spinlocks_assert_none_held();
	CHECK_STR(panic_text, "lock outer still held on the way to a guest");
}
