/* SPDX-License-Identifier: MIT */
/* lodge console: the manager says which domain is meant, the console daemon does the rest. */
#include <lodge/verb.h>
#include <lib/console.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BACKLOG_MAX	(1L << 30)	/* KiB */

static enum status attach(const char *subject, const struct console *c)
{
	struct err e = { 0 };

	fflush(stdout);
	manager_close();	/* for as long as the user stays, others may have the connection */
	return console_attach(c, &e) ? say_error(subject, &e) : OK;
}

enum status attach_console(const char *subject, int domid)
{
	return attach(subject, &(struct console){ .domid = (uint16_t)domid, .backlog = CONSOLE_BACKLOG, .in = 0, .out = 1 });
}

enum status run_console(const struct args *a)
{
	const char *type = args_value(a, 't'), *number = args_value(a, 'n');
	struct console c = {
		.read_only = args_set(a, 'r'), .wait = args_set(a, 'w'), .exit_on_eof = args_set(a, 'e'), .in = 0, .out = 1};
	json_t *answer, *guest;
	struct err e;
	long backlog;
	int domid;

	if (args_number(a, 'b', CONSOLE_BACKLOG >> 10, BACKLOG_MAX, &backlog) != OK)
		return USAGE;
	if (type && strcmp(type, "pv"))
		return usage_error(a->verb, "found the type \"%.40s\", expected pv", type);
	if (number && strcmp(number, "0"))
		return usage_error(a->verb, "found the console %.40s, expected 0: a guest has one", number);
	if (manager_call("list", json_pack("{s:s}", "guest", a->operands[0]), &answer, &e))
		return say_error(a->operands[0], &e);
	guest = json_array_get(json_object_get(answer, "guests"), 0);
	if (!guest) {		/* it is being started again, and has no domain for the moment */
		json_decref(answer);
		err_set(&e, ENOENT, "no-guest", "there is no such guest");
		return say_error(a->operands[0], &e);
	}
	domid = (int)integer_of(guest, "domid");
	json_decref(answer);
	if (domid == 0) {
		err_set(&e, EPERM, "is-dom0", "Domain 0's console is the machine's");
		return say_error(a->operands[0], &e);
	}
	c.domid = (uint16_t)domid;
	c.backlog = (uint64_t)backlog << 10;
	return attach(a->operands[0], &c);
}
