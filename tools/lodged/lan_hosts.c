/* SPDX-License-Identifier: MIT */
/*
 * Addresses of the default network.
 *
 * A slot per address. Where a MAC address's search for a free one begins follows from the MAC address itself, so that even
 * without the files it mostly gets the same again. A slot is given away only when none is free, and then one whose owner does
 * not run.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/network.h>
#include <lib/small_file.h>
#include <lodged/lan_hosts.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST	1		/* slot 0 is the network itself */

struct slot {
	uint64_t mac;		/* 0: free */
	bool active;		/* its owner runs */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *slots;
static uint32_t nslots, network, own;	/* slots: all addresses of the network */
static char hosts_dir[256], names_dir[256];

static uint64_t number(const char *text)
{
	uint64_t n = 0;
	uint8_t mac[6];

	if (net_parse_mac(text, mac))
		return 0;
	for (int i = 0; i < 6; i++)
		n = n << 8 | mac[i];
	return n;
}

static void mac_text(uint64_t mac, char separator, char text[18])
{
	for (int i = 0; i < 6; i++) {
		sprintf(text + 3 * i, "%02x", (unsigned int)(mac >> (40 - 8 * i) & 0xff));
		if (i < 5)
			text[3 * i + 2] = separator;
	}
}

static void address_text(uint32_t slot, char text[16])
{
	struct in_addr a = { htonl(network + slot) };

	inet_ntop(AF_INET, &a, text, 16);
}

/* Files are called by the MAC address, with dashes. */
static void path_of(char path[320], const char *dir, uint64_t mac)
{
	char name[18];

	mac_text(mac, '-', name);
	snprintf(path, 320, "%s/%s", dir, name);
}

/* In one step, so that dnsmasq (which passes over hidden files) never reads half a file. */
static int write_file(const char *dir, uint64_t mac, const char *text)
{
	char path[320], temporary[320];
	size_t len = strlen(text);
	int fd, rc = 0;

	path_of(path, dir, mac);
	snprintf(temporary, sizeof(temporary), "%s/.new", dir);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		rc = -EIO;
	close(fd);
	return rc || rename(temporary, path) ? (rc ? rc : -errno) : 0;
}

static void remove_file(const char *dir, uint64_t mac)
{
	char path[320];

	path_of(path, dir, mac);
	unlink(path);
}

static uint32_t find(uint64_t mac)
{
	for (uint32_t i = FIRST; mac && i < nslots - 1; i++)
		if (slots[i].mac == mac)
			return i;
	return 0;
}

static bool usable(uint32_t slot)
{
	return slot >= FIRST && slot < nslots - 1 && network + slot != own;
}

/* A free slot from the MAC address's own place on; else one that nobody uses now; else 0. */
static uint32_t choose(uint64_t mac)
{
	uint32_t start = (uint32_t)((mac * 0x9e3779b97f4a7c15ULL) >> 33) % nslots, spare = 0;

	for (uint32_t i = 0; i < nslots; i++) {
		uint32_t slot = (start + i) % nslots;

		if (!usable(slot))
			continue;
		if (!slots[slot].mac)
			return slot;
		if (!spare && !slots[slot].active)
			spare = slot;
	}
	return spare;
}

/* One line "MAC,ADDRESS". False: nothing for this network. */
static bool load(const char *path)
{
	char line[64], *comma;
	struct in_addr a;
	uint32_t slot;
	uint64_t mac;

	small_file_read(path, line, sizeof(line));
	comma = strchr(line, ',');
	if (!comma)
		return false;
	*comma++ = '\0';
	comma[strcspn(comma, "\n")] = '\0';
	mac = number(line);
	if (!mac || inet_pton(AF_INET, comma, &a) != 1)
		return false;
	slot = ntohl(a.s_addr) - network;
	if (slot >= nslots || !usable(slot) || slots[slot].mac || find(mac))
		return false;
	slots[slot].mac = mac;
	return true;
}

static int make_dir(const char *path, struct err *e)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		return err_set(e, errno, "no-network", "cannot make the directory %s: %m", path);
	return 0;
}

int lan_hosts_open(uint32_t address, unsigned int prefix, const char *hosts, const char *names, struct err *e)
{
	uint32_t size = 1U << (32 - prefix);
	struct dirent *d;
	DIR *dir;

	if (make_dir(hosts, e) || make_dir(names, e))
		return -e->error;
	pthread_mutex_lock(&lock);
	free(slots);
	slots = calloc(size, sizeof(*slots));
	nslots = slots ? size : 0;
	own = address;
	network = address & ~(size - 1);
	snprintf(hosts_dir, sizeof(hosts_dir), "%s", hosts);
	snprintf(names_dir, sizeof(names_dir), "%s", names);
	dir = slots ? opendir(hosts) : NULL;
	while (dir && (d = readdir(dir))) {
		char path[600];

		snprintf(path, sizeof(path), "%s/%s", hosts, d->d_name);
		if (d->d_name[0] != '.' && !load(path))
			unlink(path);
	}
	if (dir)
		closedir(dir);
	pthread_mutex_unlock(&lock);
	return slots ? 0 : err_set(e, ENOMEM, "internal", "out of memory");
}

