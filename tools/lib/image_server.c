/* SPDX-License-Identifier: MIT */
/* Disk images as block devices. */
#include <errno.h>
#include <lib/image_process.h>
#include <lib/image_server.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define END_MS		30000	/* to write back, when told to end */
#define TRIES		100
#define STEP_NS		10000000L

int image_check_programs(struct err *e)
{
	if (!image_program())
		return err_set(e, ENOENT, "no-program", "there is no " IMAGE_PROGRAM ", which qcow2 images need: install the package qemu-utils");
	if (access("/sys/module/nbd", F_OK))
		return err_set(e, ENODEV, "no-module", "the kernel has no network block devices, which qcow2 images need: `modprobe nbd`");
	return 0;
}

static int serve(const struct image *im, bool readonly, const char *tag, int *client, struct nbd_export *x, struct err *e)
{
	int rc = image_check_programs(e);

	return rc ? rc : image_process_start(im, readonly, tag, client, x, e);
}

int image_try(const struct image *im, struct err *e)
{
	char tag[BLOCK_TAG_MAX];
	struct nbd_export x;
	int socket, rc;

	snprintf(tag, sizeof(tag), BLOCK_TAG "try-%d:", gettid());
	rc = serve(im, true, tag, &socket, &x, e);
	if (rc)
		return rc;
	close(socket);
	image_process_end(tag, END_MS);
	return 0;
}

static int no_device(int rc, const struct image *im, struct err *e)
{
	if (rc == -ENOENT)
		return image_check_programs(e) ? -e->error : err_set(e, ENODEV, "no-module", "the kernel has no network block devices: `modprobe nbd`");
	return err_set(e, -rc, "bad-disk", "no network block device for the image %s: %s", im->layers[0].path, strerror(-rc));
}

int image_attach(const struct image *im, bool readonly, const char *tag, dev_t *dev, struct err *e)
{
	struct nbd_export x;
	int socket, number, rc;

	/* One of a manager that was killed just before it had the device. */
	image_process_end(tag, 0);
	rc = serve(im, readonly, tag, &socket, &x, e);
	if (rc)
		return rc;
	number = nbd_connect(socket, &x, tag);
	close(socket);
	if (number >= 0 && (*dev = nbd_device(number)))
		return 0;
	if (number >= 0) {
		nbd_disconnect(number);
		number = -ENODEV;
	}
	image_process_end(tag, 0);
	return no_device(number, im, e);
}

/* What is asked of a device without a server can be asked of any other: one that takes another has none. */
static bool lost_server(int number, const char *tag)
{
	int pair[2];
	bool lost;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return false;
	lost = !nbd_reconnect(number, pair[0], tag);
	close(pair[0]);
	close(pair[1]);
	return lost;
}

int image_revive(int number, const struct image *im, bool readonly, const char *tag, struct err *e)
{
	struct nbd_export x;
	int socket, rc;

	if (image_process_exists(tag) && !lost_server(number, tag))
		return 0;
	/* One that the kernel has given up, or a half-made one, must have written its last before the next reads. */
	image_process_end(tag, 0);
	rc = serve(im, readonly, tag, &socket, &x, e);
	if (rc)
		return rc;
	/* The kernel notices a little later that the old one has gone. */
	for (int i = 0; i < TRIES; i++) {
		struct timespec step = { .tv_nsec = STEP_NS };

		rc = nbd_reconnect(number, socket, tag);
		if (rc != -ENOSPC)
			break;
		nanosleep(&step, NULL);
	}
	close(socket);
	if (!rc)
		return 1;
	image_process_end(tag, 0);
	return no_device(rc, im, e);
}

void image_detach(dev_t dev, const char *tag)
{
	char found[BLOCK_TAG_MAX];
	int number = nbd_number(dev);

	if (number < 0 || !nbd_tag(number, found) || strcmp(found, tag))
		return;
	nbd_disconnect(number);
	image_process_end(tag, END_MS);
}

struct sweep {
	bool (*keep)(const char *tag, void *ctx);
	void *ctx;
};

static void sweep_device(int number, const char *tag, void *ctx)
{
	struct sweep *s = ctx;

	if (s->keep(tag, s->ctx))
		return;
	nbd_disconnect(number);
	image_process_end(tag, END_MS);
}

void image_sweep(bool (*keep)(const char *tag, void *ctx), void *ctx)
{
	struct sweep s = { keep, ctx };

	nbd_each(sweep_device, &s);
	/* Those that have no device yet, or no longer: of a manager that was killed in between. */
	image_process_sweep(keep, ctx);
}
