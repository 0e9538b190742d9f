/* SPDX-License-Identifier: MIT */
/* Privileged instructions that the hypervisor emulates for the kernel: CPUID, MSRs, ports, control registers, the rest. */
#include "lib/event.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/arch-x86/cpuid.h>
#include <xen/physdev.h>
#include <xen/vcpu.h>

#define ASM(text, ...) asm volatile(text, ##__VA_ARGS__)

struct leaf {
	u32 a, b, c, d;
};

static struct leaf xen_cpuid(u32 leaf, u32 sub)
{
	struct leaf l;

	ASM(XEN_CPUID : "=a"(l.a), "=b"(l.b), "=c"(l.c), "=d"(l.d) : "0"(leaf), "2"(sub));
	return l;
}

static struct leaf raw_cpuid(u32 leaf, u32 sub)
{
	struct leaf l;

	ASM("cpuid" : "=a"(l.a), "=b"(l.b), "=c"(l.c), "=d"(l.d) : "0"(leaf), "2"(sub));
	return l;
}

static u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	ASM("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static void wrmsr(u32 msr, u64 v)
{
	ASM("wrmsr" :: "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_SHADOW_GS_BASE 0xc0000102

TEST(cpuid_hypervisor_leaves)
{
	struct leaf l = xen_cpuid(XEN_CPUID_FIRST_LEAF, 0);

	CHECK_EQ(l.b, XEN_CPUID_SIGNATURE_EBX);
	CHECK_EQ(l.c, XEN_CPUID_SIGNATURE_ECX);
	CHECK_EQ(l.d, XEN_CPUID_SIGNATURE_EDX);
	CHECK_GE(l.a, XEN_CPUID_FIRST_LEAF + 2);
	l = xen_cpuid(XEN_CPUID_FIRST_LEAF + 1, 0);
	CHECK_EQ(l.a, 4 << 16 | 17);
}

TEST(cpuid_features)
{
	struct leaf l = xen_cpuid(1, 0);

	CHECK(l.c & 1u << 31);		/* under a hypervisor */
	CHECK(l.d & 1);			/* FPU */
	CHECK(l.d & 1u << 26);		/* SSE2 */
	CHECK(l.d & 1u << 9);		/* a local APIC, for Domain 0 */
	CHECK(!(l.c & 1u << 5));	/* no VMX */
	l = xen_cpuid(0x80000001, 0);
	CHECK(l.d & 1u << 29);		/* long mode */
	CHECK(!(l.c & 1u << 2));	/* no SVM */
	CHECK_EQ(xen_cpuid(0, 0).b, raw_cpuid(0, 0).b);
	CHECK_GE(xen_cpuid(0, 0).a, 1);
	CHECK_GE(xen_cpuid(0x80000000, 0).a, 0x80000008);
}

TEST(cpuid_no_supervisor_features)
{
	/* What a ring-3 kernel cannot have: SMEP, SMAP, UMIP, PKU without CR4.PKE. */
	struct leaf l = xen_cpuid(7, 0);

	CHECK(!(l.b & 1u << 7));
	CHECK(!(l.b & 1u << 20));
	CHECK(!(l.c & 1u << 2));
	CHECK(!(l.c & 1u << 3));
}

TEST(cpuid_out_of_range)
{
	struct leaf l = xen_cpuid(0x20000000, 0);

	CHECK_EQ(l.a | l.b | l.c | l.d, 0);
	/* Beyond the last leaf nothing may shine through from the machine. */
	l = xen_cpuid(XEN_CPUID_FIRST_LEAF + 0x100, 0);
	CHECK_NE(l.b, XEN_CPUID_SIGNATURE_EBX);
}

static void u_xen_cpuid(u64 arg)
{
	struct leaf l = xen_cpuid((u32)arg, 0);

	(void)l;
}

TEST(cpuid_from_user)
{
	struct trap_frame f;

	/* The prefix works for user code as well. */
	CHECK_EQ(user_call(u_xen_cpuid, XEN_CPUID_FIRST_LEAF, &f), VEC_BP);
}

TEST(cpuid_prefix_at_page_edge)
{
	/* The prefix or the instruction straddles into a page that is absent, or that may not be executed. */
	static const u8 code[] = { 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2, 0xc3 };
	u8 *page = page_alloc();

	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	CHECK_EQ(map_new(SCRATCH_VA + PAGE_SIZE, 0), 0);
	for (unsigned in = 1; in < sizeof(code) - 1; in++) {
		u64 start = SCRATCH_VA + PAGE_SIZE - in;
		struct trap t;

		memcpy(page + PAGE_SIZE - in, code, in);
		CATCH(&t, ASM("call *%0" : "+r"(start) : "a"(1), "c"(0) : "rbx", "rdx", "memory"));
		/* Either the fault of fetching the rest, or the #UD that the bytes are without it. */
		if (t.vector != VEC_PF && t.vector != VEC_UD)
			test_fail(__FILE__, __LINE__, "%u bytes in: trap %d", in, t.vector);
		if (t.vector == VEC_PF)
			CHECK_EQ(t.cr2, SCRATCH_VA + PAGE_SIZE);
	}
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	page_free(page);
}

TEST(port_at_page_edge)
{
	/* OUT imm8 with the operand in an absent page; then with twenty prefixes. */
	u8 *page = page_alloc();
	u64 start = SCRATCH_VA + PAGE_SIZE - 1;
	struct trap t;

	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RW)), 0);
	page[PAGE_SIZE - 1] = 0xe6;
	t = CHECK_TRAP(VEC_PF, ASM("call *%0" :: "r"(start) : "memory"));
	CHECK_EQ(t.cr2, SCRATCH_VA + PAGE_SIZE);
	memset(page, 0x66, 20);
	page[20] = 0xee;
	page[21] = 0xc3;
	start = SCRATCH_VA;
	CATCH(&t, ASM("call *%0" :: "r"(start), "d"(0x80), "a"(0) : "memory"));
	CHECK(t.vector == VEC_GP || t.vector == VEC_UD);
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	page_free(page);
}

