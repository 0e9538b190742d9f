/* SPDX-License-Identifier: MIT */
/* The steps that make the default network. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/network.h>
#include <lib/small_file.h>
#include <lodged/lan_setup.h>
#include <lodged/spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CANDIDATES	64
#define NETWORK_LOG	"/var/log/lodge/network.log"
#define NFT_PATIENCE	60	/* seconds: at a machine's start, it waits for the kernel's modules */
#define FORWARDING	"/proc/sys/net/ipv4/ip_forward"

uint32_t lan_candidate(uint32_t seed, unsigned int n, unsigned int prefix)
{
	/* Not the first and last 16 of 10.x: they are what people choose themselves. */
	uint32_t block = (seed + n * 2654435761U) >> 8 & 0xffffff, bits = 32 - prefix, base;

	base = (16U << 16) + block % (224U << 16);
	return 10U << 24 | (base & ~((1U << bits) - 1));
}

static uint32_t machine_seed(void)
{
	uint32_t h = 2166136261U;
	char text[64];

	small_file_read("/etc/machine-id", text, sizeof(text));
	for (const char *p = text; *p && *p != '\n'; p++)
		h = (h ^ (unsigned char)*p) * 16777619U;
	return h;
}

struct look {
	uint32_t network, mask, found;
	unsigned int index, found_prefix;	/* of the bridge */
	bool collides;
};

static void look_at(uint32_t address, unsigned int prefix, bool own, unsigned int index, void *ctx)
{
	struct look *l = ctx;
	uint32_t mask = prefix ? ~(prefix < 32 ? 0xffffffffU >> prefix : 0) : 0;

	if (index == l->index) {
		if (own && !l->found) {
			l->found = address;
			l->found_prefix = prefix;
		}
		return;
	}
	l->collides |= (address & mask & l->mask) == (l->network & mask & l->mask);
}

/* An address that is noted in the file, as "10.1.2.1/22". */
static bool read_noted(const char *file, struct conf *c)
{
	char text[40], *slash;
	struct in_addr a;

	small_file_read(file, text, sizeof(text));
	slash = strchr(text, '/');
	if (!slash)
		return false;
	*slash++ = '\0';
	if (inet_pton(AF_INET, text, &a) != 1 || (unsigned int)atoi(slash) != c->prefix)
		return false;
	c->address = ntohl(a.s_addr);
	return true;
}

static void note(const char *file, const struct conf *c)
{
	struct in_addr a = { htonl(c->address) };
	char text[40], address[16];
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), n;

	inet_ntop(AF_INET, &a, address, sizeof(address));
	n = snprintf(text, sizeof(text), "%s/%u\n", address, c->prefix);
	if (fd < 0)
		return;
	if (write(fd, text, (size_t)n) != n)
		ftruncate(fd, 0);
	close(fd);
}

static int choose(int fd, struct conf *c, unsigned int index, const char *file, struct err *e)
{
	uint32_t seed = machine_seed();

	for (unsigned int i = 0; i < CANDIDATES; i++) {
		struct look l = { .mask = ~(0xffffffffU >> c->prefix), .index = index };

		if (i || !read_noted(file, c))
			c->address = lan_candidate(seed, i, c->prefix) + 1;
		l.network = c->address & l.mask;
		if (!net_each_address(fd, look_at, &l) && !net_each_route(fd, look_at, &l) && !l.collides) {
			note(file, c);
			return 0;
		}
	}
	c->address = 0;
	return err_set(e, EADDRINUSE, "no-network", "no free network 10.x.y.0/%u was found: name one with network= in " CONF_FILE,
		c->prefix);
}

static int make_bridge(int fd, const char *name, unsigned int *index, struct err *e)
{
	uint32_t seed = machine_seed();
	/* Its own address, so that it does not change with its ports. */
	uint8_t mac[6] = { 0x00, 0x16, 0x3e, (uint8_t)(seed >> 16 & 0x7f), (uint8_t)(seed >> 8), (uint8_t)seed };
	struct net_change up = { .up = true };
	int rc = net_bridge_create(fd, name, mac);

	if (rc == -EOPNOTSUPP)
		return err_set(e, EOPNOTSUPP, "no-network", "the kernel has no bridges: `modprobe bridge`");
	if (rc && rc != -EEXIST)
		return err_set(e, -rc, "no-network", "the bridge %s cannot be made: %s", name, strerror(-rc));
	if (!net_is_bridge(name))
		return err_set(
			e, EEXIST, "no-network", "the interface %s is not a bridge: bridge= in " CONF_FILE " names another", name);
	*index = net_index(name);
	rc = net_change(fd, *index, &up);
	return rc ? err_set(e, -rc, "no-network", "the bridge %s cannot be set up: %s", name, strerror(-rc)) : 0;
}

