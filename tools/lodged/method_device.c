/* SPDX-License-Identifier: MIT */
/* Methods for the disks and network interfaces of a running guest. */
#include <errno.h>
#include <lib/block.h>
#include <lib/network.h>
#include <lodged/change.h>
#include <lodged/methods.h>
#include <lodged/nodes.h>
#include <lodged/record.h>
#include <lodged/target.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* A guest of ours, which we have to ourselves until target_put(). */
static int lock_guest(struct session *s, const json_t *params, struct target *t, struct err *e)
{
	int rc = target_find_guest(s, params, true, t, e);

	return rc ? rc : target_lock(t, e);
}

/* --- what there is --- */

struct device {
	struct session *s;
	int domid, id;
	const char *type;
};

static char *backend_node(const struct device *d, const char *what)
{
	return store_read(d->s->store, "/local/domain/%u/backend/%s/%d/%d/%s", nodes_backend(), d->type, d->domid, d->id, what);
}

/* A string from the backend's part of the store, which is ours. */
static void add_string(json_t *j, const struct device *d, const char *node, const char *member)
{
	char *value = backend_node(d, node);

	if (value && *value)
		json_object_set_new(j, member, json_string(value));
	free(value);
}

/* A number from the guest's part: whatever it has written there. */
static void add_number(json_t *j, const struct device *d, const char *node, const char *member)
{
	uint64_t n;

	if (!store_read_u64(d->s->store, &n, "/local/domain/%d/device/%s/%d/%s", d->domid, d->type, d->id, node) && n <= UINT32_MAX)
		json_object_set_new(j, member, json_integer((json_int_t)n));
}

static json_t *device_json(const struct device *d)
{
	static const char *const states[] = { "waiting", "waiting", "waiting", "waiting", "connected", "closing", "closed" };
	json_t *j = json_object();
	uint64_t state;
	char path[96];

	snprintf(path, sizeof(path), "/local/domain/%u/backend/%s/%d/%d", nodes_backend(), d->type, d->domid, d->id);
	if (store_read_u64(d->s->store, &state, "%s/state", path) || state > 6)
		state = 6;
	json_object_set_new(j, "backend", json_integer(nodes_backend()));
	json_object_set_new(j, "state", json_string(states[state]));
	json_object_set_new(j, "xenbus_state", json_integer((json_int_t)state));
	json_object_set_new(j, "path", json_string(path));
	return j;
}

static json_t *disk_json(const struct device *d)
{
	char *physical = backend_node(d, "physical-device"), name[128];
	json_t *j = device_json(d);
	unsigned int maj, min;

	json_object_set_new(j, "number", json_integer(d->id));
	add_string(j, d, "dev", "vdev");
	add_string(j, d, "params", "target");
	add_string(j, d, "mode", "access");
	if (physical && sscanf(physical, "%x:%x", &maj, &min) == 2) {
		block_device_name(makedev(maj, min), name, sizeof(name));
		json_object_set_new(j, "device", json_string(name));
	}
	free(physical);
	add_number(j, d, "event-channel", "event_channel");
	add_number(j, d, "ring-ref", "ring_ref");
	return j;
}

static json_t *nic_json(const struct device *d)
{
	json_t *j = device_json(d);
	char interface[32];

	json_object_set_new(j, "devid", json_integer(d->id));
	add_string(j, d, "mac", "mac");
	add_string(j, d, "bridge", "bridge");
	snprintf(interface, sizeof(interface), "vif%d.%d", d->domid, d->id);
	json_object_set_new(j, "interface", json_string(interface));
	add_string(j, d, "vifname", "interface");
	add_string(j, d, "rate", "rate");
	add_number(j, d, "event-channel-tx", "event_channel"); /* one each way, or one for both */
	add_number(j, d, "event-channel", "event_channel");
	add_number(j, d, "tx-ring-ref", "tx_ring_ref");
	add_number(j, d, "rx-ring-ref", "rx_ring_ref");
	return j;
}

static int by_number(const void *a, const void *b)
{
	return atoi(*(char *const *)a) - atoi(*(char *const *)b);
}

static int list(struct session *s, const json_t *params, const char *type, const char *member,
	json_t *(*fn)(const struct device *d), json_t **result, struct err *e)
{
	struct target t;
	json_t *devices = json_array();
	size_t n = 0;
	char **ids;
	int rc = target_find(s, params, &t, e);

	if (rc) {
		json_decref(devices);
		return rc;
	}
	ids = t.domid < 0 ? NULL : store_list(s->store, "/local/domain/%u/backend/%s/%d", nodes_backend(), type, t.domid);
	while (ids && ids[n])
		n++;
	if (n)
		qsort(ids, n, sizeof(*ids), by_number);
	for (size_t i = 0; i < n; i++) {
		struct device d = { s, t.domid, atoi(ids[i]), type };

		json_array_append_new(devices, fn(&d));
	}
	free(ids);
	*result = json_pack("{s:i, s:s, s:o}", "domid", t.domid, "name", t.name, member, devices);
	target_put(&t);
	return 0;
}

int method_block_list(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return list(s, params, "vbd", "disks", disk_json, result, e);
}

int method_network_list(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return list(s, params, "vif", "nics", nic_json, result, e);
}

/* --- what comes --- */

static int attach(struct session *s, const json_t *params, const char *type, const char *member,
	json_t *(*fn)(const struct device *d), json_t **result, struct err *e)
{
	struct device_id id;
	struct target t;
	int rc = lock_guest(s, params, &t, e);

	if (rc)
		return rc;
	rc = change_attach(s, t.g, type, json_object_get(params, member), &id, e);
	if (!rc)
		*result = fn(&(struct device){ s, t.g->domid, id.number, type });
	target_put(&t);
	return rc;
}