TEST(changing_code)
{
	/* HLT at an address whose page is execute-only for this purpose: readable is all the decoder needs. */
	u8 *page = page_alloc();

	page[0] = 0x0f;
	page[1] = 0x06;		/* clts */
	page[2] = 0xc3;
	CHECK_EQ(map_new(SCRATCH_VA, MAKE_PTE(virt_to_mfn(page), PTE_RO)), 0);
	CHECK_TRAP(VEC_NONE, ASM("call *%0" :: "r"(SCRATCH_VA) : "memory"));
	CHECK_EQ(map_va(SCRATCH_VA, 0), 0);
	page_free(page);
}

static long set_iopl(u32 level)
{
	return HCALL(physdev_op, PHYSDEVOP_set_iopl, &(struct physdev_set_iopl){ .iopl = level });
}

static void u_out(u64 arg) { ASM("outb %%al, %%dx" :: "d"(arg), "a"(0)); }

TEST(io_privilege)
{
	/* Without IOPL 1 the kernel has no ports and no CLI; with it the kernel has, with 3 user mode has too. */
	struct trap_frame f;

	CHECK_TRAP(VEC_GP, ASM("outb %%al, $0x80" :: "a"(0)));
	CHECK_TRAP(VEC_GP, ASM("inb $0x80, %%al" ::: "rax"));
	CHECK_TRAP(VEC_GP, ASM("cli"));
	CHECK_TRAP(VEC_GP, ASM("sti"));
	CHECK_EQ(set_iopl(4), -XEN_EINVAL);
	CHECK_EQ(set_iopl(3), 0);
	CHECK_EQ(user_call(u_out, 0x80, &f), VEC_BP);
	CHECK_EQ(set_iopl(1), 0);
	CHECK_EQ(user_call(u_out, 0x80, &f), VEC_GP);
}

