/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions of PV guests. In ring 3 they raise #GP, and the guest kernel, which thinks itself in ring 0, must not
 * notice. Code in guest user mode gets the #GP, but for port I/O that its kernel allowed.
 *
 * The instruction is fetched once; nothing is changed before it is known to be carried out whole. String I/O advances in steps.
 */
#include <core/softirq.h>
#include <domain/guest_copy.h>
#include <domain/permission.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <memory/tlbflush.h>
#include <pv/insn.h>
#include <pv/pv.h>
#include <sched/sched.h>
#include <x86/cr.h>
#include <x86/fixup.h>
#include <x86/msr.h>

/* How an instruction ended. */
enum outcome {
	OP_REFUSED,	/* the guest gets #GP */
	OP_DONE,	/* go on behind it */
	OP_AGAIN,	/* execute it again: not finished, or a fault has been injected */
};

/* Iterations of string I/O before other work gets a chance. */
#define STRING_BATCH	1024

#define DESC_L		BIT(21)	/* in LAR's result */

/* Is the code segment 64-bit? */
static bool in_long_mode(u16 cs)
{
	u32 rights = 0;

	if (cs == FLAT_RING3_CS64)
		return true;
	__asm__ volatile("1: lar %1, %0\n"
			 "2:\n"
			 FIXUP(1b, 2b)
			 : "+r"(rights) : "r"((u32)cs) : "cc");
	return rights & DESC_L;
}

static u64 *dest(struct cpu_user_regs *regs, unsigned nr)
{
	return insn_reg(regs, nr);
}

/* --- ports --- */

static unsigned port_bytes(const struct insn *i)
{
	if (!(i->opcode & 1))
		return 1;
	return i->op_bytes == 2 ? 2 : 4;
}

static enum outcome port_io(struct cpu_user_regs *regs, const struct insn *i)
{
	unsigned bytes = port_bytes(i);
	/* E4..E7: immediate port; EC..EF: DX. Bit 1 of the opcode: out. */
	u16 port = i->opcode & 8 ? regs->dx : (u8)i->imm;

	if (!pv_port_access_ok(port, bytes))
		return OP_REFUSED;
	if (i->opcode & 2)
		pv_port_write(port, bytes, regs->eax);
	else
		insn_reg_write(i, regs, 0, bytes, pv_port_read(port, bytes));
	return OP_DONE;
}

/* One element between memory and port. False: page fault injected. */
static bool string_step(u64 addr, u16 port, unsigned bytes, bool out)
{
	u32 val = 0;
	size_t left;

	if (out) {
		left = copy_from_guest_partial(&val, (const void *)addr, bytes);
		if (!left)
			pv_port_write(port, bytes, val);
	} else {
		/* The device is read only when the result has a place to go. */
		left = copy_from_guest_partial(&val, (const void *)addr, bytes) || copy_to_guest_partial((void *)addr, &val, bytes);
		if (!left) {
			val = pv_port_read(port, bytes);
			left = copy_to_guest_partial((void *)addr, &val, bytes);
		}
	}
	if (left)
		pv_inject_page_fault(addr, out ? 0 : PF_WRITE);
	return !left;
}

/* 6C, 6D: INS to ES:RDI; 6E, 6F: OUTS from RSI, with a segment override. */
static enum outcome string_io(struct cpu_user_regs *regs, const struct insn *i)
{
	bool out = i->opcode & 2, rep = i->rep || i->repne;
	unsigned bytes = port_bytes(i);
	u64 mask = i->addr_bytes == 4 ? 0xffffffff : ~0UL;
	u64 *index = dest(regs, out ? 6 : 7);
	u64 step = regs->rflags & RFLAGS_DF ? -(u64)bytes : bytes, base = 0;

	if (!pv_port_access_ok(regs->dx, bytes))
		return OP_REFUSED;
	if (out && i->seg != INSN_SEG_NONE)
		base = i->seg == INSN_SEG_FS ? pv_get_segment_base(SEGBASE_FS) :
		       pv_get_segment_base(current->pv->kernel_mode ? SEGBASE_GS_KERNEL : SEGBASE_GS_USER);
	for (unsigned n = 0; !rep || regs->rcx & mask; n++) {
		if (n >= STRING_BATCH || softirq_pending())
			return OP_AGAIN;
		if (!string_step(base + (*index & mask), regs->dx, bytes, out))
			return OP_AGAIN;
		*index = (*index + step) & mask;
		if (!rep)
			break;
		regs->rcx = (regs->rcx - 1) & mask;
	}
	return OP_DONE;
}

/* Both user and kernel may get here. */
static enum outcome one_byte_op(struct cpu_user_regs *regs, const struct insn *i)
{
	switch (i->opcode) {
	case 0x6c ... 0x6f:
		return string_io(regs, i);
	case 0xe4 ... 0xe7:
	case 0xec ... 0xef:
		return port_io(regs, i);
	case 0xfa:
	case 0xfb:
		/* CLI, STI: the guest's interrupt flag is its event mask, which native code like this does not know of; ABI: no effect. */
		return pv_iopl_ok(current) ? OP_DONE : OP_REFUSED;
	case 0xf4:
		if (!current->pv->kernel_mode)
			return OP_REFUSED;
		/* HLT: rip must be behind it before the vCPU is put away. */
		regs->rip += i->len;
		sched_block();
		return OP_AGAIN;
	default:
		return OP_REFUSED;
	}
}

/* --- kernel only --- */

static enum outcome cr_dr(struct cpu_user_regs *regs, const struct insn *i)
{
	bool again = false, ok;
	u64 *reg = insn_reg(regs, i->rm);

