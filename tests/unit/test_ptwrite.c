/* SPDX-License-Identifier: MIT */
/* Unit tests: instruction decoding, and emulated page-table writes against the processor that executes the same instruction. */
/* sources: pv/insn.c pv/ptwrite.c */
/* cflags: -include fake_machine.h -D__XEN_TOOLS__ -Wno-unused-parameter */
#include "test.h"

#include <domain/guest_copy.h>
#include <lib/errno.h>
#include <memory/heap.h>
#include <pv/insn.h>
#include <pv/pagetable.h>
#include <sys/mman.h>

/* --- decoding ------------------------------------------------------------------------------------------------------------------- */

/* Decode n bytes, in a buffer that ends where it may be read. What lies behind them does not matter. */
static int decode_n(struct insn *i, const u8 *b, unsigned n)
{
	u8 *buffer = malloc(INSN_BUFFER);
	struct insn other;
	int rc;

	memset(buffer, 0x66, INSN_BUFFER);	/* a prefix: leads on to the end */
	memcpy(buffer, b, n);
	rc = insn_decode(buffer, n, i);
	for (unsigned k = n; k < INSN_BUFFER; k++)
		buffer[k] = (u8)test_random();
	CHECK_EQ(insn_decode(buffer, n, &other), rc);
	CHECK(rc || !memcmp(i, &other, sizeof(other)));
	free(buffer);
	return rc;
}

/* Decode exactly these bytes; one less is never enough. */
static int decode(struct insn *i, const u8 *b, unsigned n)
{
	int rc = decode_n(i, b, n);
	struct insn cut;

	if (!rc) {
		CHECK_EQ(i->len, n);
		CHECK_EQ(decode_n(&cut, b, n - 1), -ENODATA);
	}
	return rc;
}
#define DECODE(i, ...)	decode(i, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

TEST(decode_shapes)
{
	struct cpu_user_regs regs = { .rax = 0x1000, .rcx = 0x20, .rbx = 0x300000, .rip = 0x400000, .r13 = 0x7000 };
	struct insn i;

	CHECK_EQ(DECODE(&i, 0x48, 0x89, 0x03), 0);				/* mov %rax, (%rbx) */
	CHECK(insn_is_mem(&i) && i.op_bytes == 8 && i.reg == 0);
	CHECK_EQ(insn_address(&i, &regs, 0), 0x300000);
	CHECK_EQ(DECODE(&i, 0x89, 0x44, 0xcb, 0xf8), 0);			/* mov %eax, -8(%rbx,%rcx,8) */
	CHECK_EQ(insn_address(&i, &regs, 0), 0x300000 + 0x100 - 8);
	CHECK_EQ(DECODE(&i, 0x48, 0x89, 0x05, 0x10, 0, 0, 0), 0);		/* mov %rax, 16(%rip) */
	CHECK_EQ(insn_address(&i, &regs, 0), 0x400000 + 7 + 16);
	CHECK_EQ(DECODE(&i, 0x48, 0x89, 0x04, 0x25, 0x00, 0x10, 0, 0x80), 0);	/* mov %rax, 0xffffffff80001000 */
	CHECK_EQ(insn_address(&i, &regs, 0), 0xffffffff80001000UL);
	CHECK_EQ(DECODE(&i, 0x49, 0xc7, 0x45, 0x08, 0xff, 0xff, 0xff, 0xff), 0); /* movq $-1, 8(%r13) */
	CHECK_EQ(i.imm, ~0UL);
	CHECK_EQ(insn_address(&i, &regs, 0), 0x7008);
	CHECK_EQ(DECODE(&i, 0x65, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0), 0);	/* mov %gs:40, %rax */
	CHECK_EQ(i.seg, INSN_SEG_GS);
	CHECK_EQ(insn_address(&i, &regs, 0x5000), 0x5028);
	CHECK_EQ(DECODE(&i, 0x66, 0xb8, 0x34, 0x12), 0);			/* mov $0x1234, %ax */
	CHECK_EQ(i.imm, 0x1234);
	CHECK_EQ(DECODE(&i, 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8), 0);		/* movabs */
	CHECK_EQ(i.imm, 0x0807060504030201UL);
	CHECK_EQ(DECODE(&i, 0x48, 0xa3, 1, 2, 3, 4, 5, 6, 7, 8), 0);		/* movabs %rax, moffs */
	CHECK_EQ(DECODE(&i, 0x67, 0xa3, 1, 2, 3, 4), 0);
	CHECK_EQ(DECODE(&i, 0xf6, 0x03, 0x80), 0);				/* testb $0x80, (%rbx) */
	CHECK_EQ(DECODE(&i, 0xf7, 0x1b), 0);					/* negl (%rbx) */
	CHECK_EQ(DECODE(&i, 0x66, 0xf7, 0x03, 1, 2), 0);			/* testw */
	CHECK_EQ(DECODE(&i, 0xc8, 1, 2, 3), 0);					/* enter */
	CHECK_EQ(DECODE(&i, 0xf3, 0x48, 0xab), 0);				/* rep stosq */
	CHECK(i.rep && i.op_bytes == 8);
	CHECK_EQ(DECODE(&i, 0x0f, 0x30), 0);					/* wrmsr */
	CHECK_EQ(DECODE(&i, 0x0f, 0x22, 0xd8), 0);				/* mov %rax, %cr3 */
	CHECK(i.reg == 3 && i.rm == 0 && i.mod == 3);
	CHECK_EQ(DECODE(&i, 0x0f, 0x22, 0x18), 0);				/* the same: mod is ignored */
	CHECK(i.mod == 3);
	CHECK_EQ(DECODE(&i, 0x44, 0x0f, 0x20, 0xc0), 0);			/* mov %cr8, %rax */
	CHECK_EQ(i.reg, 8);
	CHECK_EQ(DECODE(&i, 0x48, 0x66, 0x89, 0x03), 0);			/* REX before a prefix does not count */
	CHECK_EQ(i.op_bytes, 2);
}

