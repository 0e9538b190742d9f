/* SPDX-License-Identifier: MIT */
/* State of a domain's page-table job: for pv/pt_job.c, which explains it, and the audit. */
#ifndef PV_PT_JOB_H
#define PV_PT_JOB_H

#include <lib/types.h>

#define PT_JOB_DEPTH	4

enum pt_job_mode { PT_JOB_IDLE, PT_JOB_VALIDATE, PT_JOB_RELEASE };

/* A table being worked on: entries 0..index-1 have their references. */
struct pt_job_table { mfn_t m; u16 level, index; };

/* Guarded by the domain's pt_lock. */
struct pt_job {
	u8 mode, depth;
	int error;		/* of the validation that is being undone */
	u64 *result;		/* where the outcome of a validation goes; NULL for a release */
	struct pt_job_table stack[PT_JOB_DEPTH];
	u64 other_result;	/* for requests made by other domains */
};

/* What a result slot holds a type reference to: MFN_INVALID when to nothing. */
static inline mfn_t pt_result_mfn(u64 result) { return result && !(result & 0xfff) ? mfn(result >> 16) : MFN_INVALID; }

#endif
