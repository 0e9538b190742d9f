/* SPDX-License-Identifier: MIT */
/* Unit tests: the domain builder. What a guest finds is looked at through its own page tables. */
/* sources: tools/lib/build.c tools/lib/build_layout.c tools/lib/build_load.c tools/lib/kernel.c tools/lib/kernel_cache.c tools/lib/kernel_unpack.c tools/lib/err.c lib/elf.c lib/xennote.c boot/bzimage.c boot/packformat.c boot/unpack_codecs.c boot/unpack_lzma2.c boot/unpack_xz.c */
/* libs: -lz -llz4 -lzstd */
#include "test.h"

#include <fcntl.h>
#include <lib/build.h>
#include <lib/kernel.h>

#include "fake_hv.h"
#include "kernel_image.h"

#include <lib/build_layout.h>

#define LINUX_BASE	0xffffffff80000000
#define LINUX_P2M	0x8000000000
#define SEGMENT		(20 * PAGE_SIZE + 100)	/* bytes in the file; pages 5 to 9 are zero */
#define MEMORY		(17 * PAGE_SIZE + 333 + SEGMENT)

static char folder[64], kernel[80], ramdisk[80];
static u8 *file;
static size_t file_size;
static struct kernel_image_spec spec;

static void put(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "w");

	CHECK_EQ(fwrite(data, 1, len, f), len);
	fclose(f);
}

