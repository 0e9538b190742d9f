/* SPDX-License-Identifier: MIT */
/* A CPU's GDT page, TSS, IDT and SYSCALL entry (source: Intel SDM vol. 3 ch. 3, 6, 7; SYSCALL: AMD APM vol. 2 ch. 6). */
#include <core/cpumask.h>
#include <core/segments.h>
#include <lib/string.h>
#include <x86/cr.h>
#include <x86/cpuid.h>
#include <x86/msr.h>
#include <x86/regs.h>

#define DESC_CODE64	0x00af9b000000ffffUL
#define DESC_DATA	0x00cf93000000ffffUL
#define DESC_RING3_CS32	0x00cffb000000ffffUL
#define DESC_RING3_DATA	0x00cff3000000ffffUL
#define DESC_RING3_CS64	0x00affb000000ffffUL

/* Index of a reserved selector within the CPU's GDT page. */
#define GDT_INDEX(sel)	(((sel) & 0xfff) >> 3)

/* Per-CPU stubs for SYSCALL: an entry with the guest's rsp and no register free. */
#define STUB_SIZE	64

static struct cpu_tables boot_tables __aligned(4096);
static struct cpu_tables *cpu_tables[MAX_CPUS];
static struct idt_gate idt[256] __aligned(4096);

extern char vector_stubs[], syscall_entry[], syscall32_entry[], sysenter_entry[];

mfn_t segments_gdt_page(unsigned cpu)
{
	u64 va = (u64)cpu_tables[cpu]->gdt;

	return mfn(PFN_DOWN(va >= DIRECTMAP_START ? va - DIRECTMAP_START : va - IMAGE_START + IMAGE_PHYS));
}

static u64 system_desc_lo(u64 base, u32 limit, u8 type)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | (u64)(0x80 | type) << 40 | (u64)(limit >> 16 & 0xf) << 48 | (base >> 24 & 0xff) << 56;
}

static void set_system_desc(u64 *gdt, u16 sel, u64 base, u32 limit, u8 type)
{
	gdt[GDT_INDEX(sel)] = system_desc_lo(base, limit, type);
	gdt[GDT_INDEX(sel) + 1] = base >> 32;
}

static void fill_gdt(struct cpu_tables *t)
{
	t->gdt[GDT_INDEX(SEL_HYP_CS)] = DESC_CODE64;
	t->gdt[GDT_INDEX(SEL_HYP_DS)] = DESC_DATA;
	t->gdt[GDT_INDEX(SEL_RING3_CS32)] = DESC_RING3_CS32;
	t->gdt[GDT_INDEX(SEL_RING3_DS)] = DESC_RING3_DATA;
	t->gdt[GDT_INDEX(SEL_RING3_CS64)] = DESC_RING3_CS64;
	set_system_desc(t->gdt, SEL_TSS, (u64)&t->tss, sizeof(t->tss) - 1, 9);
}

static void fill_tss(struct tss *tss, u64 stack_bottom)
{
	struct cpu_info *info = (struct cpu_info *)(stack_bottom + STACK_SIZE) - 1;

	tss->rsp[0] = (u64)&info->guest_regs.es;
	for (unsigned i = 0; i < 4; i++)
		tss->ist[i] = stack_bottom + (i + 1) * IST_STACK_SIZE;
	tss->iomap_base = sizeof(*tss);	/* no bitmap: all ring-3 port accesses trap */
}

static void set_gate(unsigned vec, unsigned dpl, unsigned ist)
{
	u64 addr = (u64)vector_stubs + vec * 16;

	idt[vec].lo = (addr & 0xffff) | (u64)SEL_HYP_CS << 16 | (u64)ist << 32 | (u64)(0x8e | dpl << 5) << 40 | (addr >> 16 & 0xffff) << 48;
	idt[vec].hi = addr >> 32;
}

static void fill_idt(void)
{
	for (unsigned vec = 0; vec < 256; vec++)
		set_gate(vec, 0, 0);
	set_gate(X86_NMI, 0, IST_NMI);
	set_gate(X86_MC, 0, IST_MCE);
	set_gate(X86_DF, 0, IST_DF);
	set_gate(X86_DB, 0, IST_DB);
	set_gate(X86_BP, 3, 0);
	set_gate(X86_OF, 3, 0);
	set_gate(0x80, 3, 0);
}

