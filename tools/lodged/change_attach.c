/* SPDX-License-Identifier: MIT */
/* A disk or a network interface for a guest that runs. */
#include <errno.h>
#include <lodged/change.h>
#include <lodged/devices.h>
#include <lodged/lan.h>
#include <lodged/log.h>
#include <lodged/nodes.h>
#include <lodged/record.h>
#include <stdio.h>
#include <string.h>

struct attach {
	struct session *s;
	struct guest *g;
	struct definition *with; /* the definition with the new device */
	struct definition one;	 /* the same with only that one; owns nothing */
	struct device_id id;
	struct devices dev; /* of `one` */
};

void change_mark(char mark[CHANGE_MARK_MAX], const char *what, const struct device_id *id)
{
	snprintf(mark, CHANGE_MARK_MAX, "%s %s %d%s", what, id->type, id->number, id->medium ? " cd" : "");
}

int change_find(const struct definition *d, const struct device_id *id)
{
	bool disk = !strcmp(id->type, "vbd");

	for (size_t i = 0; i < (disk ? d->ndisks : d->nnics); i++)
		if (disk ? definition_vdev_number(d->disks[i].vdev) == id->number : (int)d->nics[i].devid == id->number)
			return (int)i;
	return -1;
}

int change_need(const struct guest *g, const struct definition *d, const struct device_id *id, struct err *e)
{
	bool disk = !strcmp(id->type, "vbd");
	int i = change_find(d, id);

	return i >= 0 ? i : err_set(e, ENOENT, "no-device", "the guest %s has no %s %d (`lodge %s-list %s` shows what it has)", g->name,
		disk ? "disk" : "network interface", id->number, disk ? "block" : "network", g->name);
}

int change_need_drive(const struct guest *g, const struct definition *d, const struct device_id *id, struct err *e)
{
	int i = change_need(g, d, id, e);

	return i < 0 || d->disks[i].cdrom ? i : err_set(e, EINVAL, "no-drive",
		"%s of the guest %s is no CD drive (devtype=cdrom in its definition): `lodge block-detach` and `lodge block-attach` change disks",
		d->disks[i].vdev, g->name);
}

int change_possible(struct session *s, const struct guest *g, xen_domctl_getdomaininfo_t *info, struct err *e)
{
	if (g->state != GUEST_RUNNING || !hv_domain_runs(s->hv, g->domid, info))
		return err_set(e, EINVAL, "wrong-state", "the guest %s does not run: it has ended", g->name);
	return 0;
}

int change_begin(struct session *s, const struct guest *g, xen_domctl_getdomaininfo_t *info, struct definition **d, struct err *e)
{
	int rc = change_possible(s, g, info, e);

	return rc ? rc : session_definition(s, g, d, e);
}

/* Two of the same image in one guest, one of which can be written, would spoil it. */
static int check_own_disks(const struct definition *d, const struct disk *new, struct err *e)
{
	struct block_id id, other;
	struct err ignored;

	if (!new->target || new->script || block_identify(new->target, &id, &ignored))
		return 0; /* devices_check() says what is wrong */
	for (size_t i = 0; i < d->ndisks; i++) {
		const struct disk *k = &d->disks[i];

		/* What a drive has is on its way out. */
		if (!k->target || k->script || definition_vdev_number(k->vdev) == definition_vdev_number(new->vdev))
			continue;
		if ((k->readonly && new->readonly) || (k->shared && new->shared))
			continue;
		if (block_identify(k->target, &other, &ignored) || !block_same(&other, &id))
			continue;
		return err_set(e, EBUSY, "disk-in-use", "the guest %s has %s already, as %s", d->name, new->target, k->vdev);
	}
	return 0;
}

/* The item into the list of the definition's JSON; *number of the device, or -errno. */
static int add_disk(const struct definition *d, json_t *json, const json_t *item, int *number, struct err *e)
{
	const char *vdev = json_string_value(json_object_get(item, "vdev"));
	struct device_id id = { .type = "vbd", .number = vdev ? definition_vdev_number(vdev) : -1 };
	json_t *list = json_object_get(json, "disks");

	*number = id.number;
	if (id.number >= 0 && change_find(d, &id) >= 0)
		return err_set(e, EEXIST, "device-taken", "the guest %s has a disk %s already (`lodge block-list %s`)", d->name,
			vdev, d->name);
	if (!list)
		json_object_set_new(json, "disks", list = json_array());
	return json_array_append(list, (json_t *)item) ? err_set(e, ENOMEM, "internal", "out of memory") : 0;
}

