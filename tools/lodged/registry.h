/* SPDX-License-Identifier: MIT */
/*
 * The guests that the manager knows, found by name, UUID and domain id, and what each has claimed (disks, MAC addresses). An
 * index of what hypervisor and store say, built when the manager starts and kept up to date by everything that it does.
 */
#ifndef LODGED_REGISTRY_H
#define LODGED_REGISTRY_H

#include <lib/block.h>
#include <lib/definition.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define UUID_TEXT	37

enum guest_state { GUEST_BUILDING, GUEST_RUNNING, GUEST_ENDING, GUEST_GONE };

struct claim;

struct guest {			/* all under the registry's lock */
	char *name;
	uint8_t uuid[16];
	char uuid_text[UUID_TEXT];	/* never changes but by registry_rename() */
	int domid;		/* -1: has none now */
	enum guest_state state;
	bool busy;		/* a thread has it to itself: registry_lock() */
	bool preserved;		/* its end has been dealt with; the domain stays */
	bool kept_down;		/* because it has ended too often, too soon */
	bool queued;		/* for the life-cycle threads */
	int reason;		/* SHUTDOWN_* of its last end; -1: none yet */
	unsigned int ends;	/* how often it has ended */
	uint64_t started;	/* when its domain was, in seconds since 1970; 0: the store knows */
	unsigned int refs;
	struct claim *claims;
	struct guest *next;	/* in the life-cycle queue */
};

enum claim_kind { CLAIM_DISK, CLAIM_MAC };
enum claim_mode { CLAIM_READ, CLAIM_SHARED, CLAIM_WRITE };	/* readers agree with readers, sharers with all sharers and readers */

/* What one claims: a disk (as block_identify() says) or a MAC address in `a`. */
struct claim_key {
	enum claim_kind kind;
	uint64_t a, b;
	uint64_t whole;		/* CLAIM_DISK of a block device: the disk it is on, else 0 */
	int device;		/* which of the guest's devices it is for: its number */
};

void uuid_to_text(const uint8_t uuid[16], char text[UUID_TEXT]);
bool uuid_from_text(const char *text, uint8_t uuid[16]);
/* device: see there; for a question alone it does not matter. */
struct claim_key claim_disk_key(const struct block_id *id, int device);
struct claim_key claim_mac_key(const uint8_t mac[6], int device);

/*
 * A new guest, busy, in the state BUILDING, with a reference for the caller. Names and UUIDs that end just now are waited for.
 * "name-taken", "uuid-taken"; -ENOMEM.
 */
int registry_reserve(const char *name, const uint8_t uuid[16], struct guest **out, struct err *e);
/* Would it succeed? Neither waits nor changes anything. */
int registry_check_free(const char *name, const uint8_t uuid[16], struct err *e);
/* At the manager's start, of what is there: not busy, state RUNNING. NULL: name or UUID are there already, or no memory. */
struct guest *registry_adopt(const char *name, const uint8_t uuid[16], int domid);

/* With a reference, or NULL. */
struct guest *registry_by_name(const char *name);
struct guest *registry_by_uuid(const uint8_t uuid[16]);
struct guest *registry_by_domid(int domid);
void registry_put(struct guest *g);

/*
 * Have the guest to oneself: wait until nobody else has. False: it is gone (then it is not locked).
 * registry_unlock() tells everybody who waits for a change.
 */
bool registry_lock(struct guest *g);
void registry_unlock(struct guest *g);

/* By whoever has it to himself. registry_remove(): gone; name, UUID and claims are free. It stays locked, the reference too. */
void registry_set_domid(struct guest *g, int domid);
void registry_set_state(struct guest *g, enum guest_state state);
void registry_set_end(struct guest *g, int reason, bool preserved);
void registry_set_kept_down(struct guest *g);
/* When it was started as this domain; anybody may say it. */
void registry_set_started(struct guest *g, int domid, uint64_t when);
int registry_rename(struct guest *g, const char *name, const uint8_t uuid[16], struct err *e);
void registry_remove(struct guest *g);

/* A copy of what changes; safe without having it to oneself. */
struct guest_view {
	char name[256], uuid_text[UUID_TEXT];
	int domid, reason;
	enum guest_state state;
	bool preserved, kept_down;
	unsigned int ends;
	uint64_t started;
};
void registry_view(struct guest *g, struct guest_view *v);
/* Wait for any change of any guest after `seen` (from registry_serial()), or the deadline (CLOCK_MONOTONIC): false. */
unsigned long registry_serial(void);
bool registry_wait(unsigned long *seen, const struct timespec *deadline);

/*
 * Claims go with the guest. "disk-in-use", "mac-in-use": says who; what: the path or address as the user wrote it. claim: if it is
 * free, g has it from now on, which another disk of its own can stand in the way of; otherwise it is only a question, in whose way is
 * nothing that g has, and g may be NULL.
 */
int registry_claim(struct guest *g, bool claim, const struct claim_key *key, enum claim_mode mode, const char *what, struct err *e);
void registry_unclaim(struct guest *g);
/* What one of its devices has. */
void registry_unclaim_device(struct guest *g, enum claim_kind kind, int device);

/* The life-cycle queue: guests whose domain may have ended. registry_next() waits. With a reference. */
void registry_queue(struct guest *g);
/* Those that pred() wants; it is called with the registry locked, and only looks. */
void registry_queue_those(bool (*pred)(const struct guest *g, void *ctx), void *ctx);
struct guest *registry_next(void);

#endif
