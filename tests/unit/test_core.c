/* SPDX-License-Identifier: MIT */
/* Unit tests: core dumps. What is in the file is compared with the guest's memory, by its sections and as gdb sees it. */
/* sources: tools/lib/core.c tools/lib/core_file.c tools/lib/core_format.c tools/lib/core_pages.c tools/lib/core_segments.c tools/lib/err.c */
#include "test.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <lib/core.h>
#include <lib/core_parts.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <xen/elfnote.h>
#include <xen/version.h>

/*
 * A machine of 4096 frames, the last 512 of them its machine-to-phys table. The guest's page number pfn is frame 3 * pfn + 1; the
 * frames behind those belong to somebody else who calls them the same. Its page 299 exists no more when it is to be mapped.
 */
#define FRAMES		4096UL
#define M2P		(FRAMES - 512)
#define PAGES		300UL
#define GONE		299
#define DOMID		7
#define VCPUS		2
#define KERNEL		0xffffffff80000000UL	/* pages 20 … 119 */
#define DIRECT		0xffff888000000000UL	/* all of them, but for every 64th */
#define USER		0x400000UL		/* page 5 */
#define L4		150

static u8 *machine;
static char folder[64], path[80];
static struct err error;
static vcpu_guest_context_t vcpus[VCPUS];
static unsigned mapped, buffers;

static u64 mfn_of(u64 pfn)
{
	return 3 * pfn + 1;
}

static void *page_of(u64 pfn)
{
	return machine + mfn_of(pfn) * PAGE_SIZE;
}

static u64 *m2p(void)
{
	return (u64 *)(machine + M2P * PAGE_SIZE);
}

/* --- the hypervisor --- */

void *hv_buffer(struct hv *hv, size_t size)
{
	(void)hv;
	buffers++;
	return malloc(size);
}

void hv_buffer_free(struct hv *hv, void *p, size_t size)
{
	(void)hv;
	(void)size;
	buffers -= p != NULL;
	free(p);
}

int hv_domctl(struct hv *hv, struct xen_domctl *op)
{
	xen_pfn_t *frames = *(xen_pfn_t **)&op->u.getpageframeinfo3.array;

	(void)hv;
	CHECK_EQ(op->cmd, XEN_DOMCTL_getpageframeinfo3);
	CHECK_EQ(op->domain, DOMID);
	CHECK(op->u.getpageframeinfo3.num <= 1024);
	for (u64 i = 0; i < op->u.getpageframeinfo3.num; i++)
		frames[i] = frames[i] % 3 == 1 && frames[i] < mfn_of(PAGES) ? XEN_DOMCTL_PFINFO_NOTAB : XEN_DOMCTL_PFINFO_XTAB;
	return 0;
}

int hv_memory_op(struct hv *hv, unsigned cmd, void *arg, size_t size)
{
	struct xen_machphys_mfn_list *list = arg;
	xen_pfn_t *frames = *(xen_pfn_t **)&list->extent_start;

	(void)hv;
	(void)size;
	CHECK_EQ(cmd, XENMEM_machphys_mfn_list);
	list->nr_extents = 2;
	frames[0] = M2P;
	frames[1] = 0;		/* no memory there */
	return 0;
}

int hv_domain_info(struct hv *hv, uint16_t domid, xen_domctl_getdomaininfo_t *info)
{
	(void)hv;
	*info = (xen_domctl_getdomaininfo_t){ .domain = domid, .shared_info_frame = 2, .max_vcpu_id = VCPUS };
	return 0;
}

/* The third has never run. */
int hv_vcpu_get_context(struct hv *hv, uint16_t domid, uint32_t vcpu, vcpu_guest_context_t *ctx)
{
	(void)hv;
	CHECK_EQ(domid, DOMID);
	if (vcpu >= VCPUS)
		return -ENODATA;
	*ctx = vcpus[vcpu];
	return 0;
}

int hv_version(struct hv *hv, int cmd, void *arg, size_t size)
{
	(void)hv;
	if (cmd == XENVER_version)
		return 4 << 16 | 17;
	memset(arg, 0, size);
	if (cmd == XENVER_extraversion)
		strcpy(arg, ".0-Lodge-1");
	return 0;
}

