/* SPDX-License-Identifier: MIT */
/* The manager's log. */
#include <lib/logfile.h>
#include <lodged/log.h>
#include <pthread.h>
#include <stdarg.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct logfile file = { .fd = STDERR_FILENO };	/* under the lock */

int log_open(const char *path)
{
	return logfile_open(&file, path);
}

void log_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pthread_mutex_lock(&lock);
	logfile_line(&file, fmt, ap);
	pthread_mutex_unlock(&lock);
	va_end(ap);
}

void log_err(const char *what, const struct err *e)
{
	char text[800];

	log_line("%s: %s", what, err_format(e, text, sizeof(text)));
}
