/* SPDX-License-Identifier: MIT */
/* Methods that show guests. */
#include <errno.h>
#include <lib/block.h>
#include <lib/definition.h>
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

#define PAGE_KIB	4
#define CPU_BITS	4096

static void flags_text(const xen_domctl_getdomaininfo_t *i, char text[7])
{
	bool shut = i->flags & XEN_DOMINF_shutdown;

	text[0] = i->flags & XEN_DOMINF_running ? 'r' : '-';
	text[1] = i->flags & XEN_DOMINF_blocked ? 'b' : '-';
	text[2] = i->flags & XEN_DOMINF_paused ? 'p' : '-';
	text[3] = shut ? 's' : '-';
	text[4] = shut && life_reason_of(i) == SHUTDOWN_crash ? 'c' : '-';
	text[5] = i->flags & XEN_DOMINF_dying ? 'd' : '-';
	text[6] = '\0';
}

static const char *state_text(const xen_domctl_getdomaininfo_t *i)
{
	if (i->flags & XEN_DOMINF_dying)
		return "dying";
	if (i->flags & XEN_DOMINF_shutdown)
		return life_reason_of(i) == SHUTDOWN_crash ? "crashed" : "shutdown";
	if (i->flags & XEN_DOMINF_paused)
		return "paused";
	return i->flags & XEN_DOMINF_running ? "running" : "blocked";
}

static uint32_t vcpu_count(const xen_domctl_getdomaininfo_t *i)
{
	/* One that is just being made has none. */
	return i->max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : i->max_vcpu_id + 1;
}

static uint64_t start_time(struct session *s, const char *uuid)
{
	uint64_t t;

	return store_read_u64(s->store, &t, "/vm/%s/start_time", uuid) ? 0 : t;
}

static json_t *guest_json(struct session *s, const xen_domctl_getdomaininfo_t *i)
{
	struct guest *g = registry_by_domid(i->domain);
	char name[256], uuid[UUID_TEXT], flags[7];
	struct guest_view v = { .kept_down = false };
	uint64_t started;
	json_t *j;

	target_name(s, i->domain, name);
	uuid_to_text(i->handle, uuid);
	flags_text(i, flags);
	j = json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:i, s:i, s:I, s:b}", "domid", i->domain, "uuid", uuid,
		      "type", i->flags & XEN_DOMINF_hvm_guest ? "hvm" : "pv", "state", state_text(i), "flags", flags,
		      "memory_kib", (json_int_t)i->tot_pages * PAGE_KIB, "vcpus", (int)i->nr_online_vcpus, "maxvcpus", (int)vcpu_count(i), "cpu_time_ns", (json_int_t)i->cpu_time,
		      "managed", g != NULL);
	if (g)
		registry_view(g, &v);
	registry_put(g);
	if (!j)
		return NULL;
	/* A name that is not UTF-8 cannot be told. */
	if (*name)
		json_object_set_new(j, "name", json_string(name));
	if (i->flags & XEN_DOMINF_shutdown)
		json_object_set_new(j, "shutdown_reason", json_string(life_reason(life_reason_of(i))));
	if (hv_domain_max_kib(i) != UINT64_MAX)
		json_object_set_new(j, "maxmem_kib", json_integer((json_int_t)hv_domain_max_kib(i)));
	if (v.kept_down)
		json_object_set_new(j, "kept_down", json_true());
	started = start_time(s, uuid);
	if (started)
		json_object_set_new(j, "start_time", json_integer((json_int_t)started));
	return j;
}

typedef json_t *each_fn(struct session *s, const xen_domctl_getdomaininfo_t *info);

/* {"guests": [fn() of params.guest, or of each domain]}; what fn() gives no object for is left out. */
static int list_with(struct session *s, const json_t *params, each_fn *fn, json_t **result, struct err *e)
{
	xen_domctl_getdomaininfo_t *infos = NULL;
	json_t *list = json_array();
	size_t n;
	int rc;

	if (json_object_get(params, "guest")) {
		struct target t;

		rc = target_find(s, params, &t, e);
		if (!rc && t.domid >= 0)
			json_array_append_new(list, fn(s, &t.info));
		if (!rc)
			target_put(&t);
	} else {
		rc = life_domains(s->hv, &infos, &n);
		if (rc)
			session_hv_error(e, rc, "listing domains");
		for (size_t i = 0; !rc && i < n; i++)
			json_array_append_new(list, fn(s, &infos[i]));
		free(infos);
	}
	if (rc)
		json_decref(list);
	else
		*result = json_pack("{s:o}", "guests", list);
	return rc;
}

int method_list(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	return list_with(s, params, guest_json, result, e);
}

static json_t *uptime_json(struct session *s, const xen_domctl_getdomaininfo_t *i)
{
	char name[256], uuid[UUID_TEXT];
	struct timespec boot;
	uint64_t started;
	json_t *j;

	target_name(s, i->domain, name);
	uuid_to_text(i->handle, uuid);
	started = start_time(s, uuid);
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
	return list_with(s, params, uptime_json, result, e);
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

static json_t *vcpus_json(struct session *s, const xen_domctl_getdomaininfo_t *i)
{
	struct xen_sysctl_physinfo info = { .nr_cpus = 1 };
	json_t *vcpus = json_array(), *j;
	char name[256];

	hv_physinfo(s->hv, &info);
	for (uint32_t v = 0; v < vcpu_count(i); v++)
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
	return list_with(s, params, vcpus_json, result, e);
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
	j = guest_json(s, &t.info);
	up = uptime_json(s, &t.info);
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
