/* SPDX-License-Identifier: MIT */
/* Instruction decoder for 64-bit mode: prefixes, opcode, ModRM, SIB, displacement, immediate. */

#include <domain/guest_copy.h>
#include <lib/errno.h>
#include <pv/insn.h>
#include <x86/cr.h>

/*
 * Shape of an opcode: what follows it. Everything is decided from one byte per opcode, so that length and
 * operands are known without knowing what the instruction does.
 */
enum {
	M = 1,		/* ModRM follows */
	I8 = 2,		/* 8-bit immediate, sign-extended */
	IZ = 4,		/* immediate of operand size, at most 32 bits */
	IV = 8,		/* MOV reg, imm: immediate of full operand size */
	MO = 16,	/* memory offset of address size (A0..A3) */
	I16 = 32,	/* 16-bit immediate */
	G3 = 64,	/* group 3: the immediate belongs only to /0 and /1 */
	BAD = 128,	/* invalid in 64-bit mode, or not known here */
};

#define ALU	M, M, M, M, I8, IZ, BAD, BAD	/* ADD … CMP in six forms; then invalid PUSH/POP, BCD, or prefixes */
#define X4(x)	x, x, x, x
#define X8(x)	X4(x), X4(x)
#define X16(x)	X8(x), X8(x)

static const u8 shape_1[256] = {
	/* 00 */ ALU, ALU, ALU, ALU, ALU, ALU, ALU, ALU,
	/* 40 */ X16(BAD),				/* REX: handled as prefix */
	/* 50 */ X16(0),
	/* 60 */ BAD, BAD, BAD, M, BAD, BAD, BAD, BAD, IZ, M | IZ, I8, M | I8, 0, 0, 0, 0,
	/* 70 */ X16(I8),
	/* 80 */ M | I8, M | IZ, BAD, M | I8, M, M, M, M, X8(M),
	/* 90 */ X8(0), 0, 0, BAD, 0, 0, 0, 0, 0,
	/* a0 */ X4(MO), 0, 0, 0, 0, I8, IZ, 0, 0, 0, 0, 0, 0,
	/* b0 */ X8(I8), X8(IV),
	/* c0 */ M | I8, M | I8, I16, 0, BAD, BAD, M | I8, M | IZ, I16 | I8, 0, I16, 0, 0, I8, BAD, 0,
	/* d0 */ X4(M), BAD, BAD, BAD, 0, X8(M),
	/* e0 */ X4(I8), X4(I8), IZ, IZ, BAD, I8, 0, 0, 0, 0,
	/* f0 */ BAD, 0, BAD, BAD, 0, 0, M | G3, M | G3, 0, 0, 0, 0, 0, 0, M, M,
};

static u8 shape_0f(u8 op)
{
	switch (op) {
	case 0x05: case 0x07:				/* SYSCALL, SYSRET */
	case 0x06: case 0x08: case 0x09: case 0x0b:	/* CLTS, INVD, WBINVD, UD2 */
	case 0x30 ... 0x33: case 0x34: case 0x35:	/* WRMSR, RDTSC, RDMSR, RDPMC, SYSENTER, SYSEXIT */
	case 0xa0 ... 0xa2: case 0xa8 ... 0xaa:		/* PUSH/POP FS GS, CPUID, RSM */
	case 0xc8 ... 0xcf:				/* BSWAP */
		return 0;
	case 0x00 ... 0x03:				/* groups 6 and 7, LAR, LSL */
	case 0x0d: case 0x18 ... 0x1f:			/* PREFETCHW, hints, NOP */
	case 0x20 ... 0x23:				/* MOV CR/DR */
	case 0x40 ... 0x4f: case 0x90 ... 0x9f:		/* CMOVcc, SETcc */
	case 0xa3: case 0xa5: case 0xab: case 0xad:	/* BT, SHLD, BTS, SHRD by register */
	case 0xae: case 0xaf:				/* group 15, IMUL */
	case 0xb0: case 0xb1: case 0xb3: case 0xb6 ... 0xb8: /* CMPXCHG, BTR, MOVZX, POPCNT */
	case 0xbb ... 0xbf: case 0xc0: case 0xc1:	/* BTC, BSF, BSR, MOVSX, XADD */
	case 0xc3: case 0xc7:				/* MOVNTI, group 9 */
		return M;
	case 0xa4: case 0xac: case 0xba:		/* SHLD, SHRD, BTx with immediate */
		return M | I8;
	case 0x80 ... 0x8f:				/* Jcc */
		return IZ;
	default:
		return BAD;
	}
}

