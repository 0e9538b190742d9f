/* SPDX-License-Identifier: MIT */
/* Unit tests: how a PV guest is entered (frames, callbacks) and what it may put into descriptors and debug registers. */
/* sources: pv/inject.c pv/callback.c pv/debugreg.c */
/* cflags: -include fake_machine.h -D__XEN_TOOLS__ -Wno-unused-parameter */
#include "test.h"

#include <domain/guest_copy.h>
#include <lib/errno.h>
#include <pv/pv.h>
#include <sched/sched.h>
#include <x86/cr.h>

#define STACK_TOP	0x7008UL	/* not aligned: frames are */
#define HANDLER		0xffffffff81000000UL
#define KERNEL_L4	0x4711UL

static u64 stack[16];		/* the guest's words below STACK_TOP, rounded down */
static bool stack_gone, crashed;
static unsigned toggles;
static struct domain dom;
static struct vcpu_info info;
static struct pv_vcpu pvcpu;
static struct pv_trap traps[256];
static struct vcpu vcpu0 = { .domain = &dom, .pv = &pvcpu, .info = &info };
struct vcpu *current = &vcpu0;
unsigned fake_cpu;
struct cpu_user_regs fake_guest_regs;
static struct cpu_user_regs *regs = &fake_guest_regs;

bool fake_guest_put(u64 addr, u64 val)
{
	u64 bottom = (STACK_TOP & ~15UL) - sizeof(stack);

	if (stack_gone || addr < bottom || addr + sizeof(val) > bottom + sizeof(stack))
		return false;
	stack[(addr - bottom) / sizeof(val)] = val;
	return true;
}

void domain_crash(struct domain *d, const char *fmt, ...) { crashed = true; }
void vcpu_kick(struct vcpu *v) { }

void swapgs(void) { toggles++; }
void guest_areas_write(struct vcpu *v) { }
u64 tlb_clock;
DEFINE_PER_CPU(u64, tlb_flushed);

void write_cr3(u64 v)
{
	CHECK_EQ(v, KERNEL_L4 * PAGE_SIZE);
}

u16 pv_fixup_selector(u16 sel) { return sel | 3; }

static void fresh(bool kernel)
{
	memset(stack, 0xee, sizeof(stack));
	stack_gone = crashed = false;
	toggles = 0;
	dom = (struct domain){ 0 };
	info = (struct vcpu_info){ 0 };
	memset(&pvcpu, 0, sizeof(pvcpu));
	vcpu0.pv_pending = 0;
	pvcpu.traps = traps;
	pvcpu.kernel_mode = kernel;
	pvcpu.kernel_sp = STACK_TOP;
	pvcpu.kernel_l4 = mfn(KERNEL_L4);
	pvcpu.user_l4 = mfn(KERNEL_L4 + 1);
	*regs = (struct cpu_user_regs){
		.rip = 0x1111, .cs = kernel ? FLAT_KERNEL_CS64 : 0x33, .ss = 0x2b, .rsp = kernel ? STACK_TOP : 0x2222, .rcx = 0xcc, .r11 = 0x11,
		.rflags = RFLAGS_IF | RFLAGS_MBS | RFLAGS_TF | RFLAGS_AC | RFLAGS_NT | RFLAGS_CF, .entry_vector = 13,
	};
	for (unsigned i = 0; i < 256; i++)
		pvcpu.traps[i] = (struct pv_trap){ .address = HANDLER + i, .flags = i == 3 ? 3 : i == 4 ? 1 : i == 8 ? 4 : 0 };
	for (unsigned i = 0; i < PV_CB_COUNT; i++)
		pvcpu.cb[i].eip = HANDLER + 0x1000 + i;
}

/* Word n of the frame, from the stack pointer up. */
static u64 word(unsigned n)
{
	u64 bottom = (STACK_TOP & ~15UL) - sizeof(stack);

	return stack[(regs->rsp - bottom) / 8 + n];
}

