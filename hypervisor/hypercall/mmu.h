/* SPDX-License-Identifier: MIT */
/* What the MMU hypercalls share: foreign owners, vCPU sets, and the continuation of a batch. */
#ifndef HYPERCALL_MMU_H
#define HYPERCALL_MMU_H

#include <core/cpumask.h>
#include <core/percpu.h>
#include <hypercall/dispatch.h>

/* Set in the count argument of a batch that is being continued: *pdone then counts what earlier parts have done. */
#define MMU_PREEMPTED	BIT(31)

/*
 * The domain whose frames an argument names: DOMID_SELF, DOMID_IO, DOMID_XEN (privileged callers), or another domain
 * (likewise). Referenced; to be given back with mmu_put_owner(). -ESRCH, -EPERM.
 */
int __must_check mmu_get_other_owner(u16 id, struct domain **out);
void mmu_put_other_owner(struct domain *d);
static inline int __must_check mmu_get_owner(u16 id, struct domain **out)
{
	*out = current->domain;
	return likely(id == DOMID_SELF) ? 0 : mmu_get_other_owner(id, out);
}
static inline void mmu_put_owner(struct domain *d)
{
	if (unlikely(d != current->domain))
		mmu_put_other_owner(d);
}

/* The CPUs where the vCPUs of a guest's bitmap run. -EFAULT. */
int __must_check mmu_cpus_of_vcpus(const void *guest_bitmap, cpumask_t *out);

/* A batch: elements of size bytes at uops; count as the guest gave it. */
struct mmu_batch {
	u64 uops, pdone, foreigndom;
	u32 count;		/* elements left at the start of this part */
	u32 before;		/* done by earlier parts */
};
int __must_check mmu_batch_resume(struct mmu_batch *b);
long mmu_batch_stop(const struct mmu_batch *b, u32 done, long rc, u64 nr, size_t size);

/* 0, -EFAULT. */
static inline int __must_check mmu_batch_begin(struct mmu_batch *b, u64 uops, u64 count, u64 pdone, u64 foreigndom)
{
	*b = (struct mmu_batch){ .uops = uops, .pdone = pdone, .foreigndom = foreigndom, .count = (u32)count };
	return unlikely(b->count & MMU_PREEMPTED) ? mmu_batch_resume(b) : 0;
}

/* The batch ends, or is to be continued (rc == -ERESTART), after done elements: value for the hypercall to return. */
static inline long mmu_batch_end(const struct mmu_batch *b, u32 done, long rc, u64 nr, size_t size)
{
	return likely(!b->pdone && rc != -ERESTART) ? rc : mmu_batch_stop(b, done, rc, nr, size);
}

#endif
