/* SPDX-License-Identifier: MIT */
/* The manager's record of a guest in the store: /lodge/guest/UUID (tools/README.md). */
#ifndef LODGED_RECORD_H
#define LODGED_RECORD_H

#include <lib/definition.h>
#include <lib/store_batch.h>
#include <lodged/registry.h>
#include <lodged/session.h>

enum record_state { RECORD_BUILDING, RECORD_RUNNING, RECORD_ENDING, RECORD_NONE };

struct record {
	enum record_state state;
	int domid;		/* -1: none written */
	bool again;		/* it is to run again once its domain is gone, or it is being built for that */
	unsigned int quick;	/* how many times it ended soon after it was started, in a row */
	bool preserved;		/* its end has been dealt with */
	bool kept_down;		/* and it was one too many */
	bool no_restart;	/* its next end is the last, whatever its definition says */
};

/* The functions return 0 or -errno. */
/* Definition and state of a new guest, in one transaction. */
int record_write(struct store *s, const char *uuid, const struct definition *d, enum record_state state);
int record_set_definition(struct store *s, const char *uuid, const struct definition *d);
/* As a part of a transaction. -ENOMEM, -E2BIG: nothing was added to it. */
int record_put_definition(struct store_batch *b, const char *uuid, const struct definition *d);
/* What has begun with one of its devices (change.h); NULL: nothing. */
void record_put_change(struct store_batch *b, const char *uuid, const char *change);
char *record_change(struct store *s, const char *uuid);
int record_set_state(struct store *s, const char *uuid, enum record_state state);
/* As a part of a transaction. */
void record_put_state(struct store_batch *b, const char *uuid, enum record_state state);
int record_set_domid(struct store *s, const char *uuid, int domid);
int record_set_again(struct store *s, const char *uuid, bool again);
int record_set_quick(struct store *s, const char *uuid, unsigned int quick);
int record_set_preserved(struct store *s, const char *uuid, bool kept_down);
int record_set_no_restart(struct store *s, const char *uuid, bool no_restart);
/* The core file of its end, from before it is written until there is a new domain; NULL: none. */
int record_set_core(struct store *s, const char *uuid, const char *path);
/* Allocated; NULL: none. */
char *record_core(struct store *s, const char *uuid);
/* -ENOENT: there is none; an unreadable state is RECORD_NONE. */
int record_read(struct store *s, const char *uuid, struct record *r);
/* -ENOENT, or -EINVAL when it is no definition. */
int record_definition(struct store *s, const char *uuid, struct definition **d);
/* The same for a request, with a message. */
int session_definition(struct session *s, const struct guest *g, struct definition **d, struct err *e);
int record_remove(struct store *s, const char *uuid);

#endif
