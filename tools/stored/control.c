/* SPDX-License-Identifier: MIT */
/* CONTROL: what an administrator asks the daemon itself (xenstore-control). */
#include <stored/request.h>
#include <stored/journal.h>
#include <stored/log.h>
#include <stored/node.h>
#include <stored/quota.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void __printf(2, 3) say(struct call *x, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);

	va_end(ap);
	bytes_add(x->reply, line, min((size_t)n, sizeof(line) - 1));
}

static int control_check(struct call *x, const char *arg)
{
	size_t count;
	const char *wrong = node_audit(&count);

	if (wrong)
		say(x, "%s\n", wrong);
	else
		say(x, "OK: %zu nodes\n", count);
	return 0;
}

static int control_log(struct call *x, const char *arg)
{
	if (strcmp(arg, "on") != 0 && strcmp(arg, "off") != 0)
		return -EINVAL;
	request_trace = strcmp(arg, "on") == 0;
	return 0;
}

static int control_logfile(struct call *x, const char *arg)
{
	return *arg ? log_open(arg) : -EINVAL;
}

static void say_usage(struct call *x, const struct domain *d)
{
	say(x, "domain %u%s: %zu nodes, %zu watches, %zu transactions, %zu bytes, %u events outstanding\n", d->domid,
	    d->privileged ? " (no limits)" : "", d->node_count, d->watch_count, d->txn_count, d->memory, d->outstanding);
}

static int control_quota(struct call *x, const char *arg)
{
	char *end;
	unsigned long domid = strtoul(arg, &end, 10);

	if (*arg) {
		const struct domain *d = *end ? NULL : domain_find((u32)min(domid, (unsigned long)UINT32_MAX));

		if (!d)
			return -ENOENT;
		say_usage(x, d);
		return 0;
	}
	for (int i = 0; i < QUOTA_COUNT; i++)
		say(x, "%s: %u\n", quota_name(i), quota[i]);
	return 0;
}

static int control_memreport(struct call *x, const char *arg)
{
	const struct domain *d;

	say(x, "state file: %zu bytes\n", journal_size());
	list_for_each_entry(d, &domains, all) {
		if (bytes_len(x->reply) < XENSTORE_PAYLOAD_MAX - 256)
			say_usage(x, d);
	}
	return 0;
}

static int control_print(struct call *x, const char *arg)
{
	log_line("%s", arg);
	return 0;
}

static int control_help(struct call *x, const char *arg);

static const struct {
	const char *name;
	int (*handler)(struct call *x, const char *arg);
	const char *help;
} controls[] = {
	{ "check", control_check, "recount the nodes" },
	{ "help", control_help, "these lines" },
	{ "log", control_log, "on|off: log every request" },
	{ "logfile", control_logfile, "FILE: log there from now on" },
	{ "memreport", control_memreport, "what the domains use" },
	{ "print", control_print, "TEXT: into the log" },
	{ "quota", control_quota, "the limits, or [DOMID] what a domain uses" },
};

static int control_help(struct call *x, const char *arg)
{
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++)
		say(x, "%-10s %s\n", controls[i].name, controls[i].help);
	return 0;
}

int do_control(struct call *x)
{
	const char *args[2] = { "", "" };
	int rc = -EINVAL;

	if (!call_strings(x, args, 1) && !call_strings(x, args, 2))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
		if (strcmp(controls[i].name, args[0]) == 0) {
			rc = controls[i].handler(x, args[1]);
			break;
		}
	}
	if (bytes_len(x->reply))
		bytes_add(x->reply, "", 1);
	return rc;
}
