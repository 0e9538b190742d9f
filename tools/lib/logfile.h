/* SPDX-License-Identifier: MIT */
/* Files with lines that only ever become more: rotated by size, FILE to FILE.1, that to FILE.2, and so on. */
#ifndef TOOLS_LIB_LOGFILE_H
#define TOOLS_LIB_LOGFILE_H

#include <stdarg.h>
#include <stddef.h>

#define LOGFILE_SIZE	(1 << 20)	/* bytes, from which on another file is begun */
#define LOGFILE_FILES	3		/* that are kept, the one in use included */

/*
 * NAME becomes NAME.1, and so on, so that with the next NAME there are `files` (2 or more); the oldest is gone. dir_fd: as of openat(). 0, or
 * -errno: then NAME is still there.
 */
int logfile_rotate(int dir_fd, const char *name, unsigned int files);

struct logfile {
	const char *path;	/* stays with the caller; NULL: fd is somebody else's, and is never rotated */
	int fd;
};

/* To append to. Standard output and error that go to the same file go along when it is rotated. 0 or -errno. */
int logfile_open(struct logfile *l, const char *path);
/* What cannot be written is lost: a full disk stops nobody. */
void logfile_write(struct logfile *l, const char *text, size_t len);
/* One line: the time and the message, of up to 1,000 bytes. Control characters become question marks, as names and such come from outside. */
void __attribute__((format(printf, 2, 0))) logfile_line(struct logfile *l, const char *fmt, va_list ap);
/* Rotate it if it is large, before another program is given it to append to. */
void logfile_limit(const char *path);

#endif
