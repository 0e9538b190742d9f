/* SPDX-License-Identifier: MIT */
/* Domain 0's side of the peer. */
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

EMBED(peer_image, "peer/peer.elf");

int peer_build(struct peer *p, u32 vcpus)
{
	int rc = dom_create(&p->dom, vcpus, PEER_PAGES);

	if (rc)
		return rc;
	rc = dom_build(&p->dom, &peer_image, "");
	if (rc)
		dom_destroy(&p->dom);
	return rc;
}

int peer_start(struct peer *p, u32 vcpus)
{
	int rc = peer_build(p, vcpus);

	if (rc)
		return rc;
	rc = (int)domctl_simple(XEN_DOMCTL_unpausedomain, p->dom.id);
	/* Its first answer says that it is up. */
	if (!rc && peer_do(p, PEER_NOTHING, 0, 0, 0, 0, 0, 0))
		rc = -XEN_ETIME;
	for (u32 i = 1; i < vcpus && !rc; i++)
		rc = (int)peer_do(p, PEER_START, i, 0, 0, 0, 0, 0);
	if (rc) {
		dom_drain_console(&p->dom);
		dom_destroy(&p->dom);
	}
	return rc;
}

struct mailbox *peer_box(struct peer *p, u32 vcpu)
{
	return (struct mailbox *)p->dom.store + vcpu;
}

u64 peer_data_va(struct peer *p, u32 vcpu)
{
	return dom_va(p->dom.store_pfn) + vcpu * sizeof(struct mailbox) + offsetof(struct mailbox, data);
}

bool peer_is_done(struct peer *p, u32 vcpu)
{
	struct mailbox *box = peer_box(p, vcpu);

	return __atomic_load_n(&box->done, __ATOMIC_ACQUIRE) == box->wanted;
}

void peer_post(struct peer *p, u32 vcpu, enum peer_op op, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
	struct mailbox *box = peer_box(p, vcpu);
	u64 args[] = { a0, a1, a2, a3, a4, a5 };

	memcpy(box->arg, args, sizeof(args));
	box->op = op;
	box->stop = 0;
	box->count = 0;
	__atomic_store_n(&box->wanted, box->wanted + 1, __ATOMIC_RELEASE);
	if (op == PEER_HAMMER || op == PEER_STORE)
		CHECK(WAIT_FOR(READ_ONCE(box->count) > 0 || peer_is_done(p, vcpu), PATIENCE));
}

/* Where a peer is that does not answer. */
static void report(struct peer *p, u32 vcpu)
{
	static struct vcpu_guest_context ctx;
	static struct xen_domctl op;

	dom_drain_console(&p->dom);
	op.u.vcpucontext.vcpu = vcpu;
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &ctx);
	if (domctl(XEN_DOMCTL_getvcpucontext, peer_id(p), &op))
		return;
	print("  peer d%u v%u: flags %x rip %lx rsp %lx rax %lx rdi %lx rsi %lx\n", peer_id(p), vcpu, dom_flags(peer_id(p)),
	      ctx.user_regs.rip, ctx.user_regs.rsp, ctx.user_regs.rax, ctx.user_regs.rdi, ctx.user_regs.rsi);
}

long peer_wait(struct peer *p, u32 vcpu)
{
	struct mailbox *box = peer_box(p, vcpu);
	u64 end = now() + PATIENCE;

	for (unsigned n = 0; !peer_is_done(p, vcpu); n++) {
		cpu_relax();
		if (n < 2000)
			continue;
		HCALL(sched_op, SCHEDOP_yield);
		if (now() > end) {
			report(p, vcpu);
			return -XEN_ETIME;
		}
	}
	return box->vector == VEC_NONE ? (long)box->result : -XEN_EFAULT;
}

long peer_stop(struct peer *p, u32 vcpu)
{
	__atomic_store_n(&peer_box(p, vcpu)->stop, 1, __ATOMIC_RELEASE);
	return peer_wait(p, vcpu);
}

long peer_do(struct peer *p, enum peer_op op, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
	peer_post(p, 0, op, a0, a1, a2, a3, a4, a5);
	return peer_wait(p, 0);
}

long peer_op(struct peer *p, u64 nr, u64 cmd, void *arg, size_t size)
{
	struct mailbox *box = peer_box(p, 0);
	long rc;

	if (size > sizeof(box->data))
		return -XEN_E2BIG;
	memcpy(box->data, arg, size);
	rc = peer_do(p, PEER_HCALL, nr, cmd, peer_data_va(p, 0), 1, 0, 0);
	memcpy(arg, box->data, size);
	return rc;
}

u64 peer_alloc(struct peer *p, u32 order)
{
	return (u64)peer_do(p, PEER_ALLOC, order, 0, 0, 0, 0, 0);
}

u64 peer_mfn(struct peer *p, u64 va)
{
	return (u64)peer_do(p, PEER_MFN, va, 0, 0, 0, 0, 0);
}

u64 peer_read(struct peer *p, u64 va)
{
	long rc = peer_do(p, PEER_READ, va, 0, 0, 0, 0, 0);

	return peer_box(p, 0)->vector == VEC_NONE ? (u64)rc : ~0ul;
}

int peer_write(struct peer *p, u64 va, u64 value)
{
	peer_do(p, PEER_WRITE, va, value, 0, 0, 0, 0);
	return peer_box(p, 0)->vector;
}

int peer_map(struct peer *p, u64 va, u64 pte)
{
	return (int)peer_do(p, PEER_MAP, va, pte, 0, 0, 0, 0);
}
