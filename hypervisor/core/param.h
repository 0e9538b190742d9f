/* SPDX-License-Identifier: MIT */
/*
 * Boot parameters. One table row per parameter, in the file that uses it:
 *
 *   static u64 opt_mem;
 *   BOOT_PARAM("mem", parse_mem, "SIZE", "use only the first SIZE of memory");
 *
 * The parser gets the text after '=' ("" when there is none) and returns 0, or -EINVAL: then the console says what was expected
 * (the third argument) and the parameter is ignored. Unknown names are reported and ignored.
 */
#ifndef CORE_PARAM_H
#define CORE_PARAM_H

#include <lib/types.h>

struct boot_param {
	const char *name;
	int (*parse)(const char *value);
	const char *expected;	/* syntax of the value, for messages and the manual */
	const char *help;	/* one line */
};

#define BOOT_PARAM(nm, fn, syntax, text)						\
	static const struct boot_param boot_param_##fn __used __section(".boot_params") __aligned(8) = \
		{ .name = (nm), .parse = (fn), .expected = (syntax), .help = (text) }

extern const struct boot_param boot_params_start[], boot_params_end[];

/* Handle the whole command line. Console must be up for messages; called before memory is set up. */
void params_parse(const char *cmdline);
/* The command line as given, for XENVER_commandline. */
const char *params_cmdline(void);

/* Parsers for common kinds; 0 or -EINVAL. Bool: "", yes/no, on/off, true/false, 1/0. Size: number with optional K/M/G/T; plain means unit bytes each. */
int param_bool(const char *value, bool *out);
int param_uint(const char *value, u64 lo, u64 hi, u64 *out);
int param_size(const char *value, u64 unit, u64 *out);

#endif
