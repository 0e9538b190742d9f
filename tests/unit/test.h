/* SPDX-License-Identifier: MIT */
/* The unit-test harness: one test file, one program, one process per test. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

/*
 * A test program is one test_AREA.c and the hypervisor sources it names on its
 * third line, compiled unmodified under ASan and UBSan (the first three are comments):
 *
 *	// SPDX-License-Identifier: MIT
 *	// Unit tests: AREA.
 *	// sources: lib/tree.c lib/rangeset.c
 *	#include "test.h"
 *	#include <lib/tree.h>
 *
 *	TEST(what_it_shows)
 *	{
 *		CHECK(condition);
 *		CHECK_EQ(value, expected);
 *	}
 *
 * Lines 4 and 5 may be comments with compiler flags for all of it ("cflags: -DX
 * -Ifake") and with libraries for the test ("libs: -lz"). Include this header first (the C library's names would clash with ours otherwise), and
 * never the C library's <errno.h>. lib/string.c and lib/printf.c are compiled under
 * other names (rename.h), so other sources get the sanitizers' checked memcpy().
 *
 * Each test runs in a process of its own and prints "ok AREA/NAME" or
 * "FAIL AREA/NAME"; a crash, a sanitizer report, a leak or two minutes without an
 * end is a failure. Arguments choose tests by name.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#undef __always_inline

#include <lib/types.h>

#define TEST_TIMEOUT	120	/* seconds */

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

static struct test *test_list, **test_tail = &test_list;
static unsigned int test_failures;

#define TEST(id)								\
	static void test_##id(void);						\
	__attribute__((constructor)) static void test_register_##id(void)	\
	{									\
		static struct test t = { .name = #id, .run = test_##id };	\
										\
		*test_tail = &t;						\
		test_tail = &t.next;						\
	}									\
	static void test_##id(void)

/* Report and go on; a test that fails often stops reporting after a while. */
#define TEST_FAIL(...) do {							\
	if (test_failures++ < 10) {						\
		printf("%s:%d: ", __FILE__, __LINE__);				\
		printf(__VA_ARGS__);						\
		printf("\n");							\
	}									\
} while (0)

#define CHECK(cond) do {							\
	if (!(cond))								\
		TEST_FAIL("%s", #cond);						\
} while (0)

/* Integers and pointers. */
#define CHECK_EQ(a, b) do {							\
	long long _x = (long long)(a), _y = (long long)(b);			\
	if (_x != _y)								\
		TEST_FAIL("%s is %lld (%#llx), expected %s = %lld (%#llx)",	\
			  #a, _x, _x, #b, _y, _y);				\
} while (0)

#define CHECK_STR(a, b) do {							\
	const char *_x = (a), *_y = (b);					\
	if (!_x || strcmp(_x, _y) != 0)						\
		TEST_FAIL("%s is \"%s\", expected \"%s\"", #a, _x ? _x : "(null)", _y);	\
} while (0)

/* Pseudo-random numbers, the same in every run. */
static u64 test_seed = 0x9e3779b97f4a7c15;

static inline u64 test_random(void)
{
	test_seed ^= test_seed << 13;
	test_seed ^= test_seed >> 7;
	test_seed ^= test_seed << 17;
	return test_seed * 0x2545f4914f6cdd1d;
}

/* A random number below @n. */
static inline u64 test_below(u64 n)
{
	return (test_random() >> 11) % n;
}

static inline void test_report(const char *area, const struct test *t, int status)
{
	if (status == 0)
		printf("ok %s/%s\n", area, t->name);
	else if (WIFSIGNALED(status))
		printf("FAIL %s/%s: signal %d%s\n", area, t->name, WTERMSIG(status),
		       WTERMSIG(status) == 14 ? " (timeout)" : "");
	else
		printf("FAIL %s/%s\n", area, t->name);
}

int main(int argc, char **argv)
{
	const char *area = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	int failed = 0;

	if (strncmp(area, "test_", 5) == 0)
		area += 5;
	for (struct test *t = test_list; t; t = t->next) {
		bool wanted = argc == 1;
		int status = -1;

		for (int i = 1; i < argc; i++)
			wanted |= strcmp(argv[i], t->name) == 0;
		if (!wanted)
			continue;

		fflush(stdout);
		pid_t pid = fork();

		if (pid == 0) {
			alarm(TEST_TIMEOUT);
			t->run();
			fflush(stdout);
			exit(test_failures ? 1 : 0);
		}
		waitpid(pid, &status, 0);
		test_report(area, t, status);
		failed |= status != 0;
	}
	return failed;
}

#endif
