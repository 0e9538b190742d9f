/* SPDX-License-Identifier: MIT */
/*
 * A disk or a network interface that a running guest loses.
 *
 * Two ends that are just connecting are left to it first. A backend that says in between that it closes takes that back without
 * knowing, when the kernel writes that it is connected: Linux's disk driver, which has closed, opens again for a backend that is
 * going, and waits for its answers without end. And Linux's network driver waits without end for a backend whose nodes have gone
 * while it starts. Either stops all other drivers of that guest as well.
 */
#include <errno.h>
#include <lodged/change.h>
#include <lodged/devices.h>
#include <lodged/lan.h>
#include <lodged/log.h>
#include <lodged/nodes.h>
#include <lodged/record.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LET_GO_PATIENCE	20000	/* milliseconds that the guest has */
#define START_PATIENCE	10000	/* … to connect what has just been attached; it may have no driver */
#define LOOK_AGAIN	250

/* States of a frontend, as it says itself in the store (<xen/io/xenbus.h>). */
enum { INITIALISED = 3, CONNECTED = 4, CLOSING = 5, CLOSED = 6 };

static void drop_nic(struct definition *d, size_t i)
{
	bool ours = nic_is_default(&d->nics[i]);
	const struct nic *first;
	struct err ignored;

	if (ours)
		lan_detach(d->nics[i].mac);
	definition_remove_nic(d, i);
	first = definition_default_nic(d);
	if (ours && first)
		lan_attach(first->mac, first->ip, d->name, &ignored);
}

/* Whatever the guest says. d: its definition, which is changed too. */
static int take_away(struct session *s, struct guest *g, const struct device_id *id, struct definition *d, struct err *e)
{
	bool disk = !strcmp(id->type, "vbd");
	int i = change_find(d, id), rc;
	struct store_batch b = { 0 };

	/* An empty drive has no nodes. */
	if (i < 0 || !disk || d->disks[i].target)
		devices_remove_one(s, g->domid, g->uuid_text, id->type, id->number);
	if (i >= 0 && disk && id->medium && d->disks[i].cdrom)
		definition_empty_drive(d, (size_t)i);
	else if (i >= 0 && disk)
		definition_remove_disk(d, (size_t)i);
	else if (i >= 0)
		drop_nic(d, (size_t)i);
	rc = record_put_definition(&b, g->uuid_text, d);
	if (!rc) {
		record_put_change(&b, g->uuid_text, NULL);
		nodes_put_gone(&b, g->domid, id->type, id->number);
		rc = store_batch_commit(&b, s->store);
	}
	if (rc)
		return session_store_error(e, rc, "removing the device");
	registry_unclaim_device(g, disk ? CLAIM_DISK : CLAIM_MAC, id->number);
	return 0;
}

/* As the guest says itself; one that says nothing, or nonsense, has closed. */
static uint64_t frontend_state(struct session *s, const struct guest *g, const struct device_id *id)
{
	uint64_t state;
	int rc = store_read_u64(s->store, &state, "/local/domain/%d/device/%s/%d/state", g->domid, id->type, id->number);

	return rc ? CLOSED : state;
}

/* One that has never connected, or has closed, has nothing to let go of. */
static bool in_use(struct session *s, const struct guest *g, const struct device_id *id)
{
	uint64_t state = frontend_state(s, g, id);

	return state >= INITIALISED && state <= CLOSING;
}

static bool has_closed(struct session *s, const struct guest *g, const struct device_id *id)
{
	return frontend_state(s, g, id) >= CLOSED;
}

static unsigned int backend_state(const struct guest *g, const struct device_id *id)
{
	char device[32];

	snprintf(device, sizeof(device), "%s-%d-%d", id->type, g->domid, id->number);
	return devices_backend_state(device);
}

/* Wait until both ends are connected, or one has closed, or it seems that nothing comes of it. */
static void await_connected(struct session *s, const struct guest *g, const struct device_id *id, struct hub_wait *w)
{
	for (int waited = 0; waited < START_PATIENCE; waited += LOOK_AGAIN) {
		uint64_t state = frontend_state(s, g, id);

		if (state > CONNECTED || (state == CONNECTED && backend_state(g, id) >= CONNECTED) ||
		    devices_wait_gone(w, LOOK_AGAIN))
			return;
	}
}

/* The backend says that it closes. Whether the device can be taken away then. */
static bool let_go(struct session *s, const struct guest *g, const struct device_id *id, struct hub_wait *w, int patience)
{
	for (int waited = 0; waited < patience; waited += LOOK_AGAIN)
		if (devices_wait_gone(w, LOOK_AGAIN) || has_closed(s, g, id))
			return true;
	return false;
}

static int commit(struct session *s, struct store_batch *b, struct err *e)
{
	int rc = store_batch_commit(b, s->store);

	return rc ? session_store_error(e, rc, "telling the guest of the device's end") : 0;
}

static void put_mark(struct store_batch *b, const struct guest *g, const struct device_id *id, const char *what)
{
	char mark[CHANGE_MARK_MAX];

	change_mark(mark, what, id);
	record_put_change(b, g->uuid_text, mark);
}

static int begin_ask(struct session *s, const struct guest *g, const struct device_id *id, struct err *e)
{
	struct store_batch b = { 0 };

	put_mark(&b, g, id, "ask");
	nodes_put_backend(&b, g->domid, id->type, id->number, false, NODES_CLOSING);
	return commit(s, &b, e);
}