/* The item in place of the empty drive, or of what is in it. */
static int fill_drive(const struct definition *d, json_t *json, const json_t *item, const struct device_id *id, struct err *e)
{
	json_t *list = json_object_get(json, "disks");
	int i = change_find(d, id);

	return i < 0 || json_array_set(list, (size_t)i, (json_t *)item) ? err_set(e, ENOMEM, "internal", "out of memory") : 0;
}

/* The number that is asked for, or the least that is free; where it stands in the list goes with it. */
static int add_nic(const struct definition *d, json_t *json, const json_t *item, int *number, struct err *e)
{
	json_int_t wanted = json_integer_value(json_object_get(item, "devid"));
	struct device_id id = { .type = "vif", .number = wanted > 0 && wanted <= NIC_DEVID_MAX ? (int)wanted : 0 };
	json_t *list = json_object_get(json, "nics"), *copy = json_copy((json_t *)item);
	size_t at = 0;

	if (wanted > 0 && change_find(d, &id) >= 0) {
		json_decref(copy);
		return err_set(e, EEXIST, "device-taken",
			"the guest %s has a network interface %d already (`lodge network-list %s`)", d->name, id.number, d->name);
	}
	while (!wanted && change_find(d, &id) >= 0)
		id.number++;
	while (at < d->nnics && (int)d->nics[at].devid < id.number)
		at++;
	if (!list)
		json_object_set_new(json, "nics", list = json_array());
	*number = id.number;
	if (!wanted && copy)
		json_object_set_new(copy, "devid", json_integer(id.number));
	return json_array_insert_new(list, at, copy) ? err_set(e, ENOMEM, "internal", "out of memory") : 0;
}

static int make_definition(struct attach *a, const struct definition *d, const json_t *item, struct err *e)
{
	json_t *json = definition_to_json(d);
	bool disk = !strcmp(a->id.type, "vbd");
	int rc = json ? 0 : err_set(e, ENOMEM, "internal", "out of memory");

	if (!rc && a->id.medium)
		rc = fill_drive(d, json, item, &a->id, e);
	else if (!rc)
		rc = (disk ? add_disk : add_nic)(d, json, item, &a->id.number, e);
	if (!rc)
		rc = definition_from_json(json, &a->with, e);
	json_decref(json);
	if (!rc)
		rc = definition_complete(a->with, e);
	return rc;
}

static void select_one(struct attach *a, const struct definition *d)
{
	int i = change_find(a->with, &a->id);
	bool disk = !strcmp(a->id.type, "vbd");

	a->one = *a->with;
	a->one.disks = &a->with->disks[disk ? i : 0];
	a->one.ndisks = disk;
	a->one.nics = &a->with->nics[disk ? 0 : i];
	a->one.nnics = !disk;
	if (definition_default_nic(d))
		a->one.name = NULL;
}

static bool first_problem(const struct err *e, void *ctx)
{
	*(struct err *)ctx = *e;
	return false;
}

/* From here on the device is there for all to see: record, mark and nodes. */
static int publish(struct attach *a, struct err *e)
{
	struct nodes n = { .def = &a->one, .uuid = a->g->uuid_text, .domid = a->g->domid, .disks = a->dev.disks,
			   .bridges = a->dev.bridges, .guarded = a->dev.guarded };
	struct store_batch b = { 0 };
	char mark[CHANGE_MARK_MAX];
	int rc = record_put_definition(&b, a->g->uuid_text, a->with);

	if (!rc) {
		change_mark(mark, "attach", &a->id);
		record_put_change(&b, a->g->uuid_text, mark);
		nodes_put_devices(&b, &n);
		rc = store_batch_commit(&b, a->s->store);
	}
	return rc ? session_store_error(e, rc, "writing the device's nodes") : 0;
}

static int unmark(struct attach *a, struct err *e)
{
	struct store_batch b = { 0 };
	int rc;

	record_put_change(&b, a->g->uuid_text, NULL);
	rc = store_batch_commit(&b, a->s->store);
	return rc ? session_store_error(e, rc, "noting that the device is there") : 0;
}

