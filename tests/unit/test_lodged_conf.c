/* SPDX-License-Identifier: MIT */
/* Unit tests: the manager's settings, its addresses, dnsmasq's configuration. */
/* sources: tools/lodged/conf.c tools/lodged/lan_hosts.c tools/lodged/lan_setup.c tools/lodged/dnsmasq.c tools/lodged/spawn.c tools/lib/network.c tools/lib/netlink.c tools/lib/size.c tools/lib/logfile.c tools/lib/err.c */
/* libs: -pthread */
/* cflags: -Wno-unused-parameter */
#include "test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <lodged/conf.h>
#include <lodged/dnsmasq.h>
#include <lodged/lan_hosts.h>
#include <lodged/lan_setup.h>
#include <lodged/spawn.h>
#include <sys/stat.h>

static int parse(struct conf *c, const char *text, struct err *e)
{
	conf_defaults(c);
	*e = (struct err){ 0 };
	return conf_parse(c, "file", text, strlen(text), e);
}

TEST(defaults)
{
	struct conf c;
	struct err e;

	CHECK_EQ(parse(&c, "", &e), 0);
	CHECK(c.network && c.nat && !c.address && !c.persistent_grants && !c.metrics_port);
	CHECK_STR(c.bridge, "lodge0");
	CHECK_EQ(c.prefix, 22);
	CHECK_STR(c.dump_folder, "/var/lib/lodge/dump");
	CHECK_STR(c.image_folders, "/var/lib/lodge/images");
	CHECK(!c.dump_for_crash);
	CHECK_EQ(c.dom0_min_kib, CONF_DOM0_MIN_AUTO);
}

TEST(all_settings)
{
	struct conf c;
	struct err e;

	CHECK_EQ(parse(&c, "# all\nnetwork = 10.5.4.9/24 # inside\nbridge=\"br7\"\n domain = example.org\nnat = no\nresolv_conf = off", &e), 0);
	CHECK_EQ(c.address, 0x0a050409);
	CHECK_EQ(c.prefix, 24);
	CHECK_STR(c.bridge, "br7");
	CHECK_STR(c.domain, "example.org");
	CHECK(!c.nat);
	CHECK_STR(c.resolv_conf, "");
	CHECK_EQ(parse(&c, "dump_folder = /srv/cores\ndump_for = crash", &e), 0);
	CHECK_STR(c.dump_folder, "/srv/cores");
	CHECK(c.dump_for_crash);
	CHECK_EQ(parse(&c, "image_folders = /srv/a b:/srv/c", &e), 0);
	CHECK_STR(c.image_folders, "/var/lib/lodge/images:/srv/a b:/srv/c");
	CHECK_EQ(parse(&c, "dump_for = gdb", &e), 0);
	CHECK(!c.dump_for_crash);
	CHECK_EQ(parse(&c, "persistent_grants = yes", &e), 0);
	CHECK(c.persistent_grants);
	CHECK_EQ(parse(&c, "dom0_min_memory = 512", &e), 0);
	CHECK_EQ(c.dom0_min_kib, 512 << 10);
	CHECK_EQ(parse(&c, "dom0_min_memory = 2g", &e), 0);
	CHECK_EQ(c.dom0_min_kib, 2 << 20);
	CHECK_EQ(parse(&c, "dom0_min_memory = off", &e), 0);
	CHECK_EQ(c.dom0_min_kib, CONF_DOM0_MIN_OFF);
	CHECK_EQ(parse(&c, "dom0_min_memory = auto", &e), 0);
	CHECK_EQ(c.dom0_min_kib, CONF_DOM0_MIN_AUTO);
	CHECK_EQ(parse(&c, "metrics = 9101", &e), 0);
	CHECK(!strcmp(c.metrics_address, "127.0.0.1") && c.metrics_port == 9101);
	CHECK_EQ(parse(&c, "metrics = 0.0.0.0:1", &e), 0);
	CHECK(!strcmp(c.metrics_address, "0.0.0.0") && c.metrics_port == 1);
	CHECK_EQ(parse(&c, "metrics = [fd00::1]:65535", &e), 0);
	CHECK(!strcmp(c.metrics_address, "fd00::1") && c.metrics_port == 65535);
	CHECK_EQ(parse(&c, "metrics = 9101\nmetrics = off", &e), 0);
	CHECK_EQ(c.metrics_port, 0);
	CHECK_EQ(parse(&c, "network=10.5.4.0/24", &e), 0);	/* the network: Domain 0 is its first */
	CHECK_EQ(c.address, 0x0a050401);
	CHECK_EQ(parse(&c, "network = off", &e), 0);
	CHECK(!c.network);
}

