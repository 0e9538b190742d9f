/* SPDX-License-Identifier: MIT */
/* Emulation of direct writes to page tables: the guest writes an entry in a page that is mapped read-only because it is a table. */

/*
 * The write becomes a checked update (pv/pt_update.c). Only writes that lie in one aligned entry are emulated, by the
 * instructions that kernels use on page tables. Anything else, and anything that is refused, is reflected to the guest as
 * the fault that it is.
 *
 * The guest's memory is read through its own mapping, which may fault; the value to be replaced is read from the table
 * frame and given to the update as a condition, so that a read-modify-write is atomic. On a change in between, nothing is
 * done and the instruction faults again.
 */

#include <domain/guest_copy.h>
#include <lib/errno.h>
#include <pv/insn.h>
#include <pv/pagetable.h>
#include <x86/cr.h>

#define ARITH_FLAGS	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* One emulated write: an entry, or a part of it. */
struct ptwrite {
	struct cpu_user_regs *regs;
	struct insn insn;
	mfn_t table;
	unsigned index;
	unsigned shift, bytes;	/* the part of the entry that is accessed: bit position and length */
	u64 entry;		/* the whole entry as read */
	u64 old, new;		/* of the part */
	bool unconditional;	/* the old value does not matter */
	bool writes;		/* false: a compare failed, nothing to store */
};

static u64 mask_of(unsigned bytes)
{
	return bytes == 8 ? ~0UL : BIT(8 * bytes) - 1;
}

/* Flags of a logical operation with this result (AF undefined: cleared). */
static u64 logic_flags(u64 result, unsigned bytes)
{
	u64 f = 0;

	if (!(result & mask_of(bytes)))
		f |= RFLAGS_ZF;
	if (result >> (8 * bytes - 1) & 1)
		f |= RFLAGS_SF;
	if (!(__builtin_popcountl(result & 0xff) & 1))
		f |= RFLAGS_PF;
	return f;
}

/* Flags of a - b. */
static u64 compare_flags(u64 a, u64 b, unsigned bytes)
{
	u64 r = (a - b) & mask_of(bytes), f = logic_flags(r, bytes);

	if (a < b)
		f |= RFLAGS_CF;
	if ((a ^ b ^ r) & 0x10)
		f |= RFLAGS_AF;
	if (((a ^ b) & (a ^ r)) >> (8 * bytes - 1) & 1)
		f |= RFLAGS_OF;
	return f;
}

/* Flags of a + b. */
static u64 add_flags(u64 a, u64 b, unsigned bytes)
{
	u64 r = (a + b) & mask_of(bytes), f = logic_flags(r, bytes);

	if (r < a)
		f |= RFLAGS_CF;
	if ((a ^ b ^ r) & 0x10)
		f |= RFLAGS_AF;
	if ((~(a ^ b) & (a ^ r)) >> (8 * bytes - 1) & 1)
		f |= RFLAGS_OF;
	return f;
}

static void set_flags(struct ptwrite *w, u64 flags)
{
	w->regs->rflags = (w->regs->rflags & ~ARITH_FLAGS) | flags;
}

static u64 reg_operand(struct ptwrite *w)
{
	return insn_reg_read(&w->insn, w->regs, w->insn.reg, w->bytes);
}

/* ADD, OR, AND, SUB, XOR by the operation number that opcodes 00..3f and group 1 share. */
static bool alu(struct ptwrite *w, unsigned op, u64 operand)
{
	u64 b = operand & mask_of(w->bytes);

	switch (op) {
	case 0:
		w->new = w->old + b;
		set_flags(w, add_flags(w->old, b, w->bytes));
		return true;
	case 5:
		w->new = w->old - b;
		set_flags(w, compare_flags(w->old, b, w->bytes));
		return true;
	case 1: w->new = w->old | b; break;
	case 4: w->new = w->old & b; break;
	case 6: w->new = w->old ^ b; break;
	default: return false;
	}
	set_flags(w, logic_flags(w->new, w->bytes));
	return true;
}

