/* SPDX-License-Identifier: MIT */
/* Methods for machines made from images: a disk upon the image's, a disk with what it is told at its first start, a definition. */
#include <errno.h>
#include <lib/seed.h>
#include <lib/template.h>
#include <lodged/log.h>
#include <lodged/methods.h>
#include <lodged/templates.h>
#include <lodged/worker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#define MEMORY_KIB	(512u << 10)
#define SIZE_MAX_KIB	(1ull << 40)
#define SEED_VDEV	"xvdp"		/* behind those that one would give it oneself */

/* --- its definition --- */

static int check_template(const struct template *t, struct err *e)
{
	if (t->kernel || !access(TEMPLATE_GRUB, R_OK))
		return 0;
	return err_set(e, ENOENT, "no-program",
		"the image %s has its kernel in its disk, where GRUB finds it, and there is no " TEMPLATE_GRUB ": install the package grub-xen-host",
		t->name);
}

static int define(const struct template *t, const json_t *params, struct definition **d, struct err *e)
{
	const char *name = request_string(params, "name"), *cmdline = json_string_value(json_object_get(t->about, "cmdline"));
	const json_t *memory = json_object_get(params, "memory_kib"), *vcpus = json_object_get(params, "vcpus");
	char *disk = machine_path(&machine_place, name, MACHINE_DISK), *seed = machine_path(&machine_place, name, MACHINE_SEED);
	json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:I, s:[{s:s, s:s, s:s}, {s:s, s:s, s:s, s:b}], s:[{}]}", "name", name, "type", "pv", "kernel",
		t->kernel ? t->kernel : TEMPLATE_GRUB, "memory_kib", memory ? json_integer_value(memory) : (json_int_t)MEMORY_KIB, "vcpus",
		vcpus ? json_integer_value(vcpus) : (json_int_t)1, "disks", "target", disk ? disk : "", "vdev", "xvda", "format", "qcow2",
		"target", seed ? seed : "", "vdev", SEED_VDEV, "format", "raw", "readonly", 1, "nics");
	int rc = j && disk && seed ? 0 : err_set(e, ENOMEM, "no-memory", "out of memory");

	if (!rc && t->ramdisk)
		json_object_set_new(j, "ramdisk", json_string(t->ramdisk));
	if (!rc && t->kernel && cmdline)
		json_object_set_new(j, "cmdline", json_string(cmdline));
	if (!rc)
		rc = definition_from_json(j, d, e);
	if (!rc && (rc = definition_complete(*d, e))) {
		definition_free(*d);
		*d = NULL;
	}
	json_decref(j);
	free(disk);
	free(seed);
	return rc;
}

static int write_definition(const struct template *t, const struct definition *d, struct err *e)
{
	char *body = definition_to_text(d), *text = NULL;
	int rc = !body || asprintf(&text, "# Made by `lodge new` from the image %s. `lodge remove %s` removes it, and its disk.\n%s", t->name, d->name,
		body) < 0 ? err_set(e, ENOMEM, "no-memory", "out of memory") : 0;

	if (!rc)
		rc = machine_finish(&machine_place, d->name, text, e);
	else
		text = NULL;
	free(text);
	free(body);
	return rc;
}

/* --- its disks --- */

/* size_kib: 0: as large as the image's. */
static int disk_size(const struct template *t, const json_t *params, uint64_t *bytes, struct err *e)
{
	const json_t *size = json_object_get(params, "size_kib");
	uint64_t kib = size ? (uint64_t)json_integer_value(size) : 0;

	*bytes = kib ? kib << 10 : t->size;
	if (kib > SIZE_MAX_KIB || *bytes < t->size)
		return err_set(e, EINVAL, "out-of-range", "found a size of %llu MiB for the disk, expected at least %llu MiB, which the image %s has",
			(unsigned long long)kib >> 10, (unsigned long long)(t->size + (1 << 20) - 1) >> 20, t->name);
	return 0;
}

static int make_disk(struct session *s, const struct template *t, const char *name, uint64_t bytes, struct err *e)
{
	char *disk = machine_path(&machine_place, name, MACHINE_DISK), size[24];
	/*
	 * -u: the size is known, and what lies below need not be opened for it. A cluster in parts of 4 KiB: what a machine writes is then all that is
	 * written, and nothing has to be copied from below to fill a cluster with.
	 */
	const char *argv[] = { "qemu-img", "create", "-q", "-u", "-f", "qcow2", "-o", "cluster_size=128k,extended_l2=on", "-F", "qcow2", "-b", t->disk,
		disk, size, NULL };
	struct worker w = { .argv = argv };
	int rc = disk ? 0 : err_set(e, ENOMEM, "no-memory", "out of memory");

	snprintf(size, sizeof(size), "%llu", (unsigned long long)bytes);
	if (!rc)
		rc = worker_run(s, &w, "cannot-write", e);
	free(disk);
	return rc;
}

