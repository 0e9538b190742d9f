/* SPDX-License-Identifier: MIT */
/*
 * A guest's tree in the store.
 *
 * A new node has its parent's permissions, so those are set on the directories, before what is in them is written; where a
 * directory has nodes of both sorts, its permissions change in between, which nobody sees before the transaction ends. Nothing
 * here depends on what a guest could have written.
 */
#include <errno.h>
#include <lib/store_batch.h>
#include <lodged/nodes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define DOMAIN		"/local/domain/%d"
#define BACKEND		"/local/domain/%u/backend"

static unsigned int backend;

int nodes_init(struct store *s)
{
	uint64_t id;
	int rc = store_read_u64(s, &id, "domid");

	backend = rc ? 0 : (unsigned int)id;
	if (rc != -ENOENT)
		return rc;
	/* Nobody has said who Domain 0 is; other software's tools ask. */
	rc = store_write(s, "Domain-0", "/local/domain/0/name");
	return rc ? rc : store_write(s, "0", "/local/domain/0/domid");
}

unsigned int nodes_backend(void)
{
	return backend;
}

/* The permissions of a directory, and with them of all that is made in it from now on. */
static void guests_own(struct store_batch *b, int domid, const char *dir)
{
	store_batch_perms(b, (unsigned int)domid, XS_PERM_NONE, -1, 0, DOMAIN "%s", domid, dir);
}

static void guest_reads(struct store_batch *b, int domid, const char *dir)
{
	store_batch_perms(b, backend, XS_PERM_NONE, domid, XS_PERM_READ, DOMAIN "%s", domid, dir);
}

static void write_control(struct store_batch *b, int domid)
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

	store_batch_mkdir(b, DOMAIN "/control", domid);
	guests_own(b, domid, "/control");
	for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++)
		store_batch_write(b, "", DOMAIN "/control/%s", domid, guests[i]);
	guest_reads(b, domid, "/control");
	store_batch_write(b, "1", DOMAIN "/control/platform-feature-multiprocessor-suspend", domid);
	store_batch_write(b, "1", DOMAIN "/control/platform-feature-xs_reset_watches", domid);
}

/* The domain's directory, with those in it that are the guest's. */
static void write_directories(struct store_batch *b, int domid)
{
	static const char *const guests[] = { "data", "error", "drivers", "attr", "feature" };

	store_batch_remove(b, DOMAIN, domid);
	store_batch_mkdir(b, DOMAIN, domid);
	guests_own(b, domid, "");
	for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++)
		store_batch_mkdir(b, DOMAIN "/%s", domid, guests[i]);
	guest_reads(b, domid, "");
}

static void write_domain(struct store_batch *b, const struct nodes *n)
{
	const struct definition *d = n->def;
	char vm[48];

	snprintf(vm, sizeof(vm), "/vm/%s", n->uuid);
	write_directories(b, n->domid);
	store_batch_write(b, vm, DOMAIN "/vm", n->domid);
	store_batch_write(b, d->name, DOMAIN "/name", n->domid);
	store_batch_write_u64(b, (uint64_t)n->domid, DOMAIN "/domid", n->domid);
	store_batch_write_u64(b, d->memory_kib, DOMAIN "/memory/target", n->domid);
	store_batch_write_u64(b, d->maxmem_kib, DOMAIN "/memory/static-max", n->domid);
	for (uint32_t i = 0; i < d->maxvcpus; i++)
		store_batch_write(b, i < d->vcpus ? "online" : "offline", DOMAIN "/cpu/%u/availability", n->domid, i);
	write_control(b, n->domid);
	store_batch_mkdir(b, DOMAIN "/device", n->domid);
	store_batch_write_u64(b, n->built->store_gfn, DOMAIN "/store/ring-ref", n->domid);
	store_batch_write_u64(b, n->built->store_port, DOMAIN "/store/port", n->domid);
}

static void write_console(struct store_batch *b, const struct nodes *n)
{
	store_batch_write_u64(b, backend, DOMAIN "/console/backend-id", n->domid);
	store_batch_write_u64(b, n->built->console_gfn, DOMAIN "/console/ring-ref", n->domid);
	store_batch_write_u64(b, n->built->console_port, DOMAIN "/console/port", n->domid);
	store_batch_write(b, "1048576", DOMAIN "/console/limit", n->domid);
	store_batch_write(b, "pty", DOMAIN "/console/output", n->domid);
	store_batch_write(b, "", DOMAIN "/console/tty", n->domid);
	store_batch_write(b, "lodge", DOMAIN "/console/type", n->domid);
}

