/* SPDX-License-Identifier: MIT */
/* Test registry and checks: a test kernel is a set of TEST() functions, run in the order of the file. */
#ifndef GUEST_TEST_H
#define GUEST_TEST_H

#include "lib/cpu.h"
#include "lib/hypercall.h"
#include "lib/memory.h"
#include "lib/print.h"
#include "lib/trap.h"
#include "lib/types.h"

struct test {
	const char *name;
	void (*run)(void);
};

/* TEST(name) { … }: a failed CHECK fails the test and goes on; an unexpected trap ends it. */
#define TEST(id)									\
	static void test_##id(void);							\
	static const struct test test_entry_##id					\
	__attribute__((used, section(".tests"))) = { #id, test_##id };			\
	static void test_##id(void)

/* Marks the running test as failed and prints where and why; only the first failure of a test is its verdict. */
void test_fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Says why part of the test could not be tried here; does not fail it. */
void test_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool test_failed(void);
/* Ends the kernel without GUEST-DONE. */
void test_die(void) __attribute__((noreturn));

#define CHECK(cond)									\
	({ bool ok_ = (cond); if (!ok_) test_fail(__FILE__, __LINE__, "%s", #cond); ok_; })

#define CHECK_OP(a, op, b)								\
	({ long a_ = (long)(a), b_ = (long)(b); bool ok_ = a_ op b_;			\
	   if (!ok_) test_fail(__FILE__, __LINE__, "%s %s %s (%ld=0x%lx, %ld=0x%lx)",	\
			       #a, #op, #b, a_, (u64)a_, b_, (u64)b_); ok_; })
#define CHECK_EQ(a, b) CHECK_OP(a, ==, b)
#define CHECK_NE(a, b) CHECK_OP(a, !=, b)
#define CHECK_GE(a, b) CHECK_OP(a, >=, b)
#define CHECK_LT(a, b) CHECK_OP(a, <, b)

/* The result of naming a domain that does not exist: an ordinary domain need not be told so. */
#define CHECK_NOBODY(rc)								\
	({ long rc_ = (rc); if (rc_ != -XEN_ESRCH && (privileged() || rc_ != -XEN_EPERM))	\
		test_fail(__FILE__, __LINE__, "%s: %ld", #rc, rc_); })

/* Stops the test when the check fails. */
#define REQUIRE(cond) do { if (!CHECK(cond)) return; } while (0)
#define REQUIRE_EQ(a, b) do { if (!CHECK_EQ(a, b)) return; } while (0)

/* The statements must raise this vector, or (VEC_NONE) none. */
#define CHECK_TRAP(vec, ...)								\
	({ struct trap t_; int v_ = CATCH(&t_, __VA_ARGS__);				\
	   if (v_ != (vec)) test_fail(__FILE__, __LINE__, "trap %d, not %s: %s (error %x cr2 %lx)", \
				      v_, #vec, #__VA_ARGS__, t_.error, t_.cr2);	\
	   t_; })

#endif