static int bridge_address(int fd, struct conf *c, unsigned int index, const char *file, struct err *e)
{
	struct look l = { .index = index };
	int rc = net_each_address(fd, look_at, &l);

	if (rc)
		return err_set(e, -rc, "no-network", "the machine's addresses cannot be read: %s", strerror(-rc));
	if (l.found && l.found_prefix >= 16 && l.found_prefix <= 28 && (!c->address || c->address == l.found)) {
		c->address = l.found;
		c->prefix = l.found_prefix;
		return 0;
	}
	if (!c->address && choose(fd, c, index, file, e))
		return -e->error;
	rc = net_address_add(fd, index, c->address, c->prefix);
	return rc ? err_set(e, -rc, "no-network", "the bridge %s does not take its address: %s", c->bridge, strerror(-rc)) : 0;
}

int lan_setup_bridge(struct conf *c, const char *file, struct err *e)
{
	int fd = net_open(), rc;
	unsigned int index = 0;

	if (fd < 0)
		return err_set(e, -fd, "no-network", "cannot open a netlink socket: %s", strerror(-fd));
	rc = make_bridge(fd, c->bridge, &index, e);
	if (!rc)
		rc = bridge_address(fd, c, index, file, e);
	close(fd);
	return rc;
}

int lan_setup_nat(const struct conf *c, struct err *e)
{
	const char *argv[] = { "nft", "-f", "-", NULL };
	struct in_addr network = { htonl(c->address & ~(0xffffffffU >> c->prefix)) };
	char net[16], rules[1500];
	int fd = open(FORWARDING, O_WRONLY | O_CLOEXEC), rc = fd < 0 || write(fd, "1", 1) != 1 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	if (rc)
		return err_set(e, -rc, "no-network", FORWARDING " cannot be set: %s", strerror(-rc));
	inet_ntop(AF_INET, &network, net, sizeof(net));
	/* All in one transaction; "add" makes "delete" of what is not there no error. */
	snprintf(rules, sizeof(rules),
		 "add table ip lodge\n"
		 "delete table ip lodge\n"
		 "table ip lodge {\n"
		 "	chain out {\n"
		 "		type nat hook postrouting priority srcnat;\n"
		 "		ip saddr %s/%u ip daddr != %s/%u oifname != \"%s\" masquerade\n"
		 "	}\n"
		 "	chain in {\n"
		 "		type filter hook forward priority filter;\n"
		 "		oifname \"%s\" iifname != \"%s\" ct state != { established, related } drop\n"
		 "	}\n"
		 "}\n", net, c->prefix, net, c->prefix, c->bridge, c->bridge, c->bridge);
	rc = spawn_run(argv, NULL, rules, NETWORK_LOG, NFT_PATIENCE);
	if (rc == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT, "no-network", "nft does not end: the guests' way out has no rules");
	if (rc == -ENOENT)
		return err_set(e, ENOENT, "no-network", "there is no nft for the guests' way out: `apt-get install nftables`");
	return rc ? err_set(e, EIO, "no-network", "nft does not accept the rules for the guests' way out; " NETWORK_LOG " says why")
		  : 0;
}

int lan_setup_resolver(const struct conf *c, struct err *e)
{
	struct in_addr a = { htonl(c->address) };
	char address[16], line[64], text[8192], all[8400];
	struct stat st;
	int fd, n, rc = 0;

	if (!lstat(c->resolv_conf, &st) && !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "no-network", "%s is not an ordinary file, and is left alone", c->resolv_conf);
	inet_ntop(AF_INET, &a, address, sizeof(address));
	snprintf(line, sizeof(line), "nameserver %s\n", address);
	/* For reading only: to close it after that is no news to who watches it. */
	fd = open(c->resolv_conf, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(e, errno, "no-network", "cannot open %s: %m", c->resolv_conf);
	n = (int)read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (n < 0 || n == sizeof(text) - 1)
		return err_set(e, EINVAL, "no-network", "%s cannot be read or is too long", c->resolv_conf);
	if (strstr(text, line))
		return 0;
	fd = open(c->resolv_conf, O_WRONLY | O_CLOEXEC);
	n = snprintf(all, sizeof(all), "%s%s", line, text);
	if (fd < 0 || pwrite(fd, all, (size_t)n, 0) != n)
		rc = err_set(e, fd < 0 ? errno : EIO, "no-network", "cannot write %s", c->resolv_conf);
	if (fd >= 0)
		close(fd);
	return rc;
}