TEST(decode_refused)
{
	static const u8 long_one[] = { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90 };
	struct insn i;

	CHECK_EQ(decode_n(&i, long_one, sizeof(long_one)), -EINVAL);
	CHECK_EQ(decode_n(&i, long_one + 1, sizeof(long_one) - 1), 0);
	CHECK_EQ(decode_n(&i, long_one, 0), -ENODATA);
	CHECK_EQ(decode_n(&i, long_one, 14), -ENODATA);
	CHECK_EQ(DECODE(&i, 0xc5, 0xf8, 0x77), -EINVAL);	/* VEX */
	CHECK_EQ(DECODE(&i, 0x62, 0, 0, 0), -EINVAL);		/* EVEX */
	CHECK_EQ(DECODE(&i, 0x06), -EINVAL);			/* push %es */
	CHECK_EQ(DECODE(&i, 0x0f, 0x58, 0xc0), -EINVAL);	/* addps */
}

/* No input makes it read beyond the buffer, or take into account what is not part of it. */
TEST(decode_anything)
{
	static const u8 prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x64, 0x48 };
	struct insn i;

	for (unsigned n = 0; n < 400000; n++) {
		unsigned len = (unsigned)test_below(INSN_MAX + 2), first = (unsigned)test_below(INSN_MAX + 2);
		u8 b[INSN_MAX + 2];
		int rc;

		/* Often a few prefixes; now and then so many that nothing else fits. */
		for (unsigned k = 0; k < len; k++)
			b[k] = k < first && n % 2 ? prefixes[test_below(ARRAY_SIZE(prefixes))] : (u8)test_random();
		if (len && test_below(2))
			b[n % 2 ? min(first, len - 1) : 0] = 0x0f;
		rc = decode_n(&i, b, len);
		CHECK(rc == 0 || rc == -EINVAL || (rc == -ENODATA && len < INSN_MAX));
		if (rc == 0)
			CHECK(i.len >= 1 && i.len <= len && i.len <= INSN_MAX);
	}
}

/* --- the emulated machine ------------------------------------------------------------------------------------------------------- */

#define TABLE		5UL			/* frame of the page table */
#define L4		6UL			/* the next ones, down to level 1: what GUEST_VA is mapped by */
#define GUEST_VA	0x360000001000UL	/* where the guest has it; for the processor: ordinary memory */
#define CODE_VA		0x360000010000UL
#define DATA_VA		0x360000020000UL

static struct domain domain;
static struct pv_vcpu pv_vcpu;
static struct vcpu vcpu = { .domain = &domain, .pv = &pv_vcpu };
struct vcpu *current = &vcpu;
unsigned fake_cpu;
u64 frame_table_end = 16;
static unsigned updates;

void write_cr3(u64 v) { }

int pt_update(struct domain *d, struct domain *pg_owner, mfn_t table, unsigned index, pte_t new, unsigned flags, u64 *expected)
{
	u64 *e = &pt_table(table)[index].v;

	CHECK_EQ(table.v, TABLE);
	CHECK(index < PT_ENTRIES);
	if (expected)
		CHECK_EQ(*expected, *e);
	*e = new.v;
	updates++;
	return 0;
}

