/* SPDX-License-Identifier: MIT */
/* The domain builder: a PV guest, from kernel, RAM disk and sizes. */
#include <errno.h>
#include <fcntl.h>
#include <lib/build.h>
#include <lib/build_load.h>
#include <lib/kernel.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xen/grant_table.h>
#include <xen/version.h>

#include <lib/build_layout.h>

#define SEGMENTS	32
#define EXTENTS		512		/* per hypercall: 1 GiB */
#define EXTENT_ORDER	9		/* 2 MiB: what every hypervisor gives to its tools */
#define RFLAGS_IF	0x200UL
#define RFLAGS_MBS	0x002UL

_Static_assert(sizeof(xen_pfn_t) == sizeof(u64), "the p2m's entries are 64 bits wide");

struct build {
	struct hv *hv;
	const struct build_input *in;
	struct kernel kernel;
	struct elf elf;
	struct build_layout l;
	int ramdisk;			/* -1: none */
	u64 ramdisk_size;
	u64 *p2m;
	u64 (*tables)[512];
	u64 shared_info_mfn;
	struct build_result ports;
	union {
		struct start_info si;
		u8 page[PAGE_SIZE];
	} info;
};

/* --- what is to be built --- */

static int open_ramdisk(struct build *b, struct err *e)
{
	const char *path = b->in->ramdisk;
	struct stat st;

	b->ramdisk = -1;
	if (!path)
		return 0;
	b->ramdisk = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (b->ramdisk < 0)
		return err_set(e, errno, errno == ENOENT ? "ramdisk-missing" : "bad-ramdisk", "ramdisk %s: %s", path,
			       errno == ENOENT ? "there is no such file" : strerror(errno));
	if (fstat(b->ramdisk, &st))
		return err_set(e, errno, "bad-ramdisk", "ramdisk %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "bad-ramdisk", "ramdisk %s: it is not a file", path);
	b->ramdisk_size = (u64)st.st_size;
	return 0;
}

static int check_command_line(const struct build *b, struct err *e)
{
	if (b->in->cmdline && strlen(b->in->cmdline) >= MAX_GUEST_CMDLINE)
		return err_set(e, E2BIG, "bad-definition", "the kernel's command line has %zu characters: at most %d are possible",
			       strlen(b->in->cmdline), MAX_GUEST_CMDLINE - 1);
	return 0;
}

/* Everything that needs no domain. */
static int prepare(struct build *b, struct err *e)
{
	const char *path = b->in->kernel, *error = NULL;
	int rc = check_command_line(b, e);

	if (rc)
		return rc;
	rc = kernel_open(path, b->in->progress, b->in->ctx, &b->kernel, e);
	if (rc)
		return rc;
	rc = open_ramdisk(b, e);
	if (rc)
		return rc;
	if (!elf_open(&b->elf, b->kernel.elf, b->kernel.size, &error))
		error = build_read_notes(&b->l, &b->elf);
	if (!error)
		error = build_plan(&b->l, b->in->memory_kib / 4, b->ramdisk_size);
	if (error)
		return err_set(e, ENOEXEC, "bad-kernel", "kernel %s: %s", path, error);
	return 0;
}

static int check_memory(const struct build *b, struct err *e)
{
	if (b->l.needed <= b->l.pages)
		return 0;
	return err_set(e, ENOMEM, "memory-too-small", "memory = %lu is too small: kernel %s%s needs at least %lu MiB to start",
		       b->in->memory_kib >> 10, b->in->kernel, b->ramdisk_size ? " with this ramdisk" : "", (b->l.needed + 255) / 256);
}

static void cleanup(struct build *b)
{
	kernel_close(&b->kernel);
	if (b->ramdisk >= 0)
		close(b->ramdisk);
	free(b->p2m);
	free(b->tables);
}

/* --- memory --- */

/* Ask for n extents from pfn on. How many there were. */
static int populate(struct build *b, xen_pfn_t *frames, u64 pfn, u64 n, unsigned order)
{
	struct xen_memory_reservation r = { .nr_extents = n, .extent_order = order, .domid = b->in->domid };
	int got;

	for (u64 i = 0; i < n; i++)
		frames[i] = pfn + (i << order);
	set_xen_guest_handle(r.extent_start, frames);
	got = hv_memory_op(b->hv, XENMEM_populate_physmap, &r, sizeof(r));
	if (got < 0)
		return got;
	for (u64 i = 0; i < (u64)got; i++)
		for (u64 j = 0; j < 1UL << order; j++)
			b->p2m[pfn + (i << order) + j] = frames[i] + j;
	return got;
}

static int out_of_memory(struct build *b, u64 pfn, struct err *e)
{
	struct xen_sysctl_physinfo info = { 0 };

	hv_physinfo(b->hv, &info);
	return err_set(e, ENOMEM, "no-memory", "not enough free memory: %lu MiB are missing, %lu MiB are free",
		       (b->l.pages - pfn + 255) / 256, info.free_pages / 256);
}

/* The largest extents first; smaller ones where the machine's memory is in pieces. */
static int allocate(struct build *b, struct err *e)
{
	size_t size = EXTENTS * sizeof(xen_pfn_t);
	xen_pfn_t *frames = hv_buffer(b->hv, size);
	unsigned order = EXTENT_ORDER;
	u64 pfn = 0;

	b->p2m = malloc(b->l.p2m_pages * PAGE_SIZE);
	if (!frames || !b->p2m) {
		hv_buffer_free(b->hv, frames, size);
		return err_set(e, ENOMEM, "no-memory", "no memory left to build the guest");
	}
	memset(b->p2m + b->l.pages, 0, b->l.p2m_pages * PAGE_SIZE - b->l.pages * sizeof(u64));
	while (pfn < b->l.pages) {
		u64 n = min((b->l.pages - pfn) >> order, (u64)EXTENTS);
		int got = n ? populate(b, frames, pfn, n, order) : 0;

		if (got < 0 || (order == 0 && got == 0))
			break;
		pfn += (u64)got << order;
		if ((u64)got < n || !((b->l.pages - pfn) >> order))
			order = order > 4 ? 4 : 0;
	}
	hv_buffer_free(b->hv, frames, size);
	return pfn < b->l.pages ? out_of_memory(b, pfn, e) : 0;
}

/* Does new memory come zeroed? Lodge promises it; others do not say. */
static bool memory_is_zero(struct build *b)
{
	xen_extraversion_t text = "";

	hv_version(b->hv, XENVER_extraversion, text, sizeof(text));
	return memmem(text, sizeof(text), "-Lodge-", 7) != NULL;
}

/* --- contents --- */

static int add_segments(struct build *b, struct build_image *im, struct err *e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->elf.header.phnum; i++) {
		struct elf_phdr ph;

		elf_phdr(&b->elf, i, &ph);
		if (ph.type != ELF_PT_LOAD || !ph.filesz)
			continue;
		if (++n > SEGMENTS)
			return err_set(e, ENOEXEC, "bad-kernel", "kernel %s: it has more than %d segments", b->in->kernel, SEGMENTS);
		build_piece_add(im, (struct build_piece){ .pa = ph.paddr + b->l.k.offset - b->l.k.base, .len = ph.filesz, .file = -1,
			.data = b->elf.image + ph.offset, .filled = b->kernel.filled, .filled_offset = ph.offset });
	}
	return 0;
}

