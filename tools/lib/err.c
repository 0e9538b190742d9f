/* SPDX-License-Identifier: MIT */
/* Errors with a message made where the cause is known. */
#include <lib/err.h>
#include <stdarg.h>
#include <stdio.h>

static int fill(struct err *e, const char *file, int line, int error, const char *code, const char *fmt, va_list ap)
{
	e->error = error;
	e->line = line;
	snprintf(e->code, sizeof(e->code), "%s", code);
	snprintf(e->file, sizeof(e->file), "%s", file ? file : "");
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	return -error;
}

int err_set(struct err *e, int error, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, NULL, 0, error, code, fmt, ap);
	va_end(ap);
	return -error;
}

int err_set_at(struct err *e, const char *file, int line, int error, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, file, line, error, code, fmt, ap);
	va_end(ap);
	return -error;
}

const char *err_format(const struct err *e, char *buf, unsigned long size)
{
	if (e->file[0] && e->line)
		snprintf(buf, size, "%s:%d: %s", e->file, e->line, e->text);
	else if (e->file[0])
		snprintf(buf, size, "%s: %s", e->file, e->text);
	else
		snprintf(buf, size, "%s", e->text);
	return buf;
}
