/* SPDX-License-Identifier: MIT */
/* A file that gets its name when it is whole. Private to core*.c. */
#ifndef TOOLS_LIB_CORE_FILE_H
#define TOOLS_LIB_CORE_FILE_H

#include <lib/err.h>

struct core_file {
	const char *path;
	int fd;
	char *folder;
	char *part;		/* its name until then, or NULL: it has none */
};

/* "file-exists", "cannot-write". After a failure there is nothing to close. */
int core_file_open(struct core_file *f, const char *path, struct err *e);
/* On the disk, and there under its name, if rc is 0; otherwise, or if that fails, gone. Frees everything. */
int core_file_close(struct core_file *f, int rc, struct err *e);
/* "cannot-write PATH: …" of errno `error`. */
int core_file_error(const struct core_file *f, int error, struct err *e);

#endif