static void make_start_info(struct build *b)
{
	const struct build_layout *l = &b->l;
	struct start_info *si = &b->info.si;

	strcpy(si->magic, "xen-3.0-x86_64");
	si->nr_pages = l->pages;
	si->shared_info = b->shared_info_mfn << PAGE_SHIFT;
	si->flags = SIF_VIRT_P2M_4TOOLS;
	si->store_mfn = b->ports.store_gfn;
	si->store_evtchn = b->ports.store_port;
	si->console.domU.mfn = b->ports.console_gfn;
	si->console.domU.evtchn = b->ports.console_port;
	si->pt_base = l->pt_va;
	si->nr_pt_frames = l->pt_pages;
	si->mfn_list = l->p2m_va;
	if (l->p2m_tables) {
		si->first_p2m_pfn = l->p2m_pfn;
		si->nr_p2m_frames = l->p2m_pages + l->p2m_tables;
	}
	if (b->ramdisk_size) {
		si->mod_start = l->ramdisk_va ?: l->ramdisk_pfn;
		si->mod_len = b->ramdisk_size;
		if (!l->ramdisk_va)
			si->flags |= SIF_MOD_START_PFN;
	}
	if (b->in->cmdline)
		strcpy((char *)si->cmd_line, b->in->cmdline);
}

/*
 * All of the guest's first memory. The first piece, of zeroes, is what the ABI leaves to the builder where nothing else is written.
 */
