/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor as the domain builder sees it: gives memory in scattered extents, maps it, and takes note of what it is asked for.
 */
#ifndef TESTS_UNIT_FAKE_HV_H
#define TESTS_UNIT_FAKE_HV_H

#include <errno.h>
#include <lib/hv.h>
#include <sys/mman.h>
#include <xen/grant_table.h>
#include <xen/version.h>

#define FAKE_FRAMES	65536		/* of the machine */
#define FAKE_MFN	0x100000	/* the first */
#define FAKE_SHARED	(FAKE_MFN + FAKE_FRAMES)	/* the hypervisor's own pages for the guest */
#define FAKE_GRANTS	(FAKE_SHARED + 1)
#define FAKE_DOMID	7

static struct {
	int fd;				/* the machine's memory: page n is frame FAKE_MFN + n */
	u64 free;
	u64 next[10];			/* by order: where to take from */
	u64 break_after;		/* extents of 2 MiB that there are */
	bool zeroed;			/* as Lodge does it */
	int calls, fail_at;		/* the call with this number fails; 0: none */
	unsigned mapped, buffers;
	u64 pinned;			/* L4, 0: not yet */
	u64 hypercall_page;
	u64 map_size;			/* of the memory map, 0: none set */
	vcpu_guest_context_t context;
	unsigned ports;
	uint16_t remote[4];
} fake;

static inline void fake_start(bool zeroed)
{
	u8 junk[PAGE_SIZE];

	memset(&fake, 0, sizeof(fake));
	fake.zeroed = zeroed;
	fake.free = FAKE_FRAMES;
	fake.break_after = ~0UL;
	fake.fd = memfd_create("machine", 0);
	CHECK_EQ(ftruncate(fake.fd, (FAKE_FRAMES + 2) * PAGE_SIZE), 0);
	memset(junk, 0xaa, sizeof(junk));
	/* Large extents from above, small ones from below, alternately. */
	fake.next[9] = FAKE_FRAMES;
	fake.next[0] = 3;
}

static inline void fake_stop(void)
{
	CHECK_EQ(fake.mapped, 0);
	CHECK_EQ(fake.buffers, 0);
	close(fake.fd);
}

/* A page of the machine, for looking at: valid until the program ends. */
static inline void *fake_page(u64 mfn)
{
	CHECK(mfn >= FAKE_MFN && mfn <= FAKE_GRANTS);
	return mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fake.fd, (off_t)((mfn - FAKE_MFN) * PAGE_SIZE));
}

static inline bool fake_fails(void)
{
	return ++fake.calls == fake.fail_at;
}

void *hv_buffer(struct hv *hv, size_t size)
{
	(void)hv;
	if (fake_fails())
		return NULL;
	fake.buffers++;
	return malloc(size);
}

void hv_buffer_free(struct hv *hv, void *p, size_t size)
{
	(void)hv;
	(void)size;
	fake.buffers -= p != NULL;
	free(p);
}

static inline void fake_fill(u64 frame, u64 n)
{
	u8 junk[PAGE_SIZE];

	memset(junk, 0xaa, sizeof(junk));
	for (u64 i = 0; !fake.zeroed && i < n; i++)
		CHECK_EQ(pwrite(fake.fd, junk, PAGE_SIZE, (off_t)((frame + i) * PAGE_SIZE)), PAGE_SIZE);
}

static inline int fake_populate(struct xen_memory_reservation *r)
{
	u64 n = 1UL << r->extent_order, i;
	xen_pfn_t *frames = (*(xen_pfn_t **)&r->extent_start);

	CHECK_EQ(r->domid, FAKE_DOMID);
	for (i = 0; i < r->nr_extents; i++) {
		u64 frame;

		if (fake.free < n || (r->extent_order == 9 && !fake.break_after))
			break;
		if (r->extent_order == 9) {
			fake.break_after--;
			frame = fake.next[9] -= n;
		} else {
			frame = fake.next[0];
			fake.next[0] += n + 1;		/* never two in a row */
		}
		fake.free -= n;
		CHECK(fake.next[0] < fake.next[9]);
		fake_fill(frame, n);
		frames[i] = FAKE_MFN + frame;
	}
	return (int)i;
}

int hv_memory_op(struct hv *hv, unsigned cmd, void *arg, size_t size)
{
	(void)hv;
	(void)size;
	if (fake_fails())
		return -ENOMEM;
	if (cmd == XENMEM_populate_physmap)
		return fake_populate(arg);
	if (cmd == XENMEM_set_memory_map) {
		struct xen_foreign_memory_map *m = arg;

		CHECK_EQ(m->map.nr_entries, 1);
		memcpy(&fake.map_size, *(u8 **)&m->map.buffer + 8, 8);
		return 0;
	}
	CHECK(!"a known memory operation");
	return -ENOSYS;
}

