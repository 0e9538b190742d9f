/* SPDX-License-Identifier: MIT */
/*
 * A second domain that does what the test in Domain 0's place says: each of its vCPUs waits for a command in a mailbox, which is
 * in the page that other guests have for the store. So both sides of a test stand in one file.
 */
#ifndef GUEST_PEER_H
#define GUEST_PEER_H

#include "lib/types.h"

#define PEER_CPUS 4
#define PEER_PAGES 1024u	/* 4 MiB */

enum peer_op {
	PEER_NOTHING,
	PEER_HCALL,	/* arg: number, then the hypercall's arguments */
	PEER_READ,	/* arg: address. The u64 there */
	PEER_WRITE,	/* arg: address, value */
	PEER_ALLOC,	/* arg: order. The address of 2^order zeroed pages */
	PEER_MFN,	/* arg: address. The frame behind it */
	PEER_MAP,	/* arg: address, page-table entry: map_new() */
	PEER_START,	/* arg: vCPU to start */
	PEER_HAMMER,	/* arg: as PEER_HCALL, again and again until told to stop. How often it succeeded (>= 0) */
	PEER_STORE,	/* arg: address. Writes there again and again until told to stop, or a trap. How often */
	PEER_EXIT,	/* arg: SHUTDOWN_* */
};

/* One vCPU's mailbox; eight fit the page. */
struct mailbox {
	u32 wanted, done;	/* commands given, commands done */
	u32 op, stop;
	s32 vector;		/* of the trap that ended it, or VEC_NONE */
	u32 pad;
	u64 arg[6];
	u64 result;
	u64 count;		/* rounds of a command that repeats, as it goes */
	u8 data[512 - 6 * 8 - 24 - 16];
};
_Static_assert(sizeof(struct mailbox) == 512, "eight fit the page");

#ifndef PEER_SIDE
#include "lib/domain.h"

#include <xen/sched.h>

struct peer {
	struct dom dom;		/* first: what takes a domain takes a peer */
};

/* A running peer with vcpus vCPUs, of which vCPU 0 is up. 0 or -errno. */
int peer_start(struct peer *p, u32 vcpus);
/* A peer that is being built: not yet unpaused. */
int peer_build(struct peer *p, u32 vcpus);
static inline u32 peer_id(const struct peer *p) { return p->dom.id; }
static inline int peer_destroy(struct peer *p) { return dom_destroy(&p->dom); }

/* Gives vCPU a command; does not wait for its end. One that repeats has done its first round: the rest happens beside what the caller does next. */
void peer_post(struct peer *p, u32 vcpu, enum peer_op op, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);
bool peer_is_done(struct peer *p, u32 vcpu);
/* Waits for it. The result; -XEN_EFAULT when a trap ended it (its vector is in the mailbox), -XEN_ETIME if it does not end. */
long peer_wait(struct peer *p, u32 vcpu);
/* Has a repeating command end, and waits. */
long peer_stop(struct peer *p, u32 vcpu);
struct mailbox *peer_box(struct peer *p, u32 vcpu);

/* On vCPU 0, waiting for the end. */
long peer_do(struct peer *p, enum peer_op op, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);
/* Room of the peer for arguments, its own address; our view of it. At most PEER_DATA bytes. */
#define PEER_DATA sizeof(((struct mailbox *)0)->data)
u64 peer_data_va(struct peer *p, u32 vcpu);

/* PEER_CALL(p, memory_op, XENMEM_…, addr): a hypercall of the peer; addresses are the peer's. */
#define PEER_CALL_PAD(p, nr, a, b, c, d, e, ...) peer_do(p, PEER_HCALL, nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e))
#define PEER_CALL(p, name, ...) PEER_CALL_PAD(p, __HYPERVISOR_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0)
/*
 * PEER_OP(p, event_channel_op, EVTCHNOP_…, &arg): the same for the common shape (command, pointer, count = 1), where the pointer is to a
 * variable of ours that travels there and back.
 */
#define PEER_OP(p, name, cmd, ptr) peer_op(p, __HYPERVISOR_##name, cmd, ptr, sizeof(*(ptr)))
long peer_op(struct peer *p, u64 nr, u64 cmd, void *arg, size_t size);

/* Pages of the peer: address and frame. */
u64 peer_alloc(struct peer *p, u32 order);
u64 peer_mfn(struct peer *p, u64 va);
/* Its word at va; traps give ~0. */
u64 peer_read(struct peer *p, u64 va);
/* The vector of the trap, or VEC_NONE. */
int peer_write(struct peer *p, u64 va, u64 value);
int peer_map(struct peer *p, u64 va, u64 pte);
#endif

#endif
