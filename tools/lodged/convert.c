/* SPDX-License-Identifier: MIT */
/* Disks from one format into another. */
#include <errno.h>
#include <lib/image_jail.h>
#include <lodged/convert.h>
#include <lodged/worker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONVERT_LOG	"/var/log/lodge/images.log"
#define LEAKED		3	/* status of qemu-img check: space that nobody has, which harms nobody */

struct share {
	struct session *s;
	const char *what;
	int from, to, said;
};

/* "    (12.34/100%)" */
static void take_progress(const char *line, void *ctx)
{
	struct share *h = ctx;
	const char *open = strchr(line, '(');
	double percent = open ? strtod(open + 1, NULL) : -1;
	int now;

	if (percent < 0 || percent > 100 || !h->s->percent)
		return;
	now = h->from + (int)((h->to - h->from) * percent / 100);
	if (now != h->said)
		h->s->percent(now, h->what, h->s->ctx);
	h->said = now;
}

/* The image as QEMU wants it named: allocated. */
static char *qemu_name(const struct image *im)
{
	json_t *node = image_to_qemu(im);
	char *json = node ? json_dumps(node, JSON_COMPACT) : NULL, *name;

	json_decref(node);
	if (!json || asprintf(&name, "json:%s", json) < 0)
		name = NULL;
	free(json);
	return name;
}

static int run(struct session *s, struct worker *w, const struct image *im, const char *out, const char *code, struct err *e)
{
	int rc = 0;

	w->log = CONVERT_LOG;
	w->jailed = true;
	w->rules = image_jail_rules(im, true, e);
	if (w->rules < 0 && w->rules != -EOPNOTSUPP)
		return w->rules;
	if (w->rules >= 0 && out && (rc = image_jail_output(w->rules, out)))
		rc = err_set(e, -rc, "internal", "qemu-img cannot be confined to %s: %s", out, strerror(-rc));
	if (!rc)
		rc = worker_run(s, w, code, e);
	if (w->rules >= 0)
		close(w->rules);
	return rc;
}

int convert_image(struct session *s, const struct image *im, enum disk_format format, const char *out, int from, int to, const char *what,
		  struct err *e)
{
	struct share share = { .s = s, .what = what, .from = from, .to = to, .said = -1 };
	char *name = qemu_name(im);
	const char *argv[] = { "qemu-img", "convert", "-p", "-O", disk_format_name(format), name, out, NULL };
	struct worker w = { .argv = argv, .line = take_progress, .ctx = &share };
	int rc = name ? worker_find("qemu-img", "qemu-utils", e) : err_set(e, ENOMEM, "no-memory", "out of memory");

	if (!rc)
		rc = run(s, &w, im, out, "cannot-write", e);
	free(name);
	return rc;
}

int convert_check(struct session *s, const struct image *im, struct err *e)
{
	char *name = qemu_name(im);
	const char *argv[] = { "qemu-img", "check", "-q", name, NULL };
	struct worker w = { .argv = argv, .also = LEAKED };
	int rc = name ? worker_find("qemu-img", "qemu-utils", e) : err_set(e, ENOMEM, "no-memory", "out of memory");

	if (!rc)
		rc = run(s, &w, im, NULL, "bad-image", e);
	if (rc && !strcmp(e->code, "bad-image"))
		err_set(e, EINVAL, "bad-image", "the image %s is damaged, or not all of it is there; `qemu-img check %s` says more", im->layers[0].path,
			im->layers[0].path);
	free(name);
	return rc;
}
