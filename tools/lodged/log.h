/* SPDX-License-Identifier: MIT */
/* The manager's log: one line per event, with the time. Any thread. */
#ifndef LODGED_LOG_H
#define LODGED_LOG_H

#include <lib/err.h>

/* Append to the file from now on, which stays the caller's string, and is rotated when it has become large; -errno: it cannot be opened, and lines keep going to standard error. */
int log_open(const char *path);
void __attribute__((format(printf, 1, 2))) log_line(const char *fmt, ...);
/* "WHAT: the error". */
void log_err(const char *what, const struct err *e);

#endif