TEST(io_bitmap)
{
	/* One port for user mode: a clear bit lets it through, a set one does not. */
	static u8 bitmap[8192];
	struct physdev_set_iobitmap map = { .nr_ports = 0x100 };
	struct trap_frame f;

	memset(bitmap, 0xff, sizeof(bitmap));
	bitmap[0x80 / 8] = (u8)~1;
	set_xen_guest_handle(map.bitmap, bitmap);
	CHECK_EQ(HCALL(physdev_op, PHYSDEVOP_set_iobitmap, &map), 0);
	CHECK_EQ(user_call(u_out, 0x80, &f), VEC_BP);
	CHECK_EQ(user_call(u_out, 0x81, &f), VEC_GP);
	/* Beyond the bitmap's end. */
	CHECK_EQ(user_call(u_out, 0x180, &f), VEC_GP);
	map.nr_ports = 65537;
	CHECK_LT(HCALL(physdev_op, PHYSDEVOP_set_iobitmap, &map), 0);
	/* A bitmap that cannot be read grants nothing. */
	map.nr_ports = 0x100;
	set_xen_guest_handle(map.bitmap, (u8 *)XEN_VA_INSIDE);
	CHECK_LT(HCALL(physdev_op, PHYSDEVOP_set_iobitmap, &map), 0);
	set_xen_guest_handle(map.bitmap, (u8 *)SCRATCH_VA);
	if (!HCALL(physdev_op, PHYSDEVOP_set_iobitmap, &map))
		CHECK_EQ(user_call(u_out, 0x80, &f), VEC_GP);
	map.nr_ports = 0;
	CHECK_EQ(HCALL(physdev_op, PHYSDEVOP_set_iobitmap, &map), 0);
	CHECK_EQ(user_call(u_out, 0x80, &f), VEC_GP);
}

TEST(ports)
{
	u8 v8;
	u32 v32;

	/* The delay port is Domain 0's; the PICs, the PIT's counters, the CMOS and PCI configuration are emulated or denied. */
	CHECK_TRAP(VEC_NONE, ASM("outb %%al, $0x80" :: "a"(0)));
	CHECK_TRAP(VEC_NONE, ASM("outb %%al, %%dx" :: "a"(0), "d"(0x80)));
	CHECK_TRAP(VEC_NONE, ASM("inb $0x80, %%al" : "=a"(v8)));
	CHECK_TRAP(VEC_NONE, ASM("inb $0x61, %%al" : "=a"(v8)));
	CHECK_TRAP(VEC_NONE, ASM("outl %%eax, %%dx" :: "a"(0x80000000), "d"(0xcf8)));
	CHECK_TRAP(VEC_NONE, ASM("inl %%dx, %%eax" : "=a"(v32) : "d"(0xcf8)));
	CHECK_EQ(v32, 0x80000000);
	CHECK_TRAP(VEC_NONE, ASM("inl %%dx, %%eax" : "=a"(v32) : "d"(0xcfc)));
	CHECK_NE(v32 & 0xffff, 0xffff);	/* host bridge of the test machine */
	CHECK_TRAP(VEC_NONE, ASM("outb %%al, $0x70; inb $0x71, %%al" : "=a"(v8) : "0"(0)));
}

TEST(port_widths)
{
	u16 v16;
	u32 v32;

	CHECK_TRAP(VEC_NONE, ASM("inw %%dx, %%ax" : "=a"(v16) : "d"(0x80)));
	/* A narrow IN keeps the upper part of RAX, a 32-bit one clears it. */
	u64 rax = 0x1122334455667788;

	ASM("inb $0x80, %%al" : "+a"(rax));
	CHECK_EQ(rax >> 8, 0x11223344556677);
	rax = 0x1122334455667788;
	ASM("inw %%dx, %%ax" : "+a"(rax) : "d"(0x80));
	CHECK_EQ(rax >> 16, 0x112233445566);
	rax = 0x1122334455667788;
	ASM("inl %%dx, %%eax" : "+a"(rax) : "d"(0xcf8));
	CHECK_EQ(rax >> 32, 0);
	ASM("inl %%dx, %%eax" : "=a"(v32) : "d"(0x80));
	(void)v32;
	(void)v16;
	/* Across the end of the port space. */
	struct trap t;

	CATCH(&t, ASM("inl %%dx, %%eax" : "=a"(v32) : "d"(0xffff)));
	CHECK(t.vector == VEC_NONE || t.vector == VEC_GP);
}

