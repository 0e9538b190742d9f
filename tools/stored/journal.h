/* SPDX-License-Identifier: MIT */
/* A file of groups of bytes, each of which is there wholly or not at all. */
#ifndef STORED_JOURNAL_H
#define STORED_JOURNAL_H

#include <stored/mem.h>

/*
 * The file is mapped, so appending is no system call. A group is a length, a checksum and the bytes; its length is written last,
 * by one store. Behind the last group is a zero. The file survives the death of the process at any instruction; on a disk, a
 * group that was torn fails its checksum.
 *
 * Rewriting makes a new file beside the old one and then puts it in its place, so there is always one that is whole.
 */

/* Lock the directory, made if need be, for this process: -EBUSY: another one has it; -errno. */
int journal_open(const char *dir);
/* Call apply with each group of the current file, until it says false or the rest is torn. How many; -ENOENT: no file; -errno. */
int journal_read(bool (*apply)(struct reader *));
/* The next groups go into a new file … -errno. */
int journal_rewrite_begin(void);
/* … which now takes the place of the old one, unless adding failed: then the old one stays, if it still is one. */
int journal_rewrite_end(void);
/* Append a group. -ENOSPC: no room; the file is as before. */
int __must_check journal_add(const void *group, size_t len);
size_t journal_size(void);

#endif
