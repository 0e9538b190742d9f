/* SPDX-License-Identifier: MIT */
/*
 * A guest's tree in the store.
 *
 * A new node has its parent's permissions, so those are set on the directories, before what is in them is written; where a
 * directory has nodes of both sorts, its permissions change in between, which nobody sees before the transaction ends. Nothing
 * here depends on what a guest could have written.
 */
#include <errno.h>
#include <lodged/nodes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define DOMAIN		"/local/domain/%d"
#define BACKEND		"/local/domain/%u/backend"

#define TRY(call) do { int _rc = (call); if (_rc) return _rc; } while (0)

static unsigned int backend;

int nodes_init(struct store *s)
{
	uint64_t id;
	int rc = store_read_u64(s, &id, "domid");

	backend = rc ? 0 : (unsigned int)id;
	return rc == -ENOENT ? 0 : rc;
}

unsigned int nodes_backend(void)
{
	return backend;
}

/* The permissions of a directory, and with them of all that is made in it from now on. */
static int guests_own(struct store *s, int domid, const char *dir)
{
	return store_set_perms(s, (unsigned int)domid, XS_PERM_NONE, -1, 0, DOMAIN "%s", domid, dir);
}

static int guest_reads(struct store *s, int domid, const char *dir)
{
	return store_set_perms(s, backend, XS_PERM_NONE, domid, XS_PERM_READ, DOMAIN "%s", domid, dir);
}

static int write_control(struct store *s, int domid)
{
	/* A kernel says by writing to feature-… what it can be asked for; it may not add nodes of its own here. */
	static const char *const guests[] = {
		"shutdown",
		"sysrq",
		"feature-poweroff",
		"feature-reboot",
		"feature-suspend",
		"feature-s3",
		"feature-s4",
		"feature-sysrq",
		"feature-balloon",
	};

	TRY(store_mkdir(s, DOMAIN "/control", domid));
	TRY(guests_own(s, domid, "/control"));
	for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++)
		TRY(store_write(s, "", DOMAIN "/control/%s", domid, guests[i]));
	TRY(guest_reads(s, domid, "/control"));
	TRY(store_write(s, "1", DOMAIN "/control/platform-feature-multiprocessor-suspend", domid));
	return store_write(s, "1", DOMAIN "/control/platform-feature-xs_reset_watches", domid);
}

/* The domain's directory, with those in it that are the guest's. */
static int write_directories(struct store *s, int domid)
{
	static const char *const guests[] = { "data", "error", "drivers", "attr", "feature" };

	TRY(store_remove(s, DOMAIN, domid));
	TRY(store_mkdir(s, DOMAIN, domid));
	TRY(guests_own(s, domid, ""));
	for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++)
		TRY(store_mkdir(s, DOMAIN "/%s", domid, guests[i]));
	return guest_reads(s, domid, "");
}

static int write_domain(struct store *s, const struct nodes *n)
{
	const struct definition *d = n->def;
	char vm[48];

	snprintf(vm, sizeof(vm), "/vm/%s", n->uuid);
	TRY(write_directories(s, n->domid));
	TRY(store_write(s, vm, DOMAIN "/vm", n->domid));
	TRY(store_write(s, d->name, DOMAIN "/name", n->domid));
	TRY(store_write_u64(s, (uint64_t)n->domid, DOMAIN "/domid", n->domid));
	TRY(store_write_u64(s, d->memory_kib, DOMAIN "/memory/target", n->domid));
	TRY(store_write_u64(s, d->maxmem_kib, DOMAIN "/memory/static-max", n->domid));
	for (uint32_t i = 0; i < d->maxvcpus; i++)
		TRY(store_write(s, i < d->vcpus ? "online" : "offline", DOMAIN "/cpu/%u/availability", n->domid, i));
	TRY(write_control(s, n->domid));
	TRY(store_mkdir(s, DOMAIN "/device", n->domid));
	TRY(store_write_u64(s, n->built->store_gfn, DOMAIN "/store/ring-ref", n->domid));
	return store_write_u64(s, n->built->store_port, DOMAIN "/store/port", n->domid);
}

static int write_console(struct store *s, const struct nodes *n)
{
	TRY(store_write_u64(s, backend, DOMAIN "/console/backend-id", n->domid));
	TRY(store_write_u64(s, n->built->console_gfn, DOMAIN "/console/ring-ref", n->domid));
	TRY(store_write_u64(s, n->built->console_port, DOMAIN "/console/port", n->domid));
	TRY(store_write(s, "1048576", DOMAIN "/console/limit", n->domid));
	TRY(store_write(s, "pty", DOMAIN "/console/output", n->domid));
	TRY(store_write(s, "", DOMAIN "/console/tty", n->domid));
	return store_write(s, "lodge", DOMAIN "/console/type", n->domid);
}