TEST(port_strings)
{
	u8 in[4] = { 0 }, *p = in;
	const u8 *q = in;
	u64 n = 4;

	ASM("cld; rep insb" : "+D"(p), "+c"(n) : "d"(0x80) : "memory");
	CHECK_EQ(n, 0);
	CHECK_EQ(p, in + 4);
	n = 4;
	ASM("rep outsb" : "+S"(q), "+c"(n) : "d"(0x80) : "memory");
	CHECK_EQ(n, 0);
	CHECK_EQ(q, in + 4);
	/* Into and out of nowhere, and of the hypervisor. */
	struct trap t = CHECK_TRAP(VEC_PF, ASM("insb" :: "D"(SCRATCH_VA), "d"(0x80) : "memory"));

	CHECK_EQ(t.cr2, SCRATCH_VA);
	/* The emulator may see the hypervisor's addresses as beyond the segment (#GP) or as absent (#PF). */
	CATCH(&t, ASM("insb" :: "D"(XEN_VA_INSIDE), "d"(0x80) : "memory"));
	CHECK(t.vector == VEC_GP || (t.vector == VEC_PF && t.cr2 == XEN_VA_INSIDE));
	CATCH(&t, ASM("outsb" :: "S"(XEN_VA_INSIDE), "d"(0x80) : "memory"));
	CHECK(t.vector == VEC_GP || (t.vector == VEC_PF && t.cr2 == XEN_VA_INSIDE));
	CATCH(&t, ASM("insb" :: "D"(NONCANONICAL), "d"(0x80) : "memory"));
	CHECK(t.vector == VEC_GP || t.vector == VEC_PF);
}

TEST(ports_of_the_hypervisor)
{
	/* Domain 0 may use almost every port, but it must not drive the serial line or the PICs under the hypervisor's hands. */
	u32 v = 0;
	struct trap t;

	/* Reads give all ones, or fault: the hypervisor's UART at 0x3f8 has a line status that is never 0xff. */
	CATCH(&t, ASM("inb %%dx, %%al" : "=a"(v) : "d"(0x3fd)));
	CHECK(t.vector == VEC_GP || (u8)v == 0xff);
	CATCH(&t, ASM("inb %%dx, %%al" : "=a"(v) : "d"(0x21)));
	CHECK(t.vector == VEC_GP || (u8)v == 0xff);
	CATCH(&t, ASM("inb %%dx, %%al" : "=a"(v) : "d"(0x40)));
	CHECK(t.vector == VEC_GP || t.vector == VEC_NONE);
}

TEST(control_registers)
{
	u64 cr0, cr2, cr3, cr4, v;

	ASM("mov %%cr0, %0" : "=r"(cr0));
	CHECK(cr0 & 1);			/* PE */
	CHECK(cr0 & 1ul << 31);		/* PG */
	CHECK(cr0 & 1ul << 5);		/* NE */
	ASM("mov %%cr3, %0" : "=r"(cr3));
	CHECK_EQ(cr3 >> PAGE_SHIFT, virt_to_mfn(current_l4()));
	ASM("mov %%cr4, %0" : "=r"(cr4));
	CHECK(cr4 & 1ul << 5);		/* PAE */

	ASM("mov %0, %%cr2" :: "r"(0x123456789ul));
	ASM("mov %%cr2, %0" : "=r"(cr2));
	CHECK_EQ(cr2, 0x123456789);

	/* TS is the only bit of CR0 that can be changed. */
	ASM("mov %0, %%cr0" :: "r"(cr0 | 8));
	ASM("mov %%cr0, %0" : "=r"(v));
	CHECK_EQ(v & 8, 8);
	ASM("clts");
	ASM("mov %%cr0, %0" : "=r"(v));
	CHECK_EQ(v & 8, 0);
	CHECK_TRAP(VEC_GP, ASM("mov %0, %%cr0" :: "r"(cr0 ^ 1ul << 16)));
	CHECK_TRAP(VEC_GP, ASM("mov %0, %%cr0" :: "r"(cr0 & ~(1ul << 31))));

	/* The same top level is accepted again; what is none is not. */
	ASM("mov %0, %%cr3" :: "r"(cr3) : "memory");
	CHECK_TRAP(VEC_GP, ASM("mov %0, %%cr3" :: "r"(virt_to_maddr(start_info) & ~(PAGE_SIZE - 1)) : "memory"));
	CHECK_TRAP(VEC_GP, ASM("mov %0, %%cr3" :: "r"(0x000ffffffffff000) : "memory"));

	ASM("mov %0, %%cr4" :: "r"(cr4) : "memory");
	ASM("mov %%cr4, %0" : "=r"(v));
	CHECK_EQ(v, cr4);
}