	/* ModRM.mod is ignored by the processor. */
	switch (i->opcode) {
	case 0x20:
		ok = pv_read_cr(i->reg, reg);
		break;
	case 0x21:
		ok = !pv_get_debugreg(current, i->reg, reg);
		break;
	case 0x22:
		ok = pv_write_cr(i->reg, *reg, &again);
		break;
	default:
		ok = !pv_set_debugreg(current, i->reg, *reg);
	}
	return !ok ? OP_REFUSED : again ? OP_AGAIN : OP_DONE;
}

static enum outcome msr(struct cpu_user_regs *regs, bool write)
{
	u64 val;

	if (write)
		return pv_wrmsr(regs->ecx, regs->rdx << 32 | regs->eax) ? OP_DONE : OP_REFUSED;
	if (!pv_rdmsr(regs->ecx, &val))
		return OP_REFUSED;
	regs->rax = (u32)val;
	regs->rdx = val >> 32;
	return OP_DONE;
}

static void rdtsc_op(struct cpu_user_regs *regs)
{
	u64 tsc = rdtsc();

	regs->rax = (u32)tsc;
	regs->rdx = tsc >> 32;
}

static enum outcome lmsw(struct cpu_user_regs *regs, const struct insn *i)
{
	bool again;
	u64 cr0, src;

	/* The memory form is unused by any kernel. LMSW changes PE, MP, EM, TS, and cannot clear PE. */
	if (insn_is_mem(i) || !pv_read_cr(0, &cr0))
		return OP_REFUSED;
	src = *insn_reg(regs, i->rm);
	return pv_write_cr(0, (cr0 & ~0xeUL) | (src & 0xf) | (cr0 & CR0_PE), &again) ? OP_DONE : OP_REFUSED;
}

/* 0F 01. */
static enum outcome group7(struct cpu_user_regs *regs, const struct insn *i)
{
	u8 modrm = (u8)(i->mod << 6 | (i->reg & 7) << 3 | (i->rm & 7));

	switch (modrm) {
	case 0xd1:
		return pv_xsetbv(regs->ecx, regs->rdx << 32 | regs->eax) ? OP_DONE : OP_REFUSED;
	case 0xf9:	/* RDTSCP */
		rdtsc_op(regs);
		regs->rcx = current->pv->tsc_aux;
		return OP_DONE;
	}
	if ((i->reg & 7) == 6)
		return lmsw(regs, i);
	if ((i->reg & 7) == 7 && insn_is_mem(i)) {
		/* A segment override does not matter to kernels that use it for this: flat. */
		if (i->seg != INSN_SEG_NONE)
			return OP_REFUSED;
		tlb_flush_page_local(insn_address(i, regs, 0));
		return OP_DONE;
	}
	return OP_REFUSED;
}

static void cpuid_op(struct cpu_user_regs *regs)
{
	struct cpuid_regs r;

	pv_cpuid(current, regs->eax, regs->ecx, &r);
	regs->rax = r.a;
	regs->rbx = r.b;
	regs->rcx = r.c;
	regs->rdx = r.d;
}

static enum outcome kernel_op(struct cpu_user_regs *regs, const struct insn *i)
{
	const struct domain *d = current->domain;

	switch (i->opcode) {
	case 0x01:
		return group7(regs, i);
	case 0x06:
		pv_set_ts(false);
		return OP_DONE;
	case 0x09:
		/* Only who can map device memory has caches to write back. */
		if (d->hardware || domain_has_devices(d))
			wbinvd();
		return OP_DONE;
	case 0x20 ... 0x23:
		return cr_dr(regs, i);
	case 0x30:
	case 0x32:
		return msr(regs, i->opcode == 0x30);
	case 0x31:
		rdtsc_op(regs);
		return OP_DONE;
	default:
		return OP_REFUSED;
	}
}

/* The instruction has been carried out. */
static void retire(struct cpu_user_regs *regs, unsigned len)
{
	regs->rip += len;
	regs->rflags &= ~(u64)RFLAGS_RF;
	if (regs->rflags & RFLAGS_TF) {
		current->pv->dr[6] |= BIT(14);
		pv_inject_trap(X86_DB, 0);
	}
}

static enum outcome execute(struct cpu_user_regs *regs, const struct insn *i)
{
	bool long_mode = in_long_mode(regs->cs);

	if (i->lock)
		return OP_REFUSED;
	/* 32-bit code: these encodings mean the same as in 64-bit code, without REX (INC, DEC there). */
	if (i->map == INSN_MAP_1 && (long_mode || !i->rex))
		return one_byte_op(regs, i);
	if (i->map != INSN_MAP_0F || !long_mode)
		return OP_REFUSED;
	/* CPUID traps in all modes where the processor can be told so. */
	if (i->opcode == 0xa2) {
		cpuid_op(regs);
		return OP_DONE;
	}
	return current->pv->kernel_mode ? kernel_op(regs, i) : OP_REFUSED;
}

bool pv_emulate_privileged(struct cpu_user_regs *regs)
{
	struct insn insn;

	if (!insn_fetch(regs, &insn))
		return false;
	switch (execute(regs, &insn)) {
	case OP_DONE:
		retire(regs, insn.len);
		return true;
	case OP_AGAIN:
		return true;
	default:
		return false;
	}
}

bool pv_emulate_forced_cpuid(struct cpu_user_regs *regs)
{
	static const u8 prefixed_cpuid[] = { 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2 };
	u8 bytes[sizeof(prefixed_cpuid)];

	if (copy_from_guest(bytes, (const void *)regs->rip, sizeof(bytes)) || memcmp(bytes, prefixed_cpuid, sizeof(bytes)))
		return false;
	cpuid_op(regs);
	retire(regs, sizeof(bytes));
	return true;
}
