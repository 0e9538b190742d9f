/* SPDX-License-Identifier: MIT */
/*
 * The processes that serve disk images.
 *
 * The kernel announces the death of one, and lets wait what its guest asks for until there is another. One that does not live long or
 * does not even start, several times, cannot read its image: then the device is given up, and the guest gets errors.
 */
#include <errno.h>
#include <lib/image_server.h>
#include <lib/nbd.h>
#include <lib/netlink.h>
#include <lodged/change.h>
#include <lodged/devices.h>
#include <lodged/images.h>
#include <lodged/log.h>
#include <lodged/nodes.h>
#include <lodged/record.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DEATHS_MAX	5	/* within … */
#define DEATHS_SECONDS	120	/* one that is replaced since it is slow lives for 30 */
#define RETRY_SECONDS	10	/* after one that could not be started */

/* What a device's tag says. */
struct served {
	char uuid[UUID_TEXT], vdev[BLOCK_TAG_MAX];
};

static bool read_tag(const char *tag, struct served *v)
{
	return sscanf(tag, BLOCK_TAG "%36[^:]:%63s", v->uuid, v->vdev) == 2;
}

/* Does the guest's device use it? A number is another's when this one has gone. */
static bool in_use(struct session *s, const struct guest *g, int vdev, int number)
{
	char *physical = store_read(s->store, "/local/domain/%u/backend/vbd/%d/%d/physical-device", nodes_backend(), g->domid, vdev);
	unsigned int maj, min;
	bool same = physical && sscanf(physical, "%x:%x", &maj, &min) == 2 && makedev(maj, min) == nbd_device(number);

	free(physical);
	return same;
}

/* 1, 0: it has one, or needs none; -errno: there is no other. */
static int revive_disk(struct session *s, struct guest *g, const struct served *v, int number, const char *tag)
{
	struct device_id id = { .type = "vbd", .number = definition_vdev_number(v->vdev) };
	struct definition *d;
	struct image im = { 0 };
	struct err e;
	int rc, i;

	if (g->domid < 0 || !in_use(s, g, id.number, number))
		return 0;
	rc = session_definition(s, g, &d, &e);
	if (rc) {
		log_err(g->name, &e);
		return rc;
	}
	i = change_find(d, &id);
	if (i >= 0 && d->disks[i].target) {
		rc = image_read(d->disks[i].target, d->disks[i].format, &im, &e);
		if (!rc)
			rc = image_revive(number, &im, d->disks[i].readonly, tag, &e);
		if (rc < 0)
			log_err(g->name, &e);
		else if (rc)
			log_line("%s: the process that served %s has died; there is another", g->name, v->vdev);
		image_free(&im);
	}
	definition_free(d);
	return rc;
}

/* A device that may have lost its process. As revive_disk(). */
static int revive(int number)
{
	int revived = 0;
	char tag[BLOCK_TAG_MAX];
	struct served v;
	struct session s;
	struct guest *g;
	uint8_t uuid[16];
	struct err e;

	if (!nbd_tag(number, tag) || !read_tag(tag, &v) || !uuid_from_text(v.uuid, uuid))
		return 0;
	g = registry_by_uuid(uuid);
	if (!g)
		return 0;
	if (registry_lock(g)) {
		revived = session_open(&s, true, &e);
		if (revived) {
			log_err(g->name, &e);
		} else {
			revived = revive_disk(&s, g, &v, number, tag);
			session_close(&s);
		}
		registry_unlock(g);
	}
	registry_put(g);
	return revived;
}

/* Processes of one device that had to be replaced, or could not be. Of such devices there are few. */
struct deaths {
	int number, count;
	time_t first;
	struct deaths *next;
};

static struct deaths *deaths_of(struct deaths **list, int number)
{
	struct deaths *d = *list;

	while (d && d->number != number)
		d = d->next;
	if (!d && (d = calloc(1, sizeof(*d)))) {
		*d = (struct deaths){ .number = number, .next = *list };
		*list = d;
	}
	return d;
}

struct watched {
	struct deaths *deaths;
	bool again;	/* there is a device whose process could not be started */
};

static void look_after(int number, struct watched *w)
{
	struct deaths *d = deaths_of(&w->deaths, number);
	struct timespec now;
	int rc;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (d && now.tv_sec - d->first > DEATHS_SECONDS) {
		d->first = now.tv_sec;
		d->count = 0;
	}
	rc = revive(number);
	if (!rc || !d)
		return;
	w->again |= rc < 0;
	if (d->count++ < DEATHS_MAX)
		return;
	log_line("nbd%d: the process that serves it has died %d times within %d seconds: it is given up", number, d->count, DEATHS_SECONDS);
	nbd_disconnect(number);
}

static void look_after_one(int number, const char *tag, void *ctx)
{
	look_after(number, ctx);
}

static int listener = -1;

static void *watch(void *arg)
{
	struct watched w = { 0 };
	int number = -EAGAIN;	/* what happened while nobody looked */

	do {
		struct timeval patience = { 0 };

		if (number >= 0) {
			look_after(number, &w);
		} else {
			w.again = false;
			nbd_each(look_after_one, &w);
		}
		patience.tv_sec = w.again ? RETRY_SECONDS : 0;
		setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		number = nbd_next_dead(listener);
	} while (number >= 0 || number == -ENOBUFS || number == -EAGAIN);
	log_line("nobody hears any more of processes that serve images: %s", strerror(-number));
	return NULL;
}

static bool begin(void)
{
	pthread_t thread;
	int fd = nl_open(NETLINK_GENERIC);

	if (fd < 0)
		return false;
	listener = fd;
	if (!nbd_listen(fd) && !pthread_create(&thread, NULL, watch, NULL)) {
		pthread_detach(thread);
		return true;
	}
	close(fd);
	listener = -1;
	return false;
}

void images_watch(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool begun;

	pthread_mutex_lock(&lock);
	if (begun)
		nbd_listen(listener);
	else
		begun = begin();
	pthread_mutex_unlock(&lock);
}
