/* SPDX-License-Identifier: MIT */
/* The steps that make the default network; each finds done what was done before. */
#ifndef LODGED_LAN_SETUP_H
#define LODGED_LAN_SETUP_H

#include <lodged/conf.h>

/*
 * The bridge, up, with an address: the one it has, else the one of the settings, else the one noted in the file, else a
 * network that the machine knows nothing of. conf->address and ->prefix become what it is.
 */
int lan_setup_bridge(struct conf *c, const char *file, struct err *e);
/* Forwarding, and our nftables table. */
int lan_setup_nat(const struct conf *c, struct err *e);
/* Domain 0 asks our dnsmasq first. Only an ordinary file, or none, is written. */
int lan_setup_resolver(const struct conf *c, struct err *e);

/* The network 10.x.y.0/prefix to try as number n on this machine: host order. For all n different. */
uint32_t lan_candidate(uint32_t seed, unsigned int n, unsigned int prefix);

#endif
