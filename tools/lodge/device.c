/* SPDX-License-Identifier: MIT */
/* Verbs for the disks and network interfaces of a running guest. The columns are those that scripts know, and some more behind
 * them. */
#include <lodge/verb.h>
#include <lib/definition.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands behind the guest, as one string with commas: "phy:/dev/x" "xvdb" "w". NULL: no memory. */
static char *joined(const struct args *a)
{
	size_t size = 1;
	char *text, *end;

	for (int i = 1; i < a->noperands; i++)
		size += strlen(a->operands[i]) + 1;
	text = end = malloc(size);
	if (text)
		*text = 0;
	for (int i = 1; text && i < a->noperands; i++)
		end += sprintf(end, "%s%s", i > 1 ? "," : "", a->operands[i]);
	return text;
}

static void warn(const struct err *warning, void *ctx)
{
	fprintf(stderr, "lodge: %s: warning: %s\n", warning->file, warning->text);
}

typedef int item_fn(const char *text, definition_warn_fn *fn, void *ctx, json_t **out, struct err *e);

static enum status attach(const struct args *a, item_fn *item, const char *method, const char *member, json_t **answer)
{
	char *text = joined(a);
	json_t *json = NULL;
	struct err e;
	int rc = text ? item(text, warn, NULL, &json, &e) : err_set(&e, ENOMEM, "no-memory", "out of memory");

	free(text);
	if (rc)
		return say_error(NULL, &e);
	json_object_del(json, "line");
	if (manager_call_progress(
		    a->operands[0], a->verbose, method, json_pack("{s:s, s:o}", "guest", a->operands[0], member, json), answer, &e))
		return say_error(a->operands[0], &e);
	return OK;
}

enum status run_block_attach(const struct args *a)
{
	json_t *answer;
	enum status status = attach(a, definition_disk_item, "block_attach", "disk", &answer);

	if (status)
		return status;
	if (a->json)
		return print_json(answer);
	say("%s is attached to %s", string_of(answer, "vdev"), a->operands[0]);
	json_decref(answer);
	return OK;
}

enum status run_network_attach(const struct args *a)
{
	json_t *answer;
	enum status status = attach(a, definition_nic_item, "network_attach", "nic", &answer);

	if (status)
		return status;
	if (a->json)
		return print_json(answer);
	say("network interface %lld (%s) is attached to %s", (long long)integer_of(answer, "devid"), string_of(answer, "mac"),
		a->operands[0]);
	json_decref(answer);
	return OK;
}

static enum status detach(const struct args *a, const char *method, const char *member)
{
	struct err e;

	if (manager_call(method,
		    json_pack("{s:s, s:s, s:b}", "guest", a->operands[0], member, a->operands[1], "force", args_set(a, 'f')), NULL,
		    &e))
		return say_error(a->operands[0], &e);
	return OK;
}

enum status run_block_detach(const struct args *a)
{
	return detach(a, "block_detach", "vdev");
}

enum status run_cd_eject(const struct args *a)
{
	return detach(a, "cd_eject", "vdev");
}

enum status run_cd_insert(const struct args *a)
{
	json_t *disk = NULL, *answer;
	char *text = NULL;
	struct err e;
	int rc;

	if (strchr(a->operands[1], ',') || definition_vdev_number(a->operands[1]) < 0)
		return usage_error(a->verb, "found \"%.60s\", expected the name of a drive, such as xvdc", a->operands[1]);
	if (!*a->operands[2])
		return usage_error(a->verb, "expected the name of a file");
	rc = asprintf(&text, "devtype=cdrom,vdev=%s,target=%s", a->operands[1], a->operands[2]) < 0
		     ? err_set(&e, ENOMEM, "no-memory", "out of memory") : definition_disk_item(text, warn, NULL, &disk, &e);
	free(text);
	if (rc)
		return say_error(NULL, &e);
	json_object_del(disk, "line");
	if (manager_call("cd_insert", json_pack("{s:s, s:o}", "guest", a->operands[0], "disk", disk), &answer, &e))
		return say_error(a->operands[0], &e);
	if (a->json)
		return print_json(answer);
	say("%s has %s in its drive %s", a->operands[0], string_of(answer, "target"), string_of(answer, "vdev"));
	json_decref(answer);
	return OK;
}

enum status run_network_detach(const struct args *a)
{
	return detach(a, "network_detach", "nic");
}

enum status run_network_rate(const struct args *a)
{
	json_t *nic, *params;
	char text[64];
	struct err e;