static int make_seed(const struct seed *seed, struct err *e)
{
	char *path = machine_path(&machine_place, seed->name, MACHINE_SEED);
	int rc = path ? seed_write(seed, path, e) : err_set(e, ENOMEM, "no-memory", "out of memory");

	free(path);
	return rc;
}

/* --- new --- */

static int make(struct session *s, const struct template *t, const json_t *params, const struct seed *seed, uint64_t bytes, struct err *e)
{
	struct definition *d = NULL;
	int rc = define(t, params, &d, e);

	if (!rc)
		rc = registry_check_free(d->name, d->uuid, e);
	if (!rc)
		rc = machine_begin(&machine_place, d->name, e);
	if (!rc) {
		rc = make_disk(s, t, d->name, bytes, e);
		if (!rc)
			rc = make_seed(seed, e);
		if (!rc)
			rc = write_definition(t, d, e);
		if (rc)
			machine_undo(&machine_place, d->name);
	}
	definition_free(d);
	return rc;
}

static void new_result(const char *name, uint64_t bytes, json_t **result)
{
	char *disk = machine_path(&machine_place, name, MACHINE_DISK), *definition = machine_definition(&machine_place, name);

	*result = json_pack("{s:s, s:s, s:s, s:I}", "name", name, "definition", definition ? definition : "", "disk", disk ? disk : "", "size_kib",
		(json_int_t)(bytes >> 10));
	free(disk);
	free(definition);
}

int method_new(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	const char *name = request_string(params, "name");
	struct seed seed = { .name = name, .user = request_string(params, "user"), .keys = json_object_get(params, "ssh_keys") };
	char instance[UUID_TEXT];
	struct template t = { 0 };
	uint64_t bytes = 0;
	uuid_t uuid;
	int rc = definition_check_name(name, e);

	uuid_generate(uuid);
	uuid_unparse_lower(uuid, instance);
	seed.instance = instance;
	if (!rc)
		rc = seed_check(&seed, e);
	if (!rc)
		rc = worker_find("qemu-img", "qemu-utils", e);
	if (rc)
		return rc;
	templates_lock(false);
	rc = template_read(TEMPLATE_DIR, request_string(params, "image"), &t, e);
	if (!rc)
		rc = check_template(&t, e);
	if (!rc)
		rc = disk_size(&t, params, &bytes, e);
	if (!rc)
		rc = make(s, &t, params, &seed, bytes, e);
	templates_unlock();
	if (!rc) {
		log_line("%s: made from the image %s", name, t.name);
		new_result(name, bytes, result);
	}
	template_free(&t);
	return rc;
}

/* --- remove --- */

/* Nobody can start a guest of that name, or with that disk, until this is done. */
static int remove_claimed(struct guest *g, const char *name, struct err *e)
{
	static const char *const files[] = { MACHINE_DISK, MACHINE_SEED };
	int rc = 0;

	for (size_t i = 0; i < 2 && !rc; i++) {
		char *path = machine_path(&machine_place, name, files[i]);
		struct claim_key key;
		struct block_id id;

		/* One that is not there any more is nobody's. */
		if (path && !access(path, F_OK) && !block_identify(path, &id, e)) {
			key = claim_disk_key(&id, (int)i);
			rc = registry_claim(g, true, &key, CLAIM_WRITE, path, e);
		}
		free(path);
	}
	return rc ? rc : machine_remove(&machine_place, name, e);
}

int method_remove(struct session *s, const json_t *params, json_t **result, struct err *e)
{
	const char *name = request_string(params, "machine");
	struct guest *g;
	uuid_t uuid;
	int rc = machine_find(&machine_place, name, e);

	if (rc)
		return rc;
	/* Any UUID will do: it is the name that must not be in use. */
	uuid_generate(uuid);
	rc = registry_reserve(name, uuid, &g, e);
	if (rc && !strcmp(e->code, "name-taken"))
		return err_set(e, EBUSY, "machine-runs", "the machine %s runs: `lodge shutdown -w %s` or `lodge destroy %s` first", name, name, name);
	if (rc)
		return rc;
	rc = remove_claimed(g, name, e);
	registry_remove(g);
	registry_unlock(g);
	registry_put(g);
	if (!rc)
		log_line("%s: removed, with its disk", name);
	return rc;
}