static int write_memory(struct build *b, struct err *e)
{
	const struct build_layout *l = &b->l;
	struct build_image im = { .p2m = b->p2m, .pages = l->pages, .file_path = b->in->ramdisk };
	u64 pt_pa = l->pt_va - l->k.base, start = l->k.start - l->k.base;
	int rc;

	b->tables = calloc(l->pt_pages + l->p2m_tables, PAGE_SIZE);
	if (!b->tables)
		return err_set(e, ENOMEM, "no-memory", "no memory left to build the guest");
	build_tables(l, b->p2m, b->tables);
	make_start_info(b);
	im.memory_is_zero = memory_is_zero(b);
	build_piece_add(&im, (struct build_piece){ .pa = start, .len = l->stack_va + PAGE_SIZE - l->k.base - start, .file = -1 });
	rc = add_segments(b, &im, e);
	if (rc)
		return rc;
	if (b->ramdisk_size)
		build_piece_add(&im, (struct build_piece){ .pa = l->ramdisk_pfn * PAGE_SIZE, .len = b->ramdisk_size,
			.file = b->ramdisk });
	build_piece_add(&im, (struct build_piece){ .pa = l->p2m_pfn * PAGE_SIZE, .len = l->p2m_pages * PAGE_SIZE,
		.data = b->p2m, .file = -1 });
	build_piece_add(&im, (struct build_piece){ .pa = l->info_va - l->k.base, .len = PAGE_SIZE, .data = &b->info, .file = -1 });
	build_piece_add(&im, (struct build_piece){ .pa = pt_pa, .len = l->pt_pages * PAGE_SIZE, .data = b->tables, .file = -1 });
	build_piece_add(&im, (struct build_piece){ .pa = (l->p2m_pfn + l->p2m_pages) * PAGE_SIZE, .len = l->p2m_tables * PAGE_SIZE,
		.data = b->tables + l->pt_pages, .file = -1 });
	return build_load(b->hv, b->in->domid, &im, e);
}

/* --- what the hypervisor keeps for the guest --- */

static int failed(struct err *e, int rc, const char *what)
{
	return err_set(e, -rc, "build-failed", "the hypervisor refused to %s of the new guest: %s", what, strerror(-rc));
}

static int make_channels(struct build *b, struct err *e)
{
	xen_domctl_getdomaininfo_t info;
	int rc = hv_domain_info(b->hv, b->in->domid, &info);

	if (rc)
		return failed(e, rc, "tell the state");
	b->shared_info_mfn = info.shared_info_frame;
	b->ports.store_gfn = b->p2m[build_pfn(&b->l, b->l.store_va)];
	b->ports.console_gfn = b->p2m[build_pfn(&b->l, b->l.console_va)];
	rc = hv_evtchn_alloc_unbound(b->hv, b->in->domid, b->in->store_domid, &b->ports.store_port);
	if (!rc)
		rc = hv_evtchn_alloc_unbound(b->hv, b->in->domid, b->in->console_domid, &b->ports.console_port);
	return rc ? failed(e, rc, "make the event channels") : 0;
}

/* The machine frame of the first page of the grant table. */
static int grant_frame(struct build *b, u64 *frame)
{
	xen_pfn_t *list = hv_buffer(b->hv, sizeof(*list));
	struct gnttab_setup_table op = { .dom = b->in->domid, .nr_frames = 1 };
	struct gnttab_setup_table *arg = hv_buffer(b->hv, sizeof(*arg));
	int rc = -ENOMEM;

	if (list && arg) {
		*arg = op;
		set_xen_guest_handle(arg->frame_list, list);
		rc = xencall3(b->hv->call, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, (uintptr_t)arg, 1) < 0 ? -errno : 0;
		if (!rc && arg->status != GNTST_okay)
			rc = -EIO;
		*frame = *list;
	}
	hv_buffer_free(b->hv, list, sizeof(*list));
	hv_buffer_free(b->hv, arg, sizeof(*arg));
	return rc;
}

/* Whoever serves the two rings may map them by grant as well. No event reaches a vCPU before its kernel says so. */
static int write_shared(struct build *b, struct err *e)
{
	xen_pfn_t frames[2] = { b->shared_info_mfn };
	grant_entry_v1_t *grants;
	shared_info_t *info;
	int rc = grant_frame(b, &frames[1]);

	if (rc)
		return failed(e, rc, "set up the grant table");
	info = xenforeignmemory_map(b->hv->fmem, b->in->domid, PROT_READ | PROT_WRITE, 2, frames, NULL);
	if (!info)
		return failed(e, -errno, "map the grant table");
	for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		info->vcpu_info[i].evtchn_upcall_mask = 1;
	grants = (grant_entry_v1_t *)((u8 *)info + PAGE_SIZE);
	grants[GNTTAB_RESERVED_CONSOLE] = (grant_entry_v1_t){ GTF_permit_access, b->in->console_domid, (uint32_t)b->ports.console_gfn };
	grants[GNTTAB_RESERVED_XENSTORE] = (grant_entry_v1_t){ GTF_permit_access, b->in->store_domid, (uint32_t)b->ports.store_gfn };
	xenforeignmemory_unmap(b->hv->fmem, info, 2);
	return 0;
}

