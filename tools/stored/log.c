/* SPDX-License-Identifier: MIT */
/* The daemon's log: one line per event, with the time. */
#include <stored/log.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define GUEST_LINES	100	/* a minute */

static int log_fd = STDERR_FILENO;

int log_open(const char *file)
{
	int fd = file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640) : STDERR_FILENO;

	if (fd < 0)
		return -errno;
	if (log_fd != STDERR_FILENO)
		close(log_fd);
	log_fd = fd;
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
	if (write(log_fd, line, n) < 0)
		return;		/* nowhere to complain */
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