TEST(wrong_settings)
{
	static const char *const wrong[] = {
		"network=10.0.0.1", "network=10.0.0.1/8", "network=10.0.0.1/33", "network=x/22", "network=10.0.0.255/24", "network=10.0.0.1/2x",
		"network=10.0.0.1/-2", "bridge=", "bridge=a/b", "bridge=averyveryverylongname", "nat=perhaps", "persistent_grants=2", "dump_folder=cores", "dump_for=lldb", "dom0_min_memory=127", "dom0_min_memory=100m", "dom0_min_memory=", "dom0_min_memory=lots", "dom0_min_memory=0",
		"dom0_min_memory=1g2", "domain=-x", "domain=a b", "resolv_conf=etc",
		"image_folders=srv", "image_folders=/srv:", "image_folders=",
		"unknown=1", "no equals sign", "metrics=", "metrics=0", "metrics=65536", "metrics=-1", "metrics=on", "metrics=:9101", "metrics=1.2.3:9101",
		"metrics=1.2.3.4:", "metrics=::1:9101", "metrics=[::1]", "metrics=[1.2.3.4]:1", "metrics=[]:1", "metrics=localhost:9101",
	};
	struct conf c;
	struct err e;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[100];

		snprintf(text, sizeof(text), "\n%s\n", wrong[i]);
		CHECK_EQ(parse(&c, text, &e), -EINVAL);
		CHECK_EQ(e.line, 2);
	}
	conf_defaults(&c);
	CHECK_EQ(conf_parse(&c, "file", "nat\0=1", 6, &e), -EINVAL);
}

TEST(candidates_are_private_and_different)
{
	uint32_t seen[64];

	for (unsigned int n = 0; n < 64; n++) {
		seen[n] = lan_candidate(12345, n, 22);
		CHECK_EQ(seen[n] >> 24, 10);
		CHECK((seen[n] >> 16 & 0xff) >= 16 && (seen[n] >> 16 & 0xff) < 240);
		CHECK_EQ(seen[n] & 0x3ff, 0);
		for (unsigned int i = 0; i < n; i++)
			CHECK(seen[i] != seen[n]);
	}
}

TEST(dnsmasq_text)
{
	struct dnsmasq d = { .bridge = "lodge0", .domain = "lodge.internal", .address = 0x0a914001, .prefix = 22, .dir = "/r", .hosts = "/h", .names = "/n" };
	char text[2048];

	CHECK_EQ(dnsmasq_config(&d, text, sizeof(text)), 0);
	CHECK(strstr(text, "\ninterface=lodge0\n"));
	CHECK(strstr(text, "\ndhcp-range=10.145.64.0,static,255.255.252.0,"));
	CHECK(strstr(text, "\ndhcp-ignore-names\n"));
	CHECK(strstr(text, "\nquiet-dhcp\n"));
	CHECK_EQ(dnsmasq_config(&d, text, 100), -ENAMETOOLONG);
}

/* --- addresses --- */
static char dir[64], hosts[80], names[80];