/* What devices_attach() made, when nothing of it has been written down yet. */
static void drop_unwritten(struct attach *a)
{
	char tag[BLOCK_TAG_MAX];

	for (size_t i = 0; i < a->one.ndisks && a->dev.disks; i++) {
		devices_tag(tag, a->g->uuid_text, a->one.disks[i].vdev);
		devices_let_go(a->dev.disks[i], tag);
	}
	for (size_t i = 0; i < a->one.nnics; i++)
		if (nic_is_default(&a->one.nics[i]))
			lan_detach(a->one.nics[i].mac);
}

static int bring_up(struct attach *a, struct err *e)
{
	struct hub_wait *waits;
	struct err ignored;
	int rc = devices_attach(&a->one, a->g->uuid_text, &a->dev, e);

	waits = rc ? NULL : devices_begin(&a->one, a->g->domid);
	if (!rc && !waits)
		rc = err_set(e, ENOMEM, "internal", "out of memory");
	if (!rc && (rc = publish(a, e)))
		devices_cancel(&a->one, waits);
	if (rc) {
		drop_unwritten(a);
		return rc;
	}
	rc = devices_wait(a->s, &a->one, a->g->domid, waits, e);
	if (!rc)
		rc = unmark(a, e);
	if (rc)
		change_undo(a->s, a->g, &a->id, a->with, &ignored);
	return rc;
}

static void unclaim(const struct attach *a)
{
	registry_unclaim_device(a->g, strcmp(a->id.type, "vbd") ? CLAIM_MAC : CLAIM_DISK, a->id.number);
}

/* As it is to be; what is wrong with it. claim: and it becomes the guest's. */
static int prepare(struct attach *a, const struct definition *d, const json_t *item, bool claim, struct err *e)
{
	struct err found = { 0 };
	int rc = make_definition(a, d, item, e);

	if (rc)
		return rc;
	select_one(a, d);
	if (a->one.ndisks && (rc = check_own_disks(d, a->one.disks, e)))
		return rc;
	devices_check(&a->one, a->g, claim, first_problem, &found);
	if (!found.error)
		return 0;
	*e = found;
	if (claim)
		unclaim(a);
	return -e->error;
}

static int attach(struct attach *a, const struct definition *d, const json_t *item, struct err *e)
{
	int rc = prepare(a, d, item, true, e);

	if (rc)
		return rc;
	rc = bring_up(a, e);
	devices_free(&a->dev);
	if (rc)
		unclaim(a);
	return rc;
}

int change_attach(struct session *s, struct guest *g, const char *type, const json_t *item, struct device_id *id, struct err *e)
{
	struct attach a = { .s = s, .g = g, .id = { type, -1, false } };
	xen_domctl_getdomaininfo_t info;
	struct definition *d;
	int rc = change_begin(s, g, &info, &d, e);

	if (rc)
		return rc;
	rc = attach(&a, d, item, e);
	definition_free(d);
	definition_free(a.with);
	if (rc)
		return rc;
	*id = a.id;
	log_line("%s: %s %d is attached", g->name, type, a.id.number);
	return 0;
}

/* Would it work, if the drive were empty? */
static int check_insert(struct session *s, struct guest *g, const struct device_id *id, const json_t *item, struct err *e)
{
	struct attach a = { .s = s, .g = g, .id = *id };
	xen_domctl_getdomaininfo_t info;
	struct definition *d;
	int rc = change_begin(s, g, &info, &d, e);

	if (rc)
		return rc;
	rc = change_need_drive(g, d, id, e);
	if (rc >= 0)
		rc = prepare(&a, d, item, false, e);
	definition_free(d);
	definition_free(a.with);
	return rc;
}

int change_insert(struct session *s, struct guest *g, const struct device_id *id, const json_t *item, struct err *e)
{
	struct attach a = { .s = s, .g = g, .id = *id };
	struct definition *d;
	int rc = check_insert(s, g, id, item, e);

	if (!rc)
		rc = change_detach(s, g, id, false, e);
	if (!rc)
		rc = session_definition(s, g, &d, e);
	if (rc)
		return rc;
	rc = attach(&a, d, item, e);
	definition_free(d);
	definition_free(a.with);
	if (!rc)
		log_line("%s: vbd %d has a medium", g->name, id->number);
	return rc;
}
