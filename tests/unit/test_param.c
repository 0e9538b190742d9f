/* SPDX-License-Identifier: MIT */
/* Unit tests: boot parameters. */
/* sources: core/param.c lib/number.c */
#include "test.h"

#include <core/console.h>
#include <core/param.h>
#include <lib/errno.h>

static char last_a[64], last_b[64], messages[4096];
static int calls;

size_t strlcpy(char *dst, const char *src, size_t size)
{
	snprintf(dst, size, "%s", src);
	return strlen(src);
}

void printk(enum log_level level, const char *fmt, ...)
{
	size_t n = strlen(messages);
	(void)level;
	va_list args;

	va_start(args, fmt);
	vsnprintf(messages + n, sizeof(messages) - n, fmt, args);
	va_end(args);
}

static int parse_a(const char *v)
{
	calls++;
	snprintf(last_a, sizeof(last_a), "%s", v);
	return 0;
}

static int parse_b(const char *v)
{
	calls++;
	if (strcmp(v, "bad") == 0)
		return -EINVAL;
	snprintf(last_b, sizeof(last_b), "%s", v);
	return 0;
}

const struct boot_param boot_params_start[] = {
	{ "alpha", parse_a, "TEXT", "" },
	{ "alphabet", parse_b, "good|better", "" },
};
_Static_assert(sizeof(boot_params_start) == 64, "the end below");
__asm__(".globl boot_params_end\n.set boot_params_end, boot_params_start + 64\n");

static void parse(const char *line)
{
	last_a[0] = last_b[0] = messages[0] = 0;
	calls = 0;
	params_parse(line);
	CHECK_STR(params_cmdline(), line);
}

TEST(words_and_values)
{
	parse("  alpha=1,2\talphabet=x ");
	CHECK_STR(last_a, "1,2");
	CHECK_STR(last_b, "x");
	CHECK_STR(messages, "");

	parse("alpha=a=b alpha=c");	/* the later one counts; '=' in a value */
	CHECK_STR(last_a, "c");
	CHECK_EQ(calls, 2);

	parse("alpha");
	CHECK_EQ(calls, 1);
	CHECK_STR(last_a, "");
	parse("");
	CHECK_EQ(calls, 0);
}

TEST(quotes_keep_blanks)
{
	parse("alpha=\"one two\" alphabet=\"\"");
	CHECK_STR(last_a, "one two");
	CHECK_STR(last_b, "");
	CHECK_EQ(calls, 2);
	parse("\"alpha=x y\"");
	CHECK_STR(last_a, "x y");
	parse("alpha=\"never closed alphabet=1");
	CHECK_STR(last_a, "never closed alphabet=1");
}

TEST(double_dash_ends)
{
	parse("alpha=1 -- alpha=2 nonsense");
	CHECK_STR(last_a, "1");
	CHECK_STR(messages, "");
	parse("--alpha");
	CHECK(strstr(messages, "\"--alpha\""));
}

TEST(unknown_is_named_and_ignored)
{
	parse("beta=3 alpha=1 alph alphabetical=1");
	CHECK_STR(last_a, "1");
	CHECK(strstr(messages, "\"beta\""));
	CHECK(strstr(messages, "\"alph\""));
	CHECK(strstr(messages, "\"alphabetical\""));
}

TEST(malformed_says_what_was_expected)
{
	parse("alphabet=bad");
	CHECK(strstr(messages, "\"bad\""));
	CHECK(strstr(messages, "alphabet=good|better"));
}

TEST(overlong_line_is_cut)
{
	static char line[5000];

	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "alpha=1 ", 8);
	messages[0] = 0;
	params_parse(line);
	CHECK_STR(last_a, "1");
	CHECK(strlen(params_cmdline()) < 3000);
	CHECK(strstr(messages, "cut"));
}

TEST(parsers)
{
	bool b = false;
	u64 n = 0;

	CHECK_EQ(param_bool("", &b), 0);
	CHECK(b);
	CHECK_EQ(param_bool("off", &b), 0);
	CHECK(!b);
	CHECK_EQ(param_bool("2", &b), -EINVAL);
	CHECK_EQ(param_uint("0x10", 1, 16, &n), 0);
	CHECK_EQ(n, 16);
	CHECK_EQ(param_uint("17", 1, 16, &n), -EINVAL);
	CHECK_EQ(param_uint("0", 1, 16, &n), -EINVAL);
	CHECK_EQ(param_uint("1x", 1, 16, &n), -EINVAL);
	CHECK_EQ(param_uint("", 0, 16, &n), -EINVAL);
	CHECK_EQ(param_size("2", 1024, &n), 0);
	CHECK_EQ(n, 2048);
	CHECK_EQ(param_size("3M", 1024, &n), 0);
	CHECK_EQ(n, 3 << 20);
	CHECK_EQ(param_size("3Mx", 1024, &n), -EINVAL);
}