/* The device stays, in the state that the kernel's backend has had all the time. */
static int give_up(struct session *s, const struct guest *g, const struct device_id *id, struct err *e)
{
	struct store_batch b = { 0 };
	unsigned int state = backend_state(g, id);

	record_put_change(&b, g->uuid_text, NULL);
	nodes_put_backend(&b, g->domid, id->type, id->number, true, state ? state : CLOSED);
	return commit(s, &b, e);
}

static int begin_removal(struct session *s, const struct guest *g, const struct device_id *id, struct err *e)
{
	struct store_batch b = { 0 };

	put_mark(&b, g, id, "remove");
	return commit(s, &b, e);
}

static int busy(const struct guest *g, const struct definition *d, const struct device_id *id, struct err *e)
{
	int i = change_find(d, id);

	if (!strcmp(id->type, "vbd"))
		return err_set(e, EBUSY, "device-busy",
			"the guest %s has not let go of its disk %s within %d seconds: unmount it there and try again, or take it "
			"away with --force (what the guest has not written yet is lost then)",
			g->name, d->disks[i].vdev, LET_GO_PATIENCE / 1000);
	return err_set(e, EBUSY, "device-busy",
		"the guest %s has not let go of its network interface %d within %d seconds: take it down there and try again, or "
		"take it away with --force",
		g->name, id->number, LET_GO_PATIENCE / 1000);
}

/* Ask the guest, and wait for the kernel's backend to say that it has let go. */
static int ask(struct session *s, struct guest *g, const struct definition *d, const struct device_id *id, struct hub_wait *w,
	struct err *e)
{
	int rc = begin_ask(s, g, id, e);

	if (rc || let_go(s, g, id, w, LET_GO_PATIENCE))
		return rc;
	rc = give_up(s, g, id, e);
	/* It may have done it in the last moment. */
	return rc || devices_wait_gone(w, 0) ? rc : busy(g, d, id, e);
}

static int ask_if_in_use(struct session *s, struct guest *g, const struct definition *d, const struct device_id *id, struct err *e)
{
	struct hub_wait w;
	int rc;

	devices_begin_gone(&w, g->domid, id->type, id->number);
	await_connected(s, g, id, &w);
	rc = in_use(s, g, id) ? ask(s, g, d, id, &w, e) : 0;
	hub_end(&w);
	return rc;
}

static int detach(struct session *s, struct guest *g, const struct device_id *id, bool force, bool paused, struct definition *d,
	struct err *e)
{
	int rc = change_need(g, d, id, e);

	if (rc < 0)
		return rc;
	rc = 0;
	if (!force && paused && in_use(s, g, id))
		return err_set(e, EINVAL, "wrong-state",
			"the guest %s is paused and cannot let go of it: unpause it first, or take it away with --force", g->name);
	if (!force && !paused)
		rc = ask_if_in_use(s, g, d, id, e);
	if (!rc)
		rc = begin_removal(s, g, id, e);
	return rc ? rc : take_away(s, g, id, d, e);
}

int change_detach(struct session *s, struct guest *g, const struct device_id *id, bool force, struct err *e)
{
	xen_domctl_getdomaininfo_t info;
	struct definition *d;
	int rc = change_begin(s, g, &info, &d, e), i;

	if (rc)
		return rc;
	i = id->medium ? change_need_drive(g, d, id, e) : 0;
	if (i < 0 || (id->medium && !d->disks[i].target)) {
		definition_free(d);
		return i < 0 ? i : 0;
	}
	rc = detach(s, g, id, force, info.flags & XEN_DOMINF_paused, d, e);
	definition_free(d);
	if (!rc)
		log_line("%s: %s %d is %s", g->name, id->type, id->number, id->medium ? "empty" : "detached");
	return rc;
}

/* The mark of its attaching stays. */
static int begin_undo(struct session *s, const struct guest *g, const struct device_id *id, struct err *e)
{
	struct store_batch b = { 0 };

	nodes_put_backend(&b, g->domid, id->type, id->number, false, NODES_CLOSING);
	return commit(s, &b, e);
}

int change_undo(struct session *s, struct guest *g, const struct device_id *id, struct definition *d, struct err *e)
{
	struct hub_wait w;
	struct err ignored;

	devices_begin_gone(&w, g->domid, id->type, id->number);
	if (!devices_wait_gone(&w, 0))
		await_connected(s, g, id, &w);
	if (in_use(s, g, id) && !begin_undo(s, g, id, &ignored))
		let_go(s, g, id, &w, START_PATIENCE);
	hub_end(&w);
	return take_away(s, g, id, d, e);
}

void change_recover(struct session *s, struct guest *g, struct definition *d)
{
	char *text = record_change(s->store, g->uuid_text), what[8] = "", type[4] = "", cd[4] = "";
	struct device_id id = { "vbd", 0, false };
	struct hub_wait w;
	struct err e;
	bool stays;
	int n;

	n = text ? sscanf(text, "%7s %3s %d %3s", what, type, &id.number, cd) : 0;
	free(text);
	if (n < 3)
		return;
	id.medium = !strcmp(cd, "cd");
	if (!strcmp(type, "vif"))
		id.type = "vif";
	devices_begin_gone(&w, g->domid, id.type, id.number);
	stays = !strcmp(what, "ask") && in_use(s, g, &id) && !devices_wait_gone(&w, 0);
	hub_end(&w);
	log_line("%s: the manager ended while %s %d was being %s: it %s", g->name, id.type, id.number,
		strcmp(what, "attach") ? "detached" : "attached", stays ? "stays" : "is taken away");
	if (stays)
		n = give_up(s, g, &id, &e);
	else if (strcmp(what, "remove"))
		n = change_undo(s, g, &id, d, &e);
	else
		n = take_away(s, g, &id, d, &e);
	if (n)
		log_err(g->name, &e);
}
