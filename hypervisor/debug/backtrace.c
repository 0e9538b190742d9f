/* SPDX-License-Identifier: MIT */
/* Walking the stack by frame pointers, and printing registers. */
#include <core/console.h>
#include <debug/backtrace.h>
#include <debug/symbols.h>
#include <domain/domain.h>
#include <lib/printf.h>
#include <x86/cr.h>

/*
 * A frame is two words at rbp: the caller's rbp, and the return address. Interrupt entries keep rbp when they come from
 * the hypervisor and zero it when they come from a guest, so the chain goes through them and ends at the guest. Only addresses within this CPU's
 * stack region are followed (the IST stacks lie in it too); the count of frames is bounded because the chain may be garbage.
 */

#define MAX_FRAMES	32
#define CODE_BEFORE	16
#define CODE_BYTES	32
#define NAME_SIZE	96

bool backtrace_on_stack(u64 addr)
{
	u64 top = (u64)(cpu_info() + 1);

	return addr >= top - STACK_SIZE && addr + 16 <= top && IS_ALIGNED(addr, 8);
}

void backtrace_from(u64 fp)
{
	char name[NAME_SIZE];

	for (unsigned i = 0; i < MAX_FRAMES && backtrace_on_stack(fp); i++) {
		const u64 *frame = (const u64 *)fp;

		if (!frame[1])
			break;
		/* A call that does not return may end its function: look up the call itself. */
		log_err("   %016lx %s\n", frame[1], symbol_format(name, sizeof(name), frame[1] - 1));
		fp = frame[0];
	}
}

static void code_bytes(u64 rip)
{
	char line[CODE_BYTES * 3 + 8];
	size_t n = 0;
	u64 unused;

	if (!symbol_find(rip - CODE_BEFORE, &unused) || !symbol_find(rip + CODE_BYTES - CODE_BEFORE, &unused))
		return;
	for (unsigned i = 0; i < CODE_BYTES; i++)
		n += scnprintf(line + n, sizeof(line) - n, i == CODE_BEFORE ? " <%02x>" : " %02x", ((const u8 *)rip)[(int)i - CODE_BEFORE]);
	log_err("code:%s\n", line);
}

void registers_print(const struct cpu_user_regs *r)
{
	char name[NAME_SIZE];

	log_err("rip %04x:%016lx %s\n", r->cs, r->rip, regs_from_guest(r) ? "(guest)" : symbol_format(name, sizeof(name), r->rip));
	log_err("rsp %04x:%016lx flags %08lx  vector %u error %04x\n", r->ss, r->rsp, r->rflags, r->entry_vector, r->error_code);
	log_err("rax %016lx  rbx %016lx  rcx %016lx\n", r->rax, r->rbx, r->rcx);
	log_err("rdx %016lx  rsi %016lx  rdi %016lx\n", r->rdx, r->rsi, r->rdi);
	log_err("rbp %016lx  r8  %016lx  r9  %016lx\n", r->rbp, r->r8, r->r9);
	log_err("r10 %016lx  r11 %016lx  r12 %016lx\n", r->r10, r->r11, r->r12);
	log_err("r13 %016lx  r14 %016lx  r15 %016lx\n", r->r13, r->r14, r->r15);
	log_err("cr0 %016lx  cr2 %016lx  cr3 %016lx  cr4 %08lx\n", read_cr0(), read_cr2(), read_cr3(), read_cr4());
}

void backtrace_regs(const struct cpu_user_regs *r)
{
	char name[NAME_SIZE];

	registers_print(r);
	if (regs_from_guest(r))
		return;
	code_bytes(r->rip);
	log_err("called from:\n");
	/* rbp is the caller's while a function begins or ends, so one caller may be missing: see whether the top of the stack is it. */
	if (backtrace_on_stack(r->rsp) && r->rbp != r->rsp) {
		u64 top = *(const u64 *)r->rsp, unused;

		if (symbol_find(top, &unused) && !(backtrace_on_stack(r->rbp) && ((const u64 *)r->rbp)[1] == top))
			log_err("  ?%016lx %s\n", top, symbol_format(name, sizeof(name), top - 1));
	}
	backtrace_from(r->rbp);
}

void backtrace_guest(void)
{
	const struct cpu_user_regs *r = guest_regs();
	const struct vcpu *v = current;

	if (!v || v->magic != VCPU_MAGIC)
		log_err("no vCPU yet\n");
	else if (is_idle_vcpu(v))
		log_err("current vCPU: idle\n");
	else
		log_err("current vCPU: d%uv%u, guest rip %04x:%016lx rsp %04x:%016lx flags %08lx rax %016lx\n", v->domain->id, v->id, r->cs,
			r->rip, r->ss, r->rsp, r->rflags, r->rax);
}