int method_block_attach(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return attach(s, params, "vbd", "disk", disk_json, result, e);
}

int method_network_attach(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return attach(s, params, "vif", "nic", nic_json, result, e);
}

/* --- what goes --- */

static int detach(struct session *s, struct target *t, const struct device_id *id, const json_t *params, struct err *e)
{
	return change_detach(s, t->g, id, json_is_true(json_object_get(params, "force")), e);
}

static int find_disk(const char *vdev, bool medium, struct device_id *id, struct err *e)
{
	*id = (struct device_id){ "vbd", vdev ? definition_vdev_number(vdev) : -1, medium };
	return id->number >= 0 ? 0 : err_set(e, EINVAL, "bad-disk", "there is no disk name `%.60s`: expected one like xvda, xvdb1, sda or hdc",
		vdev ? vdev : "");
}

static int detach_disk(struct session *s, const json_t *params, bool medium, struct err *e)
{
	struct device_id id;
	struct target t;
	int rc = find_disk(request_string(params, "vdev"), medium, &id, e);

	if (!rc)
		rc = lock_guest(s, params, &t, e);
	if (rc)
		return rc;
	rc = detach(s, &t, &id, params, e);
	target_put(&t);
	return rc;
}

int method_block_detach(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return detach_disk(s, params, false, e);
}

int method_cd_eject(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return detach_disk(s, params, true, e);
}

int method_cd_insert(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	const json_t *disk = json_object_get(params, "disk");
	struct device_id id;
	struct target t;
	int rc = find_disk(json_string_value(json_object_get(disk, "vdev")), true, &id, e);

	if (!rc && (!json_is_true(json_object_get(disk, "cdrom")) || !json_object_get(disk, "target")))
		rc = err_set(e, EINVAL, "bad-request", "cd_insert: the disk is no CD (cdrom: true), or has no target");
	if (!rc)
		rc = lock_guest(s, params, &t, e);
	if (rc)
		return rc;
	rc = change_insert(s, t.g, &id, disk, e);
	if (!rc)
		*result = disk_json(&(struct device){ s, t.g->domid, id.number, "vbd" });
	target_put(&t);
	return rc;
}

/* "1", 1 or a MAC address. */
static int find_nic(struct session *s, const struct guest *g, const json_t *v, struct device_id *id, struct err *e)
{
	const char *text = json_string_value(v);
	struct definition *d;
	uint8_t mac[6], other[6];
	int rc;

	id->number = (int)json_integer_value(v);
	if (!text)
		return 0;
	id->number = target_number(text);
	if (id->number >= 0)
		return 0;
	if (definition_mac(text, mac))
		return err_set(e, EINVAL, "bad-network",
			"found \"%.60s\", expected the number of a network interface, or its MAC address", text);
	rc = session_definition(s, g, &d, e);
	if (rc)
		return rc;
	rc = err_set(e, ENOENT, "no-device", "the guest %s has no network interface with the address %s (`lodge network-list %s`)",
		g->name, text, g->name);
	for (size_t i = 0; i < d->nnics; i++)
		if (!definition_mac(d->nics[i].mac, other) && !memcmp(mac, other, 6)) {
			id->number = (int)d->nics[i].devid;
			rc = 0;
		}
	definition_free(d);
	return rc;
}

int method_network_detach(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	struct device_id id = { .type = "vif" };
	struct target t;
	int rc = lock_guest(s, params, &t, e);

	if (rc)
		return rc;
	rc = find_nic(s, t.g, json_object_get(params, "nic"), &id, e);
	if (!rc)
		rc = detach(s, &t, &id, params, e);
	target_put(&t);
	return rc;
}

/* --- what changes --- */

/* The kernel's backend watches the node. */
static int set_rate(
	struct session *s, struct guest *g, const struct device_id *id, uint64_t bytes, uint32_t interval_us, struct err *e)
{
	struct store_batch b = { 0 };
	struct definition *d;
	int rc = session_definition(s, g, &d, e), i;

	if (rc)
		return rc;
	i = change_need(g, d, id, e);
	if (i < 0) {
		rc = i;
	} else {
		d->nics[i].rate_bytes = bytes;
		d->nics[i].rate_interval_us = interval_us;
		rc = definition_check(d, NULL, e);
	}
	if (!rc) {
		rc = record_put_definition(&b, g->uuid_text, d);
		nodes_put_rate(&b, g->domid, &d->nics[i]);
		rc = rc ? rc : store_batch_commit(&b, s->store);
		if (rc)
			session_store_error(e, rc, "changing the rate");
	}
	definition_free(d);
	return rc;
}

int method_network_rate(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	json_int_t bytes = json_integer_value(json_object_get(params, "rate_bytes"));
	json_int_t interval_us = json_integer_value(json_object_get(params, "rate_interval_us"));
	struct device_id id = { .type = "vif" };
	xen_domctl_getdomaininfo_t info;
	struct target t;
	int rc;

	if (bytes > UINT32_MAX || interval_us > UINT32_MAX)
		return err_set(e, EINVAL, "bad-request", "network_rate: rate_bytes or rate_interval_us is not in its range");
	rc = lock_guest(s, params, &t, e);
	if (rc)
		return rc;
	rc = change_possible(s, t.g, &info, e);
	if (!rc)
		rc = find_nic(s, t.g, json_object_get(params, "nic"), &id, e);
	if (!rc)
		rc = set_rate(s, t.g, &id, (uint64_t)bytes, (uint32_t)interval_us, e);
	target_put(&t);
	return rc;
}