static void enter(const struct kernel_image_spec *s)
{
	strcpy(folder, "/tmp/test-build-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(kernel, sizeof(kernel), "%s/kernel", folder);
	snprintf(ramdisk, sizeof(ramdisk), "%s/ramdisk", folder);
	setenv("LODGE_KERNEL_CACHE", folder, 1);
	spec = *s;
	spec.filesz = SEGMENT;
	spec.memsz = MEMORY;
	file = malloc(KERNEL_IMAGE_HEADERS + SEGMENT);
	for (size_t i = 0; i < SEGMENT; i++)
		file[KERNEL_IMAGE_HEADERS + i] = i / PAGE_SIZE >= 5 && i / PAGE_SIZE < 10 ? 0 : (u8)test_random();
	file_size = kernel_image_make(file, &spec);
	put(kernel, file, file_size);
}

static void leave(void)
{
	kernel_forget();
	free(file);
	unlink(kernel);
	unlink(ramdisk);
	rmdir(folder);
}

/* --- what the guest sees --- */

static u64 guest_entry(u64 va, unsigned last)
{
	u64 frame = fake.context.ctrlreg[3] >> PAGE_SHIFT, entry = 0;

	for (unsigned level = 4; level >= last; level--) {
		u64 *table = fake_page(frame);

		entry = table[va >> (3 + 9 * level) & 511];
		munmap(table, PAGE_SIZE);
		if (!(entry & 1))
			return 0;
		CHECK_EQ(entry & 4, 4);		/* PV kernels run in ring 3 */
		frame = (entry & 0xffffffffff000) >> PAGE_SHIFT;
	}
	return entry;
}

static void guest_read(u64 va, void *out, size_t len)
{
	u8 *dst = out;

	while (len) {
		u64 entry = guest_entry(va, 1), n = PAGE_SIZE - va % PAGE_SIZE;
		u8 *page;

		if (!entry) {
			TEST_FAIL("%#lx is not mapped", va);
			return;
		}
		if (n > len)
			n = len;
		page = fake_page((entry & 0xffffffffff000) >> PAGE_SHIFT);
		memcpy(dst, page + va % PAGE_SIZE, n);
		munmap(page, PAGE_SIZE);
		va += n;
		dst += n;
		len -= n;
	}
}

static bool guest_zero(u64 va, size_t len)
{
	u8 *b = malloc(len);
	bool zero = true;

	memset(b, 1, len);
	guest_read(va, b, len);
	for (size_t i = 0; i < len; i++)
		zero &= b[i] == 0;
	free(b);
	return zero;
}

static void check_image(void)
{
	u8 *seen = malloc(SEGMENT);

	guest_read(spec.base + spec.start, seen, SEGMENT);
	CHECK(memcmp(seen, file + KERNEL_IMAGE_HEADERS, SEGMENT) == 0);
	CHECK(guest_zero(spec.base + spec.start + SEGMENT, MEMORY - SEGMENT));
	free(seen);
}

/* Each page is in the list once, the list is what the tables say, and page tables cannot be written. */
static void check_tables(const struct start_info *si, const u64 *p2m)
{
	u64 mapped = 0, l4 = fake.context.ctrlreg[3] >> PAGE_SHIFT;
	u8 *seen = calloc(FAKE_FRAMES, 1);

	for (u64 pfn = 0; pfn < si->nr_pages; pfn++) {
		CHECK(p2m[pfn] >= FAKE_MFN && p2m[pfn] < FAKE_MFN + FAKE_FRAMES && !seen[p2m[pfn] - FAKE_MFN]++);
	}
	for (u64 entry; (entry = guest_entry(spec.base + mapped * PAGE_SIZE, 1)) != 0; mapped++) {
		u64 va = spec.base + mapped * PAGE_SIZE;
		bool table = va >= si->pt_base && va < si->pt_base + si->nr_pt_frames * PAGE_SIZE;

		CHECK_EQ((entry & 0xffffffffff000) >> PAGE_SHIFT, p2m[mapped]);
		CHECK_EQ(!(entry & 2), table);
	}
	CHECK(mapped <= si->nr_pages);
	/* Half a MiB behind the stack, the last element, or all there is. */
	CHECK(spec.base + mapped * PAGE_SIZE >= fake.context.user_regs.rsp + (512 << 10) ||
	      mapped + si->nr_p2m_frames + PFN_UP(si->mod_len) >= si->nr_pages);
	CHECK_EQ(l4, fake.pinned);
	CHECK_EQ(p2m[PFN_DOWN(si->pt_base - spec.base)], l4);
	free(seen);
}

static void check_rings(const struct start_info *si, const u64 *p2m, const struct build_result *r)
{
	shared_info_t *info = fake_page(FAKE_SHARED);
	grant_entry_v1_t *grants = fake_page(FAKE_GRANTS);
	u64 store = 0, console = 0;

	CHECK_EQ(si->store_mfn, r->store_gfn);
	CHECK_EQ(si->console.domU.mfn, r->console_gfn);
	CHECK_EQ(si->store_evtchn, r->store_port);
	CHECK_EQ(si->console.domU.evtchn, r->console_port);
	CHECK_EQ(fake.remote[r->store_port - 1], 3);
	CHECK_EQ(fake.remote[r->console_port - 1], 4);
	for (u64 pfn = 0; pfn < si->nr_pages; pfn++) {
		store = p2m[pfn] == r->store_gfn ? pfn : store;
		console = p2m[pfn] == r->console_gfn ? pfn : console;
	}
	CHECK(store && console && store != console);
	CHECK(guest_zero(spec.base + store * PAGE_SIZE, PAGE_SIZE));
	CHECK(guest_zero(spec.base + console * PAGE_SIZE, PAGE_SIZE));
	CHECK(grants[GNTTAB_RESERVED_XENSTORE].flags == GTF_permit_access && grants[GNTTAB_RESERVED_XENSTORE].domid == 3 &&
	      grants[GNTTAB_RESERVED_XENSTORE].frame == r->store_gfn);
	CHECK(grants[GNTTAB_RESERVED_CONSOLE].flags == GTF_permit_access && grants[GNTTAB_RESERVED_CONSOLE].domid == 4 &&
	      grants[GNTTAB_RESERVED_CONSOLE].frame == r->console_gfn);
	CHECK_EQ(si->shared_info, (u64)FAKE_SHARED << PAGE_SHIFT);
	for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		CHECK_EQ(info->vcpu_info[i].evtchn_upcall_mask, 1);
}

static void check_ramdisk(const struct start_info *si, const u64 *p2m, const u8 *want, size_t len)
{
	u8 *seen;

	CHECK_EQ(si->mod_len, len);
	CHECK_EQ(!!(si->flags & SIF_MOD_START_PFN), spec.mod_start_pfn && len);
	if (!len)
		return;
	seen = malloc(len);
	if (!(si->flags & SIF_MOD_START_PFN)) {
		guest_read(si->mod_start, seen, len);
	} else {
		for (u64 at = 0; at < len; at += PAGE_SIZE) {
			u8 *page = fake_page(p2m[si->mod_start + at / PAGE_SIZE]);

			memcpy(seen + at, page, len - at < PAGE_SIZE ? len - at : PAGE_SIZE);
			munmap(page, PAGE_SIZE);
		}
	}
	CHECK(memcmp(seen, want, len) == 0);
	free(seen);
}

static void check_guest(const struct build_input *in, const struct build_result *r, const u8 *disk, size_t disk_len)
{
	struct start_info si = { 0 };
	u64 *p2m;

	guest_read(fake.context.user_regs.rsi, &si, sizeof(si));
	CHECK_STR(si.magic, "xen-3.0-x86_64");
	CHECK_EQ(si.nr_pages, in->memory_kib / 4);
	CHECK_STR((char *)si.cmd_line, in->cmdline ? in->cmdline : "");
	CHECK_EQ(fake.context.user_regs.rip, spec.base + spec.start);
	CHECK_EQ(si.nr_p2m_frames != 0, spec.init_p2m != 0);
	CHECK(!spec.init_p2m || si.mfn_list == spec.init_p2m);
	p2m = malloc(si.nr_pages * 8);
	guest_read(si.mfn_list, p2m, si.nr_pages * 8);
	check_tables(&si, p2m);
	check_image();
	check_rings(&si, p2m, r);
	CHECK_EQ(fake.hypercall_page, p2m[PFN_DOWN(spec.start) + 1]);
	check_ramdisk(&si, p2m, disk, disk_len);
	free(p2m);
}

static struct build_input input(uint64_t mib)
{
	return (struct build_input){ .domid = FAKE_DOMID, .kernel = kernel, .memory_kib = mib << 10, .vcpus = 1,
				      .store_domid = 3, .console_domid = 4 };
}

static const struct kernel_image_spec kinds[] = {
	{ .base = LINUX_BASE, .start = MiB(16), .init_p2m = LINUX_P2M, .mod_start_pfn = true,
	  .features = "!writable_page_tables|pae_pgdir_above_4gb" },
	{ .base = 0 },
	{ .base = 0, .start = MiB(1) },
	{ .base = LINUX_BASE, .start = MiB(1), .mod_start_pfn = true },
	{ .base = LINUX_BASE, .start = 0x155000, .init_p2m = 0xffff900000000000 },
};

TEST(what_the_guest_finds)
{
	static u8 disk[300001];
	struct hv hv = { 0 };
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof(disk); i++)
		disk[i] = (u8)test_random();
	for (unsigned i = 0; i < ARRAY_SIZE(kinds) * 4; i++) {
		struct build_input in;
		struct build_result r = { 0 };
		size_t len = i & 1 ? sizeof(disk) : 0;

		enter(&kinds[i / 4]);
		put(ramdisk, disk, len);
		in = input(33);
		in.memory_kib += 4 * 77;		/* no whole extents */
		in.cmdline = i & 1 ? "console=hvc0 a=\"b c\"" : NULL;
		in.ramdisk = i & 1 ? ramdisk : NULL;
		fake_start(i & 2);
		CHECK_EQ(build_pv(&hv, &in, &r, &e), 0);
		if (e.error)
			TEST_FAIL("%s", e.text);
		else
			check_guest(&in, &r, disk, len);
		fake_stop();
		leave();
	}
}

