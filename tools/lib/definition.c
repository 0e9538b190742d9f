/* SPDX-License-Identifier: MIT */
/* Definitions as objects: names of their enumerations, copying, freeing, and where their files are. */
#include <lib/definition.h>
#include <lib/definition_syntax.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const type_names[] = { "pv", "pvh", "hvm" };
static const char *const action_names[] = {
	[ACTION_DESTROY] = "destroy",
	[ACTION_RESTART] = "restart",
	[ACTION_PRESERVE] = "preserve",
	[ACTION_RENAME_RESTART] = "rename-restart",
	[ACTION_COREDUMP_DESTROY] = "coredump-destroy",
	[ACTION_COREDUMP_RESTART] = "coredump-restart",
};
static const char *const format_names[] = { "raw", "qcow2", "qcow", "vhd", "empty" };

#define COUNT(array)	(sizeof(array) / sizeof(*(array)))

static int find_name(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

const char *guest_type_name(enum guest_type t) { return type_names[t]; }
const char *guest_action_name(enum guest_action a) { return action_names[a]; }
const char *disk_format_name(enum disk_format f) { return format_names[f]; }
int guest_type_find(const char *name) { return find_name(type_names, COUNT(type_names), name); }
int guest_action_find(const char *name) { return find_name(action_names, COUNT(action_names), name); }
int disk_format_find(const char *name) { return find_name(format_names, COUNT(format_names), name); }

static void disk_free(struct disk *k)
{
	free(k->target);
	free(k->vdev);
	free(k->script);
}

static void nic_free(struct nic *n)
{
	free(n->mac);
	free(n->bridge);
	free(n->ip);
	free(n->script);
	free(n->vifname);
	free(n->model);
}

void definition_remove_disk(struct definition *d, size_t i)
{
	disk_free(&d->disks[i]);
	memmove(&d->disks[i], &d->disks[i + 1], (--d->ndisks - i) * sizeof(*d->disks));
}

void definition_empty_drive(struct definition *d, size_t i)
{
	free(d->disks[i].target);
	d->disks[i].target = NULL;
	d->disks[i].format = DISK_EMPTY;
}

const struct nic *definition_default_nic(const struct definition *d)
{
	for (size_t i = 0; i < d->nnics; i++)
		if (nic_is_default(&d->nics[i]))
			return &d->nics[i];
	return NULL;
}

void definition_remove_nic(struct definition *d, size_t i)
{
	nic_free(&d->nics[i]);
	memmove(&d->nics[i], &d->nics[i + 1], (--d->nnics - i) * sizeof(*d->nics));
}

void definition_free(struct definition *d)
{
	if (!d)
		return;
	free(d->file);
	free(d->name);
	free(d->kernel);
	free(d->ramdisk);
	free(d->cmdline);
	for (size_t i = 0; i < d->ncpus; i++)
		free(d->cpus[i]);
	free(d->cpus);
	for (size_t i = 0; i < d->ndisks; i++)
		disk_free(&d->disks[i]);
	free(d->disks);
	for (size_t i = 0; i < d->nnics; i++)
		nic_free(&d->nics[i]);
	free(d->nics);
	free(d);
}

static char *copy(const char *s, bool *ok)
{
	char *t = s ? strdup(s) : NULL;

	*ok &= !s == !t;
	return t;
}

static void *array(size_t n, size_t size, bool *ok)
{
	void *p = calloc(n ? n : 1, size);

	*ok &= p != NULL;
	return p;
}

struct definition *definition_copy(const struct definition *d)
{
	bool ok = true;
	struct definition *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	*c = *d;
	c->file = copy(d->file, &ok);
	c->name = copy(d->name, &ok);
	c->kernel = copy(d->kernel, &ok);
	c->ramdisk = copy(d->ramdisk, &ok);
	c->cmdline = copy(d->cmdline, &ok);
	c->cpus = array(d->ncpus, sizeof(*c->cpus), &ok);
	c->disks = array(d->ndisks, sizeof(*c->disks), &ok);
	c->nics = array(d->nnics, sizeof(*c->nics), &ok);
	if (!c->cpus || !c->disks || !c->nics)
		c->ncpus = c->ndisks = c->nnics = 0;
	for (size_t i = 0; i < c->ncpus; i++)
		c->cpus[i] = copy(d->cpus[i], &ok);
	for (size_t i = 0; i < c->ndisks; i++) {
		c->disks[i] = d->disks[i];
		c->disks[i].target = copy(d->disks[i].target, &ok);
		c->disks[i].vdev = copy(d->disks[i].vdev, &ok);
		c->disks[i].script = copy(d->disks[i].script, &ok);
	}
	for (size_t i = 0; i < c->nnics; i++) {
		c->nics[i] = d->nics[i];
		c->nics[i].mac = copy(d->nics[i].mac, &ok);
		c->nics[i].bridge = copy(d->nics[i].bridge, &ok);
		c->nics[i].ip = copy(d->nics[i].ip, &ok);
		c->nics[i].script = copy(d->nics[i].script, &ok);
		c->nics[i].vifname = copy(d->nics[i].vifname, &ok);
		c->nics[i].model = copy(d->nics[i].model, &ok);
	}
	if (!ok) {
		definition_free(c);
		return NULL;
	}
	return c;
}

/* Is there something that can be read as a file (no folder)? */
static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

int definition_find(const char *what, char **path, struct err *e)
{
	static const char *const forms[] = { "%2$s", "%1$s/vm/%2$s", "%1$s/%2$s.cfg" };
	const char *dir = getenv("LODGE_DEFINITIONS");
	struct stat st;

	dir = dir && *dir ? dir : DEFINITION_DIR;
	for (size_t i = 0; i < (strchr(what, '/') ? 1 : COUNT(forms)); i++) {
		if (asprintf(path, forms[i], dir, what) < 0)
			return err_set(e, ENOMEM, "no-memory", "out of memory");
		if (is_file(*path))
			return 0;
		free(*path);
	}
	*path = NULL;
	if (!strchr(what, '/'))
		return err_set(e, ENOENT, "no-definition",
			"there is no definition %s: neither a file of this name, nor %s/vm/%s, nor %s/%s.cfg", what, dir, what, dir,
			what);
	if (stat(what, &st) == 0)
		return err_set(e, EISDIR, "no-definition", "%s is a folder, not a definition", what);
	return err_set(e, errno, "no-definition", "there is no definition %s: %s", what, strerror(errno));
}

/* All of a file, at most limit + 1 bytes. */
static int read_all(int fd, char *buf, size_t limit, size_t *len)
{
	*len = 0;
	while (*len <= limit) {
		ssize_t n = read(fd, buf + *len, limit + 1 - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return 0;
}

int definition_load(const char *path, char *const *overrides, size_t noverrides, definition_warn_fn *warn, void *warn_ctx,
		    struct definition **out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc;
	size_t len = 0;
	char *text;

	if (fd < 0)
		return err_set(e, errno, "no-definition", "cannot open the definition %s: %s", path, strerror(errno));
	text = malloc(SYNTAX_TEXT_MAX + 1);
	rc = text ? read_all(fd, text, SYNTAX_TEXT_MAX, &len) : -ENOMEM;
	close(fd);
	if (rc)
		err_set(e, -rc, "no-definition", "cannot read the definition %s: %s", path, strerror(-rc));
	else
		rc = definition_parse(path, text, len, overrides, noverrides, warn, warn_ctx, out, e);
	free(text);
	return rc;
}
