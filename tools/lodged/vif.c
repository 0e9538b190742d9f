/* SPDX-License-Identifier: MIT */
/*
 * Network interfaces of guests.
 *
 * The kernel announces a device of netback ("online") once its interface exists. What is to become of it stands in the
 * backend's part of the store, which guests cannot write; so it does not matter who asked for it, or whether the manager was
 * restarted since. netback goes on when hotplug-status is "connected".
 */
#include <dirent.h>
#include <errno.h>
#include <lib/network.h>
#include <lib/uevent.h>
#include <lodged/hub.h>
#include <lodged/log.h>
#include <lodged/nodes.h>
#include <lodged/script.h>
#include <lodged/vif.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICES	"/sys/bus/xen-backend/devices"

struct vif {
	int domid, handle;
	char name[NET_NAME_MAX], path[64];		/* interface; "backend/vif/3/0" */
	char *script, *bridge, *rename, *mac, *guarded;	/* from the store */
};

static char *node(struct session *s, const struct vif *v, const char *what)
{
	return store_read(s->store, "/local/domain/%u/%s/%s", nodes_backend(), v->path, what);
}

static int write_node(struct session *s, const struct vif *v, const char *what, const char *value)
{
	return store_write(s->store, value, "/local/domain/%u/%s/%s", nodes_backend(), v->path, what);
}

static int attach_error(const struct vif *v, int rc, struct err *e)
{
	if (rc == -EEXIST)
		return err_set(e, EEXIST, "bad-network", "there is another interface called %s", v->name);
	if (rc == -EXFULL || rc == -ENOSPC)
		return err_set(e, -rc, "bad-network", "the bridge %s has no free port for %s", v->bridge, v->name);
	return err_set(e, -rc, "bad-network", "the interface %s cannot be connected: %s", v->name, strerror(-rc));
}

static int attach(int fd, struct vif *v, struct err *e)
{
	unsigned int index = if_nametoindex(v->name), bridge = v->bridge ? net_index(v->bridge) : 0,
		     mtu = v->bridge ? net_mtu(v->bridge) : 0;
	struct net_change change = { .mtu = mtu == 1500 ? 0 : mtu, .master = bridge, .up = true };
	uint8_t mac[6];
	int rc;

	if (!index)
		return err_set(e, ENODEV, "bad-network", "the interface %s of domain %d has gone", v->name, v->domid);
	if (!v->bridge || !bridge || !net_is_bridge(v->bridge))
		return err_set(e, ENODEV, "no-bridge", "there is no bridge %s for domain %d", v->bridge ? v->bridge : "", v->domid);
	if (v->rename && strcmp(v->rename, v->name)) {
		change.rename = v->rename;
		snprintf(v->name, sizeof(v->name), "%s", v->rename);
	}
	rc = net_change(fd, index, &change);
	if (rc)
		return attach_error(v, rc, e);
	rc = v->guarded && v->mac && !net_parse_mac(v->mac, mac) ? net_port_guard(fd, index, mac) : 0;
	return rc ? err_set(e, -rc, "bad-network", "the bridge port of %s cannot be guarded: %s", v->name, strerror(-rc)) : 0;
}

static void finish(struct session *s, const struct vif *v, int rc, const struct err *e)
{
	char key[HUB_KEY_MAX];

	if (rc) {
		log_err("network", e);
		write_node(s, v, "hotplug-error", e->text);
		write_node(s, v, "hotplug-status", "error");
	} else {
		write_node(s, v, "hotplug-status", "connected");
	}
	snprintf(key, sizeof(key), "connect vif-%d-%d", v->domid, v->handle);
	hub_tell(key, rc ? e : NULL);
}

static void vif_free(struct vif *v)
{
	free(v->script);
	free(v->bridge);
	free(v->rename);
	free(v->mac);
	free(v->guarded);
	free(v);
}

static void *script_thread(void *arg)
{
	struct vif *v = arg;
	char path[96];
	struct session s;
	struct err e;
	int rc;

	if (!session_open(&s, true, &e)) {
		snprintf(path, sizeof(path), "/local/domain/%u/%s", nodes_backend(), v->path);
		rc = script_run(&s, v->script, SCRIPT_VIF_ONLINE, path, v->name, &e);
		finish(&s, v, rc, &e);
		session_close(&s);
	}
	vif_free(v);
	return NULL;
}

