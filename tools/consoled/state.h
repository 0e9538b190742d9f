/* SPDX-License-Identifier: MIT */
/* What must outlive the daemon: how far each guest's output has been taken, and where that is in its log. */
#ifndef TOOLS_CONSOLED_STATE_H
#define TOOLS_CONSOLED_STATE_H

#include <lib/err.h>
#include <stdint.h>

/*
 * One record for each domain id in a file that is mapped shared: a store to memory is in the file even if the daemon is killed by the next
 * instruction. log.c says which order of stores makes every instant recoverable.
 *
 * Offsets count the bytes of a guest's output from its first one on (its life).
 */
struct record {
	uint64_t life;		/* 0: nothing here; else chosen when the guest was first seen */
	uint64_t key;		/* what tells this guest from an earlier one with the same id */
	uint64_t total;		/* bytes taken from the ring */
	uint64_t kept_from;	/* from here to total, all bytes are in the log files */
	int64_t file_base;	/* offset of the first byte of the log file; negative: it began before this life */
	uint64_t inode;		/* of the log file; 0: file_base cannot be relied on */
	uint32_t bias;		/* out_cons = (uint32_t)total + bias */
	uint32_t unused[3];
};

/* Map the file, which is made if need be, and lock it: there is one daemon. Waits some seconds for a dying one. */
int state_open(const char *path, struct err *e);
void state_close(void);

/* The record of a domain id; lasts until state_close(). NULL: no memory for it (the file system is full). */
struct record *state_get(uint16_t domid);

#endif