static int check(uint64_t mac, uint32_t want, struct err *e)
{
	uint32_t slot = want - network;
	char address[16], first[16], last[16], owner[18];

	address_text(slot, address);
	if (slot >= nslots || !usable(slot)) {
		address_text(FIRST, first);
		address_text(nslots - 2, last);
		return err_set(e, EINVAL, "bad-network",
			"ip=%s: a guest of the default network can have %s to %s but for Domain 0's; for another network, "
			"name a bridge",
			address, first, last);
	}
	if (slots[slot].active && slots[slot].mac != mac) {
		mac_text(slots[slot].mac, ':', owner);
		return err_set(e, EADDRINUSE, "bad-network", "ip=%s: the guest with the MAC address %s has this address", address,
			owner);
	}
	return 0;
}

int lan_hosts_check(const char *mac, uint32_t want, struct err *e)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = slots ? check(number(mac), want, e) : 0;
	pthread_mutex_unlock(&lock);
	return rc;
}

static int attach(uint64_t mac, uint32_t want, const char *name, bool *taken_over)
{
	uint32_t slot = find(mac);
	char text[600], mac_string[18], address[16];
	bool fresh = !slot || (want && slot != want - network);

	*taken_over = slot && fresh;
	if (*taken_over)
		slots[slot] = (struct slot){ 0 };
	if (fresh)
		slot = want ? want - network : choose(mac);
	if (!slot)
		return -EADDRNOTAVAIL;
	address_text(slot, address);
	if (fresh) {
		if (slots[slot].mac) {
			remove_file(hosts_dir, slots[slot].mac);
			*taken_over = true;
		}
		slots[slot] = (struct slot){ .mac = mac };
		mac_text(mac, ':', mac_string);
		snprintf(text, sizeof(text), "%s,%s\n", mac_string, address);
		if (write_file(hosts_dir, mac, text))
			return -EIO;
	}
	slots[slot].active = true;
	if (!name)
		return 0;
	snprintf(text, sizeof(text), "%s %.500s\n", address, name);
	return write_file(names_dir, mac, text);
}

int lan_hosts_attach(const char *mac, uint32_t want, const char *name, bool *taken_over, struct err *e)
{
	uint64_t n = number(mac);
	int rc;

	pthread_mutex_lock(&lock);
	rc = n && slots ? 0 : -EINVAL;
	if (!rc && want && check(n, want, e)) {
		pthread_mutex_unlock(&lock);
		return -e->error;
	}
	if (!rc)
		rc = attach(n, want, name, taken_over);
	pthread_mutex_unlock(&lock);
	if (rc == -EADDRNOTAVAIL)
		return err_set(e, EADDRNOTAVAIL, "no-network",
			"all %u addresses of the default network are in use (network= in /etc/lodge/lodged.conf "
			"makes it larger)",
			nslots - 3);
	return rc ? err_set(e, -rc, "no-network", "the address of %s cannot be noted: %s", mac, strerror(-rc)) : 0;
}

void lan_hosts_detach(const char *mac)
{
	uint64_t n = number(mac);
	uint32_t slot;

	pthread_mutex_lock(&lock);
	slot = slots ? find(n) : 0;
	if (slot) {
		slots[slot].active = false;
		remove_file(names_dir, n);
	}
	pthread_mutex_unlock(&lock);
}

void lan_hosts_sweep(bool (*keep)(const char *mac, void *ctx), void *ctx)
{
	DIR *dir = opendir(names_dir);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		char mac[18];
		uint32_t slot;

		if (d->d_name[0] == '.')
			continue;
		snprintf(mac, sizeof(mac), "%.17s", d->d_name);
		for (char *p = mac; *p; p++)
			if (*p == '-')
				*p = ':';
		if (!keep(mac, ctx)) {
			unlinkat(dirfd(dir), d->d_name, 0);
			continue;
		}
		pthread_mutex_lock(&lock);
		slot = slots ? find(number(mac)) : 0;
		if (slot)
			slots[slot].active = true;
		pthread_mutex_unlock(&lock);
	}
	if (dir)
		closedir(dir);
}

uint32_t lan_hosts_address(const char *mac)
{
	uint32_t slot;

	pthread_mutex_lock(&lock);
	slot = slots ? find(number(mac)) : 0;
	pthread_mutex_unlock(&lock);
	return slot ? network + slot : 0;
}
