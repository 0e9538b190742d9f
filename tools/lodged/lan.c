/* SPDX-License-Identifier: MIT */
/*
 * The default network.
 *
 * One thread makes it and keeps it: a bridge with an address, forwarding with address translation in an nftables table of our
 * own, dnsmasq. Every step finds done what an earlier manager has done. What is missing is tried again when somebody asks for
 * the network (lan_bridge()).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lib/network.h>
#include <lodged/dnsmasq.h>
#include <lodged/lan.h>
#include <lodged/lan_hosts.h>
#include <lodged/lan_setup.h>
#include <lodged/log.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUN_DIR		"/run/lodge/network"
#define STATE_DIR	"/var/lib/lodge/network"
#define HOSTS_DIR	STATE_DIR "/hosts"
#define NAMES_DIR	RUN_DIR "/names"
#define PATIENCE	90	/* seconds that who asks waits while it is being made: more than any of its steps takes */
#define RESTART_MAX	30	/* seconds between attempts to start dnsmasq, at most */

enum state { PENDING, UP, DOWN, OFF };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static enum state state = OFF;
static bool wanted;		/* somebody waits for another attempt */
static int taken_over_fd = -1;	/* event: addresses were taken over from others */
static int resolver_fd = -1;	/* inotify: the folder of conf.resolv_conf */
static struct err problem;	/* of the last attempt; with UP: what does not work all the same */
static struct conf conf;

static struct dnsmasq dns(void)
{
	return (struct dnsmasq){ .bridge = conf.bridge, .domain = conf.domain, .address = conf.address, .prefix = conf.prefix,
				 .dir = RUN_DIR, .hosts = HOSTS_DIR, .names = NAMES_DIR };
}

static void set_state(enum state s, const struct err *e)
{
	pthread_mutex_lock(&lock);
	state = s;
	problem = e ? *e : (struct err){ 0 };
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void name_resolver(struct err *e)
{
	if (lan_setup_resolver(&conf, e))
		log_err("Domain 0 does not know the guests' names", e);
}

/* Whoever gives Domain 0 its address (a DHCP client, NetworkManager) writes the file anew each time, without our line. */
static void watch_resolver(void)
{
	char folder[sizeof(conf.resolv_conf)];

	if (resolver_fd >= 0)
		return;
	snprintf(folder, sizeof(folder), "%s", conf.resolv_conf);
	*(strrchr(folder, '/') + 1) = '\0';
	resolver_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (resolver_fd < 0 || inotify_add_watch(resolver_fd, folder, IN_CLOSE_WRITE | IN_MOVED_TO) < 0)
		log_line("%s: if others write it, that goes unnoticed: %s", conf.resolv_conf, strerror(errno));
}

/* Takes what has happened in the folder: was it about the file? */
static bool resolver_written(void)
{
	_Alignas(struct inotify_event) char events[4096];
	bool written = false;
	ssize_t n;

	while ((n = read(resolver_fd, events, sizeof(events))) > 0)
		for (const char *at = events; at < events + n; at += sizeof(struct inotify_event) + ((const struct inotify_event *)at)->len) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			written |= event->len && !strcmp(event->name, strrchr(conf.resolv_conf, '/') + 1);
		}
	return written;
}

/* Everything up to dnsmasq, whose pidfd it returns; -errno. A way out that cannot be made is no failure; *weak says so. */
static int set_up(struct err *weak, struct err *e)
{
	static bool opened;
	struct dnsmasq d;
	int rc;

	*weak = (struct err){ 0 };
	mkdir("/run/lodge", 0755);
	mkdir(RUN_DIR, 0755);
	mkdir("/var/lib/lodge", 0755);
	mkdir(STATE_DIR, 0755);
	rc = lan_setup_bridge(&conf, STATE_DIR "/address", e);
	if (!rc && !opened)
		rc = lan_hosts_open(conf.address, conf.prefix, HOSTS_DIR, NAMES_DIR, e);
	if (rc)
		return rc;
	opened = true;
	if (conf.nat && lan_setup_nat(&conf, weak))
		log_err("the default network has no way out", weak);
	d = dns();
	rc = dnsmasq_start(&d, e);
	if (rc >= 0 && conf.resolv_conf[0]) {
		watch_resolver();
		name_resolver(weak);
	}
	return rc;
}

/* Until dnsmasq ends (true), or has to be started anew, since it has leases of addresses that are others' now. */
static bool supervise(int pidfd)
{
	struct pollfd p[3] = { { .fd = pidfd, .events = POLLIN }, { .fd = taken_over_fd, .events = POLLIN }, { .fd = resolver_fd, .events = POLLIN } };
	struct dnsmasq d = dns();
	bool stale = false;
	siginfo_t info;
	eventfd_t count;

	while (!stale && !p[0].revents) {
		struct err e;

		if (poll(p, 3, -1) < 0)
			p[0].revents = p[1].revents = p[2].revents = 0;
		if (p[1].revents)
			stale = !eventfd_read(taken_over_fd, &count) && dnsmasq_stale_leases(&d, false);
		if (p[2].revents && resolver_written())
			name_resolver(&e);
	}
	if (!stale)
		waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);	/* one taken over is not our child */
	close(pidfd);
	return !stale;
}