/* What a guest with a balloon may grow to, it finds in its memory map. Without one it takes its memory for all there is. */
static int set_memory_map(struct build *b)
{
	struct xen_foreign_memory_map op = { .domid = b->in->domid, .map.nr_entries = 1 };
	struct { u64 start, size; u32 type; } __packed *entry;	/* an entry of a BIOS's memory map; type 1: RAM */
	int rc;

	if (b->in->maxmem_kib <= b->in->memory_kib)
		return 0;
	entry = hv_buffer(b->hv, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->start = 0;
	entry->size = b->in->maxmem_kib << 10;
	entry->type = 1;
	set_xen_guest_handle(op.map.buffer, entry);
	rc = hv_memory_op(b->hv, XENMEM_set_memory_map, &op, sizeof(op));
	hv_buffer_free(b->hv, entry, sizeof(*entry));
	return rc;
}

static int fill_hypercall_page(struct build *b)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_hypercall_init, .domain = b->in->domid };

	if (!xennote_has(&b->l.note, XEN_ELFNOTE_HYPERCALL_PAGE))
		return 0;
	op.u.hypercall_init.gmfn = b->p2m[build_pfn(&b->l, b->l.note.hypercall_page)];
	return hv_domctl(b->hv, &op);
}

static int pin_tables(struct build *b, u64 l4)
{
	struct mmuext_op *op = hv_buffer(b->hv, sizeof(*op));
	int rc;

	if (!op)
		return -ENOMEM;
	*op = (struct mmuext_op){ .cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = l4 };
	rc = xencall4(b->hv->call, __HYPERVISOR_mmuext_op, (uintptr_t)op, 1, 0, b->in->domid) < 0 ? -errno : 0;
	hv_buffer_free(b->hv, op, sizeof(*op));
	return rc;
}

static int set_context(struct build *b, u64 l4)
{
	vcpu_guest_context_t ctx = { .flags = VGCF_in_kernel | VGCF_online };

	ctx.user_regs.cs = FLAT_KERNEL_CS;
	ctx.user_regs.ds = FLAT_KERNEL_DS;
	ctx.user_regs.es = FLAT_KERNEL_DS;
	ctx.user_regs.ss = FLAT_KERNEL_SS;
	ctx.user_regs.rip = b->l.k.entry;
	ctx.user_regs.rsp = b->l.stack_va + PAGE_SIZE;
	ctx.user_regs.rsi = b->l.info_va;
	ctx.user_regs.rflags = RFLAGS_IF | RFLAGS_MBS;
	ctx.kernel_ss = FLAT_KERNEL_SS;
	ctx.kernel_sp = ctx.user_regs.rsp;
	ctx.ctrlreg[3] = l4 << PAGE_SHIFT;
	return hv_vcpu_set_context(b->hv, b->in->domid, 0, &ctx);
}

static int start(struct build *b, struct err *e)
{
	u64 l4 = b->p2m[build_pfn(&b->l, b->l.pt_va)];
	int rc = fill_hypercall_page(b);

	if (rc)
		return failed(e, rc, "fill the hypercall page");
	rc = set_memory_map(b);
	if (rc)
		return failed(e, rc, "set the memory map");
	rc = pin_tables(b, l4);
	if (rc)
		return failed(e, rc, "accept the page tables");
	rc = set_context(b, l4);
	return rc ? failed(e, rc, "accept the first processor state") : 0;
}

int build_pv(struct hv *hv, const struct build_input *in, struct build_result *out, struct err *e)
{
	struct build b = { .hv = hv, .in = in, .ramdisk = -1 };
	int rc = prepare(&b, e);

	if (!rc)
		rc = check_memory(&b, e);
	if (!rc)
		rc = allocate(&b, e);
	if (!rc)
		rc = make_channels(&b, e);
	if (!rc)
		rc = write_memory(&b, e);
	if (!rc)
		rc = write_shared(&b, e);
	if (!rc)
		rc = start(&b, e);
	if (!rc)
		*out = b.ports;
	cleanup(&b);
	return rc;
}

int build_check(const struct build_input *in, uint64_t *needed_kib, struct err *e)
{
	struct build b = { .in = in, .ramdisk = -1 };
	int rc = prepare(&b, e);

	*needed_kib = 0;
	if (!rc) {
		*needed_kib = b.l.needed * 4;
		rc = check_memory(&b, e);
	}
	cleanup(&b);
	return rc;
}
