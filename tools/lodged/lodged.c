/* SPDX-License-Identifier: MIT */
/*
 * lodged: the manager of guests.
 *
 * Threads, each of which waits for one thing: the main one for connections, one for each of these for requests, one for the
 * ends of domains and two that act on them, one for the kernel's devices, one for the default network, one for the servers of images, one for
 * metrics. What they share is the
 * registry (registry.c). Nothing that matters lives in this process alone: it may be killed at any moment, and recover() sorts
 * out what it was in the middle of.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <lib/api.h>
#include <lib/image.h>
#include <lodged/conf.h>
#include <lodged/dom0.h>
#include <lodged/dump.h>
#include <lodged/exporter.h>
#include <lodged/images.h>
#include <lodged/lan.h>
#include <lodged/life.h>
#include <lodged/log.h>
#include <lodged/nodes.h>
#include <lodged/recover.h>
#include <lodged/server.h>
#include <lodged/spawn.h>
#include <lodged/templates.h>
#include <lodged/vif.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_FILE	"/var/log/lodge/lodged.log"

static const char usage[] =
	"usage: lodged [-c SETTINGS] [-l LOG]\n"
	"  -c FILE   settings (" CONF_FILE ")\n"
	"  -l FILE   log (" LOG_FILE "; -: standard error)\n";

static void load_modules(void)
{
	static const char *const modules[] = { "xen-blkback", "xen-netback", "loop", "bridge" };

	/* Devices are made when they are needed, and what guests have in them for partitions is not Domain 0's to look at. */
	static const char *const nbd[] = { "modprobe", "-q", "nbd", "nbds_max=0", "max_part=0", NULL };

	spawn_run(nbd, NULL, NULL, NULL, 30);
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		const char *argv[] = { "modprobe", "-q", modules[i], NULL };

		/* Built in, or missing: whoever needs it finds out, and says so. */
		spawn_run(argv, NULL, NULL, NULL, 30);
	}
}

/*
 * How disks move their data: by default the backend maps the pages of each request; with persistent grants the guest copies it to and from pages
 * that stay mapped. A backend reads the setting when a device is made. A kernel without it does as it likes.
 */
static void set_backends(const struct conf *c)
{
	static const char path[] = "/sys/module/xen_blkback/parameters/feature_persistent";
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, c->persistent_grants ? "Y" : "N", 1) != 1)
		log_line("cannot set %s: %s", path, strerror(errno));
	close(fd);
}

static void make_dirs(void)
{
	static const char *const dirs[] = { "/run/lodge", "/var/log/lodge", "/var/lib/lodge" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		mkdir(dirs[i], 0755);
}

static int fail(const struct err *e)
{
	char text[800];

	fprintf(stderr, "lodged: %s\n", err_format(e, text, sizeof(text)));
	log_err("cannot start", e);
	return 1;
}

static void prepare_process(void)
{
	signal(SIGPIPE, SIG_IGN);
	umask(0022);
	/* One arena: memory per thread would cost more than waiting for a lock now and then. */
	mallopt(M_ARENA_MAX, 1);
}

int main(int argc, char **argv)
{
	static struct hv hv;
	static struct conf conf;
	const char *conf_path = CONF_FILE, *log_path = LOG_FILE, *socket_path = getenv("LODGED_SOCKET");
	struct session s;
	struct err e;
	int option, fd, rc;

	while ((option = getopt(argc, argv, "c:l:h")) != -1) {
		if (option == 'c') {
			conf_path = optarg;
		} else if (option == 'l') {
			log_path = optarg;
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	prepare_process();
	make_dirs();
	rc = strcmp(log_path, "-") ? log_open(log_path) : 0;
	if (rc)
		fprintf(stderr, "lodged: cannot open %s: %s\n", log_path, strerror(-rc));
	if (conf_load(&conf, conf_path, &e) || hv_open(&hv, &e))
		return fail(&e);
	fd = server_listen(socket_path && *socket_path ? socket_path : API_SOCKET, &e);
	if (fd < 0)
		return fail(&e);
	load_modules();
	set_backends(&conf);
	session_init(&hv);
	if (session_open(&s, true, &e))
		return fail(&e);
	nodes_init(s.store);
	if (dom0_init(&conf, &hv, &e))
		return fail(&e);
	dump_init(&conf);
	image_allow_folders(conf.image_folders);
	lan_start(&conf);
	/*
	 * Clients can connect already, and are answered once it is known what there is. To take down a device, one has to hear
	 * of its end.
	 */
	if (vif_start(&e) || recover(&s, &e) || life_start(&e))
		return fail(&e);
	templates_recover();
	session_close(&s);
	images_watch();
	exporter_start(&conf);
	log_line("lodged " LODGE_VERSION " is ready");
	server_run(fd);
	return 0;
}
