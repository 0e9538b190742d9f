/* SPDX-License-Identifier: MIT */
/* Disks: strings of the list `disk`, and device names. */
#include <lib/definition_value.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	const struct value *v;
	const struct value_base *base;
	const struct value_warn *w;
	struct disk *d;
	struct err *e;
	char *target;
	bool has_format, has_access;
	bool prefix;		/* an older form: no format between target and device */
	bool phy;		/* relative to /dev */
};

static int bad(struct reading *r, const char *what, const char *found, const char *expected)
{
	return value_error(r->v, r->e, "disk \"%s\": found \"%s\" as its %s, expected %s", r->v->text, found, what, expected);
}

static int set_string(char **field, const char *value, struct err *e)
{
	free(*field);
	*field = strdup(value);
	return *field ? 0 : value_no_memory(e);
}

static int format_of(const char *name)
{
	if (*name == 0 || strcmp(name, "aio") == 0)
		return DISK_RAW;
	return disk_format_find(name);
}

static int set_format(struct reading *r, const char *value)
{
	int format = format_of(value);

	if (format < 0)
		return bad(r, "format", value, "raw, qcow2, qcow, vhd, or nothing");
	r->d->format = (enum disk_format)format;
	r->has_format = true;
	return 0;
}

static int set_access(struct reading *r, const char *value)
{
	static const struct { const char *name; bool readonly, shared; } modes[] = {
		{ "r", true, false }, { "ro", true, false }, { "w", false, false }, { "rw", false, false },
		{ "w!", false, true }, { "rw!", false, true }, { "!", false, true }, { "r!", true, true }, { "ro!", true, true },
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(modes[i].name, value))
			continue;
		r->d->readonly = modes[i].readonly;
		r->d->shared = modes[i].shared;
		r->has_access = true;
		return 0;
	}
	return bad(r, "access", value, "r or w (ro, rw; w! for a disk that is shared)");
}

/* "hdc", or in the older form "hdc:cdrom". */
static int set_vdev(struct reading *r, const char *value)
{
	const char *colon = strchr(value, ':');
	char *name = strndup(value, colon ? (size_t)(colon - value) : strlen(value));
	int rc = 0;

	if (!name)
		return value_no_memory(r->e);
	if (colon && strcmp(colon, ":cdrom") == 0)
		r->d->cdrom = true;
	else if (colon && strcmp(colon, ":disk"))
		rc = bad(r, "device", value, "a name such as xvda or xvda1");
	if (rc == 0 && definition_vdev_number(name) < 0)
		rc = bad(r, "device", value, "a name such as xvda or xvda1");
	if (rc == 0)
		rc = set_string(&r->d->vdev, name, r->e);
	free(name);
	return rc;
}

static int set_devtype(struct reading *r, const char *value)
{
	if (strcmp(value, "cdrom") && strcmp(value, "disk"))
		return bad(r, "devtype", value, "disk or cdrom");
	r->d->cdrom = strcmp(value, "cdrom") == 0;
	return 0;
}

static int set_script(struct reading *r, const char *value)
{
	return set_string(&r->d->script, value, r->e);
}

static int set_backend(struct reading *r, const char *value)
{
	if (strcmp(value, "0") && strcmp(value, "Domain-0"))
		return bad(r, "backend", value, "0: disks are served by Domain 0");
	return 0;
}

static int set_backendtype(struct reading *r, const char *value)
{
	if (strcmp(value, "phy") && strcmp(value, "tap") && strcmp(value, "qdisk") && strcmp(value, "standalone"))
		return bad(r, "backendtype", value, "phy, tap or qdisk (it is not used: Lodge chooses)");
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct reading *r, const char *value);
} keys[] = {
	{ "format", set_format },
	{ "vdev", set_vdev },
	{ "access", set_access },
	{ "devtype", set_devtype },
	{ "script", set_script },
	{ "backend", set_backend },
	{ "backendtype", set_backendtype },
};
static const char *const key_names[] = {
	"target", "format", "vdev", "access", "devtype", "script", "backend", "backendtype", "cdrom", "discard", "no-discard",
	"direct-io-safe", NULL,
};

