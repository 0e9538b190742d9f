/* SPDX-License-Identifier: MIT */
/* Traps and callbacks: catching them, hooking them, and running code in user mode. */
#ifndef GUEST_TRAP_H
#define GUEST_TRAP_H

#include "lib/types.h"

enum vector {
	VEC_NONE = -1,
	VEC_DE = 0, VEC_DB = 1, VEC_BP = 3, VEC_OF = 4, VEC_BR = 5, VEC_UD = 6, VEC_NM = 7, VEC_DF = 8,
	VEC_TS = 10, VEC_NP = 11, VEC_SS = 12, VEC_GP = 13, VEC_PF = 14, VEC_MF = 16, VEC_AC = 17, VEC_XM = 19,
	VEC_EVENT = 256, VEC_FAILSAFE, VEC_SYSCALL, VEC_SYSCALL32, VEC_SYSENTER, VEC_NMI,
	VEC_COUNT
};

#define PF_PRESENT 1u
#define PF_WRITE 2u
#define PF_USER 4u
#define PF_RSVD 8u
#define PF_FETCH 16u

#define FLAG_CF 0x1ul
#define FLAG_TF 0x100ul
#define FLAG_IF 0x200ul
#define FLAG_DF 0x400ul
#define FLAG_IOPL 0x3000ul
#define FLAG_NT 0x4000ul
#define FLAG_RF 0x10000ul
#define FLAG_AC 0x40000ul
#define FLAG_ID 0x200000ul

/* The layout that entry.S builds; cs holds the selector in bits 15:0 and the saved upcall mask in bits 39:32. */
struct trap_frame {
	u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
	u64 cr2;	/* copied from the vcpu_info by the dispatcher; not on the stack */
};

/* What a catch leaves behind. vector is VEC_NONE when nothing happened. */
struct trap {
	int vector;
	u32 error;
	u64 cr2;
	struct trap_frame frame;
};

struct catch {
	u64 regs[8];		/* used by entry.S */
	struct catch *outer;
	struct trap *result;
	u8 upcall_mask;
};

int catch_save(struct catch *c) __attribute__((returns_twice));
void catch_resume(struct catch *c) __attribute__((noreturn));
void catch_arm(struct catch *c, struct trap *result);
void catch_disarm(struct catch *c);

/*
 * CATCH(&trap, statements): runs the statements; a trap in them ends them and is described in trap.
 * Value: the vector, or VEC_NONE. Locals changed by the statements must be volatile. No return, break or goto out.
 */
#define CATCH(t, ...) ({						\
	struct catch catch_;						\
	catch_arm(&catch_, t);						\
	if (!catch_save(&catch_)) {					\
		__VA_ARGS__;						\
		catch_disarm(&catch_);					\
	}								\
	(t)->vector; })

/* A hook sees the trap before anything else; true means that it is dealt with and execution resumes from the frame. */
typedef bool (*trap_hook)(struct trap_frame *frame);
trap_hook trap_set_hook(unsigned vector, trap_hook hook);

/* Installs the runtime's trap table and callbacks on the vCPU that runs. */
void trap_init_this(void);
u64 trap_stub(unsigned vector);

/* The flags word of the iret hypercall that returns from every trap: 0, or VGCF_in_syscall. */
extern u64 iret_flags;
/* ds, es, fs and gs that the last failsafe callback saved. */
extern u64 failsafe_segments[4];

void event_stub(void);
void failsafe_stub(void);
void syscall_stub(void);
void syscall32_stub(void);
void sysenter_stub(void);
void nmi_stub(void);

/*
 * User mode. user_init() makes a user page table in which the kernel's image and memory are mapped as they are for the
 * kernel, so that a user function is any function of the test that makes no hypercall.
 *
 * user_frame: a frame that starts function entry(arg) in user mode on the vCPU's user stack.
 * user_run: runs it until the next trap, syscall or callback from user mode, which replaces the frame; returns its vector.
 * Continue by calling user_run() again with the same frame. Function return ends in a #BP at user_end.
 */
void user_init(void);
void user_frame(struct trap_frame *frame, void (*entry)(u64), u64 arg);
int user_run(struct trap_frame *frame);
/* Runs fn(arg) in user mode and returns the vector that ended it: VEC_BP if it ran to its end. */
int user_call(void (*fn)(u64), u64 arg, struct trap_frame *frame);
u64 user_pgd_mfn(void);
u64 *user_pgd(void);
static inline bool trap_from_user(const struct trap_frame *f)
{
	return (f->cs & 3) == 3;
}

void trap_dispatch(struct trap_frame *on_stack);
void user_enter(const struct trap_frame *frame);
void user_leave(void) __attribute__((noreturn));

#endif