static void check_entered(u64 eip, unsigned words)
{
	CHECK(!crashed);
	CHECK_EQ(regs->rip, eip);
	CHECK_EQ(regs->cs, FLAT_KERNEL_CS64);
	CHECK_EQ(regs->ss, FLAT_KERNEL_SS64);
	CHECK_EQ(regs->rsp, (STACK_TOP & ~15UL) - words * 8);
	CHECK_EQ(regs->rflags, RFLAGS_IF | RFLAGS_MBS | RFLAGS_CF);
	CHECK(pvcpu.kernel_mode);
	CHECK_EQ(word(0), 0xcc);
	CHECK_EQ(word(1), 0x11);
}

TEST(from_user)
{
	fresh(false);
	pv_inject_trap(X86_DE, 0);
	check_entered(HANDLER, 7);
	CHECK_EQ(toggles, 1);
	CHECK_EQ(word(2), 0x1111);
	CHECK_EQ(word(3), 0x33);
	CHECK_EQ(word(4), RFLAGS_IF | RFLAGS_MBS | RFLAGS_TF | RFLAGS_AC | RFLAGS_NT | RFLAGS_CF);
	CHECK_EQ(word(5), 0x2222);
	CHECK_EQ(word(6), 0x2b);
	CHECK_EQ(info.evtchn_upcall_mask, 0);
}

TEST(from_kernel)
{
	/* The kernel sees itself in ring 0, its event mask as the interrupt flag, and an error code where there is one. */
	fresh(true);
	info.evtchn_upcall_mask = 1;
	pv_inject_trap(X86_GP, 0x1234);
	check_entered(HANDLER + X86_GP, 8);
	CHECK_EQ(toggles, 0);
	CHECK_EQ(word(2), 0x1234);
	CHECK_EQ(word(4), (FLAT_KERNEL_CS64 & ~3UL) | 1UL << 32);
	CHECK(!(word(5) & RFLAGS_IF));
	CHECK_EQ(word(6), STACK_TOP);
	CHECK_EQ(info.evtchn_upcall_mask, 1);
}

TEST(gate_masks_events)
{
	fresh(true);
	pv_inject_trap(X86_DF, 0);
	CHECK_EQ(info.evtchn_upcall_mask, 1);
	CHECK_EQ(word(4) >> 32, 0);
}

TEST(io_privilege_level)
{
	fresh(true);
	pvcpu.iopl = 3;
	regs->rflags |= RFLAGS_IOPL;
	pv_inject_trap(X86_DE, 0);
	CHECK(!(word(4) & RFLAGS_IOPL));
	fresh(true);
	pvcpu.iopl = 1;
	dom.vm_assist = BIT(VMASST_TYPE_architectural_iopl);
	pv_inject_trap(X86_DE, 0);
	CHECK_EQ(word(4) & RFLAGS_IOPL, 0x1000);
}

TEST(page_fault)
{
	fresh(true);
	pv_inject_page_fault(0xabc, PF_USER | PF_WRITE);
	CHECK_EQ(info.arch.cr2, 0xabc);
	CHECK_EQ(word(2), PF_WRITE);
	fresh(false);
	pv_inject_page_fault(0xabc, PF_PRESENT);
	CHECK_EQ(word(2), PF_PRESENT | PF_USER);
}

TEST(no_way_on)
{
	fresh(true);
	stack_gone = true;
	pv_inject_trap(X86_DE, 0);
	CHECK(crashed);
	CHECK_EQ(info.evtchn_upcall_mask, 0);
	fresh(true);
	pvcpu.traps[X86_DE].address = 0;
	pv_inject_trap(X86_DE, 0);
	CHECK(crashed);
	fresh(true);
	info.evtchn_upcall_pending = 1;
	pvcpu.cb[PV_CB_EVENT].eip = 0;
	pv_deliver_pending(regs);
	CHECK(crashed);
}

