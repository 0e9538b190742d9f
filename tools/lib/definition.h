/* SPDX-License-Identifier: MIT */
/*
 * VM definitions: what a guest is to be. Read from `key = value` files (definition_parse.c), changed by overrides, checked, and
 * carried as JSON between the command line, the manager and the store (definition_json.c).
 */
#ifndef TOOLS_LIB_DEFINITION_H
#define TOOLS_LIB_DEFINITION_H

#include <jansson.h>
#include <lib/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum guest_type { GUEST_PV, GUEST_PVH, GUEST_HVM };
enum guest_action {
	ACTION_DESTROY, ACTION_RESTART, ACTION_PRESERVE, ACTION_RENAME_RESTART, ACTION_COREDUMP_DESTROY, ACTION_COREDUMP_RESTART,
};
enum disk_format { DISK_RAW, DISK_QCOW2, DISK_QCOW, DISK_VHD, DISK_EMPTY };

struct disk {
	char *target;		/* path of block device or image, absolute; NULL: an empty CD drive */
	char *vdev;		/* "xvda", "xvda1", "sda", "hda" … as given; definition_vdev_number() */
	enum disk_format format;
	bool readonly;
	bool shared;		/* "!": may be open for writing elsewhere */
	bool cdrom;
	char *script;		/* block script asked for, or NULL */
	int line;		/* in the file, for messages; 0: none */
};

struct nic {
	char *mac;		/* "00:16:3e:xx:xx:xx", lower case; never NULL after definition_complete() */
	char *bridge;		/* NULL: the default network */
	char *ip;		/* as given, or NULL */
	char *script;		/* NULL: none, the manager connects it */
	char *vifname;		/* interface name in Domain 0, or NULL: vifID.N */
	char *model;
	uint64_t rate_bytes;	/* per interval, at most 2^32 - 1; 0: no limit */
	uint32_t rate_interval_us;
	uint32_t devid;		/* its number; they rise. 0: the one after the number before it (definition_number_nics()) */
	int line;
};

struct definition {
	char *file;		/* where it came from, or NULL */
	char *name;
	uint8_t uuid[16];	/* all 0: none given; set by definition_complete() */
	enum guest_type type;
	char *kernel, *ramdisk;	/* absolute paths; ramdisk NULL: none */
	char *cmdline;		/* whole command line (cmdline, or root + extra), or NULL */
	uint64_t memory_kib, maxmem_kib;
	uint32_t vcpus, maxvcpus;	/* vcpus <= maxvcpus */
	char **cpus;		/* affinity: one string for all vCPUs, or one for each; "0-3,^2", "all" */
	size_t ncpus;
	uint32_t cpu_weight;	/* 0: default */
	uint32_t cpu_cap;	/* percent of one processor; 0: none */
	struct disk *disks;
	size_t ndisks;
	struct nic *nics;
	size_t nnics;
	enum guest_action on_poweroff, on_reboot, on_crash, on_watchdog;
};

#define DEFINITION_DIR		"/etc/xen"		/* overridden by $LODGE_DEFINITIONS */
#define DEFINITION_NAME_MAX	63			/* bytes of a guest's name */
#define DEFINITION_VCPUS_MAX	512
#define DEFINITION_MEMORY_MAX	(1ULL << 34)		/* KiB */
#define DEFINITION_CPUS_MAX	4096			/* processors that an affinity can name */
#define NIC_DEVID_MAX		1023			/* number of a network interface */
#define DEFINITION_CMDLINE_MAX	1023			/* bytes; what a PV guest's start info holds */

/* Called for each warning (an unknown key), with file and line in it. */
typedef void definition_warn_fn(const struct err *warning, void *ctx);

/*
 * Where the definition called `what` is: a file, /etc/xen/vm/WHAT or /etc/xen/WHAT.cfg; with a '/' in it, the file only. Allocated
 * into *path. -ENOENT says where it looked.
 */
int definition_find(const char *what, char **path, struct err *e);
/*
 * Parse text[0..len). file: for messages; relative paths in it start from its folder. overrides: "key=value" strings of the command
 * line, applied afterwards (in messages, file "command line"), with paths from the current directory. warn may be NULL. *out is
 * allocated and has been checked; what was not given is still 0 or NULL (see definition_complete()). -EINVAL with file and line:
 * what was found and what is expected.
 */
