/* SPDX-License-Identifier: MIT */
/* Methods that show guests. */
#include <errno.h>
#include <lib/block.h>
#include <lib/definition.h>
#include <lodged/guest_members.h>
#include <lodged/lan.h>
#include <lodged/life.h>
#include <lodged/methods.h>
#include <lodged/nodes.h>
#include <lodged/record.h>
#include <lodged/target.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <xen/sched.h>

#define CPU_BITS	4096

/* What is told of one; NULL: nothing. */
typedef json_t *each_fn(struct session *s, const xen_domctl_getdomaininfo_t *info, const struct guest_members *members);

/* fn() of params.guest, or of each domain. */
static int each(struct session *s, const json_t *params, each_fn *fn, const struct guest_members *members, json_t *list, struct err *e)
{
	xen_domctl_getdomaininfo_t *infos = NULL;
	struct target t;
	size_t n;
	int rc;

	if (json_object_get(params, "guest")) {
		rc = target_find(s, params, &t, e);
		if (!rc && t.domid >= 0)
			json_array_append_new(list, fn(s, &t.info, members));
		if (!rc)
			target_put(&t);
		return rc;
	}
	rc = life_domains(s->hv, &infos, &n);
	if (rc)
		return session_hv_error(e, rc, "listing domains");
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, fn(s, &infos[i], members));
	free(infos);
	return 0;
}

/* {KEY: [fn() of each]} */
static int list_with(struct session *s, const json_t *params, const char *key, each_fn *fn, const struct guest_members *members, json_t **result,
	struct err *e)
{
	json_t *list = json_array();
	int rc = each(s, params, fn, members, list, e);

	if (rc)
		json_decref(list);
	else
		*result = json_pack("{s:o}", key, list);
	return rc;
}

static json_t *object_of(struct session *s, const xen_domctl_getdomaininfo_t *info, const struct guest_members *unused)
{
	return guest_object(s, info);
}

int method_list(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	const json_t *names = json_object_get(params, "members");
	struct guest_members *members;
	int rc;

	if (!names)
		return list_with(s, params, "guests", object_of, NULL, result, e);
	members = guest_members_find(names, e);
	if (!members)
		return -e->error;
	rc = list_with(s, params, "rows", guest_row, members, result, e);
	free(members);
	return rc;
}

static json_t *uptime_json(struct session *s, const xen_domctl_getdomaininfo_t *i, const struct guest_members *unused)
{
	struct timespec boot;
	char name[256];
	uint64_t started;
	json_t *j;

	target_name(s, i->domain, name);
	started = guest_start_time(s, i);
	if (i->domain == nodes_backend() && !clock_gettime(CLOCK_BOOTTIME, &boot))
		started = (uint64_t)(time(NULL) - boot.tv_sec);
	j = json_pack("{s:i}", "domid", i->domain);
	if (*name)
		json_object_set_new(j, "name", json_string(name));
	if (started)
		json_object_set_new(j, "uptime_s", json_integer((json_int_t)time(NULL) - (json_int_t)started));
	return j;
}

int method_uptime(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return list_with(s, params, "guests", uptime_json, NULL, result, e);
}

/* Bits of `limit` processors as in definitions: "all", "0-3,5", "none". */
static void cpus_text(const uint8_t *bits, uint32_t limit, char *text, size_t size)
{
	size_t len = 0;
	uint32_t count = 0;

	text[0] = '\0';
	for (uint32_t i = 0, end; i < limit; i = end + 1) {
		end = i;
		while (end < limit && bits[end / 8] >> end % 8 & 1)
			end++;
		count += end - i;
		if (end > i && len < size)
			len += (size_t)snprintf(
				text + len, size - len, end - i == 1 ? "%s%u" : "%s%u-%u", len ? "," : "", i, end - 1);
	}
	if (count == limit)
		snprintf(text, size, "all");
	else if (!count)
		snprintf(text, size, "none");
}

/* paused: its domain is. */
static json_t *vcpu_json(struct session *s, int domid, bool paused, uint32_t vcpu, uint32_t limit)
{
	uint8_t hard[CPU_BITS / 8] = { 0 }, soft[CPU_BITS / 8] = { 0 };
	struct xen_domctl_getvcpuinfo v;
	char text[512];
	json_t *j;

	if (hv_vcpu_info(s->hv, (uint16_t)domid, vcpu, &v))
		return NULL;
	j = json_pack("{s:i, s:s, s:s, s:I}", "vcpu", (int)vcpu, "state",
		!v.online   ? "offline"
		: v.running ? "running"
		: paused    ? "paused"
		: v.blocked ? "blocked"
			    : "runnable",
		"flags",
		!v.online   ? "--p"
		: v.running ? "r--"
		: paused    ? "--p"
		: v.blocked ? "-b-"
			    : "---",
		"cpu_time_ns", (json_int_t)v.cpu_time);
	if (v.online && v.cpu != ~0U)
		json_object_set_new(j, "cpu", json_integer(v.cpu));
	if (!hv_vcpu_get_affinity(s->hv, (uint16_t)domid, vcpu, hard, soft, CPU_BITS)) {
		cpus_text(hard, limit, text, sizeof(text));
		json_object_set_new(j, "affinity_hard", json_string(text));
		cpus_text(soft, limit, text, sizeof(text));
		json_object_set_new(j, "affinity_soft", json_string(text));
	}
	return j;
}

