/* SPDX-License-Identifier: MIT */
/* The daemon's log: one line per event, with the time. */
#ifndef STORED_LOG_H
#define STORED_LOG_H

#include <lib/types.h>

/* Append to the file from now on, instead of standard error; it is rotated when it has become large. -errno: it cannot be opened, and nothing changed. */
int log_open(const char *file);
/* What a guest can provoke goes through log_guest(), of which at most 100 lines in a minute are written. */
void __printf(1, 2) log_line(const char *fmt, ...);
void __printf(1, 2) log_guest(const char *fmt, ...);

#endif
