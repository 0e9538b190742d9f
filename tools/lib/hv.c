/* SPDX-License-Identifier: MIT */
/* Hypercalls of the tools: the handle, raw calls, and what concerns the whole machine. */
#include <errno.h>
#include <fcntl.h>
#include <lib/hv.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xen/version.h>

#define PRIVCMD		"/dev/xen/privcmd"
#define CONSOLE_CHUNK	(16UL << 10)
#define CONSOLE_LIMIT	(64UL << 20)

static size_t pages_of(size_t size)
{
	return (size + HV_PAGE_SIZE - 1) / HV_PAGE_SIZE;
}

static int result(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

void *hv_buffer(struct hv *hv, size_t size)
{
	return xencall_alloc_buffer_pages(hv->call, pages_of(size));
}

void hv_buffer_free(struct hv *hv, void *p, size_t size)
{
	if (p)
		xencall_free_buffer_pages(hv->call, p, pages_of(size));
}

int hv_call_with(struct hv *hv, unsigned call, unsigned cmd, void *arg, size_t size)
{
	void *buf = hv_buffer(hv, size);
	int rc;

	if (!buf)
		return -ENOMEM;
	memcpy(buf, arg, size);
	rc = result(xencall2L(hv->call, call, cmd, (uintptr_t)buf));
	memcpy(arg, buf, size);
	hv_buffer_free(hv, buf, size);
	return rc;
}

/* domctl and sysctl have one argument: the structure. */
static int control(struct hv *hv, unsigned call, void *op, size_t size)
{
	void *buf = hv_buffer(hv, size);
	int rc;

	if (!buf)
		return -ENOMEM;
	memcpy(buf, op, size);
	rc = result(xencall1(hv->call, call, (uintptr_t)buf));
	memcpy(op, buf, size);
	hv_buffer_free(hv, buf, size);
	return rc;
}

int hv_domctl(struct hv *hv, struct xen_domctl *op)
{
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	return control(hv, __HYPERVISOR_domctl, op, sizeof(*op));
}

int hv_sysctl(struct hv *hv, struct xen_sysctl *op)
{
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	return control(hv, __HYPERVISOR_sysctl, op, sizeof(*op));
}

int hv_memory_op(struct hv *hv, unsigned cmd, void *arg, size_t size)
{
	return hv_call_with(hv, __HYPERVISOR_memory_op, cmd, arg, size);
}

int hv_version(struct hv *hv, int cmd, void *arg, size_t size)
{
	if (!arg)
		return result(xencall2L(hv->call, __HYPERVISOR_xen_version, (unsigned)cmd, 0));
	return hv_call_with(hv, __HYPERVISOR_xen_version, (unsigned)cmd, arg, size);
}

/* Is there a hypervisor that we may command, and does it speak our version of its tools' interface? */
static int check_interface(struct hv *hv, struct err *e)
{
	struct xen_sysctl_physinfo info;
	int rc = hv_physinfo(hv, &info);

	if (rc == -EACCES)
		return err_set(e, EPROTO, "wrong-hypervisor",
			       "the hypervisor's tools interface is not version %#x/%#x (Xen 4.17): it does not belong to these tools",
			       XEN_SYSCTL_INTERFACE_VERSION, XEN_DOMCTL_INTERFACE_VERSION);
	if (rc == -EPERM)
		return err_set(e, EPERM, "not-privileged", "this domain is not privileged: run this in Domain 0");
	if (rc < 0)
		return err_set(e, -rc, "no-hypervisor", "the hypervisor does not answer as expected: %s", strerror(-rc));
	return 0;
}

int hv_open(struct hv *hv, struct err *e)
{
	int rc;

	*hv = (struct hv){ 0 };
	if (access(PRIVCMD, R_OK | W_OK)) {
		if (errno == EACCES || errno == EPERM)
			return err_set(e, EACCES, "not-permitted", "no permission to open " PRIVCMD ": run this as root");
		return err_set(e, ENOENT, "no-hypervisor", "this is not Domain 0 of a hypervisor: there is no " PRIVCMD
			       " (on Domain 0: is the module xen-privcmd loaded?)");
	}
	hv->call = xencall_open(NULL, 0);
	hv->fmem = hv->call ? xenforeignmemory_open(NULL, 0) : NULL;
	if (!hv->fmem) {
		err_set(e, errno, "no-hypervisor", "cannot open " PRIVCMD ": %s", strerror(errno));
		hv_close(hv);
		return -e->error;
	}
	rc = check_interface(hv, e);
	if (rc)
		hv_close(hv);
	return rc;
}

void hv_close(struct hv *hv)
{
	if (hv->fmem)
		xenforeignmemory_close(hv->fmem);
	if (hv->call)
		xencall_close(hv->call);
	*hv = (struct hv){ 0 };
}

int hv_physinfo(struct hv *hv, struct xen_sysctl_physinfo *info)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_physinfo };
	int rc = hv_sysctl(hv, &op);

	if (!rc)
		*info = op.u.physinfo;
	return rc;
}

int hv_sched_id(struct hv *hv, uint32_t *id)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_sched_id };
	int rc = hv_sysctl(hv, &op);

	if (!rc)
		*id = op.u.sched_id.sched_id;
	return rc;
}

int hv_debug_keys(struct hv *hv, const char *keys)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_debug_keys };
	size_t len = strlen(keys);
	char *buf;
	int rc;

	if (!len)
		return 0;
	if (len > HV_PAGE_SIZE)
		return -E2BIG;
	buf = hv_buffer(hv, len);
	if (!buf)
		return -ENOMEM;
	memcpy(buf, keys, len);
	set_xen_guest_handle(op.u.debug_keys.keys, buf);
	op.u.debug_keys.nr_keys = (uint32_t)len;
	rc = hv_sysctl(hv, &op);
	hv_buffer_free(hv, buf, len);
	return rc;
}

/* Read the ring into chunk after chunk. With clear, what has been read is gone, so each reading starts where the last ended. */
static int read_console(struct hv *hv, char *chunk, int clear, char **text, size_t *len)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_readconsole };
	struct xen_sysctl_readconsole *r = &op.u.readconsole;

	do {
		char *grown = realloc(*text, *len + CONSOLE_CHUNK + 1);
		int rc;

		if (!grown)
			return -ENOMEM;
		*text = grown;
		r->clear = !!clear;
		r->incremental = *len && !clear;
		set_xen_guest_handle(r->buffer, chunk);
		r->count = CONSOLE_CHUNK;
		rc = hv_sysctl(hv, &op);
		if (rc)
			return rc;
		if (r->count > CONSOLE_CHUNK)
			return -EPROTO;
		memcpy(*text + *len, chunk, r->count);
		*len += r->count;
		(*text)[*len] = '\0';
	} while (r->count == CONSOLE_CHUNK && *len < CONSOLE_LIMIT);
	return 0;
}

int hv_console(struct hv *hv, char **text, int clear)
{
	char *chunk = hv_buffer(hv, CONSOLE_CHUNK);
	size_t len = 0;
	int rc;

	*text = NULL;
	if (!chunk)
		return -ENOMEM;
	rc = read_console(hv, chunk, clear, text, &len);
	hv_buffer_free(hv, chunk, CONSOLE_CHUNK);
	if (rc) {
		free(*text);
		*text = NULL;
	}
	return rc;
}