/* movabs %rax, scratch; mov %rsp, %rax; movabs $frame_end, %rsp; push $ss; push %rax; movabs $entry, %rax; jmp *%rax */
static void make_stub(u8 *stub, struct cpu_info *info, const void *entry)
{
	u64 scratch = (u64)&info->scratch[0], frame_end = (u64)&info->guest_regs.es, target = (u64)entry;
	u32 ss = SEL_RING3_DS;

	*stub++ = 0x48, *stub++ = 0xa3;
	memcpy(stub, &scratch, 8), stub += 8;
	*stub++ = 0x48, *stub++ = 0x89, *stub++ = 0xe0;
	*stub++ = 0x48, *stub++ = 0xbc;
	memcpy(stub, &frame_end, 8), stub += 8;
	*stub++ = 0x68;
	memcpy(stub, &ss, 4), stub += 4;
	*stub++ = 0x50;
	*stub++ = 0x48, *stub++ = 0xb8;
	memcpy(stub, &target, 8), stub += 8;
	*stub++ = 0xff, *stub++ = 0xe0;
}

/*
 * Stubs of all CPUs: MAX_CPUS * 2 * STUB_SIZE bytes in the image, written here through the direct map and executed at their image address,
 * so that no page is writable and executable at once.
 */
static u8 stub_area[MAX_CPUS * 2 * STUB_SIZE] __section(".text.stubs") __aligned(4096) = { 0xcc };

static void init_syscall(unsigned cpu, struct cpu_info *info)
{
	u8 *stub = stub_area + cpu * 2 * STUB_SIZE;
	u8 *alias = stub - IMAGE_START + IMAGE_PHYS + DIRECTMAP_START;

	make_stub(alias, info, syscall_entry);
	make_stub(alias + STUB_SIZE, info, syscall32_entry);
	wrmsr(MSR_STAR, (u64)SEL_RING3_CS32 << 48 | (u64)SEL_HYP_CS << 32);
	wrmsr(MSR_LSTAR, (u64)stub);
	wrmsr(MSR_CSTAR, (u64)(stub + STUB_SIZE));
	wrmsr(MSR_FMASK, RFLAGS_TF | RFLAGS_DF | RFLAGS_IF | RFLAGS_NT | RFLAGS_AC | RFLAGS_VM | RFLAGS_RF | RFLAGS_IOPL);
	if (cpu_features.vendor == VENDOR_INTEL) {
		wrmsr(MSR_SYSENTER_CS, SEL_HYP_CS);
		wrmsr(MSR_SYSENTER_ESP, (u64)&info->guest_regs.es);
		wrmsr(MSR_SYSENTER_EIP, (u64)sysenter_entry);
	}
}

void segments_load_gdt(u64 base)
{
	struct table_ptr gdtr = { .limit = (RESERVED_GDT_PAGE + 1) * PAGE_SIZE - 1, .base = base };

	__asm__ volatile("lgdt %0" :: "m"(gdtr) : "memory");
}

void segments_load_boot_gdt(void)
{
	segments_load_gdt((u64)cpu_tables[smp_processor_id()]->gdt - RESERVED_GDT_PAGE * PAGE_SIZE);
}

void segments_load_ldt(u64 va, unsigned nr_ents)
{
	u64 *gdt = cpu_tables[smp_processor_id()]->gdt;

	if (!nr_ents) {
		__asm__ volatile("lldt %w0" :: "r"(0));
		return;
	}
	set_system_desc(gdt, SEL_LDT, va, nr_ents * 8 - 1, 2);
	__asm__ volatile("lldt %w0" :: "r"(SEL_LDT));
}

void segments_init_cpu(unsigned cpu, struct cpu_tables *t)
{
	u64 stack_bottom = (u64)cpu_info() & ~(STACK_SIZE - 1);
	struct cpu_info *info = cpu_info();
	struct table_ptr idtr = { .limit = sizeof(idt) - 1, .base = (u64)idt };

	if (!t)
		t = &boot_tables;
	cpu_tables[cpu] = t;
	memset(t, 0, sizeof(*t));
	fill_gdt(t);
	fill_tss(&t->tss, stack_bottom);
	if (!idt[0].lo)
		fill_idt();

	segments_load_boot_gdt();
	__asm__ volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:" :: "i"(SEL_HYP_CS) : "rax", "memory");
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs; mov %1, %%ss" :: "r"(0), "r"(0) : "memory");
	__asm__ volatile("lidt %0" :: "m"(idtr));
	__asm__ volatile("lldt %w0; ltr %w1" :: "r"(0), "r"(SEL_TSS) : "memory");
	init_syscall(cpu, info);
}
