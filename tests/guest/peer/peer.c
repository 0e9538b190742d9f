/* SPDX-License-Identifier: MIT */
/* The second domain of tests with two: see lib/peer.h. */
#define PEER_SIDE
#include "lib/peer.h"
#include "lib/test.h"
#include "lib/time.h"

#include <xen/sched.h>

static volatile bool leaving;

static struct mailbox *box_of(u32 vcpu)
{
	return (struct mailbox *)mfn_to_virt(start_info->store_mfn) + vcpu;
}

static void serve(void *unused);

/* CATCH needs what changes in it to be volatile: results go straight to the mailbox. */
static void hammer(volatile struct mailbox *box)
{
	while (!box->stop) {
		if (raw_hypercall(box->arg[0], box->arg[1], box->arg[2], box->arg[3], box->arg[4], box->arg[5]) >= 0)
			box->result++;
		box->count++;
	}
}

static void store(volatile struct mailbox *box)
{
	while (!box->stop) {
		*(volatile u64 *)box->arg[0] = box->count;
		box->count++;
	}
	box->result = box->count;
}

static void obey(volatile struct mailbox *box)
{
	switch (box->op) {
	case PEER_HCALL:
		box->result = (u64)raw_hypercall(box->arg[0], box->arg[1], box->arg[2], box->arg[3], box->arg[4], box->arg[5]);
		break;
	case PEER_READ:
		box->result = *(volatile u64 *)box->arg[0];
		break;
	case PEER_WRITE:
		*(volatile u64 *)box->arg[0] = box->arg[1];
		break;
	case PEER_ALLOC:
		box->result = (u64)(box->arg[0] ? pages_alloc((unsigned)box->arg[0]) : page_alloc());
		break;
	case PEER_MFN:
		box->result = pte_mfn(*pt_walk(box->arg[0], 1));
		break;
	case PEER_MAP:
		box->result = (u64)(long)map_new(box->arg[0], box->arg[1]);
		break;
	case PEER_START:
		cpu_run((unsigned)box->arg[0], serve, NULL);
		break;
	case PEER_HAMMER:
		hammer(box);
		break;
	case PEER_STORE:
		store(box);
		break;
	case PEER_EXIT:
		leaving = box->arg[0] != SHUTDOWN_suspend;
		HCALL(sched_op, SCHEDOP_shutdown, &(struct sched_shutdown){ .reason = (unsigned)box->arg[0] });
	}
}

static void serve(void *unused)
{
	struct mailbox *box = box_of(this_cpu()->id);

	(void)unused;
	for (unsigned idle = 0; !leaving; idle++) {
		struct trap t;

		if (__atomic_load_n(&box->wanted, __ATOMIC_ACQUIRE) == box->done) {
			if (idle > 5000)
				block_until(now() + MSEC / 2);
			else
				cpu_relax();
			continue;
		}
		idle = 0;
		box->result = 0;
		CATCH(&t, obey(box));
		box->vector = t.vector;
		__atomic_store_n(&box->done, box->done + 1, __ATOMIC_RELEASE);
	}
}

TEST(serve)
{
	serve(NULL);
}