int copy_from_guest(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	return 0;
}

size_t copy_from_guest_partial(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	return 0;
}

/* --- the processor ------------------------------------------------------------------------------------------------------------- */

struct native { u64 r[16], flags, code; };	/* r[15] is not the instruction's to use */

void run_native(struct native *n);
__asm__(".text\n"
	"run_native:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"mov %rdi, %r15\n"
	"mov 0(%r15), %rax; mov 8(%r15), %rcx; mov 16(%r15), %rdx; mov 24(%r15), %rbx\n"
	"mov 48(%r15), %rsi; mov 56(%r15), %rdi\n"
	"mov 64(%r15), %r8; mov 72(%r15), %r9; mov 80(%r15), %r10; mov 88(%r15), %r11\n"
	"mov 96(%r15), %r12; mov 104(%r15), %r13; mov 112(%r15), %r14\n"
	"push 128(%r15); popf\n"
	"jmp *136(%r15)\n"
	".globl native_exit\n"
	"native_exit:\n"
	"pushf; pop 128(%r15); cld\n"
	"mov %rax, 0(%r15); mov %rcx, 8(%r15); mov %rdx, 16(%r15); mov %rbx, 24(%r15)\n"
	"mov %rsi, 48(%r15); mov %rdi, 56(%r15)\n"
	"mov %r8, 64(%r15); mov %r9, 72(%r15); mov %r10, 80(%r15); mov %r11, 88(%r15)\n"
	"mov %r12, 96(%r15); mov %r13, 104(%r15); mov %r14, 112(%r15)\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"ret\n");
extern char native_exit[];

/* One instruction and the state before it. */
static u8 code[32];
static unsigned code_len;
static bool logic_op;		/* leaves AF undefined */

static void emit(u8 b) { code[code_len++] = b; }
static void emit32(u32 v) { for (int i = 0; i < 4; i++) emit((u8)(v >> 8 * i)); }

/* ModRM and what follows, for an operand at va. Base RBX, index R9, or relative to RIP; imm: bytes that come after. */
static void emit_operand(struct native *n, u8 reg, u64 va, unsigned imm)
{
	reg = (u8)((reg & 7) << 3);
	switch (test_below(4)) {
	case 0:
		n->r[3] = va;
		emit(reg | 3);
		break;
	case 1:
		n->r[3] = va + 24;
		emit(reg | 0x43);
		emit((u8)-24);
		break;
	case 2:
		n->r[3] = va - 0x12345678 - 8 * 3;
		n->r[9] = 3;
		emit(reg | 0x84);
		emit(0xcb);		/* (%rbx,%r9,8) with REX.X */
		emit32(0x12345678);
		break;
	default:
		emit(reg | 5);
		emit32((u32)(va - (CODE_VA + code_len + 4 + imm)));
		break;
	}
}

enum { RM_REG, RM_IMM8, RM_IMM, STRING };
static const struct form { u8 map, op, ext, kind; bool lock; } forms[] = {
	{ 0, 0x88, 0, RM_REG, false }, { 0, 0x89, 0, RM_REG, false }, { 0, 0x86, 0, RM_REG, true }, { 0, 0x87, 0, RM_REG, true },
	{ 0, 0x00, 0, RM_REG, true }, { 0, 0x01, 0, RM_REG, true }, { 0, 0x08, 0, RM_REG, true }, { 0, 0x09, 0, RM_REG, true },
	{ 0, 0x20, 0, RM_REG, true }, { 0, 0x21, 0, RM_REG, true }, { 0, 0x28, 0, RM_REG, true }, { 0, 0x29, 0, RM_REG, true },
	{ 0, 0x30, 0, RM_REG, true }, { 0, 0x31, 0, RM_REG, true },
	{ 0, 0xc6, 0, RM_IMM8, false }, { 0, 0xc7, 0, RM_IMM, false },
	{ 0, 0x80, 0, RM_IMM8, true }, { 0, 0x81, 1, RM_IMM, true }, { 0, 0x83, 4, RM_IMM8, true }, { 0, 0x83, 5, RM_IMM8, true }, { 0, 0x81, 6, RM_IMM, true },
	{ 1, 0xb0, 0, RM_REG, true }, { 1, 0xb1, 0, RM_REG, true },
	{ 1, 0xab, 0, RM_REG, true }, { 1, 0xb3, 0, RM_REG, true }, { 1, 0xbb, 0, RM_REG, true },
	{ 1, 0xba, 5, RM_IMM8, true }, { 1, 0xba, 6, RM_IMM8, true }, { 1, 0xba, 7, RM_IMM8, true },
	{ 1, 0xc3, 0, RM_REG, false },
	{ 0, 0xaa, 0, STRING, false }, { 0, 0xab, 0, STRING, false }, { 0, 0xa4, 0, STRING, false }, { 0, 0xa5, 0, STRING, false },
};

static unsigned size_of(const struct form *f, bool wide, bool narrow)
{
	bool byte = f->map ? f->op == 0xb0 : !(f->op & 1);

	return byte ? 1 : wide ? 8 : narrow ? 2 : 4;
}

/* Make up an instruction that accesses memory at *va; returns its operand size. */
static unsigned make_insn(struct native *n, u64 *va)
{
	const struct form *f = &forms[test_below(ARRAY_SIZE(forms))];
	bool wide = test_below(3) > 0, narrow = !wide && test_below(2) && f->op != 0xc3, rep = f->kind == STRING && test_below(2);
	unsigned bytes = size_of(f, wide, narrow), imm = f->kind == RM_IMM ? (narrow ? 2 : 4) : f->kind == RM_IMM8;
	u8 reg = f->kind == RM_REG ? (u8)(test_below(2) ? 2 : 10) : f->ext;	/* RDX/R10; RDX as byte register is DL */

	code_len = 0;
	*va = GUEST_VA + 0x100 + (test_below(0x800) & ~(u64)(bytes - 1));
	if (narrow)
		emit(0x66);
	if (f->lock && test_below(2))
		emit(0xf0);
	if (rep) {
		emit(0xf3);
		n->r[1] = 1 + test_below(5);
	}
	emit((u8)(0x42 | (wide ? 8 : 0) | (reg & 8 ? 4 : 0)));
	if (f->map)
		emit(0x0f);
	emit(f->op);
	logic_op = f->op != 0xb0 && f->op != 0xb1 && f->op > 1 && f->op != 0x28 && f->op != 0x29 && !((f->op & 0xfc) == 0x80 && (f->ext == 0 || f->ext == 5));
	if (f->kind == STRING) {
		n->r[7] = *va;
		n->r[6] = DATA_VA + 0x100 + test_below(0x800);
		return bytes;
	}
	/* Bit numbers within the operand, accumulators that match now and then. */
	if (f->map && (f->op == 0xab || f->op == 0xb3 || f->op == 0xbb))
		n->r[reg] = test_below(8 * bytes);
	emit_operand(n, reg, *va, imm);
	for (unsigned i = 0; i < imm; i++)
		emit((u8)test_random());
	return bytes;
}

static void to_frame(const struct native *n, struct cpu_user_regs *regs)
{
	memset(regs, 0, sizeof(*regs));
	for (unsigned i = 0; i < 15; i++)
		if (i != 4 && i != 5)
			*insn_reg(regs, i) = n->r[i];
	regs->rip = CODE_VA;
	regs->rflags = n->flags;
}

/* The machine's memory: the table, mapped at GUEST_VA. */
static void make_tables(void)
{
	for (unsigned level = 4; level >= 1; level--)
		pt_table(mfn(L4 + 4 - level))[PT_INDEX(GUEST_VA, level)] = pte_make(mfn(level > 1 ? L4 + 5 - level : TABLE), PTE_P | PTE_US);
	pv_vcpu.kernel_l4 = mfn(L4);
}

static void map_at(u64 va, u64 bytes, int prot)
{
	void *p = mmap((void *)va, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK(p == (void *)va);
}

TEST(against_processor)
{
	u64 arith = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF;
	u8 *table, *memory = (u8 *)GUEST_VA;
	unsigned emulated = 0;

	map_at(DIRECTMAP_START, 16 * PAGE_SIZE, PROT_READ | PROT_WRITE);
	map_at(FRAMETABLE_START, PAGE_SIZE, PROT_READ | PROT_WRITE);
	map_at(GUEST_VA, PAGE_SIZE, PROT_READ | PROT_WRITE);
	map_at(CODE_VA, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
	map_at(DATA_VA, PAGE_SIZE, PROT_READ | PROT_WRITE);
	make_tables();
	frame_of(mfn(TABLE))->v = (u64)FRAME_L1 << FRAME_TYPE_SHIFT | FRAME_VALID | 1;
	table = mfn_to_virt(mfn(TABLE));

	for (unsigned step = 0; step < 300000 && test_failures < 5; step++) {
		struct native n;
		struct cpu_user_regs regs;
		unsigned bytes, rounds = 0;
		u64 va, mask = arith;

		for (unsigned i = 0; i < 16; i++)
			n.r[i] = test_random();
		n.flags = RFLAGS_MBS | RFLAGS_IF | (test_random() & arith) | (test_below(2) ? RFLAGS_DF : 0);
		bytes = make_insn(&n, &va);
		for (unsigned i = 0; i < PAGE_SIZE; i++)
			memory[i] = table[i] = (u8)test_random();
		for (unsigned i = 0; i < PAGE_SIZE; i++)
			((u8 *)DATA_VA)[i] = (u8)i;
		if (test_below(2))
			memcpy(&n.r[0], memory + (va & ~PAGE_MASK), bytes);
		/* Behind it: jump to the exit, wherever that is. */
		memcpy((void *)CODE_VA, code, code_len);
		memcpy((void *)(CODE_VA + code_len), "\xff\x25\0\0\0\0", 6);
		memcpy((void *)(CODE_VA + code_len + 6), &(void *){ native_exit }, 8);
		n.code = CODE_VA;
		to_frame(&n, &regs);

		do {
			u64 at = rounds ? regs.rdi : va;

			if (!pv_emulate_pt_write(&regs, at, PF_PRESENT | PF_WRITE)) {
				TEST_FAIL("step %u: not emulated: map/op %02x %02x %02x %02x", step, code[0], code[1], code[2], code[3]);
				break;
			}
			emulated++;
		} while (regs.rip == CODE_VA && rounds++ < 10);

		run_native(&n);
		if (logic_op)
			mask &= ~RFLAGS_AF;
		CHECK_EQ(regs.rip, CODE_VA + code_len);
		CHECK(!memcmp(table, memory, PAGE_SIZE));
		for (unsigned i = 0; i < 15; i++)
			if (i != 4 && i != 5 && *insn_reg(&regs, i) != n.r[i])
				TEST_FAIL("step %u: register %u is %lx, the processor says %lx", step, i, *insn_reg(&regs, i), n.r[i]);
		if ((regs.rflags ^ n.flags) & mask)
			TEST_FAIL("step %u: flags %lx, the processor says %lx", step, (u64)regs.rflags, n.flags);
		if (test_failures)
			for (unsigned i = 0; i < code_len; i++)
				printf("%02x%s", code[i], i + 1 < code_len ? " " : "\n");
	}
	CHECK(emulated >= 300000 || test_failures);
	CHECK(updates <= emulated);
}

TEST(not_emulated)
{
	struct cpu_user_regs regs = { .rip = CODE_VA, .rbx = GUEST_VA };

	map_at(DIRECTMAP_START, 16 * PAGE_SIZE, PROT_READ | PROT_WRITE);
	map_at(FRAMETABLE_START, PAGE_SIZE, PROT_READ | PROT_WRITE);
	map_at(CODE_VA, PAGE_SIZE, PROT_READ | PROT_WRITE);
	make_tables();
	frame_of(mfn(TABLE))->v = (u64)FRAME_L1 << FRAME_TYPE_SHIFT | FRAME_VALID | 1;
	memcpy((void *)CODE_VA, "\x48\x89\x03", 3);
	CHECK(!pv_emulate_pt_write(&regs, GUEST_VA, PF_PRESENT));			/* a read */
	CHECK(!pv_emulate_pt_write(&regs, GUEST_VA, PF_WRITE));				/* not present */
	CHECK(!pv_emulate_pt_write(&regs, GUEST_VA, PF_PRESENT | PF_WRITE | PF_RSVD));
	CHECK(!pv_emulate_pt_write(&regs, GUEST_VA + 8, PF_PRESENT | PF_WRITE));	/* not where the operand is */
	CHECK(!pv_emulate_pt_write(&regs, GUEST_VA + PAGE_SIZE, PF_PRESENT | PF_WRITE));
	regs.rbx = GUEST_VA + 4;
	CHECK(!pv_emulate_pt_write(&regs, GUEST_VA + 4, PF_PRESENT | PF_WRITE));	/* across two entries */
	regs.rbx = GUEST_VA;
	CHECK(pv_emulate_pt_write(&regs, GUEST_VA, PF_PRESENT | PF_WRITE));
	regs.rip = CODE_VA;
	frame_of(mfn(TABLE))->v = (u64)FRAME_WRITABLE << FRAME_TYPE_SHIFT | 1;
	CHECK(!pv_emulate_pt_write(&regs, GUEST_VA, PF_PRESENT | PF_WRITE));		/* read-only for another reason */
}
