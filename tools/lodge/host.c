/* SPDX-License-Identifier: MIT */
/* Verbs about the machine and the hypervisor: info, dmesg, debug-keys. info of a guest is here as well. */
#include <lib/metrics.h>
#include <lib/small_file.h>
#include <lodge/verb.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static void field(const char *key, const char *value)
{
	printf("%-23s: ", key);
	print_text(value);
	putchar('\n');
}

static void number(const char *key, json_int_t value)
{
	printf("%-23s: %lld\n", key, (long long)value);
}

/* A member that an answer need not have. */
static void optional(const char *key, const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);

	if (json_is_integer(value))
		number(key, json_integer_value(value));
	else if (json_is_string(value))
		field(key, json_string_value(value));
}

/* What Domain 0's kernel knows of the hypervisor; nothing is printed where there is no such file. */
static void from_sysfs(const char *key, const char *file)
{
	char path[128], text[512];

	snprintf(path, sizeof(path), "/sys/hypervisor/%s", file);
	if (small_file_read(path, text, sizeof(text)) < 0)
		return;
	text[strcspn(text, "\n")] = 0;
	field(key, text);
}

/* Fields and their order as scripts know them. */
static void print_host(const json_t *answer, bool numa)
{
	const json_t *h = json_object_get(answer, "hypervisor"), *m = json_object_get(answer, "machine"),
		     *n = json_object_get(answer, "network");
	const char *version = string_of(h, "version"), *dot = strchr(version, '.');
	struct utsname u;
	char text[256];

	if (uname(&u) == 0) {
		field("host", u.nodename);
		field("release", u.release);
		field("version", u.version);
		field("machine", u.machine);
	}
	number("nr_cpus", integer_of(m, "cpus"));
	optional("max_cpu_id", m, "max_cpu_id");
	optional("nr_nodes", m, "nodes");
	optional("cores_per_socket", m, "cores_per_socket");
	optional("threads_per_core", m, "threads_per_core");
	snprintf(text, sizeof(text), "%.3f", (double)integer_of(m, "cpu_khz") / 1000);
	field("cpu_mhz", text);
	optional("hw_caps", m, "hw_caps");
	optional("virt_caps", m, "virt_caps");
	number("total_memory", integer_of(m, "memory_kib") >> 10);
	number("free_memory", integer_of(m, "free_kib") >> 10);
	number("free_cpus", 0);
	if (numa && integer_of(m, "nodes") <= 1) {
		puts("numa_info              :\nnode:    memsize    memfree    distances");
		printf("   0:    %6lld     %6lld      10\n", (long long)integer_of(m, "memory_kib") >> 10,
			(long long)integer_of(m, "free_kib") >> 10);
	}
	snprintf(text, sizeof(text), "%.*s", dot ? (int)(dot - version) : 0, version);
	field("xen_major", text);
	field("xen_minor", dot ? dot + 1 : "");
	field("xen_extra", string_of(h, "extra"));
	snprintf(text, sizeof(text), "%s%s", version, string_of(h, "extra"));
	field("xen_version", text);
	field("xen_caps", string_of(h, "capabilities"));
	field("xen_scheduler", string_of(m, "scheduler"));
	number("xen_pagesize", 4096);
	field("xen_changeset", string_of(h, "changeset"));
	field("xen_commandline", string_of(h, "command_line"));
	from_sysfs("cc_compiler", "compilation/compiler");
	from_sysfs("cc_compile_by", "compilation/compiled_by");
	from_sysfs("cc_compile_date", "compilation/compile_date");
	field("lodge_version", string_of(answer, "lodge"));
	field("default_network", string_of(n, "state"));
	optional("default_bridge", n, "bridge");
	optional("default_address", n, "address");
	optional("network_problem", n, "problem");
}

static void print_devices(const json_t *guest)
{
	const json_t *d;
	size_t i;

	json_array_foreach(json_object_get(guest, "disks"), i, d) {
		printf("%-23s: ", "disk");
		print_text(string_of(d, "vdev"));
		printf(" %s %s ", json_is_true(json_object_get(d, "readonly")) ? "r" : "w", string_of(d, "state"));
		print_text(string_of(d, "target"));
		putchar('\n');
	}
	json_array_foreach(json_object_get(guest, "nics"), i, d) {
		printf("%-23s: %s %s %s ", "vif", string_of(d, "interface"), string_of(d, "mac"), string_of(d, "state"));
		print_text(string_of(d, "bridge"));
		printf(" %s\n", string_of(d, "address"));
	}
}

static enum status info_guest(const struct args *a)
{
	static const char *const members[] = {
		"name", "domid", "uuid", "type", "state", "shutdown_reason", "vcpus", "maxvcpus", "start_time", "uptime_s",
		"console_log",
	};
	json_t *answer;
	struct err e;

	if (manager_call("info", json_pack("{s:s}", "guest", a->operands[0]), &answer, &e))
		return say_error(a->operands[0], &e);
	if (a->json)
		return print_json(answer);
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		optional(members[i], answer, members[i]);
	number("memory", integer_of(answer, "memory_kib") >> 10);
	if (json_object_get(answer, "maxmem_kib"))
		number("maxmem", integer_of(answer, "maxmem_kib") >> 10);
	optional("definition", json_object_get(answer, "definition"), "file");
	optional("kernel", json_object_get(answer, "definition"), "kernel");
	print_devices(answer);
	json_decref(answer);
	return OK;
}

enum status run_info(const struct args *a)
{
	json_t *answer;
	struct err e;

	if (a->noperands)
		return info_guest(a);
	if (manager_call("version", NULL, &answer, &e))
		return say_error(NULL, &e);
	if (a->json)
		return print_json(answer);
	print_host(answer, args_set(a, 'n'));
	json_decref(answer);
	return OK;
}

enum status run_dmesg(const struct args *a)
{
	json_t *answer;
	struct err e;

	if (manager_call("dmesg", json_pack("{s:b}", "clear", args_set(a, 'c')), &answer, &e))
		return say_error(NULL, &e);
	if (a->json)
		return print_json(answer);
	print_text(string_of(answer, "text"));
	json_decref(answer);
	return OK;
}

enum status run_debug_keys(const struct args *a)
{
	struct err e;

	if (manager_call("debug_keys", json_pack("{s:s}", "keys", a->operands[0]), NULL, &e))
		return say_error(NULL, &e);
	return OK;
}

enum status run_metrics(const struct args *a)
{
	json_t *answer;
	struct err e;

	if (manager_call("stats", NULL, &answer, &e))
		return say_error(NULL, &e);
	metrics_write(stdout, answer);
	json_decref(answer);
	return OK;
}
