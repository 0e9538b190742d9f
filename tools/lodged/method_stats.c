/* SPDX-License-Identifier: MIT */
/*
 * Figures of all guests: what the hypervisor counts of processors and memory, and what the kernel's backends count of disks and networks
 * (/sys/bus/xen-backend/devices/vbd-ID-DEVICE/statistics, …/vif-ID-N/net/NAME/statistics). Directions are the guest's.
 */
#include <dirent.h>
#include <lib/small_file.h>
#include <lodged/life.h>
#include <lodged/methods.h>
#include <lodged/nodes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEVICES		"/sys/bus/xen-backend/devices"
#define SECTOR		512

static json_int_t counter(const char *folder, const char *name)
{
	char path[512], text[32];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	small_file_read(path, text, sizeof(text));
	return (json_int_t)strtoull(text, NULL, 10);
}

static json_t *disk_figures(struct session *s, const char *device, int domid, int number)
{
	char *name = store_read(s->store, "/local/domain/%u/backend/vbd/%d/%d/dev", nodes_backend(), domid, number);
	char folder[320], digits[16];
	json_t *j;

	snprintf(folder, sizeof(folder), DEVICES "/%s/statistics", device);
	snprintf(digits, sizeof(digits), "%d", number);
	j = json_pack("{s:s, s:I, s:I, s:I, s:I}", "vdev", name ? name : digits, "read_bytes", counter(folder, "rd_sect") * SECTOR,
		"read_ops", counter(folder, "rd_req"), "written_bytes", counter(folder, "wr_sect") * SECTOR, "write_ops",
		counter(folder, "wr_req"));
	free(name);
	return j;
}

/* The one interface of the backend, whatever it is called. */
static json_t *nic_figures(const char *device, int number)
{
	char path[320], folder[640];
	struct dirent *entry;
	json_t *j = NULL;
	DIR *dir;

	snprintf(path, sizeof(path), DEVICES "/%s/net", device);
	dir = opendir(path);
	while (dir && !j && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(folder, sizeof(folder), "%s/%s/statistics", path, entry->d_name);
		j = json_pack("{s:i, s:s, s:I, s:I, s:I, s:I}", "nic", number, "interface", entry->d_name, "received_bytes",
			counter(folder, "tx_bytes"), "received_packets", counter(folder, "tx_packets"), "sent_bytes",
			counter(folder, "rx_bytes"), "sent_packets", counter(folder, "rx_packets"));
	}
	if (dir)
		closedir(dir);
	return j;
}

/* Into the list `kind` of the domain's object. */
static void add(json_t *by_domid, int domid, const char *kind, json_t *figures)
{
	char id[16];
	json_t *of;

	if (!figures)
		return;
	snprintf(id, sizeof(id), "%d", domid);
	of = json_object_get(by_domid, id);
	if (!of) {
		of = json_pack("{s:[], s:[]}", "disks", "nics");
		json_object_set_new(by_domid, id, of);
	}
	json_array_append_new(json_object_get(of, kind), figures);
}

static void add_devices(struct session *s, json_t *by_domid)
{
	struct dirent **entries;
	int n = scandir(DEVICES, &entries, NULL, versionsort);

	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		int domid, number;

		if (sscanf(name, "vbd-%d-%d", &domid, &number) == 2)
			add(by_domid, domid, "disks", disk_figures(s, name, domid, number));
		else if (sscanf(name, "vif-%d-%d", &domid, &number) == 2)
			add(by_domid, domid, "nics", nic_figures(name, number));
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

static json_t *machine_figures(struct session *s)
{
	struct xen_sysctl_physinfo info;

	if (hv_physinfo(s->hv, &info))
		return NULL;
	return json_pack("{s:i, s:I, s:I}", "cpus", (int)info.nr_cpus, "memory_kib", (json_int_t)(info.total_pages * 4), "free_kib",
		(json_int_t)(info.free_pages * 4));
}

int method_stats(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	json_t *by_domid = json_object(), *machine, *g;
	struct timespec now;
	size_t i;
	int rc = method_list(s, params, result, e);

	if (rc) {
		json_decref(by_domid);
		return rc;
	}
	/* Close to the processor times that it goes with. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	add_devices(s, by_domid);
	json_array_foreach(json_object_get(*result, "guests"), i, g) {
		char id[16];

		snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(g, "domid")));
		json_object_update(g, json_object_get(by_domid, id));
	}
	json_decref(by_domid);
	machine = machine_figures(s);
	if (machine)
		json_object_set_new(*result, "machine", machine);
	json_object_set_new(*result, "time_ns", json_integer((json_int_t)now.tv_sec * 1000000000 + now.tv_nsec));
	json_object_set_new(*result, "lodge", json_string(LODGE_VERSION));
	return 0;
}
