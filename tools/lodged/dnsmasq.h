/* SPDX-License-Identifier: MIT */
/* dnsmasq for the default network: its configuration, its process. It outlives the manager, whose successor takes it over. */
#ifndef LODGED_DNSMASQ_H
#define LODGED_DNSMASQ_H

#include <lib/err.h>
#include <stdbool.h>
#include <stdint.h>

struct dnsmasq {
	const char *bridge, *domain;
	uint32_t address;	/* host order */
	unsigned int prefix;
	const char *dir;	/* for its own files */
	const char *hosts, *names;	/* directories of lan_hosts.h */
};

/* The text of its configuration file. */
int dnsmasq_config(const struct dnsmasq *d, char *text, unsigned long size);
/*
 * Leases that are none any more, since their addresses were given to others (lan_hosts.h): true if there are some. drop: they
 * are removed from the file, which dnsmasq reads when it starts.
 */
bool dnsmasq_stale_leases(const struct dnsmasq *d, bool drop);
/*
 * One that runs with just this configuration and without stale leases, or a new one. A pidfd, which becomes readable when it
 * ends; or -errno and a message ("no-network").
 */
int dnsmasq_start(const struct dnsmasq *d, struct err *e);
/* Have it read all addresses anew. It keeps to its leases: with stale ones, it has to be started anew. */
void dnsmasq_reload(const struct dnsmasq *d);

#endif
