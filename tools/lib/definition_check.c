/* SPDX-License-Identifier: MIT */
/* What makes a definition a good one, wherever it came from: a file, the command line, JSON. */
#include <lib/definition.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#define DISKS_MAX	256
#define NICS_MAX	64
#define PATH_MAX_BYTES	4095

static int __attribute__((format(printf, 2, 3))) bad(struct err *e, const char *fmt, ...)
{
	char text[sizeof(e->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(e, EINVAL, "bad-definition", "%s", text);
}

/* A failure of item i's, in line `line` of the definition's file. */
static int at(const struct definition *d, int line, struct err *e)
{
	if (line && d->file) {
		snprintf(e->file, sizeof(e->file), "%s", d->file);
		e->line = line;
	}
	return -e->error;
}

static bool has_control(const char *s)
{
	for (; s && *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return true;
	return false;
}

static int check_path(const char *what, const char *path, struct err *e)
{
	if (!path)
		return 0;
	if (*path != '/')
		return bad(e, "%s: found \"%.200s\", expected an absolute path", what, path);
	if (strlen(path) > PATH_MAX_BYTES)
		return bad(e, "%s: the path is longer than %d bytes", what, PATH_MAX_BYTES);
	if (has_control(path))
		return bad(e, "%s: the path has control characters in it", what);
	return 0;
}

int definition_check_name(const char *name, struct err *e)
{
	size_t len = strlen(name);
	uuid_t uuid;

	if (len == 0 || len > DEFINITION_NAME_MAX)
		return err_set(e, EINVAL, "bad-name", "name: found \"%.80s\", expected 1 to %d characters", name, DEFINITION_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && (i == 0 || !strchr(".+:@-", name[i])))
			return err_set(e, EINVAL, "bad-name",
				"name: found \"%s\", expected letters, digits and . _ + : @ -, beginning with a letter or digit",
				name);
	if (strspn(name, "0123456789") == len)
		return err_set(
			e, EINVAL, "bad-name", "name: found \"%s\": a name of digits alone would be taken for a domain id", name);
	if (uuid_parse(name, uuid) == 0)
		return err_set(e, EINVAL, "bad-name", "name: found \"%s\": this would be taken for a UUID", name);
	if (strcmp(name, "Domain-0") == 0)
		return err_set(e, EINVAL, "bad-name", "name: found \"%s\", which is Domain 0's", name);
	return 0;
}

static int check_kernel(const struct definition *d, const char **key, struct err *e)
{
	*key = "kernel";
	if (!d->kernel && d->type != GUEST_HVM)
		return bad(e, "kernel is missing: expected the path of a kernel, such as kernel = \"/boot/vmlinuz\"");
	if (check_path("kernel", d->kernel, e))
		return -EINVAL;
	*key = "ramdisk";
	if (check_path("ramdisk", d->ramdisk, e))
		return -EINVAL;
	*key = "cmdline";
	if (d->cmdline && strlen(d->cmdline) > DEFINITION_CMDLINE_MAX)
		return bad(e, "the kernel's command line is %zu bytes long, expected at most %d", strlen(d->cmdline),
			DEFINITION_CMDLINE_MAX);
	for (const char *s = d->cmdline; s && *s; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return bad(e, "the kernel's command line has control characters in it");
	return 0;
}

static int check_memory(const struct definition *d, const char **key, struct err *e)
{
	*key = "memory";
	if (d->memory_kib == 0)
		return bad(e, "memory is missing: expected a number of MiB, such as memory = 512");
	if (d->memory_kib < 1024 || d->memory_kib > DEFINITION_MEMORY_MAX)
		return bad(e, "memory: found %llu KiB, expected 1 MiB to 16 TiB", (unsigned long long)d->memory_kib);
	*key = "maxmem";
	if (d->maxmem_kib && (d->maxmem_kib < d->memory_kib || d->maxmem_kib > DEFINITION_MEMORY_MAX))
		return bad(e, "maxmem: found %llu MiB, expected at least memory, %llu MiB", (unsigned long long)d->maxmem_kib >> 10,
			(unsigned long long)d->memory_kib >> 10);
	return 0;
}

static int check_cpus(const struct definition *d, const char **key, struct err *e)
{
	uint8_t bitmap[DEFINITION_CPUS_MAX / 8];
	uint32_t max = d->maxvcpus ? d->maxvcpus : d->vcpus ? d->vcpus : 1;

	*key = "vcpus";
	if (d->vcpus > DEFINITION_VCPUS_MAX)
		return bad(e, "vcpus: found %u, expected 1 to %d", d->vcpus, DEFINITION_VCPUS_MAX);
	*key = "maxvcpus";
	if (max > DEFINITION_VCPUS_MAX || max < d->vcpus)
		return bad(e, "maxvcpus: found %u, expected at least vcpus, %u, and at most %d", max, d->vcpus, DEFINITION_VCPUS_MAX);
	*key = "cpus";
	if (d->ncpus > 1 && d->ncpus > max)
		return bad(e, "cpus: found a list for %zu vCPUs, expected at most %u", d->ncpus, max);
	for (size_t i = 0; i < d->ncpus; i++) {
		bool any = false;

		if (definition_cpus(d->cpus[i], bitmap, DEFINITION_CPUS_MAX, e))
			return -EINVAL;
		for (size_t j = 0; j < sizeof(bitmap); j++)
			any |= bitmap[j];
		if (!any)
			return bad(e, "cpus: found \"%.80s\", which names no processor", d->cpus[i]);
	}
	*key = "cpu_weight";
	if (d->cpu_weight > 65535)
		return bad(e, "cpu_weight: found %u, expected 1 to 65535", d->cpu_weight);
	*key = "cap";
	if (d->cpu_cap > 100 * max)
		return bad(e, "cap: found %u, expected percent of one processor: at most %u for %u vCPU%s", d->cpu_cap, 100 * max,
			max, max == 1 ? "" : "s");
	return 0;
}

static int check_disk(const struct definition *d, size_t i, struct err *e)
{
	const struct disk *k = &d->disks[i];
	int number = k->vdev ? definition_vdev_number(k->vdev) : -1;

	if (number < 0)
		return bad(e, "disk: found \"%.40s\" as a device, expected a name such as xvda or xvda1", k->vdev ? k->vdev : "");
	for (size_t j = 0; j < i; j++)
		if (definition_vdev_number(d->disks[j].vdev) == number)
			return bad(e, "disk: two disks are %s", k->vdev);
	if (!k->target != (k->format == DISK_EMPTY) || (!k->target && !k->cdrom))
		return bad(e, "disk %s: it has no target; only a CD drive can be empty", k->vdev);
	if (k->script && (has_control(k->script) || !*k->script || strlen(k->script) > 255))
		return bad(e, "disk %s: found a bad name of a script", k->vdev);
	if (k->script && k->target && (has_control(k->target) || strlen(k->target) > PATH_MAX_BYTES))
		return bad(e, "disk %s: found a bad target for %s", k->vdev, k->script);
	return k->script ? 0 : check_path("disk", k->target, e);
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool is_word(const char *s, size_t max)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)s[i]) || s[i] == '/')
			return false;
	return n > 0 && n <= max;
}

static int check_nic(const struct definition *d, size_t i, struct err *e)
{
	const struct nic *n = &d->nics[i];
	uint8_t mac[6];

	if (n->mac && (definition_mac(n->mac, mac) || (mac[0] & 1) || strlen(n->mac) != 17))
		return bad(e, "vif: found mac=%.40s, expected six bytes such as 00:16:3e:01:02:03", n->mac);
	/* A bridge of a script's may say more than its name, such as a VLAN. */
	if (n->bridge && !is_word(n->bridge, n->script ? 128 : IFNAMSIZ - 1))
		return bad(e, "vif: found bridge=%.40s, expected the name of a bridge", n->bridge);
	if (n->vifname && !is_word(n->vifname, IFNAMSIZ - 1))
		return bad(e, "vif: found vifname=%.40s, expected a name of at most %d characters", n->vifname, IFNAMSIZ - 1);
	if (n->script && (has_control(n->script) || !*n->script || strlen(n->script) > 255))
		return bad(e, "vif: found a bad name of a script");
	if (n->ip && (strlen(n->ip) > 255 || strspn(n->ip, "0123456789abcdefABCDEF.:/ ") != strlen(n->ip)))
		return bad(e, "vif: found ip=%.40s, expected addresses", n->ip);
	if (n->model && !is_word(n->model, 63))
		return bad(e, "vif: found model=%.40s, expected a word", n->model);
	if (n->rate_bytes > UINT32_MAX || !n->rate_bytes != !n->rate_interval_us)
		return bad(e, "vif: found a bad rate");
	for (size_t j = 0; j < i; j++) {
		if (same(d->nics[j].mac, n->mac))
			return bad(e, "vif: two interfaces have the address %s", n->mac);
		if (same(d->nics[j].vifname, n->vifname))
			return bad(e, "vif: two interfaces are called %s", n->vifname);
	}
	return 0;
}

static int check_devices(const struct definition *d, const char **key, struct err *e)
{
	*key = "disk";
	if (d->ndisks > DISKS_MAX)
		return bad(e, "disk: found %zu disks, expected at most %d", d->ndisks, DISKS_MAX);
	for (size_t i = 0; i < d->ndisks; i++)
		if (check_disk(d, i, e))
			return at(d, d->disks[i].line, e);
	*key = "vif";
	if (d->nnics > NICS_MAX)
		return bad(e, "vif: found %zu interfaces, expected at most %d", d->nnics, NICS_MAX);
	for (size_t i = 0; i < d->nnics; i++)
		if (check_nic(d, i, e))
			return at(d, d->nics[i].line, e);
	return 0;
}

int definition_check(const struct definition *d, const char **key, struct err *e)
{
	const char *ignored;
	int rc;

	key = key ? key : &ignored;
	*key = "name";
	if (!d->name)
		return bad(e, "name is missing: expected a line such as name = \"web1\"");
	rc = definition_check_name(d->name, e);
	if (rc == 0)
		rc = check_kernel(d, key, e);
	if (rc == 0)
		rc = check_memory(d, key, e);
	if (rc == 0)
		rc = check_cpus(d, key, e);
	if (rc == 0)
		rc = check_devices(d, key, e);
	return rc;
}
