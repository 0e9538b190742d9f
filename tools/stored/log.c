/* SPDX-License-Identifier: MIT */
/* The daemon's log: one line per event, with the time. */
#include <stored/log.h>
#include <lib/logfile.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GUEST_LINES	100	/* a minute */

static struct logfile file = { .fd = STDERR_FILENO };

int log_open(const char *path)
{
	struct logfile new;
	char *copy = strdup(path);
	int rc = copy ? logfile_open(&new, copy) : -ENOMEM;

	if (rc) {
		free(copy);
		return rc;
	}
	if (file.path) {
		close(file.fd);
		free((char *)file.path);
	}
	file = new;
	return 0;
}

void log_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	logfile_line(&file, fmt, ap);
	va_end(ap);
}

void log_guest(const char *fmt, ...)
{
	static time_t minute;
	static unsigned int lines;
	time_t now = time(NULL) / 60;
	va_list ap;

	if (now != minute) {
		minute = now;
		lines = 0;
	}
	if (lines++ >= GUEST_LINES)
		return;
	va_start(ap, fmt);
	logfile_line(&file, fmt, ap);
	va_end(ap);
}
