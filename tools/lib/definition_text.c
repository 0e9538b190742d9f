/* SPDX-License-Identifier: MIT */
/* A definition as the file that it could have come from: for people to read, and for `lodge create` to read again. */
#include <lib/definition.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uuid/uuid.h>

#define US_PER_S 1000000

/* In quotes. Definitions have no control characters in them. */
static void quoted(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', f);
		if (*s == '\t')
			fputs("\\t", f);
		else
			putc(*s, f);
	}
	putc('"', f);
}

static void string(FILE *f, const char *key, const char *value)
{
	if (!value)
		return;
	fprintf(f, "%s = ", key);
	quoted(f, value);
	putc('\n', f);
}

/* A list of strings, each made by item(). */
static void list(
	FILE *f, const char *key, const struct definition *d, size_t n, char *(*item)(const struct definition *d, size_t i))
{
	if (!n)
		return;
	fprintf(f, "%s = [", key);
	for (size_t i = 0; i < n; i++) {
		char *text = item(d, i);

		fputs(n > 1 ? "\n\t" : " ", f);
		if (text)
			quoted(f, text);
		fputs(n > 1 ? "," : "", f);
		free(text);
	}
	fputs(n > 1 ? "\n]\n" : " ]\n", f);
}

static char *cpus_item(const struct definition *d, size_t i)
{
	char *text;

	return asprintf(&text, "%s", d->cpus[i]) < 0 ? NULL : text;
}

/* The target comes last: it takes all the rest, commas as well. */
static char *disk_item(const struct definition *d, size_t i)
{
	const struct disk *k = &d->disks[i];
	char *text;

	if (asprintf(&text, "%s%s%svdev=%s,access=%s%s%s%s%s%s%s", k->target ? "format=" : "",
		    k->target ? disk_format_name(k->format) : "", k->target ? "," : "", k->vdev, k->readonly ? "ro" : "rw",
		    k->shared ? "!" : "", k->cdrom ? ",devtype=cdrom" : "", k->script ? ",script=" : "", k->script ? k->script : "",
		    k->target ? ",target=" : "", k->target ? k->target : "") < 0)
		return NULL;
	return text;
}

static void part(FILE *f, const char *key, const char *value)
{
	if (value)
		fprintf(f, "%s%s=%s", ftell(f) ? "," : "", key, value);
}

static char *nic_item(const struct definition *d, size_t i)
{
	const struct nic *n = &d->nics[i];
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	uint64_t rate = n->rate_bytes;

	if (!f)
		return NULL;
	part(f, "mac", n->mac);
	part(f, "bridge", n->bridge);
	part(f, "ip", n->ip);
	part(f, "script", n->script);
	part(f, "vifname", n->vifname);
	part(f, "model", n->model);
	/* Rounded up, so that reading it, which rounds down, comes to the same number in the interval. */
	if (rate)
		fprintf(f, "%srate=%" PRIu64 "B/s@%uus", ftell(f) ? "," : "",
			(rate * US_PER_S + n->rate_interval_us - 1) / n->rate_interval_us, n->rate_interval_us);
	if (n->devid != (i ? d->nics[i - 1].devid + 1 : 0))
		fprintf(f, "%sdevid=%u", ftell(f) ? "," : "", n->devid);
	return fclose(f) ? NULL : text;
}

static void actions(FILE *f, const struct definition *d)
{
	string(f, "on_poweroff", guest_action_name(d->on_poweroff));
	string(f, "on_reboot", guest_action_name(d->on_reboot));
	string(f, "on_crash", guest_action_name(d->on_crash));
	string(f, "on_watchdog", guest_action_name(d->on_watchdog));
}

static unsigned long long mib(uint64_t kib)
{
	return (kib + 1023) >> 10;
}

char *definition_to_text(const struct definition *d)
{
	char *text = NULL, uuid[37];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	string(f, "name", d->name);
	uuid_unparse_lower(d->uuid, uuid);
	if (!uuid_is_null(d->uuid))
		string(f, "uuid", uuid);
	string(f, "type", guest_type_name(d->type));
	string(f, "kernel", d->kernel);
	string(f, "ramdisk", d->ramdisk);
	string(f, "cmdline", d->cmdline);
	fprintf(f, "memory = %llu\n", mib(d->memory_kib));
	if (d->maxmem_kib)
		fprintf(f, "maxmem = %llu\n", mib(d->maxmem_kib));
	if (d->vcpus)
		fprintf(f, "vcpus = %u\n", d->vcpus);
	if (d->maxvcpus)
		fprintf(f, "maxvcpus = %u\n", d->maxvcpus);
	if (d->ncpus == 1)
		string(f, "cpus", d->cpus[0]);
	else
		list(f, "cpus", d, d->ncpus, cpus_item);
	if (d->cpu_weight)
		fprintf(f, "cpu_weight = %u\n", d->cpu_weight);
	if (d->cpu_cap)
		fprintf(f, "cap = %u\n", d->cpu_cap);
	list(f, "disk", d, d->ndisks, disk_item);
	list(f, "vif", d, d->nnics, nic_item);
	actions(f, d);
	return fclose(f) ? NULL : text;
}
