/* SPDX-License-Identifier: MIT */
/* The manager's log. */
#include <lib/logfile.h>
#include <lodged/log.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct logfile file = { .fd = STDERR_FILENO };	/* under the lock */

int log_open(const char *path)
{
	return logfile_open(&file, path);
}

void log_line(const char *fmt, ...)
{
	char line[1200];
	struct timespec now;
	struct tm tm;
	va_list ap;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%F %T", &tm);
	n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ld ", now.tv_nsec / 1000000);
	va_start(ap, fmt);
	n += (size_t)vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	for (size_t i = 0; i < n; i++)	/* names and such come from outside */
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	pthread_mutex_lock(&lock);
	logfile_write(&file, line, n);
	pthread_mutex_unlock(&lock);
}

void log_err(const char *what, const struct err *e)
{
	char text[800];

	log_line("%s: %s", what, err_format(e, text, sizeof(text)));
}
