/* SPDX-License-Identifier: MIT */
/* Disks and networks of one guest: checked, claimed, attached, taken away. */
#ifndef LODGED_DEVICES_H
#define LODGED_DEVICES_H

#include <lib/definition.h>
#include <lodged/hub.h>
#include <lodged/registry.h>
#include <lodged/session.h>
#include <sys/types.h>

/* Told each thing that is wrong; false: enough. */
typedef bool problem_fn(const struct err *e, void *ctx);

/*
 * Everything about disks and networks that can be wrong, one after the other, until fn has enough. g: not in its own way;
 * NULL: a guest that is not there. claim: what is free is claimed for g.
 */
void devices_check(const struct definition *d, struct guest *g, bool claim, problem_fn *fn, void *ctx);

/*
 * Whom a disk belongs to: each file that its image consists of is claimed, the image as the guest is to have it, what it lies upon
 * for reading. A script's disk has none.
 */
int devices_claim_disk(struct guest *g, bool claim, const struct disk *d, struct err *e);

/* Per device of the definition. */
struct devices {
	dev_t *disks;
	const char **bridges;
	bool *guarded;
};
/* Loop devices, addresses. What was attached before a failure is left to devices_remove(). */
int devices_attach(const struct definition *d, const char *uuid, struct devices *out, struct err *e);
void devices_free(struct devices *dev);

/*
 * Before nodes_write() begin (NULL: no memory); afterwards wait until all interfaces are connected, the backends of all disks
 * wait for the guest (GRUB and others do not wait for them to begin) and the scripts of disks have run; or cancel.
 */
struct hub_wait *devices_begin(const struct definition *d, int domid);
void devices_cancel(const struct definition *d, struct hub_wait *waits);
int devices_wait(struct session *s, const struct definition *d, int domid, struct hub_wait *waits, struct err *e);

/* Take all devices of a domain down, and wait until the kernel has let go of them. domid -1: it has got none yet. d may be NULL. */
void devices_remove(struct session *s, int domid, const char *uuid, const struct definition *d);

/* The same with one of them, whatever the guest does; its nodes stay. type: vbd, vif; id: its number. */
void devices_remove_one(struct session *s, int domid, const char *uuid, const char *type, int id);
/* Begin to wait before it can happen, as with hub_begin(), that the kernel's backend lets go of a device; false: not in time. */
void devices_begin_gone(struct hub_wait *w, int domid, const char *type, int id);
bool devices_wait_gone(struct hub_wait *w, int milliseconds);

/* The state of "vbd-3-51712" as the kernel's backend has it itself, whatever the store says; 0: there is none. */
unsigned int devices_backend_state(const char *device);

/* "lodge:UUID:VDEV" of our loop devices, and of network block devices. */
void devices_tag(char tag[BLOCK_TAG_MAX], const char *uuid, const char *vdev);
/* As block_detach() and block_sweep(), whatever is in the device. */
void devices_let_go(dev_t dev, const char *tag);
void devices_sweep(bool (*keep)(const char *tag, void *ctx), void *ctx);

#endif