	params = json_pack("{s:s, s:s}", "guest", a->operands[0], "nic", a->operands[1]);
	if (strcmp(a->operands[2], "none")) {
		snprintf(text, sizeof(text), "rate=%.50s", a->operands[2]);
		if (strlen(a->operands[2]) > 50 || strchr(text, ',') || definition_nic_item(text, warn, NULL, &nic, &e)) {
			json_decref(params);
			return usage_error(a->verb,
				"found \"%.50s\", expected a rate such as 10Mb/s, 250KB/s or 1MB/s@20ms, or none", a->operands[2]);
		}
		json_object_set(params, "rate_bytes", json_object_get(nic, "rate_bytes"));
		json_object_set(params, "rate_interval_us", json_object_get(nic, "rate_interval_us"));
		json_decref(nic);
	}
	return manager_call("network_rate", params, NULL, &e) ? say_error(a->operands[0], &e) : OK;
}

/* A number that may be absent. */
static const char *number(const json_t *object, const char *key, char buf[24])
{
	const json_t *v = json_object_get(object, key);

	snprintf(buf, 24, v ? "%lld" : "-1", (long long)json_integer_value(v));
	return buf;
}

static const char *or_dash(const json_t *object, const char *key)
{
	const char *s = string_of(object, key);

	return *s ? s : "-";
}

/* What each of the guests has: print() its lines, or all of it as JSON. */
static enum status list(const struct args *a, const char *method, const char *member, const char *header,
	void (*print)(json_int_t domid, const json_t *d))
{
	json_t *all = json_array(), *answer, *device;
	enum status status = OK;
	struct err e;
	size_t j;

	for (int k = 0; k < a->noperands; k++) {
		if (manager_call(method, json_pack("{s:s}", "guest", a->operands[k]), &answer, &e))
			status = first_failure(status, say_error(a->operands[k], &e));
		else
			json_array_append_new(all, answer);
	}
	if (a->json)
		return first_failure(status, print_json(json_pack("{s:o}", "guests", all)));
	if (json_array_size(all))
		say("%s", header);
	for (size_t i = 0; i < json_array_size(all); i++) {
		answer = json_array_get(all, i);
		json_array_foreach(json_object_get(answer, member), j, device)
			print(integer_of(answer, "domid"), device);
	}
	json_decref(all);
	return status;
}

static void print_disk(json_int_t domid, const json_t *d)
{
	char line[128], channel[24], ring[24];

	snprintf(line, sizeof(line), "%-6lld %-3lld %-6lld %-5lld %-6s %-8s ", (long long)integer_of(d, "number"),
		(long long)integer_of(d, "backend"), (long long)domid, (long long)integer_of(d, "xenbus_state"),
		number(d, "event_channel", channel), number(d, "ring_ref", ring));
	print_text(line);
	snprintf(line, sizeof(line), "%-40s %-6s %-6s ", string_of(d, "path"), or_dash(d, "vdev"), or_dash(d, "access"));
	print_text(line);
	print_text(or_dash(d, "target"));
	putchar('\n');
}

enum status run_block_list(const struct args *a)
{
	return list(a, "block_list", "disks",
		"Vdev   BE  handle state evt-ch ring-ref BE-path                                  Device Access Target",
		print_disk);
}

static void print_nic(json_int_t domid, const json_t *d)
{
	char line[160], channel[24], tx[24], rings[64];

	number(d, "tx_ring_ref", tx);
	snprintf(rings, sizeof(rings), "%s/", tx);
	number(d, "rx_ring_ref", tx);
	strcat(rings, tx);
	snprintf(line, sizeof(line), "%-3lld %-3lld %-17s %-6lld %-5lld %-6s %-15s ", (long long)integer_of(d, "devid"),
		(long long)integer_of(d, "backend"), or_dash(d, "mac"), (long long)integer_of(d, "devid"),
		(long long)integer_of(d, "xenbus_state"), number(d, "event_channel", channel), rings);
	print_text(line);
	snprintf(line, sizeof(line), "%-34s %-15s ", string_of(d, "path"), or_dash(d, "interface"));
	print_text(line);
	print_text(or_dash(d, "bridge"));
	putchar('\n');
}

enum status run_network_list(const struct args *a)
{
	return list(a, "network_list", "nics",
		"Idx BE  Mac Addr.         handle state evt-ch tx-/rx-ring-ref BE-path                            Interface       "
		"Bridge",
		print_nic);
}