TEST(software_interrupts)
{
	fresh(false);
	pv_inject_soft_int(3, 1);
	check_entered(HANDLER + 3, 7);
	/* Level 1 is the kernel's, 0 nobody's. The refused instruction is not passed. */
	fresh(false);
	pv_inject_soft_int(4, 2);
	check_entered(HANDLER + X86_GP, 8);
	CHECK_EQ(word(2), 4 << 3 | 2);
	CHECK_EQ(word(3), 0x1111 - 2);
	fresh(true);
	pv_inject_soft_int(4, 2);
	check_entered(HANDLER + 4, 7);
	fresh(true);
	pv_inject_soft_int(5, 2);
	check_entered(HANDLER + X86_GP, 8);
	fresh(true);
	pvcpu.traps[3].address = 0;
	pv_inject_soft_int(3, 1);
	check_entered(HANDLER + X86_GP, 8);
}

TEST(events)
{
	fresh(false);
	pv_deliver_pending(regs);
	CHECK_EQ(toggles, 0);
	info.evtchn_upcall_pending = info.evtchn_upcall_mask = 1;
	pv_deliver_pending(regs);
	CHECK_EQ(toggles, 0);
	info.evtchn_upcall_mask = 0;
	pv_deliver_pending(regs);
	check_entered(HANDLER + 0x1000 + PV_CB_EVENT, 7);
	CHECK_EQ(info.evtchn_upcall_mask, 1);
	CHECK(word(4) & RFLAGS_IF);
}

TEST(nmi)
{
	fresh(true);
	info.evtchn_upcall_pending = 1;
	pv_send_nmi(&vcpu0);
	pv_deliver_pending(regs);
	check_entered(HANDLER + X86_NMI, 7);
	CHECK_EQ(vcpu0.pv_pending, 0);
	/* The next one waits for the iret, the event for the mask. */
	pv_send_nmi(&vcpu0);
	regs->rip = 5;
	pv_deliver_pending(regs);
	CHECK_EQ(regs->rip, 5);
	CHECK_EQ(vcpu0.pv_pending, PV_PENDING_NMI);
	/* Without a handler it stays. */
	fresh(true);
	pvcpu.traps[X86_NMI].address = 0;
	pv_send_nmi(&vcpu0);
	pv_deliver_pending(regs);
	CHECK_EQ(regs->rip, 0x1111);
	CHECK_EQ(vcpu0.pv_pending, PV_PENDING_NMI);
}

TEST(failsafe)
{
	fresh(false);
	pvcpu.sel_ds = 0xd, pvcpu.sel_es = 0xe, pvcpu.sel_fs = 0xf, pvcpu.sel_gs = 0x10;
	vcpu0.pv_pending = PV_PENDING_FAILSAFE;
	pvcpu.cb[PV_CB_FAILSAFE].masks_events = true;
	pv_deliver_pending(regs);
	check_entered(HANDLER + 0x1000 + PV_CB_FAILSAFE, 11);
	CHECK_EQ(word(2), 0xd);
	CHECK_EQ(word(5), 0x10);
	CHECK_EQ(word(6), 0x1111);
	CHECK_EQ(info.evtchn_upcall_mask, 1);
	CHECK_EQ(vcpu0.pv_pending, 0);
}

TEST(system_calls)
{
	fresh(false);
	pv_syscall(regs);
	check_entered(HANDLER + 0x1000 + PV_CB_SYSCALL, 7);
	CHECK_EQ(info.evtchn_upcall_mask, 0);
	fresh(false);
	pvcpu.cb[PV_CB_SYSCALL].masks_events = true;
	pv_syscall(regs);
	CHECK_EQ(info.evtchn_upcall_mask, 1);
	fresh(false);
	pvcpu.cb[PV_CB_SYSCALL].eip = 0;
	pv_syscall(regs);
	check_entered(HANDLER + X86_UD, 7);
	CHECK_EQ(word(2), 0x1111 - 2);
	fresh(true);
	pv_syscall32(regs);
	check_entered(HANDLER + X86_UD, 7);
	fresh(true);
	pv_sysenter(regs);
	check_entered(HANDLER + X86_GP, 8);
	fresh(false);
	pv_sysenter(regs);
	check_entered(HANDLER + 0x1000 + PV_CB_SYSENTER, 7);
	CHECK(!(word(4) & RFLAGS_NT));
}