TEST(memory_in_pieces)
{
	struct hv hv = { 0 };
	struct err e = { 0 };

	for (unsigned large = 0; large < 3; large++) {
		struct build_input in;
		struct build_result r = { 0 };

		enter(&kinds[0]);
		in = input(32);
		fake_start(true);
		fake.break_after = large;
		CHECK_EQ(build_pv(&hv, &in, &r, &e), 0);
		check_guest(&in, &r, NULL, 0);
		CHECK_EQ(fake.free, FAKE_FRAMES - 8192);
		fake_stop();
		leave();
	}
}

TEST(many_pages)
{
	struct build_input in;
	struct build_result r = { 0 };
	struct hv hv = { 0 };
	struct err e = { 0 };
	u8 *disk = malloc(40 << 20);

	enter(&kinds[0]);
	for (size_t i = 0; i < 40 << 20; i += 8)
		memcpy(disk + i, &(u64){ test_random() }, 8);
	put(ramdisk, disk, 40 << 20);	/* more than a window */
	in = input(200);
	in.ramdisk = ramdisk;
	in.maxmem_kib = 300 << 10;
	fake_start(true);
	CHECK_EQ(build_pv(&hv, &in, &r, &e), 0);
	check_guest(&in, &r, disk, 40 << 20);
	CHECK_EQ(fake.map_size, 300 << 20);
	fake_stop();
	leave();
	free(disk);
}

