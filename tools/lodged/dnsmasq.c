/* SPDX-License-Identifier: MIT */
/* dnsmasq for the default network. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/small_file.h>
#include <lodged/dnsmasq.h>
#include <lodged/lan_hosts.h>
#include <lodged/spawn.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG		"/var/log/lodge/dnsmasq.log"
#define END_PATIENCE_MS	3000
#define START_MS	300	/* whoever has a wrong configuration has ended by then */
#define CONFIG_MAX	2048

/* The user that it is to become: Debian's own, or any without rights. */
static const char *user(void)
{
	static const char *const candidates[] = { "dnsmasq", "nobody" };
	const char *found = "root";
	char line[512];
	FILE *f = fopen("/etc/passwd", "re");

	for (size_t best = 2; f && fgets(line, sizeof(line), f);)
		for (size_t i = 0; i < best; i++)
			if (!strncmp(line, candidates[i], strlen(candidates[i])) && line[strlen(candidates[i])] == ':') {
				found = candidates[i];
				best = i;
			}
	if (f)
		fclose(f);
	return found;
}

int dnsmasq_config(const struct dnsmasq *d, char *text, unsigned long size)
{
	struct in_addr network = { htonl(d->address & ~(0xffffffffU >> d->prefix)) }, mask = { htonl(~(0xffffffffU >> d->prefix)) };
	char net[16], netmask[16];
	int n;

	inet_ntop(AF_INET, &network, net, sizeof(net));
	inet_ntop(AF_INET, &mask, netmask, sizeof(netmask));
	/*
	 * Only who is in the list of hosts gets an address, at once (no-ping), and for as long as it wants. Names come from
	 * the manager alone: a guest that calls itself like another one is not listened to. It cannot fill the log with requests.
	 */
	n = snprintf(text, size,
		"# Written by lodged; changes are overwritten.\n"
		"user=%s\ninterface=%s\nexcept-interface=lo\nbind-dynamic\nno-hosts\n"
		"pid-file=%s/dnsmasq.pid\ndhcp-leasefile=%s/leases\n"
		"dhcp-range=%s,static,%s,12h\ndhcp-hostsdir=%s\ndhcp-authoritative\ndhcp-rapid-commit\ndhcp-ignore-names\n"
		"no-ping\nquiet-dhcp\ndhcp-lease-max=65536\n"
		"hostsdir=%s\nexpand-hosts\ndomain=%s\nlocal=/%s/\ndomain-needed\nbogus-priv\n",
		user(), d->bridge, d->dir, d->dir, net, netmask, d->hosts, d->names, d->domain, d->domain);
	return n < 0 || (unsigned long)n >= size ? -ENAMETOOLONG : 0;
}

static int write_config(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t len = strlen(text);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		rc = -EIO;
	close(fd);
	return rc;
}

/* The process of the pid file, if that is ours: its command line names our configuration. */
static pid_t running(const struct dnsmasq *d, const char *config)
{
	char path[300], text[1024];
	ssize_t n;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/dnsmasq.pid", d->dir);
	if (small_file_read(path, text, sizeof(text)) <= 0)
		return 0;
	pid = (pid_t)atoi(text);
	if (pid <= 1)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	n = small_file_read(path, text, sizeof(text));
	for (const char *arg = text; arg < text + n; arg += strlen(arg) + 1)
		if (!strncmp(arg, "--conf-file=", 12) && !strcmp(arg + 12, config))
			return pid;
	return 0;
}

static int wait_end(int pidfd, int milliseconds)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, milliseconds) > 0;
}

static int open_pid(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void stop(pid_t pid)
{
	int fd = open_pid(pid);

	if (fd < 0)
		return;
	kill(pid, SIGTERM);
	if (!wait_end(fd, END_PATIENCE_MS)) {
		kill(pid, SIGKILL);
		wait_end(fd, END_PATIENCE_MS);
	}
	waitpid(pid, NULL, WNOHANG);
	close(fd);
}

/* "EXPIRY MAC ADDRESS NAME CLIENT-ID": does the MAC address still have that address? */
static bool lease_holds(const char *line)
{
	char mac[18], address[16];
	struct in_addr a;

	return sscanf(line, "%*s %17s %15s", mac, address) == 2 && inet_pton(AF_INET, address, &a) == 1 &&
	       lan_hosts_address(mac) == ntohl(a.s_addr);
}

bool dnsmasq_stale_leases(const struct dnsmasq *d, bool drop)
{
	char path[300], temporary[320], *line = NULL;
	bool stale = false, written;
	size_t size = 0;
	FILE *in, *out;

	snprintf(path, sizeof(path), "%s/leases", d->dir);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	in = fopen(path, "re");
	if (!in)
		return false;
	out = drop ? fopen(temporary, "we") : NULL;
	while (getline(&line, &size, in) > 0) {
		if (!lease_holds(line))
			stale = true;
		else if (out)
			fputs(line, out);
	}
	free(line);
	fclose(in);
	if (!out)
		return stale;
	written = !ferror(out);
	if (!fclose(out) && written)
		rename(temporary, path);
	return stale;
}

int dnsmasq_start(const struct dnsmasq *d, struct err *e)
{
	char path[300], option[320], text[CONFIG_MAX], old[CONFIG_MAX];
	const char *argv[] = { "dnsmasq", "--keep-in-foreground", option, NULL };
	pid_t pid;
	int fd, rc;

	snprintf(path, sizeof(path), "%s/dnsmasq.conf", d->dir);
	snprintf(option, sizeof(option), "--conf-file=%s", path);
	rc = dnsmasq_config(d, text, sizeof(text));
	if (rc)
		return err_set(e, -rc, "no-network", "the settings of the default network are too long");
	pid = running(d, path);
	small_file_read(path, old, sizeof(old));
	if (pid && !strcmp(old, text) && !dnsmasq_stale_leases(d, false)) {
		fd = open_pid(pid);
		if (fd >= 0)
			return fd;
	}
	if (pid)
		stop(pid);
	dnsmasq_stale_leases(d, true);
	rc = write_config(path, text);
	if (rc)
		return err_set(e, -rc, "no-network", "cannot write %s: %s", path, strerror(-rc));
	pid = spawn_start(argv, LOG);
	if (pid == -ENOENT)
		return err_set(
			e, ENOENT, "no-network", "there is no dnsmasq for the default network: `apt-get install dnsmasq-base`");
	fd = pid < 0 ? (int)pid : open_pid(pid);
	if (fd < 0)
		return err_set(e, pid < 0 ? -(int)pid : errno, "no-network", "dnsmasq cannot be started");
	if (wait_end(fd, START_MS)) {
		waitpid(pid, NULL, 0);
		close(fd);
		return err_set(e, EIO, "no-network",
			"dnsmasq ends at once; %s says why (does another program serve DNS or DHCP on all interfaces?)", LOG);
	}
	return fd;
}

void dnsmasq_reload(const struct dnsmasq *d)
{
	char path[300];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/dnsmasq.conf", d->dir);
	pid = running(d, path);
	if (pid)
		kill(pid, SIGHUP);
}
