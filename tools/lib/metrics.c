/* SPDX-License-Identifier: MIT */
/* Figures of the machine and its guests in Prometheus's text format (version 0.0.4). */
#include <lib/metrics.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define KIB	1024.0
#define NS	1e-9

/* A figure of each guest, or of each of its disks or interfaces: a member of its object, in other units. */
struct metric {
	const char *name, *type, *help;
	const char *member;
	double unit;
};

static const struct metric of_machine[] = {
	{ "lodge_machine_cpus", "gauge", "Processors of the machine.", "cpus", 1 },
	{ "lodge_machine_memory_bytes", "gauge", "Memory of the machine.", "memory_kib", KIB },
	{ "lodge_machine_memory_free_bytes", "gauge", "Memory that no guest has.", "free_kib", KIB },
	{ 0 },
};

static const struct metric of_guests[] = {
	{ "lodge_guest_cpu_seconds_total", "counter", "Processor time used by all vCPUs.", "cpu_time_ns", NS },
	{ "lodge_guest_vcpus", "gauge", "vCPUs that are online.", "vcpus", 1 },
	{ "lodge_guest_memory_bytes", "gauge", "Memory that the guest has.", "memory_kib", KIB },
	{ "lodge_guest_memory_max_bytes", "gauge", "Memory that it may have.", "maxmem_kib", KIB },
	{ "lodge_guest_start_time_seconds", "gauge", "When it was started, in seconds since 1970.", "start_time", 1 },
	{ 0 },
};

static const struct metric of_disks[] = {
	{ "lodge_guest_disk_read_bytes_total", "counter", "Bytes read from a disk.", "read_bytes", 1 },
	{ "lodge_guest_disk_reads_total", "counter", "Requests to read from a disk.", "read_ops", 1 },
	{ "lodge_guest_disk_written_bytes_total", "counter", "Bytes written to a disk.", "written_bytes", 1 },
	{ "lodge_guest_disk_writes_total", "counter", "Requests to write to a disk.", "write_ops", 1 },
	{ 0 },
};

static const struct metric of_nics[] = {
	{ "lodge_guest_network_receive_bytes_total", "counter", "Bytes received by an interface.", "received_bytes", 1 },
	{ "lodge_guest_network_receive_packets_total", "counter", "Packets received by an interface.", "received_packets", 1 },
	{ "lodge_guest_network_transmit_bytes_total", "counter", "Bytes sent by an interface.", "sent_bytes", 1 },
	{ "lodge_guest_network_transmit_packets_total", "counter", "Packets sent by an interface.", "sent_packets", 1 },
	{ 0 },
};

static const char *const states[] = { "running", "blocked", "paused", "shutdown", "crashed", "dying", NULL };

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The value of a label: a name may be anything in a guest of another toolstack. */
static void label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else
			putc(*value, out);
	}
	putc('"', out);
}

/* "NAME{guest="…",uuid="…"", without the end. */
static void open_sample(FILE *out, const char *name, const json_t *g)
{
	fprintf(out, "%s{", name);
	label(out, "guest", string_of(g, "name"));
	putc(',', out);
	label(out, "uuid", string_of(g, "uuid"));
}

static void value(FILE *out, double v)
{
	/* Whole numbers as such, beyond the digits that %g would give. */
	fprintf(out, v == floor(v) ? " %.0f\n" : " %.9f\n", v);
}

static void sample(FILE *out, const struct metric *m, const json_t *of)
{
	value(out, json_number_value(json_object_get(of, m->member)) * m->unit);
}

static void print_machine(FILE *out, const json_t *answer)
{
	const json_t *machine = json_object_get(answer, "machine");

	for (const struct metric *m = of_machine; m->name && machine; m++) {
		head(out, m->name, m->type, m->help);
		fputs(m->name, out);
		sample(out, m, machine);
	}
	head(out, "lodge_build_info", "gauge", "The manager's version.");
	fputs("lodge_build_info{", out);
	label(out, "version", string_of(answer, "lodge"));
	fprintf(out, "} 1\n");
}

static void print_guests(FILE *out, const json_t *guests)
{
	const json_t *g;
	size_t i;

	for (const struct metric *m = of_guests; m->name; m++) {
		head(out, m->name, m->type, m->help);
		json_array_foreach(guests, i, g) {
			if (!json_object_get(g, m->member))
				continue;
			open_sample(out, m->name, g);
			putc('}', out);
			sample(out, m, g);
		}
	}
}

static void print_states(FILE *out, const json_t *guests)
{
	const json_t *g;
	size_t i;

	head(out, "lodge_guest_state", "gauge", "1 for the state that the guest is in.");
	json_array_foreach(guests, i, g) {
		for (const char *const *s = states; *s; s++) {
			open_sample(out, "lodge_guest_state", g);
			fprintf(out, ",state=\"%s\"}", *s);
			value(out, !strcmp(*s, string_of(g, "state")));
		}
	}
	head(out, "lodge_guest_kept_down", "gauge", "1 if it has ended too often, soon after its start, and is not started again.");
	json_array_foreach(guests, i, g) {
		open_sample(out, "lodge_guest_kept_down", g);
		putc('}', out);
		value(out, json_is_true(json_object_get(g, "kept_down")));
	}
	head(out, "lodge_guest_info", "gauge", "The guest's domain id and type.");
	json_array_foreach(guests, i, g) {
		open_sample(out, "lodge_guest_info", g);
		fprintf(out, ",domid=\"%lld\",type=\"%s\"} 1\n", (long long)json_integer_value(json_object_get(g, "domid")), string_of(g, "type"));
	}
}

/* A disk is called by its name in the guest, an interface by its number: what it is called in Domain 0 changes with each start. */
static void device_label(FILE *out, const json_t *device, const char *name, const char *id)
{
	const json_t *value = json_object_get(device, id);
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
	label(out, name, json_is_string(value) ? json_string_value(value) : number);
}

/* kind: "disks", each with the label `name` of its member `id`. */
static void print_devices(FILE *out, const json_t *guests, const char *kind, const struct metric *m, const char *name, const char *id)
{
	const json_t *g, *d;
	size_t i, k;

	for (; m->name; m++) {
		head(out, m->name, m->type, m->help);
		json_array_foreach(guests, i, g) {
			json_array_foreach(json_object_get(g, kind), k, d) {
				open_sample(out, m->name, g);
				putc(',', out);
				device_label(out, d, name, id);
				putc('}', out);
				sample(out, m, d);
			}
		}
	}
}

void metrics_write(FILE *out, const json_t *stats)
{
	const json_t *guests = json_object_get(stats, "guests");

	print_machine(out, stats);
	print_guests(out, guests);
	print_states(out, guests);
	print_devices(out, guests, "disks", of_disks, "device", "vdev");
	print_devices(out, guests, "nics", of_nics, "nic", "nic");
}
