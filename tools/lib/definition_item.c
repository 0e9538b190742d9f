/* SPDX-License-Identifier: MIT */
/* One disk or network interface on the command line, in the words of definitions. */
#include <lib/definition_value.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads v into the only item of the list of an otherwise empty definition. */
typedef int item_fn(
	struct definition *d, const struct value *v, const struct value_base *base, const struct value_warn *w, struct err *e);

static int read_disk(
	struct definition *d, const struct value *v, const struct value_base *base, const struct value_warn *w, struct err *e)
{
	d->disks = calloc(1, sizeof(*d->disks));
	if (!d->disks)
		return value_no_memory(e);
	d->ndisks = 1;
	return disk_parse(v, base, w, d->disks, e);
}

static int read_nic(
	struct definition *d, const struct value *v, const struct value_base *base, const struct value_warn *w, struct err *e)
{
	(void)base; /* an interface has no path */
	d->nics = calloc(1, sizeof(*d->nics));
	if (!d->nics)
		return value_no_memory(e);
	d->nnics = 1;
	return nic_parse(v, w, d->nics, e);
}

static int item(const char *text, item_fn *read, const char *list, const struct value_warn *w, json_t **out, struct err *e)
{
	struct value v = { .kind = VALUE_STRING, .file = syntax_command_line, .text = (char *)text };
	struct definition *d = calloc(1, sizeof(*d));
	struct value_base base = { 0 };
	json_t *all;
	int rc;

	base.cwd = getcwd(NULL, 0);
	if (!base.cwd) /* the folder is gone: relative paths lead nowhere */
		base.cwd = strdup("/");
	rc = d && base.cwd ? read(d, &v, &base, w, e) : value_no_memory(e);
	if (!rc) {
		all = definition_to_json(d);
		*out = json_incref(json_array_get(json_object_get(all, list), 0));
		json_decref(all);
		rc = *out ? 0 : value_no_memory(e);
	}
	free(base.cwd);
	definition_free(d);
	return rc;
}

int definition_disk_item(const char *text, definition_warn_fn *warn, void *warn_ctx, json_t **out, struct err *e)
{
	struct value_warn w = { warn, warn_ctx };

	return item(text, read_disk, "disks", &w, out, e);
}

int definition_nic_item(const char *text, definition_warn_fn *warn, void *warn_ctx, json_t **out, struct err *e)
{
	struct value_warn w = { warn, warn_ctx };

	return item(text, read_nic, "nics", &w, out, e);
}
