/* SPDX-License-Identifier: MIT */
/* Guests: one ring, one event channel, one log each, and a fair share of the daemon. */
#ifndef TOOLS_CONSOLED_GUEST_H
#define TOOLS_CONSOLED_GUEST_H

#include <consoled/log.h>
#include <consoled/xen.h>

struct client;

struct guest {
	struct guest *next, **link;	/* all guests */
	uint16_t domid;
	char *name;			/* NULL until attached */
	uint64_t gfn;			/* of the ring, and the guest's port, as the store has them */
	uint32_t remote_port;
	struct xencons_interface *ring;	/* NULL: not attached, or ended */
	bool granted;
	int port;
	struct record *rec, own_rec;	/* own_rec: when there is none in the file, and once the guest has ended */
	struct log log;
	bool ended, told_corrupt, told_attach;
	bool has_pty, name_watched;	/* kept here for discover.c */
	int64_t tokens, tokens_at;	/* bytes it may yet write; when that was counted */
	struct guest *next_resting;
	int64_t rest_until;		/* 0: not resting */
	struct client *clients;
	int64_t close_at;		/* when ended: clients that have not read all by then are closed */
};

/* bytes_per_second: what one guest may write in the long run; as much again at once. At least 4096. */
void guest_setup(int64_t bytes_per_second);

/* The guest of that id, NULL: unknown. */
struct guest *guest_find(uint16_t domid);
/* The guest of that name that is attached. Looks at all of them. */
struct guest *guest_find_name(const char *name);
/* The same, made if unknown. NULL: no memory. */
struct guest *guest_add(uint16_t domid);
/* The first of all; ->next goes on. Ended ones are not among them. */
struct guest *guest_first(void);

/*
 * The store says that the guest called name has its ring at gfn and listens at remote_port. Nothing happens if that is so already.
 * What cannot be mapped or bound is told once and left alone until the store says something new.
 */
void guest_attach(struct guest *g, const char *name, uint64_t gfn, uint32_t remote_port);
bool guest_is_attached(const struct guest *g, uint64_t gfn, uint32_t remote_port);
void guest_rename(struct guest *g, const char *name);

/* The domain is gone, or dying: take what is left in the ring, tell the clients, forget it. g is invalid afterwards. */
void guest_end(struct guest *g);

/* An event on one of our ports. */
void guest_event(int port);
/* What is due; milliseconds until the next time, -1: none. */
int guest_timers(void);

/* Input for the guest; how much its ring took. */
size_t guest_input(struct guest *g, const char *data, size_t len);

/* Open all logs anew. */
void guest_reopen_logs(void);

/* A client of an ended guest has gone. May free g. */
void guest_client_gone(struct guest *g);

#endif