static void write_vm(struct store_batch *b, const struct nodes *n)
{
	const struct definition *d = n->def;

	store_batch_remove(b, "/vm/%s", n->uuid);
	store_batch_mkdir(b, "/vm/%s", n->uuid);
	store_batch_perms(b, backend, XS_PERM_NONE, n->domid, XS_PERM_READ, "/vm/%s", n->uuid);
	store_batch_write(b, d->name, "/vm/%s/name", n->uuid);
	store_batch_write(b, n->uuid, "/vm/%s/uuid", n->uuid);
	store_batch_write_u64(b, n->start_time, "/vm/%s/start_time", n->uuid);
	store_batch_write(b, guest_action_name(d->on_poweroff), "/vm/%s/on_poweroff", n->uuid);
	store_batch_write(b, guest_action_name(d->on_reboot), "/vm/%s/on_reboot", n->uuid);
	store_batch_write(b, guest_action_name(d->on_crash), "/vm/%s/on_crash", n->uuid);
	store_batch_write(b, "linux", "/vm/%s/image/ostype", n->uuid);
	store_batch_write(b, d->kernel, "/vm/%s/image/kernel", n->uuid);
	if (d->ramdisk)
		store_batch_write(b, d->ramdisk, "/vm/%s/image/ramdisk", n->uuid);
	/* A longer one than the store takes is the guest's business alone; this node is only for people to read. */
	if (d->cmdline && strlen(d->cmdline) < 2048)
		store_batch_write(b, d->cmdline, "/vm/%s/image/cmdline", n->uuid);
}

/* The directories of both ends of a device, with what both kinds have in common. */
static void write_device(struct store_batch *b, const struct nodes *n, const char *type, int id, char fe[96], char be[96])
{
	snprintf(fe, 96, DOMAIN "/device/%s/%d", n->domid, type, id);
	snprintf(be, 96, BACKEND "/%s/%d/%d", backend, type, n->domid, id);
	store_batch_remove(b, "%s", be);
	store_batch_mkdir(b, "%s", fe);
	store_batch_perms(b, (unsigned int)n->domid, XS_PERM_NONE, (int)backend, XS_PERM_READ, "%s", fe);
	store_batch_mkdir(b, "%s", be);
	store_batch_perms(b, backend, XS_PERM_NONE, n->domid, XS_PERM_READ, "%s", be);
	store_batch_write(b, be, "%s/backend", fe);
	store_batch_write_u64(b, backend, "%s/backend-id", fe);
	store_batch_write(b, "1", "%s/state", fe);
	store_batch_write(b, fe, "%s/frontend", be);
	store_batch_write_u64(b, (uint64_t)n->domid, "%s/frontend-id", be);
	store_batch_write(b, "1", "%s/online", be);
	store_batch_write(b, "1", "%s/state", be);
}

static void write_disk(struct store_batch *b, const struct nodes *n, size_t i)
{
	const struct disk *d = &n->def->disks[i];
	int id = definition_vdev_number(d->vdev);
	char fe[96], be[96];

	write_device(b, n, "vbd", id, fe, be);
	store_batch_write_u64(b, (uint64_t)id, "%s/virtual-device", fe);
	store_batch_write(b, d->cdrom ? "cdrom" : "disk", "%s/device-type", fe);
	store_batch_write(b, d->cdrom ? "cdrom" : "disk", "%s/device-type", be);
	store_batch_write(b, d->cdrom ? "1" : "0", "%s/removable", be);
	store_batch_write(b, "1", "%s/bootable", be);
	store_batch_write(b, d->vdev, "%s/dev", be);
	store_batch_write(b, d->readonly ? "r" : d->shared ? "w!" : "w", "%s/mode", be);
	store_batch_write(b, d->readonly ? "0" : "1", "%s/discard-enable", be);
	store_batch_write(b, "phy", "%s/type", be);
	store_batch_write(b, d->target, "%s/params", be);
	if (d->script)
		store_batch_write(b, d->script, "%s/script", be);
	if (!n->disks[i])
		return;

	char physical[32];

	snprintf(physical, sizeof(physical), "%x:%x", major(n->disks[i]), minor(n->disks[i]));
	store_batch_write(b, physical, "%s/physical-device", be);
}

static void put_rate(struct store_batch *b, const char *be, const struct nic *nic)
{
	char rate[48];

	if (!nic->rate_bytes) {
		store_batch_remove(b, "%s/rate", be);
		return;
	}
	snprintf(rate, sizeof(rate), "%llu,%u", (unsigned long long)nic->rate_bytes, nic->rate_interval_us);
	store_batch_write(b, rate, "%s/rate", be);
}

void nodes_put_rate(struct store_batch *b, int domid, const struct nic *nic)
{
	char be[96];

	snprintf(be, sizeof(be), BACKEND "/vif/%d/%u", backend, domid, nic->devid);
	put_rate(b, be, nic);
}