int definition_parse(const char *file, const char *text, size_t len, char *const *overrides, size_t noverrides,
		     definition_warn_fn *warn, void *warn_ctx, struct definition **out, struct err *e);
/* The same from a file (at most 1 MiB), or anything else that can be read to its end. */
int definition_load(const char *path, char *const *overrides, size_t noverrides, definition_warn_fn *warn, void *warn_ctx,
		    struct definition **out, struct err *e);
/*
 * One item of the list `disk` or `vif`, as the command line gives it: JSON as in `disks` or `nics` of a definition, new reference.
 * Paths start from the current directory. -EINVAL, "bad-definition".
 */
int definition_disk_item(const char *text, definition_warn_fn *warn, void *warn_ctx, json_t **out, struct err *e);
int definition_nic_item(const char *text, definition_warn_fn *warn, void *warn_ctx, json_t **out, struct err *e);
/* The definition as a file that definition_parse() reads, allocated; NULL: no memory. Memory is in MiB there, so that less is rounded up. */
char *definition_to_text(const struct definition *d);
/* Give each network interface the number it has not got: 0, or one more than the one before. -EINVAL when they do not rise. */
int definition_number_nics(struct definition *d, struct err *e);
/*
 * Fill in what is not given: uuid (version 5, from /etc/machine-id and the name: the same each time), MAC addresses (00:16:3e…,
 * from UUID and index), maxmem, maxvcpus; then definition_check().
 */
int definition_complete(struct definition *d, struct err *e);
/*
 * All that can be checked without looking at the machine. On failure (-EINVAL, "bad-definition") *key, if key is not NULL, is the
 * key of the definition language that is at fault; e has no place, except that of a disk or network interface.
 */
int definition_check(const struct definition *d, const char **key, struct err *e);
/* A guest's name: letters, digits and . _ + : @ -, beginning with a letter, digit or _; at most 63; neither digits alone, nor a
 * UUID, nor Domain 0's. */
int definition_check_name(const char *name, struct err *e);
/* Canonical JSON, new reference; the keys are those of docs/api.md. Never NULL but for lack of memory. */
json_t *definition_to_json(const struct definition *d);
/* From JSON by anybody who can reach the manager's socket: everything is checked, unknown keys are refused. */
int definition_from_json(const json_t *json, struct definition **out, struct err *e);
/* Take item i out of its list. */
void definition_remove_disk(struct definition *d, size_t i);
void definition_remove_nic(struct definition *d, size_t i);
/* Take the medium out of disk i, a CD drive, which stays. */
void definition_empty_drive(struct definition *d, size_t i);
/* The interface is in the default network, which the manager keeps. */
static inline bool nic_is_default(const struct nic *n) { return !n->bridge && !n->script; }
/* The first such; NULL: none. The default network knows the guest's name by it alone. */
const struct nic *definition_default_nic(const struct definition *d);
struct definition *definition_copy(const struct definition *d);
void definition_free(struct definition *d);

/* The device number of "xvda1", "sdb", "hdc", "d0p1", "51712" … (the ABI's encoding; extended numbers from xvdq on). -1: no such
 * name. */
int definition_vdev_number(const char *vdev);
/* Bits of CPUs from "0-3,^2,5", "all", "none" → bitmap of nbits (nbits / 8 bytes, rounded up); -EINVAL, also for a CPU that is not
 * below nbits. */
int definition_cpus(const char *text, uint8_t *bitmap, size_t nbits, struct err *e);
/* "00:16:3E:1:2:3" → six bytes; -EINVAL without a message. */
int definition_mac(const char *text, uint8_t mac[6]);

const char *guest_type_name(enum guest_type t);
const char *guest_action_name(enum guest_action a);
const char *disk_format_name(enum disk_format f);
/* The other way; -1: no such name. */
int guest_type_find(const char *name);
int guest_action_find(const char *name);
int disk_format_find(const char *name);

#endif
