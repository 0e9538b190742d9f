/* SPDX-License-Identifier: MIT */
/* Core dumps: the guest's state and memory, into the file. */
#include <errno.h>
#include <lib/core.h>
#include <lib/core_file.h>
#include <lib/core_parts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH		256		/* pages mapped at a time */
#define PROGRESS	(256UL << 8)	/* pages between two lines of progress: 256 MiB */

struct dump {
	struct hv *hv;
	const struct core_input *in;
	struct core_file file;
	struct core_pages pages;
	struct core_format format;
	struct core_segments segments;
	vcpu_guest_context_t *vcpus;
	size_t nvcpus;
	uint8_t shared_info[HV_PAGE_SIZE];
	struct err *e;
};

static int hypervisor_error(struct dump *d, int rc, const char *what)
{
	return err_set(d->e, -rc, "hypervisor", "%s: the hypervisor answers: %s", what, strerror(-rc));
}

static int write_at(struct dump *d, const void *data, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(d->file.fd, data, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return core_file_error(&d->file, n ? errno : EIO, d->e);
		data = (const uint8_t *)data + n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* --- what there is --- */

/* The vCPUs that have ever been started. */
static int take_vcpus(struct dump *d, const xen_domctl_getdomaininfo_t *info)
{
	size_t n = info->max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : info->max_vcpu_id + 1;

	d->vcpus = calloc(n + 1, sizeof(*d->vcpus));
	if (!d->vcpus)
		return err_set(d->e, ENOMEM, "internal", "out of memory");
	for (uint32_t i = 0; i < n; i++) {
		int rc = hv_vcpu_get_context(d->hv, d->in->domid, i, &d->vcpus[d->nvcpus]);

		if (!rc)
			d->nvcpus++;
		else if (rc != -ENODATA && rc != -ESRCH)
			return hypervisor_error(d, rc, "reading the registers of a vCPU");
	}
	return 0;
}

static int take_state(struct dump *d)
{
	xen_domctl_getdomaininfo_t info;
	xen_pfn_t frame;
	void *page;
	int rc = hv_domain_info(d->hv, d->in->domid, &info);

	if (rc)
		return hypervisor_error(d, rc, "looking at the guest");
	if (info.flags & XEN_DOMINF_hvm_guest)
		return err_set(d->e, EOPNOTSUPP, "not-supported", "core dumps of HVM guests are not supported yet");
	rc = take_vcpus(d, &info);
	if (rc)
		return rc;
	frame = info.shared_info_frame;
	page = xenforeignmemory_map(d->hv->fmem, d->in->domid, PROT_READ, 1, &frame, NULL);
	if (page) {
		memcpy(d->shared_info, page, HV_PAGE_SIZE);
		xenforeignmemory_unmap(d->hv->fmem, page, 1);
	}
	rc = core_pages_find(d->hv, d->in->domid, &d->pages);
	return rc ? hypervisor_error(d, rc, "finding the guest's memory") : 0;
}

/* --- pages --- */

static bool is_zero(const void *page)
{
	const uint64_t *w = page;

	for (size_t i = 0; i < HV_PAGE_SIZE / sizeof(*w); i++)
		if (w[i])
			return false;
	return true;
}

/* Runs of pages with content; the others stay holes: zeroes, and pages that a running guest has given back meanwhile. */
static int write_mapped(struct dump *d, const uint8_t *map, const int *err, size_t first, size_t n)
{
	size_t end;
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i = end) {
		for (end = i; end < n && !err[end] && !is_zero(map + end * HV_PAGE_SIZE); end++)
			;
		if (end > i)
			rc = write_at(d, map + i * HV_PAGE_SIZE, (end - i) * HV_PAGE_SIZE,
				d->format.pages_offset + (first + i) * HV_PAGE_SIZE);
		else
			end++;
	}
	return rc;
}

static int write_batch(struct dump *d, size_t first, size_t n)
{
	xen_pfn_t frames[BATCH];
	int err[BATCH] = { 0 }, rc;
	uint8_t *map;

	for (size_t i = 0; i < n; i++)
		frames[i] = d->pages.page[first + i].gmfn;
	map = xenforeignmemory_map(d->hv->fmem, d->in->domid, PROT_READ, n, frames, err);
	if (!map)
		return hypervisor_error(d, -errno, "mapping the guest's memory");
	rc = write_mapped(d, map, err, first, n);
	xenforeignmemory_unmap(d->hv->fmem, map, n);
	return rc;
}

static int write_pages(struct dump *d)
{
	char text[80];
	int rc = 0;

	for (size_t i = 0; i < d->pages.n && !rc; i += BATCH) {
		if (d->in->progress && i && i % PROGRESS == 0) {
			snprintf(text, sizeof(text), "%zu of %zu MiB written", i >> 8, d->pages.n >> 8);
			d->in->progress(text, d->in->ctx);
		}
		rc = write_batch(d, i, d->pages.n - i < BATCH ? d->pages.n - i : BATCH);
	}
	return rc;
}

/* --- the file --- */

static int read_page(size_t index, uint64_t *table, void *ctx)
{
	struct dump *d = ctx;
	ssize_t n = pread(d->file.fd, table, HV_PAGE_SIZE, (off_t)(d->format.pages_offset + index * HV_PAGE_SIZE));

	return n == (ssize_t)HV_PAGE_SIZE ? 0 : n < 0 ? -errno : -EIO;
}

static int find_segments(struct dump *d)
{
	int rc = 0;

	if (d->nvcpus)
		rc = core_segments_find(&d->pages, d->vcpus[0].ctrlreg[3] / HV_PAGE_SIZE, read_page, d, &d->segments);
	if (!rc && d->segments.incomplete && d->in->progress)
		d->in->progress("the guest's memory is in too many pieces: gdb will not see all of them", d->in->ctx);
	return rc ? core_file_error(&d->file, -rc, d->e) : 0;
}

static int write_file(struct dump *d)
{
	size_t size;
	void *headers;
	int rc = core_format_start(&d->format, d->hv, &d->pages, d->vcpus, d->nvcpus, d->shared_info);

	if (rc)
		return err_set(d->e, -rc, "internal", "out of memory");
	if (ftruncate(d->file.fd, (off_t)d->format.end))
		return core_file_error(&d->file, errno, d->e);
	rc = write_pages(d);
	if (!rc)
		rc = find_segments(d);
	if (rc)
		return rc;
	headers = core_format_finish(&d->format, &d->segments, d->in->for_crash, &size);
	if (!headers)
		return err_set(d->e, ENOMEM, "internal", "out of memory");
	rc = write_at(d, headers, size, d->format.end);
	free(headers);
	return rc ? rc : write_at(d, d->format.head, d->format.head_size, 0);
}

int core_save(struct hv *hv, const struct core_input *in, const char *path, uint64_t *kib, struct err *e)
{
	struct dump d = { .hv = hv, .in = in, .e = e };
	struct stat st;
	int rc = core_file_open(&d.file, path, e);

	if (rc)
		return rc;
	rc = take_state(&d);
	if (!rc)
		rc = write_file(&d);
	if (!rc && kib)
		*kib = fstat(d.file.fd, &st) ? 0 : (uint64_t)st.st_blocks / 2;
	rc = core_file_close(&d.file, rc, e);
	core_pages_free(&d.pages);
	free(d.format.head);
	free(d.segments.s);
	free(d.vcpus);
	return rc;
}
