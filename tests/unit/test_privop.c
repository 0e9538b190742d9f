/* SPDX-License-Identifier: MIT */
/* Unit tests: emulation of privileged instructions and port I/O of PV guests. */
/* sources: pv/privop.c pv/insn.c */
/* cflags: -include fake_machine.h -D__XEN_TOOLS__ -Wno-unused-parameter */
#include "test.h"

#include <domain/guest_copy.h>
#include <lib/errno.h>
#include <memory/tlbflush.h>
#include <pv/insn.h>
#include <pv/pv.h>
#include <sched/sched.h>
#include <x86/cr.h>

#define CODE	0x400000UL
#define DATA	0x500000UL
#define CS64	FLAT_RING3_CS64
#define CS32	0x23	/* the host's own 32-bit user segment: LAR says so */

/* --- a guest with a page of code, a page of data, and devices that count -------------------------------------------------------- */

static u8 code[4096], data[4096];
static struct domain dom;
static struct pv_vcpu pvcpu;
static struct vcpu vcpu0 = { .domain = &dom, .pv = &pvcpu };
struct vcpu *current = &vcpu0;
unsigned fake_cpu;

static struct cpu_user_regs regs;
static bool ports_allowed;
static unsigned reads, writes, softirq_after;
static u16 last_port;
static u32 last_bytes, last_value, next_value;
static int injected = -1;
static u64 injected_cr2;
static u32 injected_error;
static u64 cr[16], dr[8], msr_value;
static bool blocked, again_once;
static u64 flushed;

static u8 *guest_byte(u64 va)
{
	if (va - CODE < sizeof(code))
		return &code[va - CODE];
	return va - DATA < sizeof(data) ? &data[va - DATA] : NULL;
}

size_t copy_from_guest_partial(void *dst, const void *src, size_t len)
{
	for (; len; len--) {
		u8 *b = guest_byte((u64)src);

		if (!b)
			break;
		*(u8 *)dst = *b;
		dst = (u8 *)dst + 1;
		src = (const u8 *)src + 1;
	}
	return len;
}

size_t copy_to_guest_partial(void *dst, const void *src, size_t len)
{
	for (; len; len--) {
		u8 *b = guest_byte((u64)dst);

		if (!b)
			break;
		*b = *(const u8 *)src;
		dst = (u8 *)dst + 1;
		src = (const u8 *)src + 1;
	}
	return len;
}

int copy_from_guest(void *dst, const void *src, size_t len)
{
	return copy_from_guest_partial(dst, src, len) ? -EFAULT : 0;
}

bool pv_port_access_ok(u16 port, unsigned bytes) { return ports_allowed; }
bool pv_iopl_ok(const struct vcpu *v) { return ports_allowed; }

u32 pv_port_read(u16 port, unsigned bytes)
{
	reads++;
	last_port = port;
	last_bytes = bytes;
	return next_value++;
}

void pv_port_write(u16 port, unsigned bytes, u32 val)
{
	writes++;
	last_port = port;
	last_bytes = bytes;
	last_value = val;
}

bool softirq_pending(void) { return softirq_after && !--softirq_after; }
void sched_block(void) { blocked = true; }
void tlb_flush_page_local(u64 va) { flushed = va; }

void pv_inject_trap(u8 vector, u32 error)
{
	injected = vector;
	injected_error = error;
}

void pv_inject_page_fault(u64 cr2, u32 error)
{
	injected = X86_PF;
	injected_cr2 = cr2;
	injected_error = error;
}

u64 pv_get_segment_base(unsigned which) { return which == SEGBASE_FS ? 0x100 : 0x200; }

bool pv_read_cr(unsigned n, u64 *val)
{
	if (n > 4)
		return false;
	*val = cr[n];
	return true;
}

bool pv_write_cr(unsigned n, u64 val, bool *again)
{
	*again = again_once;
	again_once = false;
	if (n > 4)
		return false;
	cr[n] = val;
	return true;
}

int pv_set_debugreg(struct vcpu *v, unsigned n, u64 val)
{
	dr[n] = val;
	return val == ~0UL ? -EINVAL : 0;
}

int pv_get_debugreg(const struct vcpu *v, unsigned n, u64 *val)
{
	*val = dr[n];
	return 0;
}

void pv_set_ts(bool set) { pvcpu.cr0_ts = set; }
bool pv_xsetbv(u32 index, u64 val) { return index == 0 && val == 7; }
bool pv_rdmsr(u32 msr, u64 *val) { *val = msr_value; return msr == 0x10; }
bool pv_wrmsr(u32 msr, u64 val) { msr_value = val; return msr == 0x10; }

