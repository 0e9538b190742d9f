/* SPDX-License-Identifier: MIT */
/* Disks and networks of one guest, when it comes. */
#include <errno.h>
#include <lib/image_server.h>
#include <lib/network.h>
#include <lib/small_file.h>
#include <lodged/devices.h>
#include <lodged/hub.h>
#include <lodged/images.h>
#include <lodged/lan.h>
#include <lodged/nodes.h>
#include <lodged/script.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_PATIENCE	70000	/* milliseconds; longer than a script may take */
#define CONNECT_PATIENCE_OURS	20000
#define BIND			"bind "
#define INIT_WAIT		2		/* state of a device, <xen/io/xenbus.h> */

struct check {
	const struct definition *d;
	struct guest *g;
	bool claim, enough;
	problem_fn *fn;
	void *ctx;
};

/* A problem, with the place in the definition when that is known. */
static void problem(struct check *c, struct err *e, int line)
{
	if (!e->line && line && c->d->file) {
		snprintf(e->file, sizeof(e->file), "%s", c->d->file);
		e->line = line;
	}
	c->enough = !c->fn(e, c->ctx);
}

static int check_disk_kind(const struct disk *d, struct err *e)
{
	if (definition_vdev_number(d->vdev) < 0)
		return err_set(
			e, EINVAL, "bad-disk", "there is no disk name `%s`: expected one like xvda, xvdb1, sda or hdc", d->vdev);
	if (d->format == DISK_EMPTY || !d->target)
		return d->cdrom ? 0 : err_set(e, EINVAL, "bad-disk", "the disk %s has no image", d->vdev);
	if (d->format == DISK_RAW || (d->format == DISK_QCOW2 && d->script))
		return 0;
	if (d->format != DISK_QCOW2)
		return err_set(e, EOPNOTSUPP, "not-supported", "the image %s is %s, which is not supported; convert it with "
			       "`qemu-img convert -O qcow2 %s NEW`", d->target, disk_format_name(d->format), d->target);
	if (d->shared && !d->readonly)
		return err_set(e, EINVAL, "bad-disk", "the image %s is qcow2, which several cannot write at a time: it cannot be shared (w!)", d->target);
	return 0;
}

static enum claim_mode disk_mode(const struct disk *d)
{
	return d->readonly ? CLAIM_READ : d->shared ? CLAIM_SHARED : CLAIM_WRITE;
}

static int claim_layers(struct guest *g, bool claim, const struct disk *d, const struct image *im, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < im->n && !rc; i++) {
		struct claim_key key = claim_disk_key(&im->layers[i].id, definition_vdev_number(d->vdev));

		rc = registry_claim(g, claim, &key, i ? CLAIM_READ : disk_mode(d), im->layers[i].path, e);
	}
	return rc;
}

int devices_claim_disk(struct guest *g, bool claim, const struct disk *d, struct err *e)
{
	struct image im;
	int rc;

	if (!d->target || d->script)
		return 0;
	rc = image_read(d->target, d->format, &im, e);
	/* What was found of it, also when that is not all. */
	if (!rc || im.n)
		rc = claim_layers(g, claim, d, &im, e);
	image_free(&im);
	return rc;
}

static int check_layer(struct check *c, const struct disk *d, const struct image_layer *l, bool backing, struct err *e)
{
	bool readonly = d->readonly || backing;
	int rc = 0;

	/* A shared disk may be in use by whomever; one of a guest that runs is, by itself. */
	if (!d->shared && !(c->g && !c->claim))
		rc = block_check_free(l->path, &l->id, !readonly, e);
	return rc ? rc : block_check_open(l->path, &l->id, readonly, e);
}

static int check_disk(struct check *c, const struct disk *d, struct err *e)
{
	struct image im = { .n = 0 };
	char path[512];
	int rc = check_disk_kind(d, e);

	if (rc || !d->target)
		return rc;
	/* The target of a script's disk means something to the script alone. */
	if (d->script)
		return script_find(d->script, path, sizeof(path), e);
	if (access("/sys/bus/xen-backend/drivers/vbd", F_OK))
		return err_set(e, ENODEV, "no-disk", "the kernel has no disk backend: `modprobe xen-blkback`");
	rc = d->format == DISK_QCOW2 ? image_check_programs(e) : 0;
	if (!rc)
		rc = image_read(d->target, d->format, &im, e);
	if (!rc)
		rc = claim_layers(c->g, c->claim, d, &im, e);
	for (size_t i = 0; i < im.n && !rc; i++)
		rc = check_layer(c, d, &im.layers[i], i > 0, e);
	/* What only QEMU finds in it is found when it is attached, if that follows. A guest that runs may have it open for writing. */
	if (!rc && d->format == DISK_QCOW2 && !c->claim && (!c->g || d->cdrom))
		rc = image_try(&im, e);
	image_free(&im);
	return rc;
}

