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

static void log_write(const char *fmt, va_list ap)
{
	char line[1024];
	time_t now = time(NULL);
	struct tm tm;
	size_t n = strftime(line, sizeof(line), "%Y-%m-%d %H:%M:%S ", localtime_r(&now, &tm));
	int len = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);

	n = min(n + (size_t)len, sizeof(line) - 2);
	line[n++] = '\n';
	logfile_write(&file, line, n);
}

void log_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_write(fmt, ap);
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
	log_write(fmt, ap);
	va_end(ap);
}
