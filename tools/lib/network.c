/* SPDX-License-Identifier: MIT */
/* Network interfaces of Domain 0, by rtnetlink. */
#include <arpa/inet.h>
#include <errno.h>
#include <lib/netlink.h>
#include <lib/network.h>
#include <lib/small_file.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool net_name_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:");

	return n && n < NET_NAME_MAX && !name[n] && strcmp(name, ".") && strcmp(name, "..");
}

unsigned int net_index(const char *name)
{
	return net_name_valid(name) ? if_nametoindex(name) : 0;
}

static unsigned int sysfs_number(const char *name, const char *what)
{
	char path[96], text[32];

	if (!net_name_valid(name))
		return 0;
	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", name, what);
	small_file_read(path, text, sizeof(text));
	return (unsigned int)strtoul(text, NULL, 10);
}

bool net_is_bridge(const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/net/%s/bridge", name);
	return net_name_valid(name) && !access(path, F_OK);
}

unsigned int net_mtu(const char *name)
{
	return sysfs_number(name, "mtu");
}

unsigned int net_master(const char *name)
{
	return sysfs_number(name, "master/ifindex");
}

int net_parse_mac(const char *text, uint8_t mac[6])
{
	char *end;

	for (int i = 0; i < 6; i++) {
		if (strspn(text, "0123456789abcdefABCDEF") != 2)
			return -EINVAL;
		mac[i] = (uint8_t)strtoul(text, &end, 16);
		if (*end != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		text = end + 1;
	}
	return 0;
}

int net_open(void)
{
	return nl_open(NETLINK_ROUTE);
}

int net_bridge_create(int fd, const char *name, const uint8_t mac[6])
{
	struct ifinfomsg link = { 0 };
	struct nl_request r;
	struct rtattr *info, *data;

	nl_start(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof(link));
	nl_put_string(&r, IFLA_IFNAME, name);
	nl_put(&r, IFLA_ADDRESS, mac, 6);
	info = nl_put(&r, IFLA_LINKINFO, NULL, 0);
	nl_put_string(&r, IFLA_INFO_KIND, "bridge");
	data = nl_put(&r, IFLA_INFO_DATA, NULL, 0);
	nl_put_u32(&r, IFLA_BR_FORWARD_DELAY, 0);
	nl_put_u32(&r, IFLA_BR_STP_STATE, 0);
	nl_end_nest(&r, data);
	nl_end_nest(&r, info);
	return nl_transact(fd, &r, NULL, NULL);
}

int net_change(int fd, unsigned int index, const struct net_change *c)
{
	struct ifinfomsg link = { .ifi_index = (int)index };
	struct nl_request r;

	if (c->up) {
		link.ifi_flags = IFF_UP;
		link.ifi_change = IFF_UP;
	}
	nl_start(&r, RTM_NEWLINK, 0, &link, sizeof(link));
	if (c->rename)
		nl_put_string(&r, IFLA_IFNAME, c->rename);
	if (c->mtu)
		nl_put_u32(&r, IFLA_MTU, c->mtu);
	if (c->master)
		nl_put_u32(&r, IFLA_MASTER, c->master);
	return nl_transact(fd, &r, NULL, NULL);
}

int net_port_guard(int fd, unsigned int index, const uint8_t mac[6])
{
	struct ifinfomsg link = { .ifi_index = (int)index };
	struct ndmsg neighbour = {
		.ndm_family = AF_BRIDGE, .ndm_ifindex = (int)index, .ndm_state = NUD_NOARP, .ndm_flags = NTF_MASTER};
	struct nl_request r;
	struct rtattr *info, *data;
	int rc;

	nl_start(&r, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &neighbour, sizeof(neighbour));
	nl_put(&r, NDA_LLADDR, mac, 6);
	rc = nl_transact(fd, &r, NULL, NULL);
	if (rc)
		return rc;
	nl_start(&r, RTM_NEWLINK, 0, &link, sizeof(link));
	info = nl_put(&r, IFLA_LINKINFO, NULL, 0);
	nl_put_string(&r, IFLA_INFO_SLAVE_KIND, "bridge");
	data = nl_put(&r, IFLA_INFO_SLAVE_DATA, NULL, 0);
	nl_put_u8(&r, IFLA_BRPORT_LOCKED, 1);
	nl_put_u8(&r, IFLA_BRPORT_LEARNING, 0);
	nl_put_u8(&r, IFLA_BRPORT_GUARD, 1);
	nl_end_nest(&r, data);
	nl_end_nest(&r, info);
	return nl_transact(fd, &r, NULL, NULL);
}

int net_address_add(int fd, unsigned int index, uint32_t address, unsigned int prefix)
{
	struct ifaddrmsg a = { .ifa_family = AF_INET, .ifa_prefixlen = (uint8_t)prefix, .ifa_index = index };
	uint32_t local = htonl(address), broadcast = htonl(address | (prefix < 32 ? 0xffffffffU >> prefix : 0));
	struct nl_request r;
	int rc;

	nl_start(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &a, sizeof(a));
	nl_put(&r, IFA_LOCAL, &local, sizeof(local));
	nl_put(&r, IFA_ADDRESS, &local, sizeof(local));
	nl_put(&r, IFA_BROADCAST, &broadcast, sizeof(broadcast));
	rc = nl_transact(fd, &r, NULL, NULL);
	return rc == -EEXIST ? 0 : rc;
}

struct each {
	net_each_fn *fn;
	void *ctx;
};

static uint32_t attribute_u32(const struct rtattr *a)
{
	uint32_t v = 0;

	if (RTA_PAYLOAD(a) >= sizeof(v))
		memcpy(&v, RTA_DATA(a), sizeof(v));
	return v;
}

static void address_answer(const struct nlmsghdr *h, void *ctx)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	struct each *each = ctx;
	const struct rtattr *a = IFA_RTA(m);
	long left = (long)IFA_PAYLOAD(h);

	if (h->nlmsg_type != RTM_NEWADDR || m->ifa_family != AF_INET)
		return;
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFA_LOCAL)
			each->fn(ntohl(attribute_u32(a)), m->ifa_prefixlen, true, m->ifa_index, each->ctx);
}

static void route_answer(const struct nlmsghdr *h, void *ctx)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	struct each *each = ctx;
	const struct rtattr *a = RTM_RTA(m);
	long left = (long)RTM_PAYLOAD(h);
	uint32_t to = 0, index = 0;

	if (h->nlmsg_type != RTM_NEWROUTE || m->rtm_family != AF_INET || !m->rtm_dst_len)
		return;
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == RTA_DST)
			to = ntohl(attribute_u32(a));
		else if (a->rta_type == RTA_OIF)
			index = attribute_u32(a);
	}
	each->fn(to, m->rtm_dst_len, false, index, each->ctx);
}

int net_each_address(int fd, net_each_fn *fn, void *ctx)
{
	struct ifaddrmsg m = { .ifa_family = AF_INET };
	struct each each = { fn, ctx };
	struct nl_request r;

	nl_start(&r, RTM_GETADDR, NLM_F_DUMP, &m, sizeof(m));
	return nl_transact(fd, &r, address_answer, &each);
}

int net_each_route(int fd, net_each_fn *fn, void *ctx)
{
	struct rtmsg m = { .rtm_family = AF_INET };
	struct each each = { fn, ctx };
	struct nl_request r;

	nl_start(&r, RTM_GETROUTE, NLM_F_DUMP, &m, sizeof(m));
	return nl_transact(fd, &r, route_answer, &each);
}
