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
 * The address of a MAC address, chosen if it has none; with a name, that resolves to it. *taken_over: it was somebody's who is
 * not there now, and dnsmasq must read everything anew. "no-network": there is no free one.
 */
int lan_hosts_attach(const char *mac, const char *name, bool *taken_over, struct err *e);
void lan_hosts_detach(const char *mac);
/* For each name there is: keep it, or forget it. */
void lan_hosts_sweep(bool (*keep)(const char *mac, void *ctx), void *ctx);
/* 0: it has none. */
uint32_t lan_hosts_address(const char *mac);

#endif