TEST(control_register_4)
{
	/* Bits that only the hypervisor may set: the write is refused or ignored. */
	static const u64 bits[] = { 1ul << 13, 1ul << 14, 1ul << 20, 1ul << 21, 1ul << 11, 1ul << 40 };
	u64 cr4, v;

	ASM("mov %%cr4, %0" : "=r"(cr4));
	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
		struct trap t;

		CATCH(&t, ASM("mov %0, %%cr4" :: "r"(cr4 | bits[i]) : "memory"));
		CHECK(t.vector == VEC_GP || t.vector == VEC_NONE);
		ASM("mov %%cr4, %0" : "=r"(v));
		CHECK_EQ(v, cr4);
	}
}

TEST(control_registers_absent)
{
	u64 v;
	struct trap t;

	for (unsigned i = 0; i < 2; i++) {
		if (i)
			CATCH(&t, ASM(".byte 0x0f, 0x20, 0xc8" : "=a"(v)));	/* mov %cr1, %rax */
		else
			CATCH(&t, ASM(".byte 0x0f, 0x20, 0xe8" : "=a"(v)));	/* mov %cr5, %rax */
		CHECK(t.vector == VEC_UD || t.vector == VEC_GP);
	}
	CATCH(&t, ASM("mov %%cr8, %0" : "=r"(v)));
	CHECK(t.vector == VEC_UD || t.vector == VEC_GP || t.vector == VEC_NONE);
}

TEST(cr2_after_fault)
{
	u64 cr2;

	CHECK_TRAP(VEC_PF, READ_ONCE(*(u64 *)0x77000));
	ASM("mov %%cr2, %0" : "=r"(cr2));
	CHECK_EQ(cr2, 0x77000);
}

TEST(debug_register_moves)
{
	u64 v;

	ASM("mov %0, %%dr0" :: "r"(0x5000ul));
	ASM("mov %%dr0, %0" : "=r"(v));
	CHECK_EQ(v, 0x5000);
	CHECK_EQ(HCALL(get_debugreg, 0), 0x5000);
	ASM("mov %%dr7, %0" : "=r"(v));
	CHECK_EQ(v, 0x400);
	CHECK_TRAP(VEC_GP, ASM("mov %0, %%dr1" :: "r"(NONCANONICAL)));
	CHECK_TRAP(VEC_GP, ASM("mov %0, %%dr1" :: "r"(XEN_VA_INSIDE)));
	ASM("mov %0, %%dr0" :: "r"(0ul));
}

TEST(small_ones)
{
	u64 sti_mask;

	CHECK_TRAP(VEC_NONE, ASM("wbinvd" ::: "memory"));
	CHECK_TRAP(VEC_NONE, ASM("clts"));
	CHECK_TRAP(VEC_GP, ASM("invd" ::: "memory"));
	/* CLI and STI do nothing, and do it without a fault. */
	CHECK_TRAP(VEC_NONE, ASM("cli"));
	CHECK_TRAP(VEC_NONE, ASM("sti"));
	ASM("pushfq; pop %0" : "=r"(sti_mask));
	CHECK(sti_mask & FLAG_IF);
	CHECK_EQ(this_cpu()->info->evtchn_upcall_mask, 1);
}

TEST(invlpg_instruction)
{
	/* Xen leaves it to the hypercall and faults; one that emulates it is within its rights. */
	struct trap t;

	CATCH(&t, ASM("invlpg (%0)" :: "r"(SCRATCH_VA) : "memory"));
	CHECK(t.vector == VEC_GP || t.vector == VEC_NONE);
	CATCH(&t, ASM("invlpg (%0)" :: "r"(XEN_VA_INSIDE) : "memory"));
	CHECK(t.vector == VEC_GP || t.vector == VEC_NONE);
}

TEST(halt)
{
	/* HLT blocks until an event is pending, here the one-shot timer's; not to offer it as an instruction is allowed. */
	u64 start = now();
	long port = event_bind_virq(VIRQ_TIMER, 0);
	struct trap t;

	REQUIRE(port > 0);
	event_mask((u32)port, false);
	CHECK_EQ(HCALL(set_timer_op, start + 20 * MSEC), 0);
	CATCH(&t, ASM("hlt"));
	CHECK(t.vector == VEC_NONE || t.vector == VEC_GP || t.vector == VEC_EVENT);
	CHECK_LT(now() - start, PATIENCE);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_mask, 1);
	CHECK_EQ(HCALL(set_timer_op, 0), 0);
	CHECK_EQ(event_close((u32)port), 0);
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_pending, 0);
}