void *xenforeignmemory_map(xenforeignmemory_handle *h, uint32_t dom, int prot, size_t pages, const xen_pfn_t arr[], int err[])
{
	u8 *map = malloc(pages * PAGE_SIZE);

	(void)h;
	(void)prot;
	CHECK(dom == (arr[0] >= M2P ? DOMID_XEN : DOMID));
	for (size_t i = 0; i < pages; i++) {
		CHECK(arr[i] < FRAMES);
		memcpy(map + i * PAGE_SIZE, machine + arr[i] * PAGE_SIZE, PAGE_SIZE);
		if (err)
			err[i] = arr[i] == mfn_of(GONE) ? -EINVAL : 0;
	}
	mapped++;
	return map;
}

int xenforeignmemory_unmap(xenforeignmemory_handle *h, void *addr, size_t pages)
{
	(void)h;
	(void)pages;
	free(addr);
	mapped--;
	return 0;
}

/* --- the guest --- */

static u64 next_table;

static void map(u64 va, u64 pfn)
{
	u64 *table = page_of(L4);

	for (unsigned level = 4; level > 1; level--) {
		u64 *entry = &table[va >> (3 + 9 * level) & 511];

		if (!*entry)
			*entry = mfn_of(next_table++) << PAGE_SHIFT | 7;
		table = (u64 *)machine + (*entry >> PAGE_SHIFT & 0xffffff) * (PAGE_SIZE / 8);
	}
	table[va >> 12 & 511] = mfn_of(pfn) << PAGE_SHIFT | 0x8000000000000000 | 7;
}

static void enter(void)
{
	machine = calloc(FRAMES, PAGE_SIZE);
	memset(m2p(), 0xff, 512 * PAGE_SIZE);
	for (u64 pfn = 0; pfn < PAGES; pfn++) {
		m2p()[mfn_of(pfn)] = m2p()[mfn_of(pfn) + 1] = pfn;
		memset(page_of(pfn) + PAGE_SIZE, 0xee, PAGE_SIZE);
		if (pfn % 10 == 9 || (pfn >= L4 && pfn < 200))
			continue;		/* zeroes, or tables */
		for (u64 i = 0; i < PAGE_SIZE / 8; i++)
			((u64 *)page_of(pfn))[i] = test_random();
	}
	strcpy((char *)machine + 2 * PAGE_SIZE, "shared info");
	next_table = L4 + 1;
	for (u64 i = 0; i < 100; i++)
		map(KERNEL + i * PAGE_SIZE, 20 + i);
	for (u64 pfn = 0; pfn < PAGES; pfn++)
		if (pfn % 64)
			map(DIRECT + pfn * PAGE_SIZE, pfn);
	map(USER, 5);
	/* The hypervisor's part of the address space is nobody's business. */
	((u64 *)page_of(L4))[256] = (M2P << PAGE_SHIFT) | 3;
	for (unsigned v = 0; v < VCPUS; v++) {
		vcpus[v].flags = VGCF_in_kernel | VGCF_i387_valid | VGCF_online;
		vcpus[v].user_regs.rip = KERNEL + 0x1230 + v;
		vcpus[v].user_regs.rsp = KERNEL + 0x5000 - 64 * v;
		vcpus[v].user_regs.rbx = 0xb0b0 + v;
		vcpus[v].user_regs.r15 = 0x1515 + v;
		vcpus[v].user_regs.cs = 0xe033;
		vcpus[v].gs_base_kernel = 0xffff888000001000 + v;
		vcpus[v].ctrlreg[3] = mfn_of(L4) << PAGE_SHIFT;
	}
	strcpy(folder, "/tmp/test-core-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/guest.core", folder);
}

