/* SPDX-License-Identifier: MIT */
/* stored: the store daemon. Options, and the order in which things start. */
#include <stored/conn.h>
#include <stored/log.h>
#include <stored/loop.h>
#include <stored/node.h>
#include <stored/persist.h>
#include <stored/quota.h>
#include <stored/request.h>
#include <stored/ring.h>
#include <stored/socket.h>
#include <stored/txn.h>
#include <stored/watch.h>
#include <stored/xen.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <lib/folder.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xen/xen.h>

static const char usage[] =
	"usage: stored [OPTION]...\n"
	"The store daemon: speaks the XenStore protocol to guests, to Domain 0's kernel and to programs.\n"
	"\n"
	"  --socket FILE         listen here (/run/xenstored/socket, or $XENSTORED_PATH); read-only clients: FILE_ro\n"
	"  --state DIR           keep the state here (/run/lodge/store); \"none\": nowhere\n"
	"  --log FILE            log here (standard error)\n"
	"  --pid-file FILE       write the process id here\n"
	"  --daemon              go into the background once all is ready; else: --foreground\n"
	"  --privileged DOMID    this domain may do everything, as Domain 0\n"
	"  --quota NAME=VALUE    a limit for other domains; `xenstore-control quota` lists them\n"
	"  --trace               log every request\n"
	"  --no-xen              serve sockets only, even if there is a hypervisor\n"
	"  --help, --version\n";

struct options {
	const char *socket, *state, *log, *pid_file;
	bool daemon, no_xen;
	unsigned long privileged;
};

static void __noreturn bad_usage(const char *what, const char *arg)
{
	fprintf(stderr, "stored: %s '%s'; try --help\n", what, arg);
	exit(2);
}

static void parse(struct options *o, int argc, char **argv)
{
	enum { SOCKET, STATE, LOG, PID_FILE, FOREGROUND, DAEMON, PRIVILEGED, QUOTA, TRACE, NO_XEN, HELP, VERSION };
	static const struct option options[] = {
		{ "socket", required_argument, NULL, SOCKET },
		{ "state", required_argument, NULL, STATE },
		{ "log", required_argument, NULL, LOG },
		{ "pid-file", required_argument, NULL, PID_FILE },
		{ "foreground", no_argument, NULL, FOREGROUND },
		{ "daemon", no_argument, NULL, DAEMON },
		{ "privileged", required_argument, NULL, PRIVILEGED },
		{ "quota", required_argument, NULL, QUOTA },
		{ "trace", no_argument, NULL, TRACE },
		{ "no-xen", no_argument, NULL, NO_XEN },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ 0 },
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case SOCKET: o->socket = optarg; break;
		case STATE: o->state = strcmp(optarg, "none") == 0 ? NULL : optarg; break;
		case LOG: o->log = optarg; break;
		case PID_FILE: o->pid_file = optarg; break;
		case FOREGROUND: o->daemon = false; break;
		case DAEMON: o->daemon = true; break;
		case TRACE: request_trace = true; break;
		case NO_XEN: o->no_xen = true; break;
		case PRIVILEGED:
			o->privileged = strtoul(optarg, &end, 10);
			if (*end || !*optarg || o->privileged >= DOMID_FIRST_RESERVED)
				bad_usage("not a domain id:", optarg);
			break;
		case QUOTA:
			if (quota_set(optarg))
				bad_usage("not a limit:", optarg);
			break;
		case HELP:
			fputs(usage, stdout);
			exit(0);
		case VERSION:
			puts("stored " LODGE_VERSION);
			exit(0);
		default:
			exit(2);
		}
	}
	if (optind < argc)
		bad_usage("not an option:", argv[optind]);
}

static void xen_ready(struct source *s, u32 events)
{
	static int domain_events = -1;
	int local;

	if (!s) {
		domain_events = xen_bind_domain_events();
		if (domain_events < 0)
			log_line("the end of domains cannot be followed: %s", strerror(-domain_events));
		return;
	}
	local = xen_next_port();
	if (local >= 0 && local == domain_events)
		domains_event();
	else if (local >= 0)
		ring_event(local);
}

static int listen_all(const char *path)
{
	char readonly[256];

	folder_parents(path);		/* whoever uses it says what is wrong */
	snprintf(readonly, sizeof(readonly), "%s_ro", path);
	return socket_listen(path, false) || socket_listen(readonly, true) ? -1 : 0;
}

/* In the background: the parent ends when the child says that all is ready, or has ended. */
static int go_background(void)
{
	int fds[2];
	char c;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	switch (fork()) {
	case -1:
		return -1;
	case 0:
		close(fds[0]);
		setsid();
		return fds[1];
	}
	close(fds[1]);
	_exit(read(fds[0], &c, 1) == 1 ? 0 : 1);
}

static void tell_parent(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	if (write(fd, "", 1) != 1)
		log_line("nobody waited for the start");
	close(fd);
}

static void write_pid(const char *file)
{
	char text[16];
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int n = snprintf(text, sizeof(text), "%d\n", getpid());

	if (fd < 0 || write(fd, text, (size_t)n) != n)
		log_line("%s: %s", file, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void start_store(u16 privileged)
{
	struct domain *own;

	domain_init(privileged);
	own = domain_get(0, true);
	watch_init();
	node_init(own);
	domain_put(own);
}

/* The node by which programs see that a store is there. */
static void first_nodes(void)
{
	struct txn *t = txn_begin(NULL, NULL, 0);
	struct view v;

	if (!txn_look(t, "/tool/xenstored", &v) && !v.exists && (txn_put(t, "/tool/xenstored", "", 0, NULL) || txn_commit(t)))
		abort();	/* the daemon has no quota */
	txn_free(t);
	persist_group();
}

int main(int argc, char **argv)
{
	static struct source xen = { .ready = xen_ready };
	const char *env = getenv("XENSTORED_PATH");
	struct options o = { .socket = env ? env : "/run/xenstored/socket", .state = "/run/lodge/store" };
	struct rlimit files;
	int parent = -1, rc;

	parse(&o, argc, argv);
	signal(SIGPIPE, SIG_IGN);	/* a log that nobody reads */
	rc = o.log ? log_open(o.log) : 0;
	if (rc) {
		fprintf(stderr, "stored: %s: %s\n", o.log, strerror(-rc));
		return 1;
	}
	if (o.daemon && (parent = go_background()) < 0) {
		log_line("cannot go into the background: %s", strerror(errno));
		return 1;
	}
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (!o.no_xen && xen_open())
		log_line("no hypervisor: only programs can be clients");
	start_store((u16)o.privileged);
	if (o.state)
		folder_parents(o.state);
	if (persist_start(o.state))
		return 1;
	first_nodes();
	if (xen_present()) {
		xen.fd = xen_fd();
		xen_ready(NULL, 0);
		if (loop_add(&xen, EPOLLIN))
			return 1;
		domains_check();
	}
	if (listen_all(o.socket))
		return 1;
	if (o.pid_file)
		write_pid(o.pid_file);
	if (parent >= 0)
		tell_parent(parent);
	loop_run();
}
