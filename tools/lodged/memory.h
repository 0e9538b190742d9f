/* SPDX-License-Identifier: MIT */
/*
 * Machine memory for new guests (docs/design/015-memory-from-domain-0.md): promised, had from Domain 0 as far as it is not free, and
 * claimed for the guest's domain before it is built.
 */
#ifndef LODGED_MEMORY_H
#define LODGED_MEMORY_H

#include <lib/definition.h>
#include <lib/store_batch.h>
#include <lodged/memory_plan.h>
#include <lodged/session.h>

/* What is promised to a guest that is being made. Zeroed: nothing. */
struct memory_promise {
	const char *name;	/* of the guest, for messages */
	uint64_t open_kib;	/* promised, and not claimed */
	uint64_t claim_kib;	/* the guest's own memory; 0: nothing is promised */
	uint64_t overhead_kib;	/* the hypervisor's for it */
	bool claimed;		/* the guest's own is */
	bool kept;		/* the guest runs: Domain 0 does not get back what it gave */
	uint64_t gave_kib;	/* Domain 0 was asked for so much … */
	uint64_t dom0_kib;	/* … and had this much left after the last time */
};

/* What a guest takes from the machine, KiB: its own memory, and the hypervisor's for it. */
uint64_t memory_needed(const struct definition *d);
/* "no-memory": how much is missing. *f: how things are now. Promises nothing. */
int memory_check(struct session *s, const struct definition *d, struct memory_figures *f, struct err *e);
/*
 * A promise, so that guests that are made at the same time do not count on the same memory: refuses what there is not, waits for those
 * whose promises stand in the way. d stays until memory_release().
 */
int memory_reserve(struct session *s, const struct definition *d, struct memory_promise *p, struct err *e);
/*
 * The guest's domain is there, empty: claim its memory, for which Domain 0 gives up what is not free. "no-memory": somebody else has taken
 * it, or Domain 0 does not give it.
 */
int memory_claim(struct session *s, uint16_t domid, struct memory_promise *p, struct err *e);
/* Note in the guest's record that it runs. Only with that, what Domain 0 gave is gone for good. 0 or -errno of the store. */
int memory_keep(struct session *s, struct memory_promise *p, const char *uuid);
/* The guest runs, or everything of it is gone: then Domain 0 gets back what it gave. Nothing promised: does nothing. */
void memory_release(struct session *s, struct memory_promise *p);
/* When the manager starts, and has undone what another one had begun: Domain 0 gets back what it gave for that. */
void memory_recover(struct session *s);
/* Commit the batch with Domain 0's target as somebody has asked for it. */
int memory_set_dom0(struct session *s, struct store_batch *b);
/* "no-memory" for a guest that is there, and is to have more. Promises nothing. */
int memory_check_more(struct session *s, const char *name, uint64_t more_kib, struct err *e);

#endif