static void wait_until_wanted(void)
{
	pthread_mutex_lock(&lock);
	while (!wanted)
		pthread_cond_wait(&changed, &lock);
	wanted = false;
	state = PENDING;
	pthread_mutex_unlock(&lock);
}

static void *lan_thread(void *arg)
{
	unsigned int pause = 0;
	bool was_up = false;

	for (;;) {
		struct timespec started, ended, wait = { .tv_sec = pause };
		struct err e, weak;
		int pidfd = set_up(&weak, &e);

		if (pidfd < 0) {
			log_err("the default network", &e);
			set_state(DOWN, &e);
			/* Once it worked, only dnsmasq can be the trouble: there may be guests that need it. */
			if (was_up)
				nanosleep(&(struct timespec){ .tv_sec = RESTART_MAX }, NULL);
			else
				wait_until_wanted();
			continue;
		}
		if (!was_up)
			log_line("the default network is up: bridge %s", conf.bridge);
		was_up = true;
		set_state(UP, weak.error ? &weak : NULL);
		clock_gettime(CLOCK_MONOTONIC, &started);
		if (!supervise(pidfd))
			continue;
		log_line("dnsmasq has ended: starting it again");
		clock_gettime(CLOCK_MONOTONIC, &ended);
		pause = ended.tv_sec - started.tv_sec > RESTART_MAX ? 0 : pause ? pause * 2 : 1;
		if (pause > RESTART_MAX)
			pause = RESTART_MAX;
		wait.tv_sec = pause;
		nanosleep(&wait, NULL);
	}
	return NULL;
}

void lan_start(const struct conf *c)
{
	pthread_condattr_t a;
	pthread_t t;
	struct err e;
	int rc;

	conf = *c;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &a);
	if (!conf.network)
		return;
	taken_over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	set_state(PENDING, NULL);
	rc = pthread_create(&t, NULL, lan_thread, NULL);
	if (rc) {
		err_set(&e, rc, "no-network", "no thread for the default network: %s", strerror(rc));
		log_err("the default network", &e);
		set_state(OFF, &e);
	}
}

const char *lan_name(void)
{
	return conf.network ? conf.bridge : NULL;
}

const char *lan_bridge(struct err *e)
{
	struct timespec deadline;
	const char *name = NULL;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += PATIENCE;
	pthread_mutex_lock(&lock);
	if (state == DOWN) {
		wanted = true;
		state = PENDING;
		pthread_cond_broadcast(&changed);
	}
	while (state == PENDING && !pthread_cond_timedwait(&changed, &lock, &deadline))
		;
	if (state == UP)
		name = conf.bridge;
	else if (state == OFF)
		err_set(e, ENETDOWN, "no-network",
			"the default network is switched off in /etc/lodge/lodged.conf: name a bridge with bridge=");
	else if (state == PENDING)
		err_set(e, ENETDOWN, "no-network", "the default network is not up yet: try again, or name a bridge with bridge=");
	else
		err_set(e, ENETDOWN, "no-network", "the default network is down: %.400s", problem.text);
	pthread_mutex_unlock(&lock);
	return name;
}

/* The first IPv4 address of a definition's list; 0: there is none. */
static uint32_t first_address(const char *ip)
{
	while (ip && *ip) {
		size_t len = strcspn(ip, " ");
		struct in_addr a;
		char one[64];

		snprintf(one, sizeof(one), "%.*s", (int)strcspn(ip, " /"), ip);
		if (inet_pton(AF_INET, one, &a) == 1)
			return ntohl(a.s_addr);
		ip += len + strspn(ip + len, " ");
	}
	return 0;
}

int lan_check(const char *mac, const char *ip, struct err *e)
{
	uint32_t want = first_address(ip);

	return want ? lan_hosts_check(mac, want, e) : 0;
}

int lan_attach(const char *mac, const char *ip, const char *name, struct err *e)
{
	struct dnsmasq d = dns();
	bool taken_over = false;
	int rc = lan_hosts_attach(mac, first_address(ip), name, &taken_over, e);

	if (!rc && taken_over) {
		dnsmasq_reload(&d);
		eventfd_write(taken_over_fd, 1);
	}
	return rc;
}

void lan_detach(const char *mac)
{
	lan_hosts_detach(mac);
}

void lan_sweep(bool (*keep)(const char *mac, void *ctx), void *ctx)
{
	struct err e;

	if (lan_bridge(&e))
		lan_hosts_sweep(keep, ctx);
}

void lan_address(const char *mac, char text[16])
{
	struct in_addr a = { htonl(lan_hosts_address(mac)) };

	text[0] = '\0';
	if (a.s_addr)
		inet_ntop(AF_INET, &a, text, 16);
}

json_t *lan_describe(void)
{
	struct in_addr a = { htonl(conf.address) };
	char text[16];
	json_t *j;

	inet_ntop(AF_INET, &a, text, sizeof(text));
	pthread_mutex_lock(&lock);
	if (state == OFF) {
		j = json_pack("{s:s}", "state", "off");
	} else {
		j = json_pack("{s:s, s:s}", "state", state == UP ? "up" : "down", "bridge", conf.bridge);
		if (conf.address) {
			json_object_set_new(j, "address", json_string(text));
			json_object_set_new(j, "prefix", json_integer(conf.prefix));
		}
	}
	if (problem.error)
		json_object_set_new(j, "problem", json_string(problem.text));
	pthread_mutex_unlock(&lock);
	return j;
}
