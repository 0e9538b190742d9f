/* SPDX-License-Identifier: MIT */
/*
 * Devices that come and go while their guest runs.
 *
 * What a guest has is in its record and in its nodes, and both change in one transaction. What goes on around that takes time,
 * so that the record has a mark meanwhile, /lodge/guest/UUID/change, from which the next manager goes on if this one is killed:
 *
 *	"attach TYPE ID"	nobody has been told that it worked: it is taken away again
 *	"ask TYPE ID"		the guest has been asked to let go: if it has, the device goes; if not, it stays
 *	"remove TYPE ID"	the device goes
 *
 * TYPE is vbd or vif, ID the number of the device. " cd" behind it says that it is the medium of a CD drive, which stays in the record. All functions here are for whoever has the guest to himself.
 */
#ifndef LODGED_CHANGE_H
#define LODGED_CHANGE_H

#include <jansson.h>
#include <lib/definition.h>
#include <lodged/registry.h>
#include <lodged/session.h>

/* One device of a guest. */
struct device_id {
	const char *type;	/* "vbd", "vif" */
	int number;		/* definition_vdev_number(), devid */
	bool medium;		/* of a CD drive: the device is what is in it, and an empty drive is none */
};

/* The mark "WHAT TYPE ID". */
#define CHANGE_MARK_MAX	64
void change_mark(char mark[CHANGE_MARK_MAX], const char *what, const struct device_id *id);
/* Where it is in the definition; -1: not there. */
int change_find(const struct definition *d, const struct device_id *id);
/* The same, and "no-device" (-ENOENT). */
int change_need(const struct guest *g, const struct definition *d, const struct device_id *id, struct err *e);
/* The same, and "no-drive" (-EINVAL): a disk that is no CD drive. */
int change_need_drive(const struct guest *g, const struct definition *d, const struct device_id *id, struct err *e);
/* The guest has a domain that runs, or "wrong-state". */
int change_possible(struct session *s, const struct guest *g, xen_domctl_getdomaininfo_t *info, struct err *e);
/* The same, and its definition (caller frees). */
int change_begin(struct session *s, const struct guest *g, xen_domctl_getdomaininfo_t *info, struct definition **d, struct err *e);

/*
 * Give it one more. item: as in `disks` or `nics` of a definition. *id: which it has become. A failure has undone everything.
 */
int change_attach(struct session *s, struct guest *g, const char *type, const json_t *item, struct device_id *id,
	struct err *e);
/*
 * Put a medium into a CD drive ("no-drive": it is none), in place of one that is there. item: as in `disks`, of that number. A failure
 * leaves the drive empty at worst.
 */
int change_insert(struct session *s, struct guest *g, const struct device_id *id, const json_t *item, struct err *e);
/*
 * Take one away, when the guest has let go of it ("device-busy": it does not), or at once. Of a drive's medium: the drive stays, and an
 * empty one is left as it is.
 */
int change_detach(struct session *s, struct guest *g, const struct device_id *id, bool force, struct err *e);
/* What has been attached just now, but not to the end. d: its definition, which is changed too. */
int change_undo(struct session *s, struct guest *g, const struct device_id *id, struct definition *d, struct err *e);
/* When the manager starts: end what another one had begun. */
void change_recover(struct session *s, struct guest *g, struct definition *d);

#endif
