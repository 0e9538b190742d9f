/* SPDX-License-Identifier: MIT */
/* The domains that the store knows: those that were introduced, and those that permissions name. */
#include <stored/domain.h>
#include <stored/log.h>
#include <stored/loop.h>
#include <stored/path.h>
#include <stored/persist.h>
#include <stored/ring.h>
#include <stored/txn.h>
#include <stored/watch.h>
#include <stored/xen.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>

#define CHECK_MS 50

struct list domains = LIST_INIT(domains);
static struct domain *table[DOMID_FIRST_RESERVED];
static u16 privileged;
static bool check_wanted;
static u64 last_check;	/* of those that the hypervisor asked for; ms */

void domain_init(u16 privileged_domid)
{
	privileged = privileged_domid;
}

struct domain *domain_find(u32 domid)
{
	return domid < DOMID_FIRST_RESERVED ? table[domid] : NULL;
}

struct domain *domain_ref(struct domain *d)
{
	d->refs++;
	return d;
}

static void identify(struct domain *d, const struct xen_domain *info)
{
	memcpy(d->handle, info->handle, sizeof(d->handle));
	d->identified = true;
}

struct domain *domain_get(u16 domid, bool trusted)
{
	struct xen_domain info = { 0 };
	struct domain *d = domain_find(domid);

	if (d)
		return domain_ref(d);
	d = mem_alloc(sizeof(*d));
	d->domid = domid;
	d->refs = 1;
	d->privileged = domid == 0 || domid == privileged;
	list_init(&d->nodes);
	list_init(&d->all);
	if (!trusted && !d->privileged && (xen_domain_info(domid, &info) || info.dying))
		return d;
	d->alive = true;
	table[domid] = d;
	list_add_tail(&domains, &d->all);
	if (!trusted && !d->privileged) {
		identify(d, &info);
		persist_domain(d);
	}
	return d;
}

void domain_bury(struct domain *d)
{
	if (d->alive) {
		d->alive = false;
		table[d->domid] = NULL;
		list_del(&d->all);
	}
}

void domain_put(struct domain *d)
{
	while (d && --d->refs == 0) {
		struct domain *target = d->target;

		domain_bury(d);
		free(d);
		d = target;
	}
}

int domain_aim(struct domain *d, struct domain *target)
{
	for (const struct domain *t = target; t; t = t->target) {
		if (t == d)
			return -EINVAL;
	}
	if (target)
		domain_ref(target);
	domain_put(d->target);
	d->target = target;
	return 0;
}

/* The daemon itself removes a node, or takes it over if it is the root. */
static void take_node(struct node *n)
{
	struct txn *t = txn_begin(NULL, NULL, 0);
	struct domain *owner = domain_get(0, true);
	struct perms *perms = perms_with_owner(n->perms, owner);
	char path[PATH_BUFFER];

	name_path(&n->name, path, sizeof(path));
	if (n != &node_root)
		txn_remove(t, path);
	else if (txn_put(t, path, NULL, 0, perms))
		abort();	/* the daemon has no quota */
	if (txn_commit(t))
		abort();	/* it began just now */
	txn_free(t);
	perms_put(perms);
	domain_put(owner);
}

void domain_died(struct domain *d)
{
	struct node *n;

	domain_ref(d);
	if (domain_aim(d, NULL))
		abort();	/* nothing is no circle */
	if (d->conn)
		ring_close(d);
	while ((n = list_first_entry(&d->nodes, struct node, owned)))
		take_node(n);
	domain_bury(d);
	persist_died(d);
	domain_put(d);
}

/* What the hypervisor says of the domains, once each: true if somebody is to be told. */
static bool note_states(void)
{
	struct xen_domain infos[64];
	bool news = false;
	int n;

	for (u32 first = 0; (n = xen_domain_list((u16)first, infos, ARRAY_SIZE(infos))) > 0; first = infos[n - 1].domid + 1U) {
		for (int i = 0; i < n; i++) {
			struct domain *d = domain_find(infos[i].domid);

			if (!d || infos[i].dying || (d->identified && memcmp(d->handle, infos[i].handle, sizeof(d->handle)) != 0))
				continue;
			d->seen = true;
			if (!d->identified)
				identify(d, &infos[i]);
			if (infos[i].shutdown && !d->shutdown && d->introduced) {
				d->shutdown = news = true;
				persist_domain(d);
			}
		}
	}
	return news;
}

void domains_check(void)
{
	struct domain *d;
	bool news;

	if (!xen_present())
		return;
	list_for_each_entry(d, &domains, all)
		d->seen = d->privileged;
	news = note_states();
	for (;;) {
		list_for_each_entry(d, &domains, all) {
			if (!d->seen)
				break;
		}
		if (&d->all == &domains)
			break;
		news |= d->introduced;
		domain_died(d);
	}
	if (news)
		watch_fire_special(WATCH_RELEASE);
	persist_group();
}

void domains_event(void)
{
	check_wanted = true;
}

void domains_settle(void)
{
	if (!check_wanted)
		return;
	check_wanted = false;
	last_check = loop_now();
	domains_check();
}

int domains_turn(void)
{
	if (check_wanted && loop_now() - last_check < CHECK_MS)
		return (int)(last_check + CHECK_MS - loop_now());
	domains_settle();
	return -1;
}

int domain_introduce(u16 domid, u64 gfn, u32 port)
{
	struct domain *d = domain_get(domid, false);
	int rc = -EINVAL;

	if (d->conn) {
		rc = ring_rebind(d, gfn, port);
	} else if (d->alive) {
		rc = ring_open(d, gfn, port);
		d->introduced |= !rc;
	}
	if (!rc) {
		persist_domain(d);
		watch_fire_special(WATCH_INTRODUCE);
	}
	domain_put(d);
	return rc;
}

int domain_release(u16 domid)
{
	struct domain *d = domain_find(domid);

	if (!d || !d->introduced)
		return -ENOENT;
	if (d->privileged)
		return -EINVAL;
	/* commit */
	domain_ref(d);
	ring_close(d);
	d->introduced = d->shutdown = false;
	persist_domain(d);
	watch_fire_special(WATCH_RELEASE);
	domain_put(d);
	return 0;
}

int domain_resume(u16 domid)
{
	struct domain *d = domain_find(domid);

	if (!d || !d->introduced)
		return -ENOENT;
	d->shutdown = false;
	persist_domain(d);
	return 0;
}

int domain_set_target(u16 domid, u16 target)
{
	struct domain *d = domain_find(domid), *t = domain_find(target);
	int rc;

	if (!d || !d->introduced || !t || !t->introduced)
		return -ENOENT;
	rc = domain_aim(d, t);
	if (!rc)
		persist_domain(d);
	return rc;
}