/* A script may take its time, so that it gets a thread of its own. */
static void run_script(struct session *s, struct vif *v)
{
	pthread_t t;
	struct err e;

	if (!pthread_create(&t, NULL, script_thread, v)) {
		pthread_detach(t);
		return;
	}
	finish(s, v, err_set(&e, EAGAIN, "internal", "no thread for the script %s", v->script), &e);
	vif_free(v);
}

static void connect_vif(struct session *s, int fd, int domid, int handle, const char *name)
{
	struct vif *v = calloc(1, sizeof(*v));
	struct err e = { 0 };
	char *status;

	if (!v)
		return;
	v->domid = domid;
	v->handle = handle;
	snprintf(v->name, sizeof(v->name), "%s", name);
	snprintf(v->path, sizeof(v->path), "backend/vif/%d/%d", domid, handle);
	status = node(s, v, "hotplug-status");
	v->script = node(s, v, "script");
	/* No script: the device is going just now, or none of ours. */
	if (status || !v->script) {
		free(status);
		vif_free(v);
		return;
	}
	if (*v->script) {
		run_script(s, v);
		return;
	}
	v->bridge = node(s, v, "bridge");
	v->rename = node(s, v, "vifname");
	v->mac = node(s, v, "mac");
	v->guarded = node(s, v, "guarded");
	finish(s, v, attach(fd, v, &e), &e);
	vif_free(v);
}

/* The interface of a netback device. */
static bool interface_of(const char *device, char name[NET_NAME_MAX])
{
	char path[128];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), DEVICES "/%s/net", device);
	dir = opendir(path);
	name[0] = '\0';
	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			snprintf(name, NET_NAME_MAX, "%.15s", d->d_name);
	if (dir)
		closedir(dir);
	return *name;
}

void vif_scan(struct session *s)
{
	DIR *dir = opendir(DEVICES);
	int fd = net_open();
	struct dirent *d;

	while (dir && fd >= 0 && (d = readdir(dir))) {
		char name[NET_NAME_MAX];
		int domid, handle;

		if (strlen(d->d_name) < 64 && sscanf(d->d_name, "vif-%d-%d", &domid, &handle) == 2 && interface_of(d->d_name, name))
			connect_vif(s, fd, domid, handle, name);
	}
	if (dir)
		closedir(dir);
	if (fd >= 0)
		close(fd);
}

static void handle_event(struct session *s, int fd, const struct uevent *u)
{
	char key[HUB_KEY_MAX];
	int domid, handle;

	if (strcmp(u->subsystem, "xen-backend"))
		return;
	if (!strcmp(u->action, "remove") || !strcmp(u->action, "bind")) {
		snprintf(key, sizeof(key), "%s %s", u->action, u->device);
		hub_tell(key, NULL);
	} else if (!strcmp(u->action, "online") && *u->vif && sscanf(u->path, "backend/vif/%d/%d", &domid, &handle) == 2) {
		connect_vif(s, fd, domid, handle, u->vif);
	}
}

static void *event_thread(void *arg)
{
	int events = (int)(intptr_t)arg, fd = net_open();
	struct session s;
	struct err e;

	if (fd < 0 || session_open(&s, true, &e)) {
		log_line("no network for guests: cannot open a netlink socket or the store");
		return NULL;
	}
	vif_scan(&s);
	for (;;) {
		struct pollfd p = { .fd = events, .events = POLLIN };
		char buf[8192];
		struct uevent u;
		int rc = uevent_next(events, buf, sizeof(buf), &u);

		if (!rc) {
			handle_event(&s, fd, &u);
		} else if (rc == -ENOBUFS) {
			log_line("device events were lost: looking at all devices");
			vif_scan(&s);
			hub_recheck();
		} else {
			poll(&p, 1, -1);
		}
	}
	return NULL;
}

int vif_start(struct err *e)
{
	int fd = uevent_open(e), rc;
	pthread_t t;

	if (fd < 0)
		return fd;
	rc = pthread_create(&t, NULL, event_thread, (void *)(intptr_t)fd);
	return rc ? err_set(e, rc, "internal", "cannot start a thread: %s", strerror(rc)) : 0;
}