void pv_cpuid(const struct vcpu *v, u32 leaf, u32 subleaf, struct cpuid_regs *out)
{
	*out = (struct cpuid_regs){ leaf + 1, subleaf + 2, 3, 4 };
}

bool domain_has_devices(const struct domain *d) { return false; }

/* --- running one instruction ---------------------------------------------------------------------------------------------------- */

static void fresh(bool kernel)
{
	regs = (struct cpu_user_regs){ .rip = CODE, .cs = CS64, .rflags = RFLAGS_IF | RFLAGS_MBS };
	pvcpu = (struct pv_vcpu){ .kernel_mode = kernel };
	ports_allowed = true;
	reads = writes = softirq_after = 0;
	next_value = 0x11223344;
	injected = -1;
	blocked = again_once = false;
	memset(code, 0xcc, sizeof(code));
	memset(data, 0, sizeof(data));
}

static bool run(const u8 *bytes, size_t n)
{
	memcpy(&code[regs.rip - CODE], bytes, n);
	return pv_emulate_privileged(&regs);
}
#define RUN(...)	run((const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

/* Not emulated: nothing at all has changed. */
#define REFUSED(...) ({								\
	struct cpu_user_regs before_ = regs;					\
	CHECK(!RUN(__VA_ARGS__));						\
	CHECK(!memcmp(&before_, &regs, sizeof(regs)));				\
	CHECK_EQ(reads + writes, 0); })

TEST(in_and_out)
{
	fresh(true);
	regs.rdx = 0xffff1234;
	regs.rax = ~0UL;
	CHECK(RUN(0xec));			/* in %dx, %al */
	CHECK_EQ(regs.rax, 0xffffffffffffff44);
	CHECK_EQ(last_port, 0x1234);
	CHECK_EQ(regs.rip, CODE + 1);
	CHECK(RUN(0x66, 0xed));			/* in %dx, %ax */
	CHECK_EQ(regs.rax, 0xffffffffffff3345);
	CHECK(RUN(0xed));			/* in %dx, %eax */
	CHECK_EQ(regs.rax, 0x11223346);
	CHECK(RUN(0xe4, 0xf8));			/* in $0xf8, %al */
	CHECK_EQ(last_port, 0xf8);
	regs.rax = 0xaabbccdd;
	CHECK(RUN(0xee));
	CHECK_EQ(last_bytes, 1);
	CHECK(RUN(0x48, 0xef));			/* REX.W: still 32 bits */
	CHECK_EQ(last_bytes, 4);
	CHECK_EQ(last_value, 0xaabbccdd);
	CHECK(RUN(0xe7, 0x80));
	CHECK_EQ(last_port, 0x80);
}

TEST(ports_refused)
{
	fresh(false);
	ports_allowed = false;
	REFUSED(0xec);
	REFUSED(0xf3, 0x6c);
	REFUSED(0xe7, 0x80);
	REFUSED(0xfa);
	ports_allowed = true;
	REFUSED(0xf0, 0xec);			/* lock in */
	/* Bytes that end at the edge of what is mapped. */
	regs.rip = CODE + sizeof(code) - 1;
	REFUSED(0xe4);
	CHECK(RUN(0xec));
}

TEST(code_of_32_bits)
{
	fresh(false);
	regs.cs = CS32;
	CHECK(RUN(0xec));
	/* dec %eax there; not a prefix. */
	fresh(false);
	regs.cs = CS32;
	REFUSED(0x48, 0xed);
	fresh(true);
	regs.cs = CS32;
	REFUSED(0x0f, 0x06);
}

TEST(string_in)
{
	fresh(true);
	regs.rdx = 0x60;
	regs.rdi = DATA + 16;
	regs.rcx = 3;
	CHECK(RUN(0xf3, 0x66, 0x6d));		/* rep insw */
	CHECK_EQ(regs.rcx, 0);
	CHECK_EQ(regs.rdi, DATA + 22);
	CHECK_EQ(regs.rip, CODE + 3);
	CHECK(!memcmp(data + 14, "\0\0\x44\x33\x45\x33\x46\x33\0\0", 10));
	CHECK_EQ(reads, 3);
}

TEST(string_backwards)
{
	fresh(true);
	regs.rsi = DATA + 8;
	regs.rcx = 2;
	regs.rflags |= RFLAGS_DF;
	data[8] = 8, data[4] = 4;
	CHECK(RUN(0xf2, 0x6f));			/* repne outsl */
	CHECK_EQ(last_value, 4);
	CHECK_EQ(regs.rsi, DATA);
	CHECK_EQ(writes, 2);
}

TEST(string_none)
{
	fresh(true);
	regs.rsi = 0x1000;
	CHECK(RUN(0xf3, 0x6e));
	CHECK_EQ(writes, 0);
	CHECK_EQ(regs.rip, CODE + 2);
}

