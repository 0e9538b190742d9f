/* SPDX-License-Identifier: MIT */
/* A guest's console in the terminal: client of the console daemon (docs/man/lodge-consoled.md). */
#ifndef TOOLS_LIB_CONSOLE_H
#define TOOLS_LIB_CONSOLE_H

#include <lib/err.h>
#include <stdbool.h>
#include <stdint.h>

#define CONSOLE_SOCKET	"/run/lodge/consoled.sock"	/* overridden by $CONSOLED_SOCKET */
#define CONSOLE_BACKLOG	16384				/* bytes shown by default of what was before */
#define CONSOLE_ESCAPE	0x1d				/* Ctrl-] */

struct console {
	const char *name;	/* of the guest, or NULL: domid says which */
	uint16_t domid;
	uint64_t backlog;	/* bytes of this guest's life to show before live output */
	bool read_only;		/* nothing typed reaches the guest */
	bool wait;		/* for the guest to appear, and again after it ended (a reboot): until detached */
	bool exit_on_eof;	/* return when the input ends and has been sent; else go on showing output */
	int in, out;		/* descriptors, usually 0 and 1 */
};

/*
 * Show the guest's console on out and give it what comes from in, until the user detaches, the guest ends, or the reader of out goes away: 0.
 * Short words about that go to standard error. When in is a terminal, it is in raw mode meanwhile and Ctrl-] detaches; it is restored on every
 * way out, deadly signals and stops by SIGTSTP included. When it is not, every byte goes to the guest as it is.
 *
 * A daemon that is restarted is waited for (5 seconds), and output goes on where it was. Errors: -ENOENT (code "no-guest"), -ECONNREFUSED
 * ("no-consoled"), -EACCES, -EPROTO. Handles SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT and SIGPIPE until it returns; not reentrant.
 */
int console_attach(const struct console *c, struct err *e);

#endif