/* BTS, BTR, BTC; a bit number beyond the entry would address another one. */
static bool bit_op(struct ptwrite *w, unsigned op, u64 bit)
{
	u64 b;

	if (bit >= 8 * w->bytes)
		return false;
	b = 1UL << bit;
	switch (op) {
	case 5: w->new = w->old | b; break;
	case 6: w->new = w->old & ~b; break;
	case 7: w->new = w->old ^ b; break;
	default: return false;
	}
	w->regs->rflags = (w->regs->rflags & ~RFLAGS_CF) | (w->old & b ? RFLAGS_CF : 0);
	return true;
}

static void cmpxchg(struct ptwrite *w)
{
	u64 acc = insn_reg_read(&w->insn, w->regs, 0, w->bytes);

	set_flags(w, compare_flags(acc, w->old, w->bytes));
	if (acc == w->old)
		w->new = reg_operand(w);
	else
		w->writes = false;
}

/* CMPXCHG8B: EDX:EAX against the entry, ECX:EBX into it. */
static bool cmpxchg8b(struct ptwrite *w)
{
	struct cpu_user_regs *r = w->regs;

	if (w->insn.rex & 8 || (w->insn.reg & 7) != 1)
		return false;
	if (((u32)r->rax | r->rdx << 32) == w->old) {
		w->new = (u32)r->rbx | r->rcx << 32;
		r->rflags |= RFLAGS_ZF;
	} else {
		w->writes = false;
		r->rflags &= ~RFLAGS_ZF;
	}
	return true;
}

static bool execute_0f(struct ptwrite *w)
{
	const struct insn *i = &w->insn;

	switch (i->opcode) {
	case 0xab: return bit_op(w, 5, reg_operand(w));
	case 0xb3: return bit_op(w, 6, reg_operand(w));
	case 0xbb: return bit_op(w, 7, reg_operand(w));
	case 0xba: return bit_op(w, i->reg & 7, i->imm & (8 * w->bytes - 1));
	case 0xb0: case 0xb1:
		cmpxchg(w);
		return true;
	case 0xc7:
		return cmpxchg8b(w);
	case 0xc3:	/* MOVNTI */
		w->new = reg_operand(w);
		return true;
	default:
		return false;
	}
}

/* What the instruction does to the old value. Only flags in regs are changed. False: not one that we emulate. */
static bool execute(struct ptwrite *w)
{
	const struct insn *i = &w->insn;

	w->writes = true;
	w->unconditional = false;
	if (i->map == INSN_MAP_0F)
		return execute_0f(w);
	if (i->map != INSN_MAP_1)
		return false;
	switch (i->opcode) {
	case 0x88: case 0x89:	/* MOV r/m, r */
		w->unconditional = true;
		w->new = reg_operand(w);
		return true;
	case 0x86: case 0x87:	/* XCHG */
		w->new = reg_operand(w);
		return true;
	case 0xc6: case 0xc7:	/* MOV r/m, imm */
		w->new = i->imm;
		w->unconditional = true;
		return !(i->reg & 7);
	case 0x00: case 0x01: case 0x08: case 0x09: case 0x20: case 0x21: case 0x28: case 0x29: case 0x30: case 0x31:
		return alu(w, i->opcode >> 3, reg_operand(w));
	case 0x80: case 0x81: case 0x83:
		return alu(w, i->reg & 7, i->imm);
	case 0xaa: case 0xab:	/* STOS */
		w->new = insn_reg_read(i, w->regs, 0, w->bytes);
		w->unconditional = true;
		return true;
	case 0xa4: case 0xa5:	/* MOVS */
		w->unconditional = true;
		w->new = 0;
		return i->seg == INSN_SEG_NONE && !copy_from_guest(&w->new, (void *)w->regs->rsi, w->bytes);
	default:
		return false;
	}
}

static bool is_string(const struct insn *i)
{
	return i->map == INSN_MAP_1 && ((i->opcode & 0xfe) == 0xaa || (i->opcode & 0xfe) == 0xa4);
}

