/* SPDX-License-Identifier: MIT */
/*
 * The default network: a bridge of Domain 0 with DHCP, names and a way out, for guests that name no bridge of their own. Made
 * of the kernel's bridge, dnsmasq and nftables; set up when the manager starts, and left alone by its end.
 */
#ifndef LODGED_LAN_H
#define LODGED_LAN_H

#include <jansson.h>
#include <lib/err.h>
#include <lodged/conf.h>

/* Set up in a thread of its own, which also keeps dnsmasq running. What goes wrong is logged, and an error of lan_bridge(). */
void lan_start(const struct conf *c);
/* Its name, once it is there (waits some seconds while it is being made); NULL: "no-network", says why not. */
const char *lan_bridge(struct err *e);
/* Its name whatever its state; NULL: it is switched off. */
const char *lan_name(void);
/*
 * An address for the MAC address: always the same, and known to DHCP; name (NULL: none) is resolved to it from now on. ip: as in
 * a definition (NULL: not given); the first of IPv4 in it is the address. "no-network": none is free; "bad-network": not that one.
 */
int lan_attach(const char *mac, const char *ip, const char *name, struct err *e);
/* Would it be given that address? ip may be NULL. */
int lan_check(const char *mac, const char *ip, struct err *e);
/* The name is not resolved any more; the address stays reserved. */
void lan_detach(const char *mac);
/* Names of guests that are not there (keep() does not want the MAC address) are forgotten. */
void lan_sweep(bool (*keep)(const char *mac, void *ctx), void *ctx);
/* "10.1.2.3" of a MAC address, or "". */
void lan_address(const char *mac, char text[16]);
/* For the method `version`: new reference. */
json_t *lan_describe(void);

#endif