static json_t *vcpus_json(struct session *s, const xen_domctl_getdomaininfo_t *i, const struct guest_members *unused)
{
	struct xen_sysctl_physinfo info = { .nr_cpus = 1 };
	json_t *vcpus = json_array(), *j;
	char name[256];

	hv_physinfo(s->hv, &info);
	for (uint32_t v = 0; v < target_vcpus(i); v++)
		json_array_append_new(vcpus, vcpu_json(s, i->domain, i->flags & XEN_DOMINF_paused, v,
						       info.nr_cpus < CPU_BITS ? info.nr_cpus : CPU_BITS));
	target_name(s, i->domain, name);
	j = json_pack("{s:i, s:o}", "domid", i->domain, "vcpus", vcpus);
	if (*name)
		json_object_set_new(j, "name", json_string(name));
	return j;
}

int method_vcpu_list(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return list_with(s, params, "guests", vcpus_json, NULL, result, e);
}

static const char *device_state(struct session *s, int domid, const char *type, int id)
{
	uint64_t state;

	if (store_read_u64(s->store, &state, "/local/domain/%u/backend/%s/%d/%d/state", nodes_backend(), type, domid, id))
		return "closed";
	return state == 4 ? "connected" : state < 4 ? "waiting" : "closed";
}

static json_t *disk_json(struct session *s, int domid, const struct disk *d)
{
	int id = definition_vdev_number(d->vdev);
	char *physical = store_read(s->store, "/local/domain/%u/backend/vbd/%d/%d/physical-device", nodes_backend(), domid, id);
	json_t *j =
		json_pack("{s:s, s:b, s:s}", "vdev", d->vdev, "readonly", d->readonly, "state", device_state(s, domid, "vbd", id));
	unsigned int maj, min;
	char device[128];

	if (d->target)
		json_object_set_new(j, "target", json_string(d->target));
	if (physical && sscanf(physical, "%x:%x", &maj, &min) == 2) {
		block_device_name(makedev(maj, min), device, sizeof(device));
		json_object_set_new(j, "device", json_string(device));
	}
	free(physical);
	return j;
}

static json_t *nic_json(struct session *s, int domid, const struct nic *n, int i)
{
	char *bridge = store_read(s->store, "/local/domain/%u/backend/vif/%d/%d/bridge", nodes_backend(), domid, i);
	json_t *j = json_pack("{s:s, s:s}", "mac", n->mac, "state", device_state(s, domid, "vif", i));
	char interface[32], address[16] = "";

	snprintf(interface, sizeof(interface), "vif%d.%d", domid, i);
	json_object_set_new(j, "interface", json_string(n->vifname ? n->vifname : interface));
	if (bridge)
		json_object_set_new(j, "bridge", json_string(bridge));
	if (nic_is_default(n))
		lan_address(n->mac, address);
	if (*address)
		json_object_set_new(j, "address", json_string(address));
	free(bridge);
	return j;
}

static void add_definition(struct session *s, struct target *t, json_t *j)
{
	json_t *disks = json_array(), *nics = json_array();
	struct definition *d;

	if (!record_definition(s->store, t->g->uuid_text, &d)) {
		for (size_t i = 0; i < d->ndisks; i++)
			json_array_append_new(disks, disk_json(s, t->domid, &d->disks[i]));
		for (size_t i = 0; i < d->nnics; i++)
			json_array_append_new(nics, nic_json(s, t->domid, &d->nics[i], (int)d->nics[i].devid));
		json_object_set_new(j, "definition", definition_to_json(d));
		definition_free(d);
	}
	json_object_set_new(j, "disks", disks);
	json_object_set_new(j, "nics", nics);
}

int method_info(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	struct target t;
	json_t *up, *j;
	char path[400];
	int rc = target_find(s, params, &t, e);

	if (rc)
		return rc;
	if (t.domid < 0) {
		target_put(&t);
		return err_set(e, EINVAL, "wrong-state", "the guest %s has no domain at the moment: it is being made or taken down",
			t.name);
	}
	j = guest_object(s, &t.info);
	up = uptime_json(s, &t.info, NULL);
	json_object_set(j, "uptime_s", json_object_get(up, "uptime_s"));
	json_decref(up);
	if (t.g) {
		add_definition(s, &t, j);
		snprintf(path, sizeof(path), "/var/log/lodge/console/%s.log", t.name);
		json_object_set_new(j, "console_log", json_string(path));
	}
	target_put(&t);
	*result = j;
	return 0;
}