/* Prefixes of the target of long ago, one after the other: "phy:/dev/x", "tap:aio:/x.img". */
static int set_target(struct reading *r, const char *value)
{
	static const char *const plain[] = { "file", "tap", "tap2", "tapdisk", "ioemu", NULL };
	static const char *const scripts[] = { "iscsi", "nbd", "enbd", "drbd", NULL };
	char *script = NULL;

	for (;;) {
		size_t n = strcspn(value, ":/,=");
		bool known = false;
		char word[16];

		if (value[n] != ':' || n >= sizeof(word))
			break;
		memcpy(word, value, n);
		word[n] = 0;
		for (size_t i = 0; plain[i]; i++)
			known |= strcmp(plain[i], word) == 0;
		if (strcmp(word, "phy") == 0) {
			known = r->phy = true;
		} else if (n > 0 && format_of(word) >= 0 && strcmp(word, "empty")) {
			known = r->has_format = true;
			r->d->format = (enum disk_format)format_of(word);
		}
		for (size_t i = 0; scripts[i] && !known; i++) {
			if (strcmp(scripts[i], word))
				continue;
			known = true;
			if (asprintf(&script, "block-%s", word) < 0)
				return value_no_memory(r->e);
			free(r->d->script);
			r->d->script = script;
		}
		if (!known)
			break;
		r->prefix = true;
		value += n + 1;
	}
	return set_string(&r->target, value, r->e);
}

/* A part without '=': the next in the order target, format, device, access; or a word of its own. */
static int set_positional(struct reading *r, const char *part, unsigned *position)
{
	if (strcmp(part, "cdrom") == 0 && *position >= 2) {
		r->d->cdrom = true;
		return 0;
	}
	if (strcmp(part, "discard") == 0 || strcmp(part, "direct-io-safe") == 0)
		return 0;
	if (strcmp(part, "no-discard") == 0) {
		value_warn(r->w, r->v, "not-used", "disk \"%s\": no-discard is not used", r->v->text);
		return 0;
	}
	/* What is known already is not expected: with a prefix no format, and none where a device name stands in its place. */
	if (*position == 1 && (r->prefix || r->has_format || (format_of(part) < 0 && definition_vdev_number(part) >= 0)))
		*position = 2;
	if (*position == 2 && r->d->vdev)
		*position = 3;
	if (*position == 3 && r->has_access)
		*position = 4;
	switch ((*position)++) {
	case 0:
		return set_target(r, part);
	case 1:
		return set_format(r, part);
	case 2:
		return *part ? set_vdev(r, part) : 0;
	case 3:
		return *part ? set_access(r, part) : 0;
	default:
		if (*part == 0)
			return 0;
		return value_error(r->v, r->e, "disk \"%s\": found \"%s\" after the access, expected nothing more", r->v->text, part);
	}
}

static int set_key(struct reading *r, const char *part, const char *value)
{
	char *key = strndup(part, (size_t)(value - 1 - part));
	const char *guess;
	int rc;

	if (!key)
		return value_no_memory(r->e);
	for (size_t i = strlen(key); i > 0 && isspace((unsigned char)key[i - 1]); i--)
		key[i - 1] = 0;
	value += strspn(value, " \t");
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (strcmp(keys[i].key, key))
			continue;
		rc = keys[i].set(r, value);
		free(key);
		return rc;
	}
	guess = value_guess(key, key_names);
	rc = value_error(r->v, r->e, "disk \"%s\": there is no key %s%s%s%s", r->v->text, key, guess ? "; did you mean " : "",
		guess ? guess : "", guess ? "?" : "");
	free(key);
	return rc;
}

/* Where "target=" begins, behind blanks; it takes all the rest, commas too. NULL: not here. */
static const char *target_key(const char *text)
{
	static const char name[] = "target";

	text += strspn(text, " \t");
	if (strncmp(text, name, sizeof(name) - 1))
		return NULL;
	text += sizeof(name) - 1;
	text += strspn(text, " \t");
	return *text == '=' ? text + 1 : NULL;
}

static int read_parts(struct reading *r)
{
	const char *text = r->v->text;
	unsigned position = 0;

	while (text) {
		const char *target = target_key(text), *equals;
		char *part;
		int rc;

		if (target)
			return set_target(r, target + strspn(target, " \t"));
		part = value_part(&text, ',');
		if (!part)
			return value_no_memory(r->e);
		/* The target may have a '=' in it; a key is a word. */
		equals = strchr(part, '=');
		if (equals && strcspn(part, "/:. ") < (size_t)(equals - part) && position == 0)
			equals = NULL;
		rc = equals ? set_key(r, part, equals + 1) : set_positional(r, part, &position);
		free(part);
		if (rc)
			return rc;
	}
	return 0;
}

