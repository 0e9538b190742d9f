/* SPDX-License-Identifier: MIT */
/* When the manager starts. */
#include <errno.h>
#include <lib/network.h>
#include <lodged/change.h>
#include <lodged/devices.h>
#include <lodged/dump.h>
#include <lodged/end.h>
#include <lodged/lan.h>
#include <lodged/life.h>
#include <lodged/log.h>
#include <lodged/memory.h>
#include <lodged/nodes.h>
#include <lodged/record.h>
#include <lodged/recover.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct domains {
	xen_domctl_getdomaininfo_t *infos;
	size_t n;
};

static const xen_domctl_getdomaininfo_t *by_handle(const struct domains *ds, const uint8_t uuid[16])
{
	const xen_domctl_getdomaininfo_t *found = NULL;

	for (size_t i = 0; i < ds->n; i++)
		if (!memcmp(ds->infos[i].handle, uuid, 16) && (!found || found->flags & XEN_DOMINF_dying))
			found = &ds->infos[i];
	return found;
}

static bool exists(const struct domains *ds, int domid)
{
	for (size_t i = 0; i < ds->n; i++)
		if (ds->infos[i].domain == domid)
			return true;
	return false;
}

/* What a running guest has. That it has it is not asked again. */
static void claim_all(struct guest *g, const struct definition *d)
{
	struct claim_key key;
	uint8_t mac[6];
	struct err e;

	for (size_t i = 0; i < d->ndisks; i++)
		if (devices_claim_disk(g, true, &d->disks[i], &e))
			log_err(g->name, &e);
	for (size_t i = 0; i < d->nnics; i++) {
		if (net_parse_mac(d->nics[i].mac, mac))
			continue;
		key = claim_mac_key(mac, (int)d->nics[i].devid);
		registry_claim(g, true, &key, CLAIM_WRITE, d->nics[i].mac, &e);
	}
}

/* A guest that was being made or taken down: nothing of it stays but, if it is to start again, its record. */
static void take_down(
	struct session *s, const struct domains *ds, struct guest *g, const struct record *r, const struct definition *d)
{
	log_line("%s: it was being %s when the manager ended; %s", g->name, r->state == RECORD_ENDING ? "taken down" : "made",
		 r->again ? "it is started again" : "what there was of it is removed");
	registry_lock(g);
	registry_set_state(g, GUEST_ENDING);
	/* Without a domain there may still be nodes and backends under its former id, if nobody has that now. */
	if (g->domid < 0 && r->domid >= 0 && !exists(ds, r->domid)) {
		devices_remove(s, r->domid, g->uuid_text, d);
		nodes_remove(s->store, r->domid, g->uuid_text);
	} else {
		end_domain(s, g, d);
	}
	if (r->again)
		registry_queue(g);
	else
		end_forget(s, g);
	registry_unlock(g);
}

static void recover_guest(struct session *s, const struct domains *ds, const char *text)
{
	const xen_domctl_getdomaininfo_t *info;
	struct definition *d = NULL;
	struct record r;
	struct guest *g;
	uint8_t uuid[16];
	char *name;

	if (!uuid_from_text(text, uuid) || record_read(s->store, text, &r) == -EIO) {
		store_remove(s->store, "/lodge/guest/%s", text);
		return;
	}
	info = by_handle(ds, uuid);
	record_definition(s->store, text, &d);
	name = d ? strdup(d->name) : info ? store_read(s->store, "/local/domain/%u/name", info->domain) : NULL;
	g = registry_adopt(name ? name : text, uuid, info ? info->domain : -1);
	free(name);
	if (g && info && r.state == RECORD_RUNNING) {
		if (d) {
			registry_lock(g);
			change_recover(s, g, d);
			registry_unlock(g);
			claim_all(g, d);
		}
		if (r.preserved)
			registry_set_end(g, life_reason_of(info), true);
		if (r.kept_down)
			registry_set_kept_down(g);
		registry_queue(g);	/* it may have ended meanwhile */
	} else if (g) {
		if (d && r.again)
			claim_all(g, d);
		take_down(s, ds, g, &r, d);
	} else {
		log_line("two guests are called %s: one is left alone", d ? d->name : text);
	}
	registry_put(g);
	definition_free(d);
}

/* Numbered nodes below path that belong to no domain. */
static void remove_orphans(struct session *s, const struct domains *ds, char **ids)
{
	for (char **id = ids; ids && *id; id++) {
		char *end;
		unsigned long n = strtoul(*id, &end, 10);

		if (!*end && n < DOMID_FIRST_RESERVED && !exists(ds, (int)n) && n != nodes_backend())
			nodes_remove(s->store, (int)n, NULL);
	}
	free(ids);
}

static void remove_vms(struct session *s, const struct domains *ds, char **vms)
{
	for (char **vm = vms; vms && *vm; vm++) {
		uint8_t uuid[16];

		if (uuid_from_text(*vm, uuid) && !by_handle(ds, uuid))
			store_remove(s->store, "/vm/%s", *vm);
	}
	free(vms);
}

/* A device "lodge:UUID:VDEV" whose guest runs and has the disk: one that was about to be attached is not in its nodes. */
static bool keep_disk(const char *tag, void *ctx)
{
	struct session *s = ctx;
	char text[UUID_TEXT], *physical = NULL;
	const char *vdev;
	struct guest *g;
	uint8_t uuid[16];

	snprintf(text, sizeof(text), "%s", tag + strlen(BLOCK_TAG));
	vdev = strrchr(tag, ':') + 1;
	g = uuid_from_text(text, uuid) ? registry_by_uuid(uuid) : NULL;
	if (g && g->domid >= 0)
		physical = store_read(s->store, "/local/domain/%u/backend/vbd/%d/%d/physical-device", nodes_backend(), g->domid,
			definition_vdev_number(vdev));
	registry_put(g);
	free(physical);
	return physical;
}

static bool keep_mac(const char *text, void *ctx)
{
	struct claim_key key;
	uint8_t mac[6];
	struct err e;

	if (net_parse_mac(text, mac))
		return false;
	key = claim_mac_key(mac, 0);
	return registry_claim(NULL, false, &key, CLAIM_WRITE, text, &e);
}

int recover(struct session *s, struct err *e)
{
	/* First the nodes, then the domains: whose nodes are older than the list, and who is not in it, has ended. */
	char **guests = store_list(s->store, "/lodge/guest"), **nodes = store_list(s->store, "/local/domain"),
	     **vms = store_list(s->store, "/vm");
	char **vbds = store_list(s->store, "/local/domain/%u/backend/vbd", nodes_backend());
	char **vifs = store_list(s->store, "/local/domain/%u/backend/vif", nodes_backend());
	struct domains ds;
	int rc = life_domains(s->hv, &ds.infos, &ds.n);

	if (!rc) {
		for (char **g = guests; guests && *g; g++)
			recover_guest(s, &ds, *g);
		remove_orphans(s, &ds, nodes);
		remove_orphans(s, &ds, vbds);
		remove_orphans(s, &ds, vifs);
		remove_vms(s, &ds, vms);
		devices_sweep(keep_disk, s);
		lan_sweep(keep_mac, NULL);
		dump_recover(s);
		memory_recover(s);
		free(ds.infos);
	} else {
		free(nodes);
		free(vms);
		free(vbds);
		free(vifs);
	}
	free(guests);
	return rc ? session_hv_error(e, rc, "listing domains") : 0;
}