static void write_nic(struct store_batch *b, const struct nodes *n, size_t i)
{
	const struct nic *nic = &n->def->nics[i];
	char fe[96], be[96];

	write_device(b, n, "vif", (int)nic->devid, fe, be);
	store_batch_write_u64(b, nic->devid, "%s/handle", fe);
	store_batch_write(b, nic->mac, "%s/mac", fe);
	store_batch_write_u64(b, nic->devid, "%s/handle", be);
	store_batch_write(b, nic->mac, "%s/mac", be);
	store_batch_write(b, "vif", "%s/type", be);
	/* The kernel's backend insists on a script; that it is empty says that the manager does its work. */
	store_batch_write(b, nic->script ? nic->script : "", "%s/script", be);
	if (n->bridges[i])
		store_batch_write(b, n->bridges[i], "%s/bridge", be);
	if (nic->ip)
		store_batch_write(b, nic->ip, "%s/ip", be);
	if (nic->vifname)
		store_batch_write(b, nic->vifname, "%s/vifname", be);
	if (n->guarded[i])
		store_batch_write(b, "1", "%s/guarded", be);
	if (nic->rate_bytes)
		put_rate(b, be, nic);
}

void nodes_put_devices(struct store_batch *b, const struct nodes *n)
{
	for (size_t i = 0; i < n->def->ndisks; i++)
		if (n->def->disks[i].target)
			write_disk(b, n, i);
	for (size_t i = 0; i < n->def->nnics; i++)
		write_nic(b, n, i);
}

int nodes_write(struct store *s, const struct nodes *n)
{
	struct store_batch b = { 0 };

	write_domain(&b, n);
	write_console(&b, n);
	write_vm(&b, n);
	nodes_put_devices(&b, n);
	return store_batch_commit(&b, s);
}

int nodes_remove(struct store *s, int domid, const char *uuid)
{
	struct store_batch b = { 0 };

	store_batch_remove(&b, BACKEND "/vbd/%d", backend, domid);
	store_batch_remove(&b, BACKEND "/vif/%d", backend, domid);
	store_batch_remove(&b, "/local/domain/%u/error/backend/vbd/%d", backend, domid);
	store_batch_remove(&b, "/local/domain/%u/error/backend/vif/%d", backend, domid);
	store_batch_remove(&b, DOMAIN, domid);
	if (uuid)
		store_batch_remove(&b, "/vm/%s", uuid);
	return store_batch_commit(&b, s);
}

int nodes_rename(struct store *s, int domid, const char *uuid, const char *name)
{
	struct store_batch b = { 0 };

	store_batch_write(&b, name, DOMAIN "/name", domid);
	store_batch_write(&b, name, "/vm/%s/name", uuid);
	return store_batch_commit(&b, s);
}

int nodes_move(struct store *s, int domid, const char *old_uuid, const char *new_uuid, const char *name)
{
	char *start = store_read(s, "/vm/%s/start_time", old_uuid), vm[48];
	struct store_batch b = { 0 };

	snprintf(vm, sizeof(vm), "/vm/%s", new_uuid);
	if (start)
		store_batch_write(&b, start, "%s/start_time", vm);
	free(start);
	store_batch_write(&b, new_uuid, "%s/uuid", vm);
	store_batch_write(&b, name, "%s/name", vm);
	store_batch_write(&b, vm, DOMAIN "/vm", domid);
	store_batch_write(&b, name, DOMAIN "/name", domid);
	store_batch_remove(&b, "/vm/%s", old_uuid);
	return store_batch_commit(&b, s);
}

void nodes_put_backend(struct store_batch *b, int domid, const char *type, int id, bool online, unsigned int state)
{
	store_batch_write_u64(b, online, BACKEND "/%s/%d/%d/online", backend, type, domid, id);
	store_batch_write_u64(b, state, BACKEND "/%s/%d/%d/state", backend, type, domid, id);
}

void nodes_put_close(struct store_batch *b, int domid, const char *type, int id)
{
	store_batch_remove(b, DOMAIN "/device/%s/%d", domid, type, id);
	nodes_put_backend(b, domid, type, id, false, NODES_CLOSING);
}

void nodes_put_gone(struct store_batch *b, int domid, const char *type, int id)
{
	store_batch_remove(b, DOMAIN "/device/%s/%d", domid, type, id);
	store_batch_remove(b, BACKEND "/%s/%d/%d", backend, type, domid, id);
	store_batch_remove(b, "/local/domain/%u/error/backend/%s/%d/%d", backend, type, domid, id);
}

int nodes_close_devices(struct store *s, int domid)
{
	static const char *const types[] = { "vbd", "vif" };
	struct store_batch b = { 0 };

	store_batch_remove(&b, DOMAIN "/device", domid);
	for (size_t t = 0; t < 2; t++) {
		char **ids = store_list(s, BACKEND "/%s/%d", backend, types[t], domid);

		for (char **id = ids; ids && *id; id++) {
			store_batch_write(&b, "0", BACKEND "/%s/%d/%s/online", backend, types[t], domid, *id);
			store_batch_write(&b, "5", BACKEND "/%s/%d/%s/state", backend, types[t], domid, *id);
		}
		free(ids);
	}
	return store_batch_commit(&b, s);
}
