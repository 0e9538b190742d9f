/* SPDX-License-Identifier: MIT */
/*
 * Errors: one cause, one message, made where the cause is known.
 *
 * A function that can fail takes `struct err *` last and returns 0 or -errno; on failure it has filled the error. Whoever only
 * passes a failure on leaves the error alone. The message is a full statement for the user: what is wrong, with what (path, device,
 * name), and where it helps what to do; without a full stop at the end.
 */
#ifndef TOOLS_LIB_ERR_H
#define TOOLS_LIB_ERR_H

struct err {
	int error;		/* errno value, positive; 0: no error */
	char code[32];		/* machine-readable: "name-taken", "no-memory", "bad-definition" … */
	char text[512];
	char file[256];		/* definition at fault, or "" */
	int line;		/* in it, from 1; 0: none */
};

/* Fill *e and return -error. An error that is already there is replaced. */
int __attribute__((format(printf, 4, 5))) err_set(struct err *e, int error, const char *code, const char *fmt, ...);
/* The same for a place in a file. */
int __attribute__((format(printf, 6, 7)))
err_set_at(struct err *e, const char *file, int line, int error, const char *code, const char *fmt, ...);
/* "FILE:LINE: TEXT" or "TEXT" into buf; buf. */
const char *err_format(const struct err *e, char *buf, unsigned long size);

#endif