TEST(table_registers)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) table = { 0, 0 };
	struct trap t;
	u64 msw = 0;

	CHECK_TRAP(VEC_GP, ASM("lgdt %0" :: "m"(table)));
	CHECK_TRAP(VEC_GP, ASM("lidt %0" :: "m"(table)));
	CHECK_TRAP(VEC_GP, ASM("lldt %w0" :: "r"(0)));
	CHECK_TRAP(VEC_GP, ASM("ltr %w0" :: "r"(0xe040)));
	CATCH(&t, ASM("lmsw %w0" :: "r"(0)));
	CHECK_EQ(t.vector, VEC_GP);
	/* Readable on processors without UMIP. */
	CATCH(&t, ASM("smsw %0" : "=r"(msw)));
	CHECK(t.vector == VEC_NONE || t.vector == VEC_GP);
	CHECK_TRAP(VEC_GP, ASM("swapgs"));
	CHECK_TRAP(VEC_GP, ASM("sysretq"));
}

TEST(far_iret_to_ring_0)
{
	CHECK_TRAP(VEC_GP, ASM("mov %%rsp, %%rcx; push $0; push %%rcx; pushfq; push $0xe008; lea 1f(%%rip), %%rax;"
			       "push %%rax; iretq; 1:" ::: "rax", "rcx", "memory"));
}

TEST(virtualization_instructions)
{
	struct trap t;

	CATCH(&t, ASM("vmcall"));
	CHECK(t.vector == VEC_UD || t.vector == VEC_GP);
	CATCH(&t, ASM("vmmcall"));
	CHECK(t.vector == VEC_UD || t.vector == VEC_GP);
	CATCH(&t, ASM("vmload" :: "a"(0)));
	CHECK(t.vector == VEC_UD || t.vector == VEC_GP);
	CATCH(&t, ASM("vmrun" :: "a"(0)));
	CHECK(t.vector == VEC_UD || t.vector == VEC_GP);
	CATCH(&t, ASM("stgi"));
	CHECK(t.vector == VEC_UD || t.vector == VEC_GP);
	CATCH(&t, ASM("clgi"));
	CHECK(t.vector == VEC_UD || t.vector == VEC_GP);
	CATCH(&t, ASM("rsm"));
	CHECK(t.vector == VEC_UD || t.vector == VEC_GP);
}

TEST(time_stamp_counter)
{
	u64 a = rdtsc(), b = rdtsc();

	CHECK_GE(b - a, 0);
	CHECK_TRAP(VEC_NONE, rdmsr(0x10));
	CHECK_LT(rdmsr(0x10) - b, 10 * SEC);
	struct trap t;

	CATCH(&t, ASM("rdtscp" ::: "rax", "rcx", "rdx"));
	CHECK(t.vector == VEC_NONE || t.vector == VEC_UD);
	CATCH(&t, ASM("rdpmc" :: "c"(0) : "rax", "rdx"));
	CHECK(t.vector == VEC_NONE || t.vector == VEC_GP);
}

TEST(msr_efer)
{
	u64 efer = rdmsr(MSR_EFER);

	CHECK(efer & 1);		/* SYSCALL */
	CHECK(efer & 1ul << 10);	/* long mode active, */
	CHECK(efer & 1ul << 8);		/* enabled */
	CHECK_EQ(efer & 1ul << 12, 0);	/* no SVM */
}