static int check_nic(struct check *c, size_t i, struct err *e)
{
	const struct nic *n = &c->d->nics[i];
	struct claim_key key;
	uint8_t mac[6];
	char path[512];
	int rc;

	if (net_parse_mac(n->mac, mac))
		return err_set(e, EINVAL, "bad-network", "`%s` is no MAC address", n->mac);
	key = claim_mac_key(mac, (int)n->devid);
	rc = registry_claim(c->g, c->claim, &key, CLAIM_WRITE, n->mac, e);
	if (rc)
		return rc;
	if (n->vifname && !net_name_valid(n->vifname))
		return err_set(e, EINVAL, "bad-network", "`%s` is no name for an interface", n->vifname);
	if (n->vifname && net_index(n->vifname))
		return err_set(e, EEXIST, "bad-network", "there is an interface %s already", n->vifname);
	if (access("/sys/bus/xen-backend/drivers/vif", F_OK))
		return err_set(e, ENODEV, "no-network", "the kernel has no network backend: `modprobe xen-netback`");
	if (n->script)
		return script_find(n->script, path, sizeof(path), e);
	if (!n->bridge)
		return lan_bridge(e) ? lan_check(n->mac, n->ip, e) : -e->error;
	if (!net_index(n->bridge))
		return err_set(e, ENODEV, "no-bridge",
			"there is no bridge %s; make it with `ip link add %s type bridge`, or leave bridge= out for the "
			"default network",
			n->bridge, n->bridge);
	return net_is_bridge(n->bridge) ? 0 : err_set(e, ENODEV, "no-bridge", "the interface %s is not a bridge", n->bridge);
}

/* Device numbers and MAC addresses that the definition has twice. */
static int check_twice(const struct definition *d, size_t disk, size_t nic, struct err *e)
{
	for (size_t i = 0; i < disk; i++)
		if (definition_vdev_number(d->disks[i].vdev) == definition_vdev_number(d->disks[disk].vdev))
			return err_set(e, EINVAL, "bad-disk", "two disks are %s", d->disks[disk].vdev);
	for (size_t i = 0; i < nic; i++)
		if (!strcmp(d->nics[i].mac, d->nics[nic].mac))
			return err_set(e, EINVAL, "mac-in-use", "two network interfaces have the MAC address %s", d->nics[nic].mac);
	return 0;
}

void devices_check(const struct definition *d, struct guest *g, bool claim, problem_fn *fn, void *ctx)
{
	struct check c = { .d = d, .g = g, .claim = claim, .fn = fn, .ctx = ctx };

	for (size_t i = 0; i < d->ndisks && !c.enough; i++) {
		struct err e = { 0 };

		if (check_twice(d, i, 0, &e) || check_disk(&c, &d->disks[i], &e))
			problem(&c, &e, d->disks[i].line);
	}
	for (size_t i = 0; i < d->nnics && !c.enough; i++) {
		struct err e = { 0 };

		if (check_twice(d, 0, i, &e) || check_nic(&c, i, &e))
			problem(&c, &e, d->nics[i].line);
	}
}

void devices_tag(char tag[BLOCK_TAG_MAX], const char *uuid, const char *vdev)
{
	snprintf(tag, BLOCK_TAG_MAX, BLOCK_TAG "%s:%s", uuid, vdev);
}

static int attach_disk(const struct disk *d, const char *uuid, dev_t *dev, struct err *e)
{
	char tag[BLOCK_TAG_MAX];
	struct image im;
	int rc;

	if (!d->target || d->script)
		return 0;
	devices_tag(tag, uuid, d->vdev);
	rc = image_read(d->target, d->format, &im, e);
	if (!rc && d->format == DISK_QCOW2) {
		images_watch();
		rc = image_attach(&im, d->readonly, tag, dev, e);
	} else if (!rc) {
		rc = block_attach(d->target, &im.layers[0].id, d->readonly, tag, dev, e);
	}
	image_free(&im);
	return rc;
}

void devices_let_go(dev_t dev, const char *tag)
{
	block_detach(dev, tag);
	image_detach(dev, tag);
}

void devices_sweep(bool (*keep)(const char *tag, void *ctx), void *ctx)
{
	block_sweep(keep, ctx);
	image_sweep(keep, ctx);
}

