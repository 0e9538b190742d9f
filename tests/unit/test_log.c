/* SPDX-License-Identifier: MIT */
/* Unit tests: which messages pass the filters, and how many of those that guests can cause. */
/* sources: core/log.c lib/printf.c lib/string.c */
/* cflags: -include fake_param.h -Wno-unused-parameter */
#include "test.h"

#include <core/console.h>
#include <core/spinlock.h>
#include <core/time.h>

#define BURST		10
#define PER_SECOND	2

int param_parse_loglvl(const char *value);
int param_parse_guest_loglvl(const char *value);

static s_time_t clock_ns;
static char last[1024], note[1024];	/* the last line, and the one before it */
static unsigned lines;

s_time_t time_now(void) { return clock_ns; }
u64 spin_lock_irqsave(struct spinlock *l) { return 0; }
void spin_unlock_irqrestore(struct spinlock *l, u64 flags) { }

const char *console_current_name(char *buf, size_t size)
{
	snprintf(buf, size, "d65535v511");
	return buf;
}

void console_emit(const char *text, size_t len)
{
	CHECK(len < sizeof(last) && text[len - 1] == '\n');
	memcpy(note, last, sizeof(last));
	memcpy(last, text, len);
	last[len] = 0;
	lines++;
}

/* How many lines come of n messages of a guest. */
static unsigned flood(unsigned n)
{
	lines = 0;
	while (n--)
		printk_guest(LOG_WARN, "something\n");
	return lines;
}

/* Let the bucket fill. */
static void quiet(void)
{
	clock_ns += 100 * NS_PER_SEC;
	printk_guest(LOG_WARN, "something\n");
	clock_ns += 100 * NS_PER_SEC;
}

TEST(guests_are_limited)
{
	CHECK_EQ(param_parse_guest_loglvl("none/warning"), 0);
	quiet();
	CHECK_EQ(flood(100000), BURST);
	CHECK(!strcmp(last, "(LODGE) d65535v511: something\n"));
	CHECK_EQ(flood(5), 0);
	/* However long it takes, no more than the rate and a note each. */
	for (unsigned s = 1; s <= 60; s++) {
		clock_ns += NS_PER_SEC;
		CHECK_EQ(flood(1000), PER_SECOND + 1);
	}
	/* What is below the filter neither prints nor uses up anything. */
	quiet();
	for (unsigned i = 0; i < 1000; i++)
		printk_guest(LOG_DEBUG, "nothing\n");
	CHECK_EQ(flood(100), BURST);
}

TEST(suppressed_are_counted)
{
	quiet();
	flood(BURST + 123);
	clock_ns += NS_PER_SEC;
	lines = 0;
	printk_guest(LOG_WARN, "after\n");
	CHECK_EQ(lines, 2);
	CHECK(!strcmp(note, "(LODGE) (123 messages suppressed)\n"));
	CHECK(!strcmp(last, "(LODGE) d65535v511: after\n"));
	printk_guest(LOG_WARN, "and\n");
	CHECK_EQ(lines, 3);
}

TEST(own_messages_are_not)
{
	CHECK_EQ(param_parse_loglvl("warning"), 0);
	lines = 0;
	for (unsigned i = 0; i < 1000; i++)
		printk(LOG_WARN, "own %u\n", i);
	CHECK_EQ(lines, 1000);
	printk(LOG_INFO, "no\n");
	CHECK_EQ(lines, 1000);
	log_everything(true);
	printk(LOG_DEBUG, "yes\n");
	CHECK_EQ(lines, 1001);
	log_everything(false);
	printk(LOG_DEBUG, "no\n");
	CHECK_EQ(lines, 1001);
	/* Unless the user says so. */
	CHECK_EQ(param_parse_loglvl("error/all"), 0);
	quiet();
	lines = 0;
	for (unsigned i = 0; i < 1000; i++)
		printk(LOG_WARN, "own %u\n", i);
	CHECK_EQ(lines, BURST);
	for (unsigned i = 0; i < 10; i++)
		printk(LOG_ERR, "own %u\n", i);
	CHECK_EQ(lines, BURST + 10);
}

TEST(levels)
{
	static const char *const wrong[] = { "", "loud", "info/", "/info", "info/none", "info/error", "infos", "info,debug", "all/all/all" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		CHECK(param_parse_loglvl(wrong[i]) != 0 && param_parse_guest_loglvl(wrong[i]) != 0);
	CHECK_EQ(param_parse_guest_loglvl("all"), 0);
	CHECK_EQ(flood(1000), 1000);
	CHECK_EQ(param_parse_guest_loglvl("none"), 0);
	CHECK_EQ(flood(1000), 0);
	CHECK_EQ(param_parse_guest_loglvl("error/all"), 0);
	quiet();
	CHECK_EQ(flood(1000), BURST);
}

TEST(long_lines_are_cut)
{
	char text[2000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	CHECK_EQ(param_parse_loglvl("all"), 0);
	lines = 0;
	printk(LOG_INFO, "%s\n", text);
	CHECK_EQ(lines, 1);
	CHECK(strlen(last) == 511 && last[510] == '\n');
}
