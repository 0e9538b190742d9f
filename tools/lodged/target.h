/* SPDX-License-Identifier: MIT */
/* The guest that a request names: ours, or a domain of somebody else's. */
#ifndef LODGED_TARGET_H
#define LODGED_TARGET_H

#include <jansson.h>
#include <lodged/registry.h>
#include <lodged/session.h>

struct target {
	struct guest *g;	/* with a reference; NULL: not one of ours */
	int domid;		/* -1: it has none at the moment */
	xen_domctl_getdomaininfo_t info;	/* with a domain id */
	char name[256];		/* "" : has none */
	bool locked;		/* target_lock() */
};

/* params' member "guest". "no-such-guest". */
int target_find(struct session *s, const json_t *params, struct target *t, struct err *e);
/* The same, but not Domain 0 ("is-dom0"), and with `managed` only ours ("not-managed"). */
int target_find_guest(struct session *s, const json_t *params, bool managed, struct target *t, struct err *e);
/*
 * Have the guest to ourselves until target_put(), if it is one of ours: registry_lock(); its domain is then what t says. "no-such-guest": it has
 * ended meanwhile, and t is given back.
 */
int target_lock(struct target *t, struct err *e);
void target_put(struct target *t);
/* A number as a text of a request, at most five digits; -1: it is none. */
int target_number(const char *text);
/* How many vCPUs it has, online or not. */
uint32_t target_vcpus(const xen_domctl_getdomaininfo_t *info);
/* Name of a domain; "" if it has none. */
void target_name(struct session *s, int domid, char name[256]);

#endif