/* The next n bytes, sign-extended. */
static u64 take(const u8 **at, unsigned n)
{
	unsigned shift = 64 - 8 * n;
	u64 v;

	__builtin_memcpy(&v, *at, sizeof(v));
	*at += n;
	return (u64)((s64)(v << shift) >> shift);
}

/* Legacy prefixes and REX; returns the first byte that is neither, unless that comes too late. */
static u8 decode_prefixes(const u8 **at, struct insn *out)
{
	bool opsize = false;

	for (const u8 *end = *at + INSN_MAX; *at < end;) {
		u8 b = *(*at)++;

		switch (b) {
		case 0x66: opsize = true; break;
		case 0x67: out->addr_bytes = 4; break;
		case 0xf0: out->lock = true; break;
		case 0xf2: out->repne = true; out->rep = false; break;
		case 0xf3: out->rep = true; out->repne = false; break;
		case 0x26: case 0x2e: case 0x36: case 0x3e: break;
		case 0x64: out->seg = INSN_SEG_FS; break;
		case 0x65: out->seg = INSN_SEG_GS; break;
		case 0x40 ... 0x4f:
			out->rex = b;
			continue;
		default:
			out->op_bytes = out->rex & 8 ? 8 : opsize ? 2 : 4;
			return b;
		}
		out->rex = 0;		/* REX counts only directly before the opcode */
	}
	return 0x40;		/* which is no opcode */
}

/* ModRM, SIB and displacement. */
static void decode_modrm(const u8 **at, struct insn *out)
{
	unsigned disp_bytes = 0;
	u8 v = *(*at)++;

	out->has_modrm = true;
	out->mod = v >> 6;
	out->reg = (u8)((v >> 3 & 7) | (out->rex & 4) << 1);
	out->rm = (u8)((v & 7) | (out->rex & 1) << 3);
	/* MOV to and from CR/DR takes registers, whatever mod says. */
	if (out->map == INSN_MAP_0F && out->opcode >= 0x20 && out->opcode <= 0x23)
		out->mod = 3;
	if (out->mod == 3)
		return;

	if (out->mod == 1)
		disp_bytes = 1;
	else if (out->mod == 2)
		disp_bytes = 4;
	out->base = out->rm;
	if ((v & 7) == 4) {
		v = *(*at)++;
		out->scale = v >> 6;
		out->index = (u8)((v >> 3 & 7) | (out->rex & 2) << 2);
		if (out->index == 4)
			out->index = INSN_NO_REG;
		out->base = (u8)((v & 7) | (out->rex & 1) << 3);
		if ((v & 7) == 5 && out->mod == 0) {
			out->base = INSN_NO_REG;
			disp_bytes = 4;
		}
	} else if ((v & 7) == 5 && out->mod == 0) {
		out->base = INSN_NO_REG;
		out->rip_relative = true;
		disp_bytes = 4;
	}
	if (disp_bytes)
		out->disp = (s32)take(at, disp_bytes);
}

static void decode_immediate(const u8 **at, struct insn *out, u8 shape)
{
	unsigned bytes = 0;

	if (shape & G3) {
		if ((out->reg & 7) > 1)
			return;
		shape |= out->opcode & 1 ? IZ : I8;
	}
	if (shape & I16)
		bytes = 2;
	else if (shape & I8)
		bytes = 1;
	else if (shape & IZ)
		bytes = out->op_bytes == 2 ? 2 : 4;
	else if (shape & IV)
		bytes = out->op_bytes;
	else if (shape & MO)
		bytes = out->addr_bytes;
	if (!bytes)
		return;
	out->imm = take(at, bytes);
	out->imm_bytes = (u8)bytes;
	if (shape & MO && bytes == 4) {
		out->imm = (u32)out->imm;
	} else if ((shape & (I16 | I8)) == (I16 | I8)) {	/* ENTER */
		out->imm = (u16)out->imm | (u64)*(*at)++ << 16;
		out->imm_bytes = 3;
	}
}

