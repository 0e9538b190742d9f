/* SPDX-License-Identifier: MIT */
/* Folders that are there as a whole or not at all: made under a name that nobody looks for, and renamed. */
#ifndef TOOLS_LIB_FOLDER_H
#define TOOLS_LIB_FOLDER_H

#include <lib/err.h>

#define FOLDER_TEMPORARY	".lodge-"	/* what names of folders begin with that are not complete, or are being removed */

/* A new folder in dir (made as well, if it is not there), for root alone: its path, allocated. "cannot-write". */
int folder_begin(const char *dir, char **path, struct err *e);
/* Its files are on the disk when it has its name. -EEXIST without a message: there is something of that name. */
int folder_publish(const char *path, const char *to, struct err *e);
/* With all that is in it; what is mounted there stays. A name that others look for goes first. */
int folder_remove(const char *path, struct err *e);
/* Remove what was left over in dir by somebody who was killed. */
void folder_sweep(const char *dir);

/* A new file with that text, on the disk when it has its name. -EEXIST, with no message: there is something of that name. */
int folder_write_new(const char *path, const char *text, struct err *e);
/* Copy a file's bytes into a new one. */
int folder_copy(const char *from, const char *to, struct err *e);

#endif
