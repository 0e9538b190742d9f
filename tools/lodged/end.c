/* SPDX-License-Identifier: MIT */
/* The end of a guest. */
#include <errno.h>
#include <lodged/devices.h>
#include <lodged/end.h>
#include <lodged/log.h>
#include <lodged/nodes.h>
#include <lodged/record.h>
#include <string.h>
#include <time.h>

#define GONE_FIRST_NS	125000L
#define GONE_LAST_NS	10000000L

/*
 * Give the daemons that serve the domain a moment to let go of its pages, so that the hypervisor can forget it. Nothing
 * announces that; it takes them a fraction of a millisecond. Whoever still has some after 16 keeps an empty shell of the
 * domain, which does no harm.
 */
static void await_gone(struct session *s, int domid)
{
	xen_domctl_getdomaininfo_t info;

	for (long wait = GONE_FIRST_NS; wait < GONE_LAST_NS && !hv_domain_info(s->hv, (uint16_t)domid, &info); wait *= 2)
		nanosleep(&(struct timespec){ .tv_nsec = wait }, NULL);
}

void end_domain(struct session *s, struct guest *g, const struct definition *d)
{
	int domid = g->domid, rc;

	/* Its vCPUs first, so that it cannot answer its backends any more. */
	if (domid >= 0)
		hv_domain_pause(s->hv, (uint16_t)domid);
	devices_remove(s, domid, g->uuid_text, d);
	if (domid < 0)
		return;
	rc = hv_domain_destroy(s->hv, (uint16_t)domid);
	if (rc && rc != -ESRCH)
		log_line("%s: domain %d cannot be destroyed: %s", g->name, domid, strerror(-rc));
	store_release(s->store, (uint16_t)domid);	/* the store may have seen it itself */
	/* This tells the console daemon that it is this one which has ended. */
	rc = nodes_remove(s->store, domid, g->uuid_text);
	if (rc)
		log_line("%s: nodes of domain %d cannot be removed: %s", g->name, domid, strerror(-rc));
	await_gone(s, domid);
	registry_set_domid(g, -1);
}

void end_forget(struct session *s, struct guest *g)
{
	int rc = record_remove(s->store, g->uuid_text);

	if (rc)
		log_line("%s: its record cannot be removed: %s", g->name, strerror(-rc));
	registry_remove(g);
}

void end_guest(struct session *s, struct guest *g)
{
	struct definition *d = NULL;

	registry_set_state(g, GUEST_ENDING);
	record_set_again(s->store, g->uuid_text, false);
	record_set_state(s->store, g->uuid_text, RECORD_ENDING);
	record_definition(s->store, g->uuid_text, &d);
	end_domain(s, g, d);
	definition_free(d);
	end_forget(s, g);
}