int devices_attach(const struct definition *d, const char *uuid, struct devices *out, struct err *e)
{
	bool named = false;
	int rc = 0;

	*out = (struct devices){ calloc(d->ndisks + 1, sizeof(*out->disks)), calloc(d->nnics + 1, sizeof(*out->bridges)),
				 calloc(d->nnics + 1, sizeof(*out->guarded)) };
	if (!out->disks || !out->bridges || !out->guarded)
		return err_set(e, ENOMEM, "internal", "out of memory");
	for (size_t i = 0; i < d->ndisks && !rc; i++)
		rc = attach_disk(&d->disks[i], uuid, &out->disks[i], e);
	for (size_t i = 0; i < d->nnics && !rc; i++) {
		const struct nic *n = &d->nics[i];

		out->bridges[i] = n->bridge;
		if (n->bridge || n->script)
			continue;
		out->bridges[i] = lan_bridge(e);
		out->guarded[i] = true;
		rc = out->bridges[i] ? lan_attach(n->mac, n->ip, named ? NULL : d->name, e) : -e->error;
		named = true;
	}
	return rc;
}

void devices_free(struct devices *dev)
{
	free(dev->disks);
	free(dev->bridges);
	free(dev->guarded);
	*dev = (struct devices){ 0 };
}

/* The networks, then the disks; also one for a disk without an image, which the kernel is not told of. */
struct hub_wait *devices_begin(const struct definition *d, int domid)
{
	struct hub_wait *waits = calloc(d->nnics + d->ndisks + 1, sizeof(*waits));

	for (size_t i = 0; waits && i < d->nnics; i++)
		hub_begin(&waits[i], "connect vif-%d-%u", domid, d->nics[i].devid);
	for (size_t i = 0; waits && i < d->ndisks; i++)
		hub_begin(&waits[d->nnics + i], BIND "vbd-%d-%d", domid, definition_vdev_number(d->disks[i].vdev));
	return waits;
}

void devices_cancel(const struct definition *d, struct hub_wait *waits)
{
	for (size_t i = 0; waits && i < d->nnics + d->ndisks; i++)
		hub_end(&waits[i]);
	free(waits);
}

unsigned int devices_backend_state(const char *device)
{
	static const char *const names[] = { "Unknown", "Initialising", "InitWait", "Initialised", "Connected", "Closing", "Closed" };
	char path[128], state[32];

	snprintf(path, sizeof(path), "/sys/bus/xen-backend/devices/%s/state", device);
	small_file_read(path, state, sizeof(state));
	state[strcspn(state, "\n")] = '\0';
	for (unsigned int i = 1; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(state, names[i]))
			return i;
	return 0;
}

/* Whether the kernel's backend has begun to wait for the frontend. */
static bool bound(const struct hub_wait *w)
{
	return devices_backend_state(w->key + strlen(BIND)) == INIT_WAIT;
}

static int run_block_script(struct session *s, const struct disk *d, int domid, struct err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "/local/domain/%u/backend/vbd/%d/%d", nodes_backend(), domid, definition_vdev_number(d->vdev));
	return script_run(s, d->script, SCRIPT_BLOCK_ADD, path, NULL, e);
}

static int wait_disk(struct session *s, const struct disk *d, int domid, struct hub_wait *w, struct err *e)
{
	if (!d->target)
		return 0;
	if (!hub_wait(w, CONNECT_PATIENCE_OURS, bound))
		return err_set(e, ETIMEDOUT, "bad-disk", "the kernel's disk backend does not take %s: does `dmesg` of Domain 0 say why?", d->vdev);
	return d->script ? run_block_script(s, d, domid, e) : 0;
}

int devices_wait(struct session *s, const struct definition *d, int domid, struct hub_wait *waits, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < d->ndisks && !rc; i++)
		rc = wait_disk(s, &d->disks[i], domid, &waits[d->nnics + i], e);
	for (size_t i = 0; i < d->nnics && !rc; i++) {
		if (!hub_wait(&waits[i], d->nics[i].script ? CONNECT_PATIENCE : CONNECT_PATIENCE_OURS, NULL))
			rc = err_set(e, ETIMEDOUT, "bad-network",
				"the kernel made no interface for network %u of the guest: does `dmesg` of Domain 0 say why?", d->nics[i].devid);
		else if (waits[i].e.error) {
			*e = waits[i].e;
			rc = -e->error;
		}
	}
	devices_cancel(d, waits);
	return rc;
}