static int finish(struct reading *r)
{
	struct disk *d = r->d;
	const struct value *v = r->v;

	if (!d->vdev)
		return value_error(v, r->e,
			"disk \"%s\": it has no device name; expected TARGET,FORMAT,DEVICE,ACCESS such as /x.img,raw,xvda,w",
			v->text);
	if (d->cdrom)
		d->readonly = true;
	if (!r->target || !*r->target) {
		if (!d->cdrom)
			return value_error(
				v, r->e, "disk \"%s\": it has no target; only a CD drive (devtype=cdrom) can be empty", v->text);
		d->format = DISK_EMPTY;
		return 0;
	}
	if (d->format == DISK_EMPTY)
		return value_error(v, r->e, "disk \"%s\": it has the format empty, and a target", v->text);
	if (d->script) {		/* what it means is for the script to say */
		d->target = strdup(r->target);
	} else if (r->phy && *r->target != '/') {
		if (asprintf(&d->target, "/dev/%s", r->target) < 0)
			d->target = NULL;
	} else {
		d->target = value_path(r->base, v, r->target);
	}
	return d->target ? 0 : value_no_memory(r->e);
}

int disk_parse(const struct value *v, const struct value_base *base, const struct value_warn *w, struct disk *d, struct err *e)
{
	struct reading r = { .v = v, .base = base, .w = w, .d = d, .e = e };
	int rc;

	d->line = v->line;
	rc = read_parts(&r);
	if (rc == 0)
		rc = finish(&r);
	free(r.target);
	return rc;
}

/* Digits at s up to the end, at most max; -1: no, or not such a number. */
static int whole_number(const char *s, unsigned max)
{
	unsigned n = 0;

	if (!*s || (s[0] == '0' && s[1]))
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || (n = n * 10 + (unsigned)(*s - '0')) > max)
			return -1;
	}
	return (int)n;
}

static int xvd_number(unsigned disk, unsigned partition)
{
	if (disk < 16 && partition < 16)
		return (int)(202 << 8 | disk << 4 | partition);
	return disk < 1u << 20 && partition < 256 ? (int)(1u << 28 | disk << 8 | partition) : -1;
}

/* "d3", "d0p1" */
static int plain_number(const char *s)
{
	char disk[8] = "";
	size_t n = strspn(s, "0123456789");
	int partition = 0, number;

	if (n == 0 || n >= sizeof(disk) || (s[n] && s[n] != 'p'))
		return -1;
	memcpy(disk, s, n);
	if (s[n] && (partition = whole_number(s + n + 1, 255)) <= 0)
		return -1;
	number = whole_number(disk, (1 << 20) - 1);
	return number < 0 ? -1 : xvd_number((unsigned)number, (unsigned)partition);
}

int definition_vdev_number(const char *vdev)
{
	enum { XVD, SD, HD } bus;
	unsigned disk = 0;
	int partition = 0;
	const char *s;

	if (isdigit((unsigned char)vdev[0])) {
		char *end;
		unsigned long n = strtoul(vdev, &end, 0);

		return *end || n == 0 || n >= 1ul << 29 ? -1 : (int)n;
	}
	if (vdev[0] == 'd' && isdigit((unsigned char)vdev[1]))
		return plain_number(vdev + 1);
	bus = strncmp(vdev, "xvd", 3) == 0 ? XVD : strncmp(vdev, "sd", 2) == 0 ? SD : HD;
	if (bus == HD && strncmp(vdev, "hd", 2))
		return -1;
	s = vdev + (bus == XVD ? 3 : 2);
	if (*s < 'a' || *s > 'z')
		return -1;
	for (; *s >= 'a' && *s <= 'z'; s++) {
		disk = disk * 26 + (unsigned)(*s - 'a') + 1;
		if (disk > 1u << 20)
			return -1;
	}
	disk--;
	if (*s && (partition = whole_number(s, 255)) <= 0)
		return -1;
	if (bus == XVD)
		return xvd_number(disk, (unsigned)partition);
	if (bus == SD)
		return disk < 16 && partition < 16 ? (int)(8u << 8 | disk << 4 | (unsigned)partition) : -1;
	return disk < 4 && partition < 64 ? (int)((disk < 2 ? 3u : 22u) << 8 | (disk & 1) << 6 | (unsigned)partition) : -1;
}
