/* SPDX-License-Identifier: MIT */
/*
 * Decoding one 64-bit-mode instruction: a pure function of its bytes, shared by page-table write and privileged-operation
 * emulation.
 */
#ifndef PV_INSN_H
#define PV_INSN_H

#include <x86/regs.h>

#define INSN_MAX	15	/* bytes, by the architecture */
#define INSN_BUFFER	32	/* bytes that the decoder may look at */

enum insn_map { INSN_MAP_1, INSN_MAP_0F, INSN_MAP_0F38, INSN_MAP_0F3A };
enum insn_seg { INSN_SEG_NONE, INSN_SEG_FS, INSN_SEG_GS };	/* the others have base 0 in 64-bit mode */

struct insn {
	u8 len;			/* whole instruction, bytes */
	u8 map;			/* enum insn_map */
	u8 opcode;		/* last opcode byte */
	u8 rex;			/* 0, or 0x40..0x4f */
	bool lock, rep, repne;	/* F0, F3, F2; of the last two only the last one given */
	bool has_modrm;
	u8 seg;			/* enum insn_seg */
	u8 op_bytes;		/* operand size by prefixes: 2, 4 or 8; byte opcodes are the user's business */
	u8 addr_bytes;		/* 4 or 8 */
	u8 mod, reg, rm;	/* ModRM with the REX extensions applied */
	u8 base, index, scale;	/* SIB with the REX extensions applied; INSN_NO_REG: absent. scale: shift count */
	s32 disp;
	bool rip_relative;
	u8 imm_bytes;
	u64 imm;		/* sign-extended as the operation would */
};
#define INSN_NO_REG	0xff

/*
 * Decode the instruction at the start of n bytes; what the others are does not matter. 0; -ENODATA when n bytes, fewer
 * than INSN_MAX, are not enough to see all of it; -EINVAL when it is longer than INSN_MAX, VEX/EVEX/XOP encoded, or has an
 * opcode whose shape this decoder does not know. It knows: all of the one-byte map; of 0F the privileged ones, MOV CR/DR,
 * MSRs, CPUID, bit tests, XADD, CMPXCHG, MOVZX/MOVSX, CMPXCHG8B, SYSCALL/SYSRET, group 7, MOVNTI. Source: Intel SDM vol. 2
 * ch. 2 and app. A.
 */
int __must_check insn_decode(const u8 bytes[INSN_BUFFER], unsigned n, struct insn *out);
/* The instruction that the current guest's regs->rip points at. False: it cannot be read, or not be decoded. */
bool __must_check insn_fetch(const struct cpu_user_regs *regs, struct insn *out);

/* Is the ModRM operand in memory? */
static inline bool insn_is_mem(const struct insn *i) { return i->has_modrm && i->mod != 3; }
/*
 * Linear address of the memory operand, the instruction being at regs->rip. seg_base is that of FS or GS when i->seg names
 * one, else unused.
 */
u64 insn_address(const struct insn *i, const struct cpu_user_regs *regs, u64 seg_base);
/* General register 0..15 in a frame. */
u64 *insn_reg(struct cpu_user_regs *regs, unsigned nr);
/* Register operand of bytes bytes: byte registers 4..7 without REX are AH..BH. */
u64 insn_reg_read(const struct insn *i, struct cpu_user_regs *regs, unsigned nr, unsigned bytes);
/* The same for writing; 4 bytes clear the upper half, 1 and 2 keep the rest. */
void insn_reg_write(const struct insn *i, struct cpu_user_regs *regs, unsigned nr, unsigned bytes, u64 val);

#endif