static int write_vm(struct store *s, const struct nodes *n)
{
	const struct definition *d = n->def;

	TRY(store_remove(s, "/vm/%s", n->uuid));
	TRY(store_mkdir(s, "/vm/%s", n->uuid));
	TRY(store_set_perms(s, backend, XS_PERM_NONE, n->domid, XS_PERM_READ, "/vm/%s", n->uuid));
	TRY(store_write(s, d->name, "/vm/%s/name", n->uuid));
	TRY(store_write(s, n->uuid, "/vm/%s/uuid", n->uuid));
	TRY(store_write_u64(s, n->start_time, "/vm/%s/start_time", n->uuid));
	TRY(store_write(s, guest_action_name(d->on_poweroff), "/vm/%s/on_poweroff", n->uuid));
	TRY(store_write(s, guest_action_name(d->on_reboot), "/vm/%s/on_reboot", n->uuid));
	TRY(store_write(s, guest_action_name(d->on_crash), "/vm/%s/on_crash", n->uuid));
	TRY(store_write(s, "linux", "/vm/%s/image/ostype", n->uuid));
	TRY(store_write(s, d->kernel, "/vm/%s/image/kernel", n->uuid));
	if (d->ramdisk)
		TRY(store_write(s, d->ramdisk, "/vm/%s/image/ramdisk", n->uuid));
	/* A longer one than the store takes is the guest's business alone; this node is only for people to read. */
	if (d->cmdline && strlen(d->cmdline) < 2048)
		TRY(store_write(s, d->cmdline, "/vm/%s/image/cmdline", n->uuid));
	return 0;
}

/* The directories of both ends of a device, with what both kinds have in common. */
static int write_device(struct store *s, const struct nodes *n, const char *type, int id, char fe[96], char be[96])
{
	snprintf(fe, 96, DOMAIN "/device/%s/%d", n->domid, type, id);
	snprintf(be, 96, BACKEND "/%s/%d/%d", backend, type, n->domid, id);
	TRY(store_remove(s, "%s", be));
	TRY(store_mkdir(s, "%s", fe));
	TRY(store_set_perms(s, (unsigned int)n->domid, XS_PERM_NONE, (int)backend, XS_PERM_READ, "%s", fe));
	TRY(store_mkdir(s, "%s", be));
	TRY(store_set_perms(s, backend, XS_PERM_NONE, n->domid, XS_PERM_READ, "%s", be));
	TRY(store_write(s, be, "%s/backend", fe));
	TRY(store_write_u64(s, backend, "%s/backend-id", fe));
	TRY(store_write(s, "1", "%s/state", fe));
	TRY(store_write(s, fe, "%s/frontend", be));
	TRY(store_write_u64(s, (uint64_t)n->domid, "%s/frontend-id", be));
	TRY(store_write(s, "1", "%s/online", be));
	return store_write(s, "1", "%s/state", be);
}

static int write_disk(struct store *s, const struct nodes *n, size_t i)
{
	const struct disk *d = &n->def->disks[i];
	int id = definition_vdev_number(d->vdev);
	char fe[96], be[96];

	TRY(write_device(s, n, "vbd", id, fe, be));
	TRY(store_write_u64(s, (uint64_t)id, "%s/virtual-device", fe));
	TRY(store_write(s, d->cdrom ? "cdrom" : "disk", "%s/device-type", fe));
	TRY(store_write(s, d->cdrom ? "cdrom" : "disk", "%s/device-type", be));
	TRY(store_write(s, d->cdrom ? "1" : "0", "%s/removable", be));
	TRY(store_write(s, "1", "%s/bootable", be));
	TRY(store_write(s, d->vdev, "%s/dev", be));
	TRY(store_write(s, d->readonly ? "r" : d->shared ? "w!" : "w", "%s/mode", be));
	TRY(store_write(s, d->readonly ? "0" : "1", "%s/discard-enable", be));
	TRY(store_write(s, "phy", "%s/type", be));
	TRY(store_write(s, d->target, "%s/params", be));
	if (d->script)
		TRY(store_write(s, d->script, "%s/script", be));
	if (!n->disks[i])
		return 0;

	char physical[32];

	snprintf(physical, sizeof(physical), "%x:%x", major(n->disks[i]), minor(n->disks[i]));
	return store_write(s, physical, "%s/physical-device", be);
}

