/* SPDX-License-Identifier: MIT */
/*
 * Disks and networks of one guest, when it goes.
 *
 * What there is to take down is learnt from the backends' part of the store, not from the definition, so that the left-overs
 * of an interrupted create go the same way. A backend goes as soon as its frontend's nodes have gone; that it has, the kernel
 * says ("remove").
 */
#include <lodged/devices.h>
#include <lodged/hub.h>
#include <lodged/lan.h>
#include <lodged/log.h>
#include <lodged/nodes.h>
#include <lodged/script.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PATIENCE	10000	/* milliseconds */
#define PREFIX		"remove "

struct device {
	const char *type;	/* vbd, vif */
	int id;
	struct hub_wait wait;
	char *script, *vdev;	/* from the store; may be NULL */
	dev_t dev;		/* of a disk */
};

static bool gone(const struct hub_wait *w)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/xen-backend/devices/%s", w->key + strlen(PREFIX));
	return access(path, F_OK);
}

bool devices_wait_gone(struct hub_wait *w, int milliseconds)
{
	return gone(w) || hub_wait(w, milliseconds, gone);
}

void devices_begin_gone(struct hub_wait *w, int domid, const char *type, int id)
{
	hub_begin(w, PREFIX "%s-%d-%d", type, domid, id);
}

static char *node(struct session *s, int domid, const struct device *d, const char *what)
{
	return store_read(s->store, "/local/domain/%u/backend/%s/%d/%d/%s", nodes_backend(), d->type, domid, d->id, what);
}

static void learn(struct session *s, int domid, struct device *d)
{
	unsigned int maj, min;
	char *physical;

	d->script = node(s, domid, d, "script");
	if (d->script && !*d->script) {
		free(d->script);
		d->script = NULL;
	}
	if (strcmp(d->type, "vbd"))
		return;
	d->vdev = node(s, domid, d, "dev");
	physical = node(s, domid, d, "physical-device");
	if (physical && sscanf(physical, "%x:%x", &maj, &min) == 2)
		d->dev = makedev(maj, min);
	free(physical);
}

/* The devices of one type, added to the list. */
static struct device *list(struct session *s, int domid, const char *type, struct device *devices, size_t *n)
{
	char **ids = store_list(s->store, "/local/domain/%u/backend/%s/%d", nodes_backend(), type, domid);
	size_t count = 0;
	struct device *grown;

	while (ids && ids[count])
		count++;
	grown = count ? realloc(devices, (*n + count) * sizeof(*devices)) : NULL;
	for (size_t i = 0; grown && i < count; i++) {
		struct device *d = &grown[(*n)++];

		*d = (struct device){ .type = type, .id = atoi(ids[i]) };
		learn(s, domid, d);
	}
	free(ids);
	return grown ? grown : devices;
}

static void run_script(struct session *s, int domid, const struct device *d)
{
	char path[96], vif[32];
	struct err e;

	snprintf(path, sizeof(path), "/local/domain/%u/backend/%s/%d/%d", nodes_backend(), d->type, domid, d->id);
	snprintf(vif, sizeof(vif), "vif%d.%d", domid, d->id);
	if (script_run(s, d->script, strcmp(d->type, "vif") ? SCRIPT_BLOCK_REMOVE : SCRIPT_VIF_OFFLINE, path, vif, &e))
		log_err("a device goes", &e);
}

static void finish(struct session *s, int domid, const char *uuid, struct device *d)
{
	char tag[BLOCK_TAG_MAX];

	if (!devices_wait_gone(&d->wait, PATIENCE))
		log_line("the kernel does not let go of %s, which belongs to the guest %s", d->wait.key + strlen(PREFIX), uuid);
	hub_end(&d->wait);
	if (d->script)
		run_script(s, domid, d);
	if (d->dev && d->vdev) {
		devices_tag(tag, uuid, d->vdev);
		devices_let_go(d->dev, tag);
	}
	free(d->script);
	free(d->vdev);
}

void devices_remove_one(struct session *s, int domid, const char *uuid, const char *type, int id)
{
	struct device d = { .type = type, .id = id };
	struct store_batch b = { 0 };

	learn(s, domid, &d);
	devices_begin_gone(&d.wait, domid, type, id);
	nodes_put_close(&b, domid, type, id);
	if (store_batch_commit(&b, s->store))
		log_line("the store does not take the end of %s", d.wait.key + strlen(PREFIX));
	finish(s, domid, uuid, &d);
}

struct removal {
	const char *uuid;
};

/* Loop devices that were made but not yet noted anywhere: those with the guest's tag. */
static bool not_of_guest(const char *tag, void *ctx)
{
	struct removal *r = ctx;

	return strncmp(tag + strlen(BLOCK_TAG), r->uuid, strlen(r->uuid));
}

void devices_remove(struct session *s, int domid, const char *uuid, const struct definition *d)
{
	struct removal r = { uuid };
	struct device *devices = NULL;
	size_t n = 0, vbds;

	if (domid >= 0) {
		devices = list(s, domid, "vbd", devices, &n);
		vbds = n;
		devices = list(s, domid, "vif", devices, &n);
		for (size_t i = 0; i < n; i++)
			devices_begin_gone(&devices[i].wait, domid, devices[i].type, devices[i].id);
		if (n && nodes_close_devices(s->store, domid))
			log_line("the store does not take the end of domain %d's devices", domid);
		for (size_t i = 0; i < n; i++)
			finish(s, domid, uuid, &devices[i]);
		free(devices);
	} else {
		vbds = 0;
	}
	/* Fewer backends than disks: it failed, or was interrupted, on its way up. */
	for (size_t i = 0, want = 0; d && i < d->ndisks; i++) {
		want += d->disks[i].target && !d->disks[i].script;
		if (want > vbds) {
			devices_sweep(not_of_guest, &r);
			break;
		}
	}
	for (size_t i = 0; d && i < d->nnics; i++)
		if (nic_is_default(&d->nics[i]))
			lan_detach(d->nics[i].mac);
}
