/* SPDX-License-Identifier: MIT */
/*
 * Core dumps: headers, notes and sections.
 *
 *   ELF header | section headers | names | notes for crash | notes for gdb | .xen_prstatus | .xen_shared_info | .xen_p2m |
 *   .xen_pages, from a page boundary on | program headers
 *
 * Sections and their notes are the format that the ABI's tools write, version 1 (Xen's docs/misc/dump-core-format.txt; note types:
 * <xen/elfnote.h>). The program headers and NT_PRSTATUS, NT_FPREGSET are an ordinary process core, each vCPU a thread.
 */
#include <elf.h>
#include <errno.h>
#include <lib/core_parts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>
#include <xen/elfnote.h>
#include <xen/version.h>

#define MAGIC_PV	0xf00febedUL
#define FORMAT_VERSION	1
#define SHARED_INFO	HV_PAGE_SIZE

enum section { NONE, NAMES, NOTES, PRSTATUS, SHARED, P2M, PAGES, SECTIONS };

static const char names[] = "\0.shstrtab\0.note.Xen\0.xen_prstatus\0.xen_shared_info\0.xen_p2m\0.xen_pages";


/* What the notes hold. */
struct dump_header {
	uint64_t magic, nr_vcpus, nr_pages, page_size;
};

struct dump_xen_version {
	uint64_t major, minor;
	xen_extraversion_t extra;
	xen_compile_info_t compile;
	xen_capabilities_info_t capabilities;
	xen_changeset_info_t changeset;
	xen_platform_parameters_t platform;
	uint64_t page_size;
};

/* --- a buffer that is written from its start --- */

struct out {
	uint8_t *at;		/* NULL: only the size is wanted */
	size_t n;
};

static void put(struct out *o, const void *data, size_t len)
{
	if (o->at && len)
		memcpy(o->at + o->n, data, len);
	o->n += len;
}

static void align(struct out *o, size_t to)
{
	o->n = (o->n + to - 1) / to * to;
}

static void put_note(struct out *o, const char *name, uint32_t type, const void *desc, size_t len)
{
	Elf64_Nhdr n = { .n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = (uint32_t)len, .n_type = type };

	put(o, &n, sizeof(n));
	put(o, name, n.n_namesz);
	align(o, 4);
	put(o, desc, len);
	align(o, 4);
}

/* --- notes --- */

static void xen_version(struct hv *hv, struct dump_xen_version *v)
{
	int number = hv_version(hv, XENVER_version, NULL, 0);

	memset(v, 0, sizeof(*v));
	v->major = (uint64_t)number >> 16 & 0xffff;
	v->minor = (uint64_t)number & 0xffff;
	hv_version(hv, XENVER_extraversion, &v->extra, sizeof(v->extra));
	hv_version(hv, XENVER_compile_info, &v->compile, sizeof(v->compile));
	hv_version(hv, XENVER_capabilities, &v->capabilities, sizeof(v->capabilities));
	hv_version(hv, XENVER_changeset, &v->changeset, sizeof(v->changeset));
	hv_version(hv, XENVER_platform_parameters, &v->platform, sizeof(v->platform));
	v->page_size = HV_PAGE_SIZE;
}

static void put_xen_notes(struct out *o, const struct core_format *f, const struct dump_xen_version *version)
{
	const struct dump_header h = { MAGIC_PV, f->nvcpus, f->pages->n, HV_PAGE_SIZE };
	const uint64_t format = FORMAT_VERSION;

	put_note(o, "Xen", XEN_ELFNOTE_DUMPCORE_NONE, NULL, 0);
	put_note(o, "Xen", XEN_ELFNOTE_DUMPCORE_HEADER, &h, sizeof(h));
	put_note(o, "Xen", XEN_ELFNOTE_DUMPCORE_XEN_VERSION, version, sizeof(*version));
	put_note(o, "Xen", XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION, &format, sizeof(format));
}

static struct user_regs_struct registers(const vcpu_guest_context_t *c)
{
	const cpu_user_regs_t *r = &c->user_regs;

	return (struct user_regs_struct){
		.rax = r->rax, .rbx = r->rbx, .rcx = r->rcx, .rdx = r->rdx, .rsi = r->rsi, .rdi = r->rdi, .rbp = r->rbp,
		.rsp = r->rsp, .r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11, .r12 = r->r12, .r13 = r->r13, .r14 = r->r14,
		.r15 = r->r15, .rip = r->rip, .eflags = r->rflags, .cs = r->cs, .ss = r->ss, .ds = r->ds, .es = r->es, .fs = r->fs,
		.gs = r->gs, .orig_rax = ~0UL, .fs_base = c->fs_base,
		.gs_base = c->flags & VGCF_in_kernel ? c->gs_base_kernel : c->gs_base_user,
	};
}