TEST(string_fault_in_the_middle)
{
	fresh(true);
	regs.rdi = DATA + sizeof(data) - 4;
	regs.rcx = 4;
	CHECK(RUN(0xf3, 0x6d));
	/* One element done, the second faults and has not touched the device. */
	CHECK_EQ(regs.rcx, 3);
	CHECK_EQ(reads, 1);
	CHECK_EQ(injected, X86_PF);
	CHECK_EQ(injected_cr2, DATA + sizeof(data));
	CHECK_EQ(injected_error, PF_WRITE);
	CHECK_EQ(regs.rip, CODE);
}

TEST(string_addresses)
{
	fresh(true);
	/* 32-bit addressing cuts and wraps the index and the count. */
	regs.rsi = 0xdead00000000UL | DATA;
	regs.rcx = 0xdead00000001UL;
	data[0] = 7;
	CHECK(RUN(0xf3, 0x67, 0x6e));
	CHECK_EQ(last_value, 7);
	CHECK_EQ(regs.rsi, DATA + 1);
	CHECK_EQ(regs.rcx, 0);
	/* FS and GS bases are added. */
	regs.rsi = DATA;
	data[0x100] = 9;
	CHECK(RUN(0x64, 0x6e));
	CHECK_EQ(last_value, 9);
	data[0x200] = 10;
	regs.rsi = DATA;
	CHECK(RUN(0x65, 0x6e));
	CHECK_EQ(last_value, 10);
}

TEST(string_yields)
{
	fresh(true);
	regs.rdi = DATA;
	regs.rcx = 100;
	softirq_after = 11;
	CHECK(RUN(0xf3, 0x6c));
	CHECK_EQ(regs.rcx, 90);
	CHECK_EQ(regs.rip, CODE);
	CHECK_EQ(injected, -1);
	/* Executed again, it goes on. */
	CHECK(pv_emulate_privileged(&regs));
	CHECK_EQ(regs.rcx, 0);
	CHECK_EQ(regs.rip, CODE + 2);
	CHECK_EQ(reads, 100);
	/* It also stops by itself. */
	fresh(true);
	regs.rdi = DATA;
	regs.rcx = 100000;
	CHECK(RUN(0xf3, 0x6c));
	CHECK_EQ(regs.rip, CODE);
	CHECK(regs.rcx > 90000);
}

TEST(kernel_only)
{
	fresh(false);
	REFUSED(0x0f, 0x06);			/* clts */
	REFUSED(0x0f, 0x09);			/* wbinvd */
	REFUSED(0x0f, 0x20, 0xc0);
	REFUSED(0x0f, 0x22, 0xd8);
	REFUSED(0x0f, 0x23, 0xf8);
	REFUSED(0x0f, 0x30);
	REFUSED(0x0f, 0x32);
	REFUSED(0x0f, 0x31);
	REFUSED(0x0f, 0x01, 0xd1);
	REFUSED(0xf4);
	CHECK(!blocked);
}

TEST(never)
{
	fresh(true);
	REFUSED(0x0f, 0x08);			/* invd */
	REFUSED(0x0f, 0x01, 0x10);		/* lgdt */
	REFUSED(0x0f, 0x01, 0x18);		/* lidt */
	REFUSED(0x0f, 0x01, 0xf8);		/* swapgs */
	REFUSED(0x0f, 0x00, 0xd0);		/* lldt */
	REFUSED(0x0f, 0x33);			/* rdpmc */
	REFUSED(0x0f, 0x07);			/* sysret */
	REFUSED(0x48, 0xcf);			/* iretq */
	REFUSED(0x90);
	REFUSED(0xcd, 0x80);
	REFUSED(0x66, 0x66);
}

TEST(control_and_debug_registers)
{
	fresh(true);
	cr[0] = 0x80050033;
	CHECK(RUN(0x41, 0x0f, 0x20, 0xc7));	/* mov %cr0, %r15 */
	CHECK_EQ(regs.r15, 0x80050033);
	CHECK_EQ(regs.rip, CODE + 4);
	regs.r15 = 0x1234000;
	CHECK(RUN(0x41, 0x0f, 0x22, 0xdf));	/* mov %r15, %cr3 */
	CHECK_EQ(cr[3], 0x1234000);
	REFUSED(0x44, 0x0f, 0x20, 0xc0);	/* mov %cr8, %rax */
	regs.rbx = 0x77;
	CHECK(RUN(0x0f, 0x23, 0xc3));		/* mov %rbx, %db0 */
	CHECK(RUN(0x0f, 0x21, 0xc1));		/* mov %db0, %rcx */
	CHECK_EQ(regs.rcx, 0x77);
	regs.rbx = ~0UL;
	CHECK(!RUN(0x0f, 0x23, 0xc3));
	/* A change of page tables that is not finished. */
	fresh(true);
	again_once = true;
	CHECK(RUN(0x0f, 0x22, 0xd8));
	CHECK_EQ(regs.rip, CODE);
	CHECK(pv_emulate_privileged(&regs));
	CHECK_EQ(regs.rip, CODE + 3);
}