TEST(least_memory)
{
	struct hv hv = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct build_input in;
		struct build_result r = { 0 };
		struct err e = { 0 };
		uint64_t needed = 0;
		char want[32];

		enter(&kinds[i]);
		put(ramdisk, file, 10000);
		in = input(1);
		in.ramdisk = ramdisk;
		CHECK_EQ(build_check(&in, &needed, &e), kinds[i].start ? -ENOMEM : 0);
		if (kinds[i].start) {
			snprintf(want, sizeof(want), "at least %lu MiB", (needed + 1023) / 1024);
			CHECK(strstr(e.text, "memory = 1 is too small") && strstr(e.text, kernel) && strstr(e.text, want));
		}
		in.memory_kib = needed;
		fake_start(true);
		CHECK_EQ(build_pv(&hv, &in, &r, &e), 0);
		check_guest(&in, &r, file, 10000);
		fake_stop();
		in.memory_kib = needed - 4;
		fake_start(true);
		CHECK_EQ(build_pv(&hv, &in, &r, &e), -ENOMEM);
		CHECK_EQ(fake.free, FAKE_FRAMES);	/* found out before anything was done */
		fake_stop();
		leave();
	}
}

/* The memory of a large guest does not fit behind the base of a kernel at the end of the address space, and need not. */
TEST(large_guests)
{
	static const u64 gib[] = { 1, 2, 3, 64, 4096 };

	enter(&kinds[0]);
	for (size_t i = 0; i < ARRAY_SIZE(gib); i++) {
		struct build_layout l = { 0 };
		const char *error;
		struct elf elf;

		CHECK_EQ(elf_open(&elf, file, file_size, &error), 0);
		CHECK(!build_read_notes(&l, &elf));
		CHECK(!build_plan(&l, gib[i] << 18, 100000));
		CHECK(l.needed < l.pages);
		CHECK_EQ(l.end_va % MiB(4), 0);
		CHECK(l.end_va >= l.stack_va + PAGE_SIZE + KiB(512) && l.end_va <= l.stack_va + MiB(5));
		CHECK_EQ(l.p2m_pages, gib[i] << 9);
	}
	leave();
}

/* Each call to the hypervisor fails once: an error with a message each time, and nothing stays mapped or allocated. */
TEST(every_call_fails)
{
	struct hv hv = { 0 };
	int at, rc = -1;

	enter(&kinds[0]);
	put(ramdisk, file, 10000);
	for (at = 1; rc; at++) {
		struct build_input in = input(32);
		struct build_result r = { 0 };
		struct err e = { 0 };

		in.ramdisk = ramdisk;
		in.maxmem_kib = 40 << 10;
		fake_start(true);
		fake.fail_at = at;
		rc = build_pv(&hv, &in, &r, &e);
		CHECK_EQ(rc, -e.error);
		CHECK(!rc || (e.text[0] && e.code[0]));
		fake_stop();
		if (at > 100)
			break;
	}
	CHECK(at > 12 && at < 50);
	leave();
}