/* gdb takes the thread with the first note for the one it shows. */
static void put_threads(struct out *o, const struct core_format *f)
{
	for (size_t i = 0; i < f->nvcpus; i++) {
		const vcpu_guest_context_t *c = &f->vcpus[i];
		struct user_regs_struct regs = registers(c);
		struct elf_prstatus status = { .pr_pid = (int)i + 1 };

		_Static_assert(sizeof(status.pr_reg) == sizeof(regs), "the registers of a thread");
		memcpy(&status.pr_reg, &regs, sizeof(regs));
		put_note(o, "CORE", NT_PRSTATUS, &status, sizeof(status));
		put_note(o, "CORE", NT_FPREGSET, &c->fpu_ctxt, sizeof(c->fpu_ctxt));
	}
}

/* --- the file --- */

static void set_section(Elf64_Shdr *s, enum section i, uint32_t type, uint64_t offset, uint64_t size, uint64_t entry, uint64_t alignment)
{
	const char *name = names;

	for (enum section skip = NONE; skip < i; skip++)
		name += strlen(name) + 1;
	s[i] = (Elf64_Shdr){ .sh_name = (uint32_t)(name - names), .sh_type = type, .sh_offset = offset, .sh_size = size,
		.sh_entsize = entry, .sh_addralign = alignment };
}

/* All up to the pages, and where they are. */
static void put_head(struct out *o, struct core_format *f, const struct dump_xen_version *version, const void *shared_info)
{
	const size_t vcpus = f->nvcpus * sizeof(*f->vcpus), p2m = f->pages->n * sizeof(*f->pages->page);
	Elf64_Shdr s[SECTIONS] = { 0 };
	size_t at;

	o->n = sizeof(Elf64_Ehdr) + sizeof(s);
	set_section(s, NAMES, SHT_STRTAB, o->n, sizeof(names), 0, 1);
	put(o, names, sizeof(names));
	align(o, 8);
	at = o->n;
	put_xen_notes(o, f, version);
	set_section(s, NOTES, SHT_NOTE, at, o->n - at, 0, 4);
	align(o, 8);
	f->notes_offset = o->n;
	put_threads(o, f);
	f->notes_size = o->n - f->notes_offset;
	align(o, 8);
	set_section(s, PRSTATUS, SHT_PROGBITS, o->n, vcpus, sizeof(*f->vcpus), 8);
	put(o, f->vcpus, vcpus);
	set_section(s, SHARED, SHT_PROGBITS, o->n, SHARED_INFO, SHARED_INFO, 8);
	put(o, shared_info, SHARED_INFO);
	set_section(s, P2M, SHT_PROGBITS, o->n, p2m, sizeof(*f->pages->page), 8);
	put(o, f->pages->page, p2m);
	f->pages_offset = (o->n + HV_PAGE_SIZE - 1) / HV_PAGE_SIZE * HV_PAGE_SIZE;
	f->end = f->pages_offset + f->pages->n * HV_PAGE_SIZE;
	set_section(s, PAGES, SHT_PROGBITS, f->pages_offset, f->pages->n * HV_PAGE_SIZE, HV_PAGE_SIZE, HV_PAGE_SIZE);
	if (o->at)
		memcpy(o->at + sizeof(Elf64_Ehdr), s, sizeof(s));
}

int core_format_start(struct core_format *f, struct hv *hv, const struct core_pages *pages, const vcpu_guest_context_t *vcpus,
		      size_t nvcpus, const void *shared_info)
{
	struct dump_xen_version version;
	struct out measure = { 0 }, o = { 0 };

	*f = (struct core_format){ .pages = pages, .vcpus = vcpus, .nvcpus = nvcpus };
	xen_version(hv, &version);
	put_head(&measure, f, &version, shared_info);
	o.at = calloc(1, measure.n);
	if (!o.at)
		return -ENOMEM;
	put_head(&o, f, &version, shared_info);
	f->head = o.at;
	f->head_size = o.n;
	return 0;
}

void *core_format_finish(struct core_format *f, const struct core_segments *s, bool for_crash, size_t *size)
{
	Elf64_Ehdr *e = f->head;
	Elf64_Phdr *p = calloc(s->n + 1, sizeof(*p));

	if (!p)
		return NULL;
	p[0] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_flags = PF_R, .p_offset = f->notes_offset, .p_filesz = f->notes_size, .p_align = 4 };
	for (size_t i = 0; i < s->n; i++) {
		uint64_t len = s->s[i].n * HV_PAGE_SIZE;

		p[i + 1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_W | PF_X, .p_vaddr = s->s[i].va,
			.p_paddr = f->pages->page[s->s[i].first].pfn * HV_PAGE_SIZE,
			.p_offset = f->pages_offset + s->s[i].first * HV_PAGE_SIZE, .p_filesz = len, .p_memsz = len,
			.p_align = HV_PAGE_SIZE };
	}
	*e = (Elf64_Ehdr){
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_SYSV },
		.e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = for_crash ? 0 : f->end, .e_shoff = sizeof(*e),
		.e_ehsize = sizeof(*e), .e_phentsize = sizeof(*p), .e_phnum = for_crash ? 0 : (uint16_t)(s->n + 1),
		.e_shentsize = sizeof(Elf64_Shdr), .e_shnum = SECTIONS, .e_shstrndx = NAMES,
	};
	*size = (s->n + 1) * sizeof(*p);
	return p;
}