int insn_decode(const u8 bytes[INSN_BUFFER], unsigned n, struct insn *out)
{
	const u8 *at = bytes;
	u8 op, shape;

	*out = (struct insn){ .addr_bytes = 8, .base = INSN_NO_REG, .index = INSN_NO_REG };
	op = decode_prefixes(&at, out);
	shape = shape_1[op];
	if (op == 0x0f) {
		op = *at++;
		out->map = INSN_MAP_0F;
		shape = shape_0f(op);
		if (op == 0x38 || op == 0x3a) {
			out->map = op == 0x38 ? INSN_MAP_0F38 : INSN_MAP_0F3A;
			op = *at++;
			/* MOVBE, CRC32, INVPCID, ADX: no immediate. The rest is SIMD. */
			shape = out->map == INSN_MAP_0F38 && (op >= 0xf0 || (op >= 0x80 && op <= 0x82)) ? M : BAD;
		}
	}
	out->opcode = op;
	if (shape & M)
		decode_modrm(&at, out);
	if (shape & ~M)
		decode_immediate(&at, out, shape);
	/* What lies behind the n bytes may have been looked at; here it is noticed. */
	out->len = (u8)(at - bytes);
	if (out->len > n && n < INSN_MAX)
		return -ENODATA;
	return shape & BAD || out->len > INSN_MAX ? -EINVAL : 0;
}

bool insn_fetch(const struct cpu_user_regs *regs, struct insn *out)
{
	u8 bytes[INSN_BUFFER];
	size_t n = INSN_MAX - copy_from_guest_partial(bytes, (const void *)regs->rip, INSN_MAX);

	return !insn_decode(bytes, (unsigned)n, out);
}

u64 insn_address(const struct insn *i, const struct cpu_user_regs *regs, u64 seg_base)
{
	struct cpu_user_regs *r = (struct cpu_user_regs *)(u64)regs;	/* only read */
	u64 a = (u64)(s64)i->disp;

	if (i->rip_relative)
		a += regs->rip + i->len;
	if (i->base != INSN_NO_REG)
		a += *insn_reg(r, i->base);
	if (i->index != INSN_NO_REG)
		a += *insn_reg(r, i->index) << i->scale;
	if (i->addr_bytes == 4)
		a = (u32)a;
	return i->seg != INSN_SEG_NONE ? a + seg_base : a;
}

u64 *insn_reg(struct cpu_user_regs *regs, unsigned nr)
{
	#define AT(reg) offsetof(struct cpu_user_regs, reg)
	static const u8 where[16] = {
		AT(rax), AT(rcx), AT(rdx), AT(rbx), AT(rsp), AT(rbp), AT(rsi), AT(rdi),
		AT(r8), AT(r9), AT(r10), AT(r11), AT(r12), AT(r13), AT(r14), AT(r15),
	};
	#undef AT

	return (u64 *)((u8 *)regs + where[nr & 15]);
}

u64 insn_reg_read(const struct insn *i, struct cpu_user_regs *regs, unsigned nr, unsigned bytes)
{
	if (bytes == 1 && !i->rex && nr >= 4 && nr < 8)
		return *insn_reg(regs, nr - 4) >> 8 & 0xff;
	if (bytes == 8)
		return *insn_reg(regs, nr);
	return *insn_reg(regs, nr) & (BIT(8 * bytes) - 1);
}

void insn_reg_write(const struct insn *i, struct cpu_user_regs *regs, unsigned nr, unsigned bytes, u64 val)
{
	u64 *r, mask;

	if (bytes == 1 && !i->rex && nr >= 4 && nr < 8) {
		r = insn_reg(regs, nr - 4);
		*r = (*r & ~0xff00UL) | (val & 0xff) << 8;
		return;
	}
	r = insn_reg(regs, nr);
	if (bytes == 8) {
		*r = val;
	} else if (bytes == 4) {
		*r = (u32)val;
	} else {
		mask = BIT(8 * bytes) - 1;
		*r = (*r & ~mask) | (val & mask);
	}
}