TEST(msr_segment_bases)
{
	u64 word = 0x5a5a, v;

	CHECK_TRAP(VEC_NONE, wrmsr(MSR_FS_BASE, (u64)&word));
	CHECK_EQ(rdmsr(MSR_FS_BASE), &word);
	ASM("mov %%fs:0, %0" : "=r"(v));
	CHECK_EQ(v, 0x5a5a);
	CHECK_TRAP(VEC_NONE, wrmsr(MSR_GS_BASE, (u64)&word));
	CHECK_EQ(rdmsr(MSR_GS_BASE), &word);
	ASM("mov %%gs:0, %0" : "=r"(v));
	CHECK_EQ(v, 0x5a5a);
	CHECK_TRAP(VEC_NONE, wrmsr(MSR_SHADOW_GS_BASE, 0x1234));
	CHECK_EQ(rdmsr(MSR_SHADOW_GS_BASE), 0x1234);
	CHECK_TRAP(VEC_GP, wrmsr(MSR_FS_BASE, NONCANONICAL));
	CHECK_TRAP(VEC_GP, wrmsr(MSR_GS_BASE, 0x0000800000000000));
	CHECK_TRAP(VEC_GP, wrmsr(MSR_SHADOW_GS_BASE, 0xffff7fffffffffff));
	CHECK_EQ(rdmsr(MSR_GS_BASE), &word);
	CHECK_TRAP(VEC_NONE, wrmsr(MSR_FS_BASE, 0));
	CHECK_TRAP(VEC_NONE, wrmsr(MSR_GS_BASE, 0));
	CHECK_TRAP(VEC_NONE, wrmsr(MSR_SHADOW_GS_BASE, 0));
}

TEST(msr_writes_without_effect)
{
	/* Registers whose value is the machine's: a write faults, or is dropped; it never takes. */
	static const struct {
		u32 msr;
		u64 value;
	} list[] = {
		{ MSR_EFER, 0 }, { MSR_STAR, 0x1111 }, { MSR_LSTAR, (u64)VIRT_BASE }, { 0xc0000083, (u64)VIRT_BASE },
		{ 0xc0000084, 0 }, { 0x174, 8 }, { 0x175, VIRT_BASE }, { 0x176, VIRT_BASE }, { 0x1b, 0xfee00900 },
		{ 0x277, 0 }, { 0x1d9, 1 }, { 0xc0010114, 0 }, { 0xc0010117, 0x1000 }, { 0x200, 6 }, { 0x2ff, 0xc06 },
		{ 0x1a0, 0 }, { 0xc0010015, 0 }, { 0x8b, 0 }, { 0x79, 0 }, { 0xda0, 1 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		volatile u64 before = 0, after = 0;
		struct trap t, w;

		CATCH(&t, before = rdmsr(list[i].msr));
		CATCH(&w, wrmsr(list[i].msr, list[i].value));
		if (w.vector != VEC_GP && w.vector != VEC_NONE)
			test_fail(__FILE__, __LINE__, "wrmsr %x: trap %d", list[i].msr, w.vector);
		if (t.vector == VEC_NONE && w.vector == VEC_NONE) {
			CATCH(&t, after = rdmsr(list[i].msr));
			if (before != after)
				test_fail(__FILE__, __LINE__, "msr %x: %lx became %lx", list[i].msr, before, after);
		}
	}
	/* The system-call entry is still the hypervisor's. */
	CHECK_EQ(raw_hypercall(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0), 4 << 16 | 17);
}

TEST(msr_entry_points_hidden)
{
	/* The hypervisor's own addresses are not shown. */
	static const u32 list[] = { MSR_LSTAR, 0xc0000083, 0x175, 0x176 };

	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		volatile u64 v = 0;
		struct trap t;

		CATCH(&t, v = rdmsr(list[i]));
		if (t.vector == VEC_NONE && v >= HYPERVISOR_VIRT_START && v < HYPERVISOR_VIRT_END)
			test_fail(__FILE__, __LINE__, "msr %x shows %lx", list[i], v);
	}
}

TEST(msr_unknown)
{
	struct trap t;

	CATCH(&t, rdmsr(0xdeadbeef));
	CHECK_EQ(t.vector, VEC_GP);
	CHECK_EQ(t.error, 0);
	CATCH(&t, wrmsr(0xdeadbeef, 1));
	CHECK(t.vector == VEC_GP || t.vector == VEC_NONE);
}

TEST(msr_pat)
{
	/* The memory types that PTE bits select are fixed by the ABI; the value Xen uses is what Linux is written for. */
	CHECK_EQ(rdmsr(0x277), 0x050100070406);
}

TEST(iopl_flag)
{
	/* The level is not visible in the flags, and the flags cannot raise it. */
	u64 flags;

	ASM("pushfq; orq $0x3000, (%%rsp); popfq; pushfq; pop %0" : "=r"(flags) :: "memory", "cc");
	CHECK_EQ(flags & FLAG_IOPL, 0);
}
