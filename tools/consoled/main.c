/* SPDX-License-Identifier: MIT */
/* consoled: the console daemon. Options, signals, the main loop. docs/man/lodge-consoled.md is its manual. */
#include <consoled/client.h>
#include <consoled/discover.h>
#include <consoled/guest.h>
#include <consoled/loop.h>
#include <errno.h>
#include <getopt.h>
#include <lib/folder.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xen/xen.h>

#define EVENTS_PER_TURN	64	/* guests served before clients and the store have their turn */

static struct log_settings logs = { .dir = "/var/log/lodge/console", .max_size = 1 << 20, .files = 3 };
static const char *socket_path = "/run/lodge/consoled.sock";
static const char *state_path = "/run/lodge/consoled.state";
static uint64_t rate = 1 << 20;
static bool stopping;

static const char usage[] = "usage: consoled [OPTION]...\n"
"Logs and connects the consoles of all guests. Runs in the foreground.\n"
"\n"
"  --log-dir DIR       logs of the guests' output (/var/log/lodge/console)\n"
"  --log-size BYTES    start another file at this size (1M; at least 64K)\n"
"  --log-files N       files kept for each guest, the one in use included (3)\n"
"  --rate BYTES        what one guest may write in a second (1M; at least 4K)\n"
"  --socket PATH       where clients connect (/run/lodge/consoled.sock)\n"
"  --state PATH        what a restarted daemon goes on from (/run/lodge/consoled.state)\n"
"  --version, --help\n";

/* A number with K, M or G; exits if it is none, or not in the range. */
static uint64_t number(const char *option, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	for (const char *unit = "KMG"; *end && *unit; unit++) {
		if (n > max)
			break;
		n <<= 10;
		if (*end == *unit && !end[1])
			end++;
	}
	if (errno || *end || text[0] < '0' || text[0] > '9' || n < min || n > max) {
		fprintf(stderr, "consoled: --%s %s: not a number from %llu to %llu\n", option, text, (unsigned long long)min,
			(unsigned long long)max);
		exit(2);
	}
	return n;
}

static void options(int argc, char **argv)
{
	static const struct option list[] = {
		{ "log-dir", 1, NULL, 'd' }, { "log-size", 1, NULL, 's' }, { "log-files", 1, NULL, 'n' }, { "rate", 1, NULL, 'r' },
		{ "socket", 1, NULL, 'S' }, { "state", 1, NULL, 't' }, { "version", 0, NULL, 'V' }, { "help", 0, NULL, 'h' }, { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", list, NULL)) >= 0) {
		switch (c) {
		case 'd': logs.dir = optarg; break;
		case 's': logs.max_size = number("log-size", optarg, 64 << 10, 1ULL << 40); break;
		case 'n': logs.files = (unsigned int)number("log-files", optarg, 1, 1000); break;
		case 'r': rate = number("rate", optarg, 4096, 1ULL << 30); break;
		case 'S': socket_path = optarg; break;
		case 't': state_path = optarg; break;
		case 'V': puts("consoled (Lodge) " LODGE_VERSION); exit(0);
		case 'h': fputs(usage, stdout); exit(0);
		default: fputs("consoled --help lists the options\n", stderr); exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "consoled: %s: there are no arguments; consoled --help lists the options\n", argv[optind]);
		exit(2);
	}
}

static void xen_ready(struct source *s, uint32_t events)
{
	int port;

	for (int i = 0; i < EVENTS_PER_TURN && (port = xen_next_event()) >= 0; i++)
		guest_event(port);
}

static void signal_ready(struct source *s, uint32_t events)
{
	struct signalfd_siginfo info;

	while (read(s->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			guest_reopen_logs();
		else
			stopping = true;
	}
}

static int take_signals(struct source *s)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	s->ready = signal_ready;
	return s->fd < 0 ? -errno : loop_add(s, EPOLLIN);
}

/* Descriptors: one for each guest's log, one for each client. An init that says nothing of it leaves its children 4096. */
static void raise_limits(void)
{
	struct rlimit enough = { 2 * DOMID_FIRST_RESERVED, 2 * DOMID_FIRST_RESERVED }, limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	if (limit.rlim_max >= enough.rlim_max || setrlimit(RLIMIT_NOFILE, &enough)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int start(struct err *e)
{
	static struct source signals, events = { .ready = xen_ready };
	int rc;

	raise_limits();
	/* Others of ours are in these directories, too. */
	umask(0022);
	folder_parents(logs.dir);
	folder_parents(socket_path);
	folder_parents(state_path);
	umask(0027);
	guest_setup((int64_t)rate);
	rc = loop_open();
	if (!rc)
		rc = take_signals(&signals);
	if (rc)
		return err_set(e, -rc, "start", "cannot wait for events: %s", strerror(-rc));
	if (state_open(state_path, e) || log_setup(&logs, e) || xen_open(e))
		return -e->error;
	events.fd = xen_event_fd();
	rc = loop_add(&events, EPOLLIN);
	if (rc)
		return err_set(e, -rc, "start", "cannot wait for event channels: %s", strerror(-rc));
	rc = discover_start(e);
	return rc ? rc : client_listen(socket_path, e);
}

int main(int argc, char **argv)
{
	struct err e = { 0 };
	char text[800];

	options(argc, argv);
	setlinebuf(stderr);
	if (start(&e)) {
		fprintf(stderr, "consoled: %s\n", err_format(&e, text, sizeof(text)));
		return 1;
	}
	while (!stopping) {
		int discovery = discover_timers(), guests = guest_timers();
		int rc = loop_turn(guests < 0 || (discovery >= 0 && discovery < guests) ? discovery : guests);

		if (rc) {
			fprintf(stderr, "consoled: cannot wait for events: %s\n", strerror(-rc));
			return 1;
		}
	}
	client_stop();
	return 0;
}