int hv_domctl(struct hv *hv, struct xen_domctl *op)
{
	(void)hv;
	if (fake_fails())
		return -EPERM;
	CHECK_EQ(op->cmd, XEN_DOMCTL_hypercall_init);
	fake.hypercall_page = op->u.hypercall_init.gmfn;
	return 0;
}

int hv_domain_info(struct hv *hv, uint16_t domid, xen_domctl_getdomaininfo_t *info)
{
	(void)hv;
	if (fake_fails())
		return -ESRCH;
	*info = (xen_domctl_getdomaininfo_t){ .domain = domid, .shared_info_frame = FAKE_SHARED };
	return 0;
}

int hv_physinfo(struct hv *hv, struct xen_sysctl_physinfo *info)
{
	(void)hv;
	info->free_pages = fake.free;
	return 0;
}

int hv_version(struct hv *hv, int cmd, void *arg, size_t size)
{
	(void)hv;
	CHECK_EQ(cmd, XENVER_extraversion);
	snprintf(arg, size, "%s", fake.zeroed ? ".0-Lodge-1" : ".7-other");
	return 0;
}

int hv_evtchn_alloc_unbound(struct hv *hv, uint16_t domid, uint16_t remote_domid, uint32_t *port)
{
	(void)hv;
	CHECK_EQ(domid, FAKE_DOMID);
	if (fake_fails())
		return -ENOSPC;
	fake.remote[fake.ports] = remote_domid;
	*port = ++fake.ports;
	return 0;
}

int hv_vcpu_set_context(struct hv *hv, uint16_t domid, uint32_t vcpu, const vcpu_guest_context_t *ctx)
{
	(void)hv;
	CHECK_EQ(domid, FAKE_DOMID);
	CHECK_EQ(vcpu, 0);
	if (fake_fails())
		return -EINVAL;
	CHECK(fake.pinned);
	fake.context = *ctx;
	return 0;
}

static inline int fake_errno(int error)
{
	errno = error;
	return -1;
}

int xencall3(xencall_handle *h, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3)
{
	struct gnttab_setup_table *s = (void *)arg2;

	(void)h;
	CHECK_EQ(op, __HYPERVISOR_grant_table_op);
	CHECK_EQ(arg1, GNTTABOP_setup_table);
	CHECK_EQ(arg3, 1);
	if (fake_fails())
		return fake_errno(EPERM);
	if (fake_fails()) {
		s->status = GNTST_general_error;
		return 0;
	}
	CHECK_EQ(s->dom, FAKE_DOMID);
	**(xen_pfn_t **)&s->frame_list = FAKE_GRANTS;
	return 0;
}

int xencall4(xencall_handle *h, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3, uint64_t arg4)
{
	struct mmuext_op *m = (void *)arg1;

	(void)h;
	CHECK_EQ(op, __HYPERVISOR_mmuext_op);
	CHECK(arg2 == 1 && arg3 == 0 && arg4 == FAKE_DOMID);
	if (fake_fails())
		return fake_errno(EINVAL);
	CHECK_EQ(m->cmd, MMUEXT_PIN_L4_TABLE);
	CHECK_EQ(fake.mapped, 0);	/* a table that somebody can write to cannot be pinned */
	fake.pinned = m->arg1.mfn;
	return 0;
}

void *xenforeignmemory_map(xenforeignmemory_handle *h, uint32_t dom, int prot, size_t pages, const xen_pfn_t arr[], int err[])
{
	u8 *map;

	(void)h;
	CHECK_EQ(dom, FAKE_DOMID);
	CHECK(!err);
	if (fake_fails())
		return fake_errno(EINVAL), NULL;
	map = mmap(NULL, pages * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < pages; i++) {
		CHECK(arr[i] >= FAKE_MFN && arr[i] <= FAKE_GRANTS);
		CHECK(mmap(map + i * PAGE_SIZE, PAGE_SIZE, prot, MAP_SHARED | MAP_FIXED, fake.fd,
			   (off_t)((arr[i] - FAKE_MFN) * PAGE_SIZE)) != MAP_FAILED);
	}
	fake.mapped += (unsigned)pages;
	return map;
}

int xenforeignmemory_unmap(xenforeignmemory_handle *h, void *addr, size_t pages)
{
	(void)h;
	fake.mapped -= (unsigned)pages;
	return munmap(addr, pages * PAGE_SIZE);
}

#endif