/* After the store: registers that change besides the flags, and the instruction pointer. */
static void complete(struct ptwrite *w)
{
	const struct insn *i = &w->insn;
	struct cpu_user_regs *regs = w->regs;
	u64 step = regs->rflags & RFLAGS_DF ? -(u64)w->bytes : w->bytes;

	if (i->map == INSN_MAP_1 && (i->opcode & 0xfe) == 0x86)
		insn_reg_write(i, regs, i->reg, w->bytes, w->old);
	if (i->map == INSN_MAP_0F && i->opcode == 0xc7 && !w->writes) {
		regs->rax = (u32)w->old;
		regs->rdx = w->old >> 32;
	} else if (i->map == INSN_MAP_0F && !w->writes) {
		insn_reg_write(i, regs, 0, w->bytes, w->old);
	}
	if (is_string(i)) {
		regs->rdi += step;
		if ((i->opcode & 0xfe) == 0xa4)
			regs->rsi += step;
		/* One iteration at a time: the next one faults again, or is no page-table write. */
		if ((i->rep || i->repne) && --regs->rcx)
			return;
	}
	regs->rip += i->len;
	regs->rflags &= ~RFLAGS_RF;
}

/* Is va in a table of current that it has mapped read-only? Fills in table and index. */
static bool find_target(struct ptwrite *w, u64 va)
{
	struct vcpu *v = current;
	pte_t e = pt_find(v->pv->kernel_l4, va, 1);
	frame_t f;

	if (!pte_present(e) || e.v & PTE_RW)
		return false;
	w->table = pte_mfn(e);
	w->index = (unsigned)(va & ~PAGE_MASK) / sizeof(pte_t);
	w->shift = (unsigned)(va & 7) * 8;
	f = frame_read(w->table);
	return frame_owner(f) == v->domain->id && frame_type(f) >= FRAME_L1 && frame_type(f) <= FRAME_L4;
}

/* Operand size: even opcodes of those that execute() knows are the byte forms. */
static unsigned operand_bytes(const struct insn *i)
{
	if (i->map == INSN_MAP_1)
		return i->opcode & 1 || i->opcode == 0x83 ? i->op_bytes : 1;
	if (i->opcode == 0xb0)
		return 1;
	return i->opcode == 0xc7 ? 8 : i->op_bytes;
}

/* The operand is an aligned part of one entry, and is where the fault was. */
static bool operand_fits(struct ptwrite *w, u64 va)
{
	const struct insn *i = &w->insn;
	u64 address = va;

	w->bytes = operand_bytes(i);
	if (i->addr_bytes != 8 || !IS_ALIGNED(va, w->bytes))
		return false;
	if (is_string(i))
		address = w->regs->rdi;
	else if (!insn_is_mem(i))
		return false;
	else if (i->seg == INSN_SEG_NONE)
		address = insn_address(i, w->regs, 0);
	/* With a segment base the fault address has to be believed: it is a table of the guest's in any case. */
	return address == va && !(is_string(i) && (i->rep || i->repne) && !w->regs->rcx);
}

bool pv_emulate_pt_write(struct cpu_user_regs *regs, u64 va, u32 error_code)
{
	struct ptwrite w;
	struct domain *d = current->domain;
	u64 flags = regs->rflags, part, expected;
	int rc = 0;

	if ((error_code & (PF_PRESENT | PF_WRITE | PF_RSVD | PF_INSN)) != (PF_PRESENT | PF_WRITE))
		return false;
	w.regs = regs;
	if (!find_target(&w, va) || !insn_fetch(regs, &w.insn) || !operand_fits(&w, va))
		return false;

	part = mask_of(w.bytes) << w.shift;
	w.entry = expected = READ_ONCE(pt_table(w.table)[w.index].v);
	w.old = (w.entry & part) >> w.shift;
	if (!execute(&w)) {
		regs->rflags = flags;
		return false;
	}
	if (w.writes) {
		pte_t new = { (w.entry & ~part) | (w.new << w.shift & part) };

		/* A half of an entry is never independent of the other half. */
		rc = pt_update(d, d, w.table, w.index, new, 0, w.unconditional && w.bytes == 8 ? NULL : &expected);
	}
	if (!rc) {
		complete(&w);
		return true;
	}
	regs->rflags = flags;
	/* Changed meanwhile, or something else has to be finished first: let the guest execute it again. */
	return rc == -EAGAIN || rc == -ERESTART;
}
