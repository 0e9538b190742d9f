/* SPDX-License-Identifier: MIT */
/* Permissions of a node: who owns it, and what others may do. */
#ifndef STORED_PERMS_H
#define STORED_PERMS_H

#include <stored/domain.h>
#include <stored/mem.h>

enum {
	PERM_READ = 1,
	PERM_WRITE = 2,
	PERM_OWNER = 4,
	PERM_ALL = PERM_READ | PERM_WRITE | PERM_OWNER,
};

/*
 * Shared and constant: nodes that inherit from one another point to the same structure. The first entry is the owner and, as its
 * bits, what domains may do that have no entry of their own.
 */
struct perms {
	unsigned int refs;
	unsigned int n;		/* >= 1 */
	struct perm {
		struct domain *domain;	/* a reference */
		u8 bits;		/* PERM_READ, PERM_WRITE */
	} entry[];
};

/* n entries, to be filled in with references; one reference for the caller. */
struct perms *perms_alloc(unsigned int n);
struct perms *perms_ref(struct perms *p);
void perms_put(struct perms *p);
static inline struct domain *perms_owner(const struct perms *p) { return p->entry[0].domain; }
/* The same for everybody but with another owner. */
struct perms *perms_with_owner(struct perms *p, struct domain *owner);
/* PERM_* of a domain. */
unsigned int perms_for(const struct perms *p, const struct domain *d);

/* From strings like "n0" "r5", one behind the other, each with its NUL; NULL: they are wrong, or none. */
struct perms *perms_parse(const char *text, size_t len);
void perms_print(const struct perms *p, struct bytes *out);

#endif
