/* SPDX-License-Identifier: MIT */
/* What `list` and `info` tell of a guest, by member of its object in the API (docs/api.md). */
#ifndef LODGED_GUEST_MEMBERS_H
#define LODGED_GUEST_MEMBERS_H

#include <jansson.h>
#include <lib/hv.h>
#include <lodged/session.h>

/* All that there are, as an object; a member that does not apply is left out. */
json_t *guest_object(struct session *s, const xen_domctl_getdomaininfo_t *info);
/* Which of them somebody wants, for free(). */
struct guest_members {
	size_t n;
	const struct guest_member *list[];
};
/* Those with these names, a list of strings. NULL and a message: there is none of that name. */
struct guest_members *guest_members_find(const json_t *names, struct err *e);
/* Those as one text, in that order, with a tab between two; nothing where one does not apply, `?` for what would be a control character. */
json_t *guest_row(struct session *s, const xen_domctl_getdomaininfo_t *info, const struct guest_members *wanted);
/* When it was started, in seconds since 1970; 0: unknown. */
uint64_t guest_start_time(struct session *s, const xen_domctl_getdomaininfo_t *info);

#endif
