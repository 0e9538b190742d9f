/* SPDX-License-Identifier: MIT */
/* Folders that are there as a whole or not at all: made under a name that nobody looks for, and renamed. */
#ifndef TOOLS_LIB_FOLDER_H
#define TOOLS_LIB_FOLDER_H

#include <lib/err.h>
#include <stddef.h>

#define FOLDER_TEMPORARY	".lodge-"	/* what names of folders begin with that are not complete, or are being removed */

/* A new folder in dir (made as well, if it is not there), for root alone: its path, allocated. "cannot-write". */
int folder_begin(const char *dir, char **path, struct err *e);
/* Its files are on the disk when it has its name. -EEXIST without a message: there is something of that name. */
int folder_publish(const char *path, const char *to, struct err *e);
/* With all that is in it; what is mounted there stays. A name that others look for goes first. */
int folder_remove(const char *path, struct err *e);
/* Remove what was left over in dir by somebody who was killed. */
void folder_sweep(const char *dir);

/* The directories that path is in. 0, or -errno of the first that cannot be made. */
int folder_parents(const char *path);

/* A new file that gets its name when it is whole; until then it is `draft`, in the same folder. */
struct folder_draft {
	const char *path;	/* absolute; the caller's */
	char *draft;
	int fd;
};

/* "cannot-write"; then there is nothing to end. */
int folder_draft_begin(struct folder_draft *d, const char *path, struct err *e);
/* Its contents are on the disk, and it is there under its name, if rc is 0; otherwise, or if that fails, gone. -EEXIST without a message: there is something of that name. Frees everything. */
int folder_draft_end(struct folder_draft *d, int rc, struct err *e);
/* All of the data. 0 or -errno. */
int folder_write(int fd, const void *data, size_t len);
/* A new file with that text, on the disk when it has its name. -EEXIST, with no message: there is something of that name. */
int folder_write_new(const char *path, const char *text, struct err *e);
/* Copy a file's bytes into a new one. */
int folder_copy(const char *from, const char *to, struct err *e);

#endif