TEST(machine_is_full)
{
	struct build_input in;
	struct build_result r;
	struct hv hv = { 0 };
	struct err e = { 0 };

	enter(&kinds[0]);
	in = input(64);
	fake_start(true);
	fake.free = 5120;
	CHECK_EQ(build_pv(&hv, &in, &r, &e), -ENOMEM);
	CHECK_STR(e.code, "no-memory");
	CHECK_STR(e.text, "not enough free memory: 44 MiB are missing, 0 MiB are free");
	fake_stop();
	leave();
}

static void refused(struct build_input *in, int error, const char *part)
{
	uint64_t needed;
	struct err e = { 0 };

	CHECK_EQ(build_check(in, &needed, &e), -error);
	if (!strstr(e.text, part))
		TEST_FAIL("\"%s\" does not say \"%s\"", e.text, part);
}

TEST(bad_input)
{
	struct build_input in;
	char line[1100];

	enter(&kinds[0]);
	in = input(64);
	in.ramdisk = ramdisk;
	refused(&in, ENOENT, "/ramdisk: there is no such file");
	in.ramdisk = folder;
	refused(&in, EINVAL, "it is not a file");
	in.ramdisk = NULL;
	memset(line, 'x', sizeof(line));
	line[1024] = '\0';
	in.cmdline = line;
	refused(&in, E2BIG, "has 1024 characters: at most 1023 are possible");
	in.cmdline = NULL;
	in.kernel = "/nonexistent";
	refused(&in, ENOENT, "kernel /nonexistent: there is no such file");
	leave();
}

TEST(bad_kernels)
{
	static const struct {
		struct kernel_image_spec spec;
		const char *error;
	} bad[] = {
		{ { .base = 0xffff800000000000 }, "VIRT_BASE" },
		{ { .base = 0xffff7ffffff00000 }, "VIRT_BASE" },
		{ { .base = 0x7fffffff0000 }, "VIRT_BASE" },
		{ { .base = 0xfffffffffffff000 }, "wraps around the address space" },
		{ { .base = 0x1234 }, "not page-aligned" },
		{ { .init_p2m = 0xffff870000000000 }, "INIT_P2M address is not one" },
		{ { .init_p2m = 0x8000000008 }, "INIT_P2M address is not one" },
		{ { .init_p2m = 0x40000000 }, "too near" },
		{ { .base = LINUX_BASE, .init_p2m = 0xffffff8000000000 }, "too near" },
		{ { .features = "!dom0" }, "Domain 0 only" },
		{ { .features = "!auto_translated_physmap" }, "not for paravirtual guests" },
		{ { .features = "!time_travel" }, "\"time_travel\", which is unknown" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct build_input in;

		enter(&bad[i].spec);
		in = input(64);
		refused(&in, ENOEXEC, bad[i].error);
		leave();
	}
	for (int way = 0; way < 2; way++) {
		struct build_input in;

		enter(&kinds[1]);
		if (way)
			memset(file + 512, 0, 512);		/* its notes */
		else
			file[4] = 1;
		put(kernel, file, file_size);
		in = input(64);
		refused(&in, ENOEXEC, way ? "no Xen ELF notes" : "32-bit");
		leave();
	}
}

/* Its own file may change as well. */
TEST(ramdisk_cut_short)
{
	struct build_input in;
	struct build_result r;
	struct hv hv = { 0 };
	struct err e = { 0 };

	enter(&kinds[0]);
	in = input(64);
	in.ramdisk = "/proc/self/maps";		/* a file of size 0 that has content: not read */
	fake_start(true);
	CHECK_EQ(build_pv(&hv, &in, &r, &e), 0);
	fake_stop();
	in.ramdisk = "/sys/kernel/mm/transparent_hugepage/enabled";	/* says 4096, has less */
	if (access(in.ramdisk, R_OK) == 0) {
		fake_start(true);
		CHECK_EQ(build_pv(&hv, &in, &r, &e), -EIO);
		CHECK(strstr(e.text, "cut short"));
		fake_stop();
	}
	leave();
}
