/* SPDX-License-Identifier: MIT */
/*
 * Addresses of the default network: which MAC address has which, in files that dnsmasq follows by itself (inotify), so that
 * nothing has to be told when a guest comes or goes. Functions take care of their own lock.
 */
#ifndef LODGED_LAN_HOSTS_H
#define LODGED_LAN_HOSTS_H

#include <lib/err.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * address: Domain 0's, host order. hosts: directory of "MAC,ADDRESS" files, kept over restarts of the machine; names: of
 * "ADDRESS NAME" files. Both are made. Addresses from earlier runs are read in; those of another network are removed.
 */
int lan_hosts_open(uint32_t address, unsigned int prefix, const char *hosts, const char *names, struct err *e);
/*
 * The address of a MAC address: want (0: the one it has, or one that is chosen); with a name, that resolves to it. *taken_over:
 * it was somebody's who is not there now, or the MAC address had another, and dnsmasq must read everything anew. "no-network":
 * there is no free one; else as lan_hosts_check().
 */
int lan_hosts_attach(const char *mac, uint32_t want, const char *name, bool *taken_over, struct err *e);
/* Could the MAC address have this address? "bad-network": it is none for guests of this network, or another guest runs with it. */
int lan_hosts_check(const char *mac, uint32_t want, struct err *e);
void lan_hosts_detach(const char *mac);
/* For each name there is: keep it, or forget it. */
void lan_hosts_sweep(bool (*keep)(const char *mac, void *ctx), void *ctx);
/* 0: it has none. */
uint32_t lan_hosts_address(const char *mac);

#endif