TEST(lmsw_cannot_leave_protected_mode)
{
	fresh(true);
	cr[0] = 0x80050033;
	regs.rax = 8;
	CHECK(RUN(0x0f, 0x01, 0xf0));
	CHECK_EQ(cr[0], 0x80050039);
}

TEST(model_specific_registers)
{
	fresh(true);
	msr_value = 0x1122334455667788;
	regs.rcx = 0xffffffff00000010;
	regs.rax = regs.rdx = ~0UL;
	CHECK(RUN(0x0f, 0x32));
	CHECK_EQ(regs.rax, 0x55667788);
	CHECK_EQ(regs.rdx, 0x11223344);
	regs.rax = 0xdeadbeef00000001;
	regs.rdx = 0xdeadbeef00000002;
	CHECK(RUN(0x0f, 0x30));
	CHECK_EQ(msr_value, 0x200000001);
	regs.rcx = 0x11;
	REFUSED(0x0f, 0x32);
	CHECK(!RUN(0x0f, 0x30));
}

TEST(small_ones)
{
	fresh(true);
	pvcpu.cr0_ts = true;
	CHECK(RUN(0x0f, 0x06));
	CHECK(!pvcpu.cr0_ts);
	regs.rax = 7;
	CHECK(RUN(0x0f, 0x01, 0xd1));
	regs.rax = 9;
	REFUSED(0x0f, 0x01, 0xd1);
	regs.rbx = 0x5000;
	CHECK(RUN(0x0f, 0x01, 0x7b, 0x10));	/* invlpg 16(%rbx) */
	CHECK_EQ(flushed, 0x5010);
	CHECK(RUN(0xfa));
	CHECK(RUN(0xfb));
	pvcpu.tsc_aux = 5;
	CHECK(RUN(0x0f, 0x01, 0xf9));
	CHECK_EQ(regs.rcx, 5);
	/* HLT: already behind it when the vCPU blocks. */
	regs.rip = CODE;
	CHECK(RUN(0xf4));
	CHECK(blocked);
	CHECK_EQ(regs.rip, CODE + 1);
}

TEST(single_step)
{
	fresh(true);
	regs.rflags |= RFLAGS_TF | RFLAGS_RF;
	CHECK(RUN(0x0f, 0x06));
	CHECK_EQ(injected, X86_DB);
	CHECK(pvcpu.dr[6] & BIT(14));
	CHECK(!(regs.rflags & RFLAGS_RF));
}

TEST(forced_cpuid)
{
	static const u8 good[] = { 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2 };

	fresh(false);
	memcpy(code, good, sizeof(good));
	regs.rax = 0xffffffff00000007;
	regs.rcx = 0xffffffff00000001;
	CHECK(pv_emulate_forced_cpuid(&regs));
	CHECK_EQ(regs.rax, 8);
	CHECK_EQ(regs.rbx, 3);
	CHECK_EQ(regs.rip, CODE + 7);
	for (unsigned i = 0; i < sizeof(good); i++) {
		fresh(true);
		memcpy(code, good, sizeof(good));
		code[i] ^= 1;
		CHECK(!pv_emulate_forced_cpuid(&regs));
		CHECK_EQ(regs.rip, CODE);
	}
	/* Cut by the end of what is mapped. */
	memcpy(code + sizeof(code) - 6, good, 6);
	regs.rip = CODE + sizeof(code) - 6;
	CHECK(!pv_emulate_forced_cpuid(&regs));
}

TEST(any_bytes)
{
	/* Whatever the guest executes: either nothing has changed, or rip moved by at most one instruction. */
	srand(1);
	for (unsigned i = 0; i < 200000; i++) {
		u8 bytes[INSN_MAX];
		struct cpu_user_regs before;

		fresh(i & 1);
		for (unsigned j = 0; j < sizeof(bytes); j++)
			bytes[j] = (u8)rand();
		/* Often something that means anything here. */
		if (i & 2)
			bytes[0] = 0x0f;
		if (bytes[0] == 0x0f && bytes[1] == 0x09)
			continue;
		regs.rdi = regs.rsi = DATA;
		regs.rcx = (u64)rand() % 5;
		before = regs;
		if (!run(bytes, sizeof(bytes)))
			CHECK(!memcmp(&before, &regs, sizeof(regs)));
		else
			CHECK(regs.rip - CODE <= INSN_MAX);
	}
}
