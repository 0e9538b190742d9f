/* SPDX-License-Identifier: MIT */
/* A guest's log: written before the ring is emptied, rotated by size, read back for whoever attaches. */
#ifndef TOOLS_CONSOLED_LOG_H
#define TOOLS_CONSOLED_LOG_H

#include <consoled/ring.h>
#include <consoled/state.h>
#include <lib/err.h>
#include <stdbool.h>
#include <sys/types.h>

#define LOG_NAME_MAX	224

/* Where all logs are and how large they grow. */
struct log_settings {
	const char *dir;
	uint64_t max_size;	/* bytes of one file, at least RING_OUT */
	unsigned int files;	/* NAME.log, NAME.log.1 … : so many at most, 1 or more */
};

struct log {
	struct record *rec;	/* the guest's; not the log's own */
	char name[LOG_NAME_MAX];/* of the file, without .log */
	int fd;			/* -1: cannot be opened now */
	uint64_t size;		/* of the file */
	uint64_t inode;
	uint64_t lost;		/* bytes since it could last be written */
	int error;		/* why; 0: all is well */
	int64_t retry;		/* milliseconds: when to try again */
	bool frozen;		/* the guest has ended and another may be using the files */
};

/* Once, at the start. The directory is made if need be; an unusable one is an error. */
int log_setup(const struct log_settings *settings, struct err *e);

/* A file name for a guest's name: no slashes, no control characters, not hidden, not too long. What had to be changed also gets "-ID". */
void log_file_name(char out[LOG_NAME_MAX], const char *guest, uint16_t domid);

/*
 * Open guest's log and go on where rec says. If that fails the log is in the state "cannot be written" and tries again by itself.
 * ring: brought to agree with the log, in case the last daemon was killed between writing and taking.
 */
void log_open(struct log *l, const char *guest, uint16_t domid, struct record *rec, struct xencons_interface *ring, int64_t now);
void log_close(struct log *l);

/* Open the file anew: the guest has another name, or somebody has moved the files. */
void log_reopen(struct log *l, const char *guest, uint16_t domid, int64_t now);

/* The guest has ended: another of its name may now have the files. */
void log_freeze(struct log *l, struct record *copy);

/*
 * Take len bytes, which are a copy of the ring's from index cons on: into the log, or if that cannot be written, away. now: milliseconds, steady clock.
 */
void log_take(struct log *l, struct xencons_interface *ring, uint32_t cons, const char *data, size_t len, int64_t now);

/* The oldest offset of this life that log_read() can still give. */
uint64_t log_first(const struct log *l);

/* Read what the guest has written from offset on. Count, 0 at the end; -ENODATA: not kept any more. */
ssize_t log_read(struct log *l, uint64_t offset, char *buf, size_t size);

#endif
