/* SPDX-License-Identifier: MIT */
/* Unit tests: options of lodge's verbs. */
/* sources: tools/lodge/args.c tools/lib/size.c */
/* libs: -ljansson */
#include "test.h"

#include <lodge/verb.h>

/* The program's table is not linked: a verb with all kinds of options. */
const struct verb verbs[] = {
	{
		.name = "try", .operands = "GUEST...", .min = 1, .max = 3, .prints = true, .summary = "s", .help = "h",
		.options = {
			{ 'a', "all", NULL, "all" }, { 'f', "file", "FILE", "file" }, { OPT_TIMEOUT, "timeout", "SECONDS", "time" }, { 'e', NULL, NULL, NULL },
			{ 't', "timid", NULL, "begins like timeout" },
		},
	},
	{ .name = "bare", .operands = "", .summary = "s", .help = "h" },
	{ 0 },
};

static struct args a;
static char said[512];

static int standard_error;
static FILE *caught;

static void catch_begin(void)
{
	caught = tmpfile();
	standard_error = dup(2);
	dup2(fileno(caught), 2);
}

static void catch_end(void)
{
	dup2(standard_error, 2);
	close(standard_error);
	rewind(caught);
	said[fread(said, 1, sizeof(said) - 1, caught)] = 0;
	fclose(caught);
}

/* Parse words for the verb; what it says on standard error is in `said`. */
static enum status parse(const struct verb *v, const char *line)
{
	static char copy[256], *words[16];
	enum status status;
	int n = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
		words[n++] = w;
	words[n] = NULL;
	a = (struct args){ 0 };
	catch_begin();
	status = args_parse(&a, v, words);
	catch_end();
	return status;
}

static void refused(const struct verb *v, const char *line, const char *message)
{
	CHECK_EQ(parse(v, line), USAGE);
	CHECK_STR(said, message);
}

TEST(options_and_operands_in_any_order)
{
	CHECK_EQ(parse(verbs, "x -a y --file=F --json z"), OK);
	CHECK(args_set(&a, 'a') && args_set(&a, 'f') && !args_set(&a, 'e') && a.json);
	CHECK_STR(args_value(&a, 'f'), "F");
	CHECK_EQ(a.noperands, 3);
	CHECK_STR(a.operands[0], "x");
	CHECK_STR(a.operands[1], "y");
	CHECK_STR(a.operands[2], "z");

	CHECK_EQ(parse(verbs, "-aef F -- -x --json"), OK);
	CHECK(args_set(&a, 'a') && args_set(&a, 'e') && !a.json);
	CHECK_STR(args_value(&a, 'f'), "F");
	CHECK_EQ(a.noperands, 2);
	CHECK_STR(a.operands[0], "-x");

	CHECK_EQ(parse(verbs, "-fF --timeout 5 - "), OK);
	CHECK_STR(args_value(&a, 'f'), "F");
	CHECK_STR(args_value(&a, OPT_TIMEOUT), "5");
	CHECK_STR(a.operands[0], "-");
}

TEST(beginnings_of_names)
{
	CHECK_EQ(parse(verbs, "--fi F --timeo=7 x"), OK);
	CHECK_STR(args_value(&a, 'f'), "F");
	CHECK_STR(args_value(&a, OPT_TIMEOUT), "7");
	refused(verbs, "--tim x", "lodge try: there is no option --tim; see lodge try --help\n");
}

TEST(help_needs_no_operands)
{
	CHECK_EQ(parse(verbs, "--help"), OK);
	CHECK(args_set(&a, OPT_HELP));
	CHECK_EQ(parse(verbs, "-h"), OK);
	CHECK(args_set(&a, OPT_HELP));
}

TEST(wrong_use)
{
	refused(verbs, "", "lodge try: expected GUEST...; see lodge try --help\n");
	refused(verbs, "1 2 3 4", "lodge try: found \"4\", expected GUEST...; see lodge try --help\n");
	refused(verbs, "x -f", "lodge try: -f needs an argument, FILE; see lodge try --help\n");
	refused(verbs, "x --file", "lodge try: --file needs an argument, FILE; see lodge try --help\n");
	refused(verbs, "x --all=1", "lodge try: --all takes no argument; see lodge try --help\n");
	refused(verbs, "x -a-", "lodge try: there is no option --; see lodge try --help\n");
	refused(verbs, "x -\x1b", "lodge try: there is no option -?; see lodge try --help\n");
	refused(verbs + 1, "x", "lodge bare: found \"x\", expected nothing there; see lodge bare --help\n");
	refused(verbs + 1, "--json", "lodge bare: there is no option --json; see lodge bare --help\n");
}

TEST(numbers)
{
	long n;

	CHECK_EQ(parse(verbs, "x"), OK);
	CHECK_EQ(args_number(&a, OPT_TIMEOUT, 60, 100, &n), OK);
	CHECK_EQ(n, 60);
	CHECK_EQ(parse(verbs, "x --timeout=100"), OK);
	CHECK_EQ(args_number(&a, OPT_TIMEOUT, 60, 100, &n), OK);
	CHECK_EQ(n, 100);

	static const char *const bad[] = { "101", "-1", "1x", "", "99999999999999999999" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char line[64], expected[128];

		snprintf(line, sizeof(line), "x --timeout=%s", bad[i]);
		snprintf(expected, sizeof(expected), "lodge try: found \"%s\", expected a number from 0 to 100; see lodge try --help\n", bad[i]);
		CHECK_EQ(parse(verbs, line), OK);
		catch_begin();
		CHECK_EQ(args_number(&a, OPT_TIMEOUT, 60, 100, &n), USAGE);
		catch_end();
		CHECK_STR(said, expected);
	}
}