static int write_nic(struct store *s, const struct nodes *n, size_t i)
{
	const struct nic *nic = &n->def->nics[i];
	char fe[96], be[96], rate[48];

	TRY(write_device(s, n, "vif", (int)i, fe, be));
	TRY(store_write_u64(s, i, "%s/handle", fe));
	TRY(store_write(s, nic->mac, "%s/mac", fe));
	TRY(store_write_u64(s, i, "%s/handle", be));
	TRY(store_write(s, nic->mac, "%s/mac", be));
	TRY(store_write(s, "vif", "%s/type", be));
	/* The kernel's backend insists on a script; that it is empty says that the manager does its work. */
	TRY(store_write(s, nic->script ? nic->script : "", "%s/script", be));
	if (n->bridges[i])
		TRY(store_write(s, n->bridges[i], "%s/bridge", be));
	if (nic->ip)
		TRY(store_write(s, nic->ip, "%s/ip", be));
	if (nic->vifname)
		TRY(store_write(s, nic->vifname, "%s/vifname", be));
	if (n->guarded[i])
		TRY(store_write(s, "1", "%s/guarded", be));
	if (!nic->rate_bytes)
		return 0;
	snprintf(rate, sizeof(rate), "%llu,%u", (unsigned long long)nic->rate_bytes, nic->rate_interval_us);
	return store_write(s, rate, "%s/rate", be);
}

static int write_all(struct store *s, void *arg)
{
	struct nodes *n = arg;

	TRY(write_domain(s, n));
	TRY(write_console(s, n));
	TRY(write_vm(s, n));
	for (size_t i = 0; i < n->def->ndisks; i++)
		if (n->def->disks[i].target)
			TRY(write_disk(s, n, i));
	for (size_t i = 0; i < n->def->nnics; i++)
		TRY(write_nic(s, n, i));
	return 0;
}

int nodes_write(struct store *s, struct nodes *n)
{
	return store_transaction(s, write_all, n);
}

struct removal {
	int domid;
	const char *uuid;
};

static int remove_all(struct store *s, void *arg)
{
	struct removal *r = arg;

	TRY(store_remove(s, BACKEND "/vbd/%d", backend, r->domid));
	TRY(store_remove(s, BACKEND "/vif/%d", backend, r->domid));
	TRY(store_remove(s, "/local/domain/%u/error/backend/vbd/%d", backend, r->domid));
	TRY(store_remove(s, "/local/domain/%u/error/backend/vif/%d", backend, r->domid));
	TRY(store_remove(s, DOMAIN, r->domid));
	return r->uuid ? store_remove(s, "/vm/%s", r->uuid) : 0;
}

int nodes_remove(struct store *s, int domid, const char *uuid)
{
	struct removal r = { domid, uuid };

	return store_transaction(s, remove_all, &r);
}

struct renaming {
	int domid;
	const char *uuid, *to, *name;
};

static int rename_all(struct store *s, void *arg)
{
	struct renaming *r = arg;

	TRY(store_write(s, r->name, DOMAIN "/name", r->domid));
	return store_write(s, r->name, "/vm/%s/name", r->uuid);
}

int nodes_rename(struct store *s, int domid, const char *uuid, const char *name)
{
	struct renaming r = { .domid = domid, .uuid = uuid, .name = name };

	return store_transaction(s, rename_all, &r);
}

static int move_all(struct store *s, void *arg)
{
	struct renaming *r = arg;
	char *start = store_read(s, "/vm/%s/start_time", r->uuid), vm[48];
	int rc;

	snprintf(vm, sizeof(vm), "/vm/%s", r->to);
	rc = start ? store_write(s, start, "/vm/%s/start_time", r->to) : 0;
	free(start);
	TRY(rc);
	TRY(store_write(s, r->to, "/vm/%s/uuid", r->to));
	TRY(store_write(s, r->name, "/vm/%s/name", r->to));
	TRY(store_write(s, vm, DOMAIN "/vm", r->domid));
	TRY(store_write(s, r->name, DOMAIN "/name", r->domid));
	return store_remove(s, "/vm/%s", r->uuid);
}

int nodes_move(struct store *s, int domid, const char *old_uuid, const char *new_uuid, const char *name)
{
	struct renaming r = { .domid = domid, .uuid = old_uuid, .to = new_uuid, .name = name };

	return store_transaction(s, move_all, &r);
}

static int close_all(struct store *s, void *arg)
{
	static const char *const types[] = { "vbd", "vif" };
	int domid = *(int *)arg;

	TRY(store_remove(s, DOMAIN "/device", domid));
	for (size_t t = 0; t < 2; t++) {
		char **ids = store_list(s, BACKEND "/%s/%d", backend, types[t], domid);
		int rc = 0;

		for (char **id = ids; !rc && ids && *id; id++) {
			rc = store_write(s, "0", BACKEND "/%s/%d/%s/online", backend, types[t], domid, *id);
			if (!rc)
				rc = store_write(s, "5", BACKEND "/%s/%d/%s/state", backend, types[t], domid, *id);
		}
		free(ids);
		TRY(rc);
	}
	return 0;
}

int nodes_close_devices(struct store *s, int domid)
{
	return store_transaction(s, close_all, &domid);
}