TEST(registering)
{
	struct trap_info t = { .vector = 14, .cs = FLAT_KERNEL_CS64 & ~3, .address = HANDLER, .flags = 7 };

	fresh(true);
	CHECK_EQ(pv_set_callback(&vcpu0, CALLBACKTYPE_syscall, CALLBACKF_mask_events, HANDLER), 0);
	CHECK_EQ(pvcpu.cb[PV_CB_SYSCALL].eip, HANDLER);
	CHECK(pvcpu.cb[PV_CB_SYSCALL].masks_events);
	CHECK_EQ(pv_set_callback(&vcpu0, CALLBACKTYPE_syscall, 0, 0x8000000000000000), -EINVAL);
	CHECK_EQ(pv_set_callback(&vcpu0, 6, 0, HANDLER), -ENOSYS);
	CHECK_EQ(pv_clear_callback(&vcpu0, CALLBACKTYPE_event), -EINVAL);
	CHECK_EQ(pv_set_callback(&vcpu0, CALLBACKTYPE_nmi, 0, HANDLER + 9), 0);
	CHECK_EQ(pvcpu.traps[X86_NMI].address, HANDLER + 9);
	CHECK_EQ(pv_clear_callback(&vcpu0, CALLBACKTYPE_nmi), 0);
	CHECK_EQ(pvcpu.traps[X86_NMI].address, 0);
	CHECK_EQ(pv_clear_callback(&vcpu0, 0xffff), -ENOSYS);
	CHECK_EQ(pv_set_trap(&vcpu0, &t), 0);
	CHECK_EQ(pvcpu.traps[14].cs, FLAT_KERNEL_CS64);
	t.address = 0x0000800000000000;
	CHECK_EQ(pv_set_trap(&vcpu0, &t), -EINVAL);
}

TEST(debug_registers)
{
	static struct vcpu other = { .pv = &pvcpu };
	u64 val;

	fresh(true);
	pv_reset_debugregs(&other);
	CHECK_EQ(pv_get_debugreg(&other, 5, &val), 0);
	CHECK_EQ(val, 0x400);
	CHECK_EQ(pv_get_debugreg(&other, 4, &val), 0);
	CHECK_EQ(val, 0xffff0ff0);
	CHECK_EQ(pv_get_debugreg(&other, 8, &val), -EINVAL);
	/* Addresses: not the hypervisor's. */
	CHECK_EQ(pv_set_debugreg(&other, 0, HYP_VIRT_START - 1), -EINVAL);	/* not canonical */
	CHECK_EQ(pv_set_debugreg(&other, 0, HYP_VIRT_START), -EINVAL);
	CHECK_EQ(pv_set_debugreg(&other, 3, HYP_VIRT_END - 1), -EINVAL);
	CHECK_EQ(pv_set_debugreg(&other, 3, HYP_VIRT_END), 0);
	CHECK_EQ(pv_set_debugreg(&other, 8, 0), -EINVAL);
	/* DR6, DR7: fixed bits stay, general detect is dropped. */
	CHECK_EQ(pv_set_debugreg(&other, 6, ~0UL), 0);
	CHECK_EQ(pvcpu.dr[6], 0xffffefff);
	CHECK_EQ(pv_set_debugreg(&other, 7, BIT(13)), 0);
	CHECK_EQ(pvcpu.dr[7], 0x400);
	CHECK_EQ(pv_set_debugreg(&other, 7, 0xd0101), 0);			/* write, 4 bytes */
	CHECK_EQ(pvcpu.dr[7], 0xd0501);
	CHECK_EQ(pv_set_debugreg(&other, 7, 0x20001), -EPERM);		/* I/O */
	CHECK_EQ(pv_set_debugreg(&other, 7, 0x40001), -EINVAL);		/* execute, 2 bytes */
	CHECK_EQ(pvcpu.dr[7], 0xd0501);
	CHECK_EQ(pv_set_debugreg(&other, 7, 0x20000), 0);			/* not enabled: anything */
}
