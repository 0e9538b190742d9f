/* SPDX-License-Identifier: MIT */
/* Network interfaces of Domain 0, by rtnetlink: bridges, their ports, addresses. */
#ifndef TOOLS_LIB_NETWORK_H
#define TOOLS_LIB_NETWORK_H

#include <lib/err.h>
#include <stdbool.h>
#include <stdint.h>

#define NET_NAME_MAX	16	/* of an interface, with the 0 */

/* A letter, digit, or one of -_.: — and at most 15 of them. */
bool net_name_valid(const char *name);
/* Index of the interface, 0: there is none. */
unsigned int net_index(const char *name);
bool net_is_bridge(const char *name);
/* 0: unknown. */
unsigned int net_mtu(const char *name);
/* Index of the bridge that the interface is a port of; 0: none. */
unsigned int net_master(const char *name);

/* The functions below return 0 or -errno as the kernel gave it. An rtnetlink socket belongs to one thread. */
int net_open(void);	/* the descriptor */
/* A bridge of that name with that MAC address; -EEXIST: there is an interface of that name. */
int net_bridge_create(int fd, const char *name, const uint8_t mac[6]);

struct net_change {
	const char *rename;	/* NULL: leave it */
	unsigned int mtu;	/* 0: leave it */
	unsigned int master;	/* index of a bridge; 0: leave it */
	bool up;
};
int net_change(int fd, unsigned int index, const struct net_change *c);
/* A bridge's port takes nothing from other senders than mac, and no spanning tree messages. */
int net_port_guard(int fd, unsigned int index, const uint8_t mac[6]);
/* IPv4, address in host order. Having it already is no error. */
int net_address_add(int fd, unsigned int index, uint32_t address, unsigned int prefix);

/* Calls fn for each IPv4 address (own: true) or route but the default one. */
typedef void net_each_fn(uint32_t address, unsigned int prefix, bool own, unsigned int index, void *ctx);
int net_each_address(int fd, net_each_fn *fn, void *ctx);
int net_each_route(int fd, net_each_fn *fn, void *ctx);

/* "00:16:3e:01:02:03"; -EINVAL. */
int net_parse_mac(const char *text, uint8_t mac[6]);

#endif