static void make_dirs(void)
{
	struct err e;

	strcpy(dir, "/tmp/lodge-hosts-XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(hosts, sizeof(hosts), "%s/h", dir);
	snprintf(names, sizeof(names), "%s/n", dir);
	CHECK_EQ(lan_hosts_open(0x0a000001, 28, hosts, names, &e), 0);
}

static void remove_dirs(void)
{
	const char *argv[] = { "rm", "-rf", dir, NULL };

	CHECK_EQ(spawn_run(argv, NULL, NULL, NULL, 10), 0);
}

static bool contents(const char *d, const char *file, const char *text)
{
	char path[160], buf[100] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", d, file);
	f = fopen(path, "r");
	if (!f)
		return false;
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
	fclose(f);
	return !strcmp(buf, text);
}

static void mac_of(unsigned int n, char mac[18])
{
	snprintf(mac, 18, "00:16:3e:00:00:%02x", n);
}

TEST(addresses_are_stable)
{
	char text[64];
	struct in_addr a;
	uint32_t first;
	bool taken;
	struct err e;

	make_dirs();
	CHECK_EQ(lan_hosts_attach("00:16:3e:00:00:01", 0, "web", &taken, &e), 0);
	first = lan_hosts_address("00:16:3e:00:00:01");
	CHECK(first > 0x0a000001 && first < 0x0a00000f);
	a.s_addr = htonl(first);
	snprintf(text, sizeof(text), "00:16:3e:00:00:01,%s\n", inet_ntoa(a));
	CHECK(contents(hosts, "00-16-3e-00-00-01", text));
	snprintf(text, sizeof(text), "%s web\n", inet_ntoa(a));
	CHECK(contents(names, "00-16-3e-00-00-01", text));
	lan_hosts_detach("00:16:3e:00:00:01");
	CHECK(!contents(names, "00-16-3e-00-00-01", text));
	/* Again, also after a restart. */
	CHECK_EQ(lan_hosts_open(0x0a000001, 28, hosts, names, &e), 0);
	CHECK_EQ(lan_hosts_address("00:16:3e:00:00:01"), first);
	CHECK_EQ(lan_hosts_attach("00:16:3e:00:00:01", 0, NULL, &taken, &e), 0);
	CHECK(!taken);
	CHECK_EQ(lan_hosts_address("00:16:3e:00:00:01"), first);
	CHECK_EQ(lan_hosts_attach("nonsense", 0, NULL, &taken, &e), -EINVAL);
	remove_dirs();
}

TEST(addresses_run_out_and_are_taken_over)
{
	uint32_t seen[16] = { 0 };
	char mac[18];
	bool taken;
	struct err e;

	make_dirs();
	for (unsigned int i = 0; i < 13; i++) {	/* 16, less network, broadcast, Domain 0 */
		mac_of(i, mac);
		CHECK_EQ(lan_hosts_attach(mac, 0, NULL, &taken, &e), 0);
		CHECK(!taken);
		seen[lan_hosts_address(mac) & 15]++;
	}
	CHECK(!seen[0] && !seen[1] && !seen[15]);
	for (int i = 2; i < 15; i++)
		CHECK_EQ(seen[i], 1);
	CHECK_EQ(lan_hosts_attach("00:16:3e:00:00:99", 0, NULL, &taken, &e), -EADDRNOTAVAIL);
	CHECK_STR(e.code, "no-network");
	lan_hosts_detach("00:16:3e:00:00:05");
	CHECK_EQ(lan_hosts_attach("00:16:3e:00:00:99", 0, NULL, &taken, &e), 0);
	CHECK(taken);
	CHECK_EQ(lan_hosts_address("00:16:3e:00:00:05"), 0);
	remove_dirs();
}

TEST(addresses_asked_for)
{
	bool taken;
	struct err e;

	make_dirs();
	CHECK_EQ(lan_hosts_attach("00:16:3e:00:00:01", 0, "web", &taken, &e), 0);
	CHECK_EQ(lan_hosts_attach("00:16:3e:00:00:01", 0x0a000009, "web", &taken, &e), 0);
	CHECK_EQ(lan_hosts_address("00:16:3e:00:00:01"), 0x0a000009);
	CHECK(contents(hosts, "00-16-3e-00-00-01", "00:16:3e:00:00:01,10.0.0.9\n"));
	CHECK(contents(names, "00-16-3e-00-00-01", "10.0.0.9 web\n"));
	/* The same again is nothing new. */
	CHECK_EQ(lan_hosts_attach("00:16:3e:00:00:01", 0x0a000009, NULL, &taken, &e), 0);
	CHECK(!taken);
	/* Somebody else's, while he runs; afterwards it can be had. */
	CHECK_EQ(lan_hosts_check("00:16:3e:00:00:02", 0x0a000009, &e), -EADDRINUSE);
	CHECK_EQ(lan_hosts_attach("00:16:3e:00:00:02", 0x0a000009, NULL, &taken, &e), -EADDRINUSE);
	CHECK(strstr(e.text, "10.0.0.9") && strstr(e.text, "00:16:3e:00:00:01"));
	lan_hosts_detach("00:16:3e:00:00:01");
	CHECK_EQ(lan_hosts_attach("00:16:3e:00:00:02", 0x0a000009, NULL, &taken, &e), 0);
	CHECK(taken);
	CHECK_EQ(lan_hosts_address("00:16:3e:00:00:01"), 0);
	/* None for a guest: Domain 0's, the network, broadcast, another network's. */
	static const uint32_t bad[] = { 0x0a000001, 0x0a000000, 0x0a00000f, 0x0a000010, 0x09ffffff, 0xffffffff };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK_EQ(lan_hosts_attach("00:16:3e:00:00:03", bad[i], NULL, &taken, &e), -EINVAL);
	CHECK(strstr(e.text, "10.0.0.1 to 10.0.0.14"));
	remove_dirs();
}

TEST(files_of_another_network_and_nonsense_go)
{
	char path[160];
	struct err e;
	FILE *f;

	make_dirs();
	snprintf(path, sizeof(path), "%s/00-16-3e-00-00-01", hosts);
	f = fopen(path, "w");
	fputs("00:16:3e:00:00:01,10.9.9.9\n", f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/x", hosts);
	f = fopen(path, "w");
	fputs("nonsense", f);
	fclose(f);
	CHECK_EQ(lan_hosts_open(0x0a000001, 28, hosts, names, &e), 0);
	CHECK_EQ(lan_hosts_address("00:16:3e:00:00:01"), 0);
	CHECK(access(path, F_OK));
	remove_dirs();
}

TEST(stale_leases)
{
	struct dnsmasq d = { .dir = names };
	bool taken;
	char text[200], path[160];
	struct err e;
	FILE *f;

	make_dirs();
	CHECK(!dnsmasq_stale_leases(&d, true));		/* no file yet */
	lan_hosts_attach("00:16:3e:00:00:01", 0x0a000009, NULL, &taken, &e);
	lan_hosts_attach("00:16:3e:00:00:02", 0x0a000008, NULL, &taken, &e);
	snprintf(path, sizeof(path), "%s/leases", names);
	snprintf(text, sizeof(text), "17 00:16:3e:00:00:01 10.0.0.9 web *\n17 00:16:3e:00:00:02 10.0.0.8 * 01:02\n");
	f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
	CHECK(!dnsmasq_stale_leases(&d, false));
	/* The first goes, and a third one gets its address. */
	lan_hosts_detach("00:16:3e:00:00:01");
	lan_hosts_attach("00:16:3e:00:00:03", 0x0a000009, NULL, &taken, &e);
	CHECK(dnsmasq_stale_leases(&d, false));
	CHECK(contents(names, "leases", text));
	CHECK(dnsmasq_stale_leases(&d, true));
	CHECK(contents(names, "leases", "17 00:16:3e:00:00:02 10.0.0.8 * 01:02\n"));
	CHECK(!dnsmasq_stale_leases(&d, true));
	unlink(path);
	remove_dirs();
}

static bool only_second(const char *mac, void *ctx)
{
	return !strcmp(mac, "00:16:3e:00:00:02");
}

TEST(sweep)
{
	char path[160];
	bool taken;
	struct err e;

	make_dirs();
	lan_hosts_attach("00:16:3e:00:00:01", 0, "a", &taken, &e);
	lan_hosts_attach("00:16:3e:00:00:02", 0, "b", &taken, &e);
	lan_hosts_sweep(only_second, NULL);
	snprintf(path, sizeof(path), "%s/00-16-3e-00-00-01", names);
	CHECK(access(path, F_OK));
	snprintf(path, sizeof(path), "%s/00-16-3e-00-00-02", names);
	CHECK(!access(path, F_OK));
	remove_dirs();
}

TEST(programs)
{
	const char *fails[] = { "sh", "-c", "exit 7", NULL }, *sees[] = { "sh", "-c", "read x && [ \"$x$Y\" = hello1 ]", NULL };
	const char *hangs[] = { "sleep", "100", NULL }, *missing[] = { "no-such-program", NULL }, *env[] = { "Y=1", NULL };

	CHECK_EQ(spawn_run(fails, NULL, NULL, NULL, 10), 7);
	CHECK_EQ(spawn_run(sees, env, "hello\n", NULL, 10), 0);
	CHECK_EQ(spawn_run(hangs, NULL, NULL, NULL, 1), -ETIMEDOUT);
	CHECK_EQ(spawn_run(missing, NULL, NULL, NULL, 10), -ENOENT);
}

