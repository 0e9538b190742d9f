/* SPDX-License-Identifier: MIT */
/* The domains that the store knows: those that were introduced, and those that permissions name. */
#ifndef STORED_DOMAIN_H
#define STORED_DOMAIN_H

#include <lib/list.h>

struct conn;

/*
 * A structure stands for one life of a domain id. When the domain has died, the structure is out of the table and no connection
 * points to it any more: permissions that still name it match nobody, also not the next domain with the same number.
 */
struct domain {
	u16 domid;
	bool alive;		/* in the table */
	bool privileged;	/* may do everything, has no quotas */
	bool introduced;	/* has a ring */
	bool shutdown;		/* has stopped, and @releaseDomain told so */
	bool identified;	/* handle is known */
	u8 handle[16];		/* as the hypervisor has it: tells two lives of an id apart */
	unsigned int refs;
	bool seen;		/* by domains_check() */
	struct list all;
	struct list nodes;	/* that it owns */
	struct domain *target;	/* whose rights it has, too (SET_TARGET); a reference */
	struct conn *conn;	/* its ring */
	size_t node_count, watch_count, txn_count, memory;
	unsigned int outstanding;
};

extern struct list domains;	/* the living, by `all` */

/* The living domain with this id that the store knows; NULL. */
struct domain *domain_find(u32 domid);
/*
 * For a permission entry or a connection, with a reference: the domain known, or one that the hypervisor has, else one that is
 * dead from the start. trusted: it does exist (or did when the state was written); the hypervisor is not asked.
 */
struct domain *domain_get(u16 domid, bool trusted);
struct domain *domain_ref(struct domain *d);
void domain_put(struct domain *d);
/* The domain is no more: its connection, its nodes, its place in the table. */
void domain_died(struct domain *d);
/* Ask the hypervisor who stopped or died since the last time; tells the watchers of @releaseDomain. */
void domains_check(void);
/* The hypervisor says that one has. As it does not say which, and a look is at all of them, there are at most twenty in a second. */
void domains_event(void);
/* The look that is due. Returns in how many ms one will be, -1 for none. */
int domains_turn(void);
/* The look now, for who is about to name a new domain, since it may have the number of one that has ended. Not for a guest's request: it may end that guest. */
void domains_settle(void);
/* Commands. -EINVAL: no such domain, or its ring cannot be reached. */
int domain_introduce(u16 domid, u64 gfn, u32 port);
int domain_release(u16 domid);
int domain_resume(u16 domid);
int domain_set_target(u16 domid, u16 target);

/* For load.c, which tells nobody: the domain is out of the table; it has a target, or none. -EINVAL: that would be a circle. */
void domain_bury(struct domain *d);
int domain_aim(struct domain *d, struct domain *target);

/* Domain 0 and this one are privileged. Before all else, and for all time. */
void domain_init(u16 privileged_domid);

#endif
