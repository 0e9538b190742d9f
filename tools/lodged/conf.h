/* SPDX-License-Identifier: MIT */
/* The manager's settings: /etc/lodge/lodged.conf (docs/man/lodged.md). */
#ifndef LODGED_CONF_H
#define LODGED_CONF_H

#include <lib/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_FILE	"/etc/lodge/lodged.conf"

#define CONF_DOM0_MIN_AUTO	0
#define CONF_DOM0_MIN_OFF	UINT64_MAX
#define DOM0_LEAST_KIB		(128 << 10)	/* with less, Domain 0 would kill its daemons */

struct conf {
	bool network;		/* is there to be a default network */
	char bridge[16];
	uint32_t address;	/* of Domain 0 in it, host order; 0: chosen */
	unsigned int prefix;	/* 16 … 28 */
	char domain[64];	/* names of guests end in it */
	bool nat;		/* and forwarding */
	char dump_folder[256];	/* for the cores of guests that end with coredump-… */
	bool dump_for_crash;	/* they are for crash; otherwise for gdb */
	uint64_t dom0_min_kib;	/* how far Domain 0 gives up memory for guests; or CONF_DOM0_MIN_… */
	bool persistent_grants;	/* guests copy their disk data to and from pages that stay mapped */
	char image_folders[1024];	/* absolute paths with ':' between them: backing files there are any image's to name */
	char metrics_address[46];	/* where they are served */
	unsigned int metrics_port;	/* 0: nowhere */
	char resolv_conf[256];	/* gets Domain 0's own look-ups to the guests' names; "": none */
};

void conf_defaults(struct conf *c);
/* Text of the file; name: for messages. -EINVAL with file and line. What is not said keeps its default. */
int conf_parse(struct conf *c, const char *name, const char *text, size_t len, struct err *e);
/* It need not exist. */
int conf_load(struct conf *c, const char *path, struct err *e);

#endif