static size_t files_in_folder(void)
{
	DIR *d = opendir(folder);
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void leave(void)
{
	CHECK_EQ(mapped, 0);
	CHECK_EQ(buffers, 0);
	free(machine);
	unlink(path);
	CHECK_EQ(rmdir(folder), 0);
}

static int save(bool for_crash)
{
	struct hv hv = { 0 };
	struct core_input in = { .domid = DOMID, .for_crash = for_crash };

	memset(&error, 0, sizeof(error));
	return core_save(&hv, &in, path, NULL, &error);
}

/* --- the file --- */

static u8 *load(size_t *size)
{
	FILE *f = fopen(path, "r");
	struct stat st;
	u8 *data;

	CHECK(f && !fstat(fileno(f), &st));
	*size = (size_t)st.st_size;
	data = malloc(*size);
	CHECK_EQ(fread(data, 1, *size, f), *size);
	fclose(f);
	return data;
}

static const Elf64_Shdr *section(const u8 *file, const char *name)
{
	const Elf64_Ehdr *e = (const void *)file;
	const Elf64_Shdr *s = (const void *)(file + e->e_shoff);

	for (unsigned i = 0; i < e->e_shnum; i++)
		if (!strcmp((const char *)file + s[e->e_shstrndx].sh_offset + s[i].sh_name, name))
			return &s[i];
	TEST_FAIL("there is no section %s", name);
	exit(1);
}

/* What the program wrote, at most 64 KiB. */
static const char *output(const char *fmt, ...)
{
	static char text[65536];
	char command[512];
	va_list ap;
	FILE *p;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	p = popen(command, "r");
	text[fread(text, 1, sizeof(text) - 1, p)] = '\0';
	CHECK_EQ(pclose(p), 0);
	return text;
}

static void has(const char *text, const char *fmt, ...)
{
	char what[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (!strstr(text, what))
		TEST_FAIL("\"%s\" is not in: %s", what, text);
}

static void check_notes(const u8 *file)
{
	const Elf64_Shdr *s = section(file, ".note.Xen");
	const u8 *at = file + s->sh_offset, *end = at + s->sh_size;
	unsigned n = 0;

	for (; at < end; n++) {
		const Elf64_Nhdr *h = (const void *)at;
		u64 desc[4];

		CHECK_EQ(h->n_type, XEN_ELFNOTE_DUMPCORE_NONE + n);
		CHECK_STR((const char *)at + sizeof(*h), "Xen");
		at += sizeof(*h) + 4;
		memcpy(desc, at, h->n_descsz < sizeof(desc) ? h->n_descsz : sizeof(desc));
		if (n == 1) {
			CHECK_EQ(desc[0], 0xf00febed);
			CHECK_EQ(desc[1], VCPUS);
			CHECK_EQ(desc[2], PAGES);
			CHECK_EQ(desc[3], PAGE_SIZE);
		} else if (n == 2) {
			CHECK_EQ(desc[0], 4);
			CHECK_EQ(desc[1], 17);
			CHECK(!memcmp(at + 16, ".0-Lodge-1", 10));
		} else if (n == 3) {
			CHECK_EQ(desc[0], 1);
		}
		at += h->n_descsz;
	}
	CHECK_EQ(n, 4);
}

TEST(sections_have_state_and_memory)
{
	static const u8 zero[PAGE_SIZE];
	const struct core_page *p2m;
	const u8 *pages;
	size_t size;
	u8 *file;

	enter();
	CHECK_EQ(save(true), 0);
	file = load(&size);
	check_notes(file);
	CHECK_EQ(section(file, ".xen_prstatus")->sh_size, VCPUS * sizeof(vcpu_guest_context_t));
	CHECK(!memcmp(file + section(file, ".xen_prstatus")->sh_offset, vcpus, sizeof(vcpus)));
	CHECK_STR((char *)file + section(file, ".xen_shared_info")->sh_offset, "shared info");
	CHECK_EQ(section(file, ".xen_p2m")->sh_size, PAGES * 16);
	CHECK_EQ(section(file, ".xen_pages")->sh_size, PAGES * PAGE_SIZE);
	CHECK_EQ(section(file, ".xen_pages")->sh_offset % PAGE_SIZE, 0);
	p2m = (const void *)(file + section(file, ".xen_p2m")->sh_offset);
	pages = file + section(file, ".xen_pages")->sh_offset;
	for (u64 i = 0; i < PAGES; i++) {
		CHECK_EQ(p2m[i].pfn, i);
		CHECK_EQ(p2m[i].gmfn, mfn_of(i));
		CHECK(!memcmp(pages + i * PAGE_SIZE, i == GONE ? zero : page_of(i), PAGE_SIZE));
	}
	free(file);
	leave();
}

TEST(both_forms_differ_only_in_whether_there_are_program_headers)
{
	size_t size[2];
	u8 *file[2];

	enter();
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(save(i), 0);
		file[i] = load(&size[i]);
		unlink(path);
	}
	CHECK_EQ(size[0], size[1]);
	CHECK_EQ(((Elf64_Ehdr *)file[1])->e_phnum, 0);
	CHECK_EQ(((Elf64_Ehdr *)file[1])->e_phoff, 0);
	((Elf64_Ehdr *)file[1])->e_phnum = ((Elf64_Ehdr *)file[0])->e_phnum;
	((Elf64_Ehdr *)file[1])->e_phoff = ((Elf64_Ehdr *)file[0])->e_phoff;
	CHECK(!memcmp(file[0], file[1], size[0]));
	free(file[0]);
	free(file[1]);
	leave();
}

TEST(readelf_has_no_complaint)
{
	const char *text;

	enter();
	CHECK_EQ(save(true), 0);
	text = output("readelf -W -h -S -l -n %s 2>&1", path);
	CHECK(!strstr(text, "arning") && !strstr(text, "rror:"));
	has(text, ".xen_prstatus");
	unlink(path);
	CHECK_EQ(save(false), 0);
	text = output("readelf -W -h -S -l -n %s 2>&1", path);
	CHECK(!strstr(text, "arning") && !strstr(text, "rror:"));
	has(text, "CORE (Core file)");
	has(text, "NT_PRSTATUS");
	has(text, "LOAD ");
	leave();
}

TEST(gdb_sees_memory_and_registers)
{
	const u64 *kernel, *direct, *user;
	const char *text;

	enter();
	CHECK_EQ(save(false), 0);
	kernel = page_of(20 + 40);
	direct = page_of(PAGES - 2);
	user = page_of(5);
	text = output("gdb -nx -batch -ex 'x/1gx %#lx' -ex 'x/1gx %#lx' -ex 'x/1gx %#lx' -ex 'info threads' -ex 'thread 1' "
		      "-ex 'info registers' -ex 'thread 2' -ex 'print/x $rbx' -ex 'print/x $r15' -ex 'print/x $rip' -core %s 2>&1",
		KERNEL + 40 * PAGE_SIZE + 8, DIRECT + (PAGES - 2) * PAGE_SIZE + 16, USER + 0xff8, path);
	has(text, "%#lx:\t0x%016lx", KERNEL + 40 * PAGE_SIZE + 8, kernel[1]);
	has(text, "%#lx:\t0x%016lx", DIRECT + (PAGES - 2) * PAGE_SIZE + 16, direct[2]);
	has(text, "%#lx:\t0x%016lx", USER + 0xff8, user[511]);
	has(text, "rip            %#lx", KERNEL + 0x1230);
	has(text, "$1 = 0xb0b1");
	has(text, "$2 = 0x1516");
	has(text, "$3 = %#lx", KERNEL + 0x1231);
	/* What is not mapped, and what is the hypervisor's, is not there. */
	has(output("gdb -nx -batch -ex 'x/1gx %#lx' -core %s 2>&1 || true", DIRECT + 64 * PAGE_SIZE, path), "Cannot access memory");
	has(output("gdb -nx -batch -ex 'x/1gx 0xffff800000000000' -core %s 2>&1 || true", path), "Cannot access memory");
	leave();
}

TEST(zeroes_take_no_room)
{
	struct stat st;

	enter();
	for (u64 pfn = 0; pfn < PAGES; pfn++)
		if (pfn != 77)
			memset(page_of(pfn), 0, PAGE_SIZE);
	CHECK_EQ(save(false), 0);
	CHECK(!stat(path, &st));
	CHECK(st.st_size > (off_t)(PAGES * PAGE_SIZE));
	CHECK(st.st_blocks * 512 < 20 * (off_t)PAGE_SIZE);
	CHECK_EQ(st.st_mode & 0777, 0600);
	leave();
}

TEST(a_full_disk_leaves_no_file)
{
	struct rlimit limit = { 100 * PAGE_SIZE, RLIM_INFINITY };

	enter();
	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	CHECK_EQ(save(false), -EFBIG);
	CHECK_STR(error.code, "cannot-write");
	has(error.text, "cannot write %s: File too large", path);
	CHECK_EQ(files_in_folder(), 0);
	leave();
}

TEST(nothing_is_overwritten)
{
	FILE *f;

	enter();
	f = fopen(path, "w");
	fputs("precious", f);
	fclose(f);
	CHECK_EQ(save(false), -EEXIST);
	CHECK_STR(error.code, "file-exists");
	has(output("cat %s", path), "precious");
	unlink(path);
	/* A link to nowhere is something, too. */
	CHECK_EQ(symlink("/tmp/test-core-nowhere", path), 0);
	CHECK_EQ(save(false), -EEXIST);
	CHECK(access("/tmp/test-core-nowhere", F_OK));
	unlink(path);
	snprintf(path, sizeof(path), "%s/none/guest.core", folder);
	CHECK_EQ(save(false), -ENOENT);
	snprintf(path, sizeof(path), "%s/guest.core", folder);
	leave();
}

TEST(leftovers_are_swept)
{
	enter();
	output("touch %s/.core-part-AbCdEf %s/mine", folder, folder);
	core_sweep(folder);
	CHECK_EQ(files_in_folder(), 1);
	core_sweep("/tmp/test-core-nowhere");
	output("rm %s/mine", folder);
	leave();
}

TEST(pages_of_one_name_count_once)
{
	struct hv hv = { 0 };
	struct core_pages p;

	enter();
	for (u64 pfn = 0; pfn < PAGES; pfn++)
		m2p()[mfn_of(pfn)] = pfn < 10 ? ~1UL : pfn % 100;
	CHECK_EQ(core_pages_find(&hv, DOMID, &p), 0);
	CHECK_EQ(p.n, 101);
	CHECK_EQ(p.page[100].pfn, ~1UL);
	CHECK_EQ(core_pages_index(&p, p.page[50].gmfn), 50);
	CHECK_EQ(core_pages_index(&p, mfn_of(PAGES)), -1);
	core_pages_free(&p);
	leave();
}

/* --- tables without end --- */

static unsigned long reads;

static int read_table(size_t index, uint64_t *table, void *ctx)
{
	(void)index;
	(void)ctx;
	reads++;
	for (unsigned i = 0; i < 512; i++)
		table[i] = *(u64 *)ctx;
	return 0;
}

/* All entries of all levels name one table, which is empty, or maps itself. */
TEST(a_walk_ends)
{
	struct core_page page = { 0, 1 };
	uint32_t index = 0;
	struct core_pages p = { &page, 1, &index };
	struct core_segments s;
	u64 entry = 1 << PAGE_SHIFT | 7;

	CHECK_EQ(core_segments_find(&p, 1, read_table, &entry, &s), 0);
	CHECK_EQ(reads, 4);
	free(s.s);
}


/* A table for each of the upper levels, with one entry; 512 for the last, each of which maps one page everywhere. */
static int read_wide(size_t index, uint64_t *table, void *ctx)
{
	(void)ctx;
	reads++;
	memset(table, 0, PAGE_SIZE);
	if (index == 0)
		table[511] = 2 << PAGE_SHIFT | 7;
	else if (index == 1)
		table[0] = 3 << PAGE_SHIFT | 7;
	for (unsigned i = 0; index >= 2 && i < 512; i++)
		table[i] = (index == 2 ? 4UL + i : 1000) << PAGE_SHIFT | 7;
	return 0;
}

TEST(segments_have_a_bound)
{
	static struct core_page page[1000];
	static uint32_t by_mfn[1000];
	struct core_pages p = { page, 1000, by_mfn };
	struct core_segments s;

	for (uint32_t i = 0; i < 1000; i++) {
		page[i] = (struct core_page){ i, i + 1 };
		by_mfn[i] = i;
	}
	CHECK_EQ(core_segments_find(&p, 1, read_wide, NULL, &s), 0);
	CHECK(s.incomplete);
	CHECK_EQ(s.n, CORE_SEGMENTS_MAX);
	CHECK(reads < 200);
	CHECK_EQ(s.s[0].va, 0xffffff8000000000);
	for (size_t i = 1; i < s.n; i++)
		CHECK(s.s[i].va > s.s[i - 1].va);
	free(s.s);
}
